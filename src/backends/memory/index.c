/* index.c - changes a table, with its shard's lock held, while threads read it. */
#include "index.h"

#include "expiry.h"
#include "queue.h"

static uint64_t tags_of(const struct bucket *bucket)
{
    return atomic_load_explicit(&bucket->tags, memory_order_relaxed);
}

static void set_tag(struct bucket *bucket, unsigned i, uint8_t tag)
{
    const uint64_t others = tags_of(bucket) & ~(UINT64_C(0xff) << 8 * i);
    atomic_store_explicit(&bucket->tags, others | (uint64_t)tag << 8 * i, memory_order_release);
}

/* Counts an item that passes a full bucket. A count that has reached its limit stays there. */
static void count_passed(struct bucket *bucket, bool leaves)
{
    const uint64_t tags = tags_of(bucket), one = UINT64_C(1) << PASSED_SHIFT;
    if (bucket_passed(tags) < PASSED_MAX)
        atomic_store_explicit(&bucket->tags, leaves ? tags - one : tags + one, memory_order_release);
}

static uint32_t after(uint32_t bucket, uint32_t n)
{
    return bucket + 1 < n ? bucket + 1 : 0;
}

struct item *cache_mem_index_find_behind(table_word table, uint32_t home, uint32_t hash, cache_bytes key)
{
    const uint32_t n = table_n(table);
    for (uint32_t at = after(home, n); at != home; at = after(at, n)) {
        const struct bucket *bucket = &table_buckets(table)[at];
        const uint64_t tags = atomic_load_explicit(&bucket->tags, memory_order_acquire);
        struct item *item = bucket_find(bucket, tags, hash, key);
        if (item != NULL || bucket_passed(tags) == 0)
            return item;
    }
    return NULL;
}

struct slot cache_mem_index_slot(table_word table, const struct item *item)
{
    const uint32_t n = table_n(table);
    for (uint32_t at = table_home(item->hash, n);; at = after(at, n))
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            if (table_item(table, at, i) == item)
                return (struct slot){ at, i };
}

bool cache_mem_index_add(table_word table, struct item *item, struct slot *slot)
{
    const uint32_t n = table_n(table), home = table_home(item->hash, n);
    struct bucket *buckets = table_buckets(table);
    uint32_t at = home, looked_at = 0;
    uint64_t free_slots = 0;
    for (; looked_at < n && (free_slots = bucket_match(tags_of(&buckets[at]), 0)) == 0; looked_at++)
        at = after(at, n);
    if (looked_at == n)
        return false;
    *slot = (struct slot){ at, match_slot(free_slots) };
    /* The order of these stores does not matter to readers: a reader that comes too early misses an item that did not
     * exist when it came. */
    atomic_store_explicit(&buckets[at].items[slot->i], item, memory_order_release);
    set_tag(&buckets[at], slot->i, hash_tag(item->hash));
    for (uint32_t passed = home; passed != at; passed = after(passed, n))
        count_passed(&buckets[passed], false);
    return true;
}

void cache_mem_index_remove(table_word table, struct slot slot)
{
    const uint32_t n = table_n(table);
    struct bucket *buckets = table_buckets(table);
    const struct item *item = table_item(table, slot.bucket, slot.i);
    for (uint32_t passed = table_home(item->hash, n); passed != slot.bucket; passed = after(passed, n))
        count_passed(&buckets[passed], true);
    set_tag(&buckets[slot.bucket], slot.i, 0);
    atomic_store_explicit(&buckets[slot.bucket].items[slot.i], NULL, memory_order_release);
}

struct item *cache_mem_index_find_place(table_word table, uint32_t hash, uint32_t place)
{
    const uint32_t n = table_n(table);
    uint32_t at = table_home(hash, n);
    for (uint32_t looked_at = 0; looked_at < n; looked_at++, at = after(at, n)) {
        const uint64_t tags = tags_of(&table_buckets(table)[at]);
        for (uint64_t match = bucket_match(tags, hash_tag(hash)); match != 0; match &= match - 1) {
            struct item *item = table_item(table, at, match_slot(match));
            if (item != NULL && item->hash == hash && item_place(item) == place)
                return item;
        }
        if (bucket_passed(tags) == 0)
            break;
    }
    return NULL;
}

/* ---- tables -------------------------------------------------------------------------------------------------- */

/* A table begins on a multiple of 64. The address of the allocator's block is stored at its end. */
static void **block_of(table_word table)
{
    const uint32_t n = table_n(table);
    return (void **)(void *)((char *)(table_buckets(table) + n) + cache_mem_expiry_size(n));
}

static size_t block_size(uint32_t n)
{
    return n * sizeof(struct bucket) + cache_mem_expiry_size(n) + sizeof(void *) + BUCKET_SIZE;
}

void *cache_mem_index_block(table_word table)
{
    return *block_of(table);
}

size_t cache_mem_index_cost(table_word table)
{
    return table_n(table) == 0 ? 0 : account_block(block_size(table_n(table)));
}

uint32_t cache_mem_index_next_class(uint32_t class)
{
    uint32_t next = class + 1;
    while (next < TABLE_CLASSES - 1 && table_class_buckets(next) <= table_class_buckets(class))
        next++;
    return next;
}

/* The hash is in the header of each item, so the headers of the next buckets are prefetched. */
static void fetch_bucket(table_word table, uint32_t bucket)
{
    if (bucket < table_n(table))
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            __builtin_prefetch(table_item(table, bucket, i));
}

table_word cache_mem_index_copy(table_word old, uint32_t class, const cache_allocator *allocator)
{
    enum { AHEAD = 4 };
    const uint32_t n = table_class_buckets(class);
    void *block = allocator->alloc(allocator->ctx, block_size(n));
    if (block == NULL)
        return 0;
    const uintptr_t at = ((uintptr_t)block + BUCKET_SIZE - 1) / BUCKET_SIZE * BUCKET_SIZE;
    const table_word table = at + class;
    memset(table_buckets(table), 0, n * sizeof(struct bucket));
    cache_mem_expiry_init(table);
    *block_of(table) = block;
    for (uint32_t bucket = 0; bucket < AHEAD; bucket++)
        fetch_bucket(old, bucket);
    for (uint32_t bucket = 0; bucket < table_n(old); bucket++) {
        fetch_bucket(old, bucket + AHEAD);
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            struct item *item = table_item(old, bucket, i);
            struct slot slot;
            if (item != NULL && cache_mem_index_add(table, item, &slot))
                cache_mem_expiry_lower(table, slot.bucket, item_deadline(item));
        }
    }
    return table;
}
