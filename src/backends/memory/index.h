/* index.h - finds items in a table of 64-byte buckets. Each shard has one table.
 *
 *      bucket, one cache line
 *     | t0 t1 t2 t3 t4 t5 t6 | passed |  item 0  |  item 1  | … |  item 6  |
 *
 * A tag is a byte of the key's hash, or 0 in a free slot. All seven tags are compared at once, so a lookup reads the
 * bucket and the one item that it wants. If its bucket is full, an item goes to the next one that is not (linear
 * probing). `passed` counts those items, and a lookup goes on only if it is not 0.
 *
 * Readers need no lock, since an item never moves within a table. A table that is too small or too large is copied
 * under the shard's lock, and the old one is freed when no thread reads it any more. The tree of deadlines (expiry.h),
 * which readers do not use, follows the buckets. */
#ifndef MEMORY_INDEX_H
#define MEMORY_INDEX_H

#include "item.h"

enum { BUCKET_SLOTS = 7, BUCKET_SIZE = 64, PASSED_SHIFT = 56, PASSED_MAX = 255 };

struct bucket {
    _Alignas(BUCKET_SIZE) _Atomic uint64_t tags;
    _Atomic(struct item *) items[BUCKET_SLOTS];
};

_Static_assert(sizeof(struct bucket) == BUCKET_SIZE, "a bucket is a cache line");

/* The address and the size of a table in one word, so that a reader gets both at once. The address is a multiple of 64.
 * The low six bits are the size class, with two classes per power of two: 0, 1, (1,) 2, 3, 4, 6, 8, 12, 16… buckets. */
typedef uintptr_t table_word;

enum { TABLE_CLASSES = 64 };

static inline uint32_t table_class(table_word table)
{
    return (uint32_t)(table % TABLE_CLASSES);
}

static inline uint32_t table_class_buckets(uint32_t class)
{
    return class == 0 ? 0 : (uint32_t)(((UINT64_C(2) | ((class - 1) & 1)) << ((class - 1) >> 1)) / 2);
}

static inline uint32_t table_n(table_word table)
{
    return table_class_buckets(table_class(table));
}

static inline struct bucket *table_buckets(table_word table)
{
    return (struct bucket *)(table - table % TABLE_CLASSES);
}

/* Returns the bucket of a hash, from its upper bits, for any number of buckets. The tag is the lowest byte. */
static inline uint32_t table_home(uint32_t hash, uint32_t n)
{
    return (uint32_t)((uint64_t)hash * n >> 32);
}

static inline uint8_t hash_tag(uint32_t hash)
{
    const uint8_t tag = (uint8_t)hash;
    return tag != 0 ? tag : 1;
}

/* Returns the matches of `tag`, as the highest bits of their bytes. There may be false matches above a true one, which
 * the comparison of the items rejects. The lowest match is always true. */
static inline uint64_t bucket_match(uint64_t tags, uint8_t tag)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), differing = tags ^ ones * tag;
    return (differing - ones) & ~differing & UINT64_C(0x0080808080808080);
}

static inline unsigned match_slot(uint64_t match)
{
    return (unsigned)__builtin_ctzll(match) / 8;
}

static inline unsigned bucket_passed(uint64_t tags)
{
    return (unsigned)(tags >> PASSED_SHIFT);
}

/* Returns the item of `key` in one bucket, of which `tags` was read, or NULL. */
static inline struct item *bucket_find(const struct bucket *bucket, uint64_t tags, uint32_t hash, cache_bytes key)
{
    for (uint64_t match = bucket_match(tags, hash_tag(hash)); match != 0; match &= match - 1) {
        struct item *item = atomic_load_explicit(&bucket->items[match_slot(match)], memory_order_acquire);
        if (item == NULL)
            continue;
        /* A hit reads two or three cache lines of the item, which are fetched together. */
        __builtin_prefetch((const char *)item + 64);
        __builtin_prefetch((const char *)item + 128);
        if (item_has_key(item, hash, key))
            return item;
    }
    return NULL;
}

/* The same in the buckets after `home`, as far as items passed them. */
struct item *cache_mem_index_find_behind(table_word table, uint32_t home, uint32_t hash, cache_bytes key);

/* Returns the item of `key`, live or expired, or NULL. Call this with the shard's lock held, or between epoch_enter and
 * epoch_leave. */
static inline struct item *table_find(table_word table, uint32_t hash, cache_bytes key)
{
    const uint32_t n = table_n(table);
    if (n == 0)
        return NULL;
    const uint32_t home = table_home(hash, n);
    const struct bucket *bucket = &table_buckets(table)[home];
    const uint64_t tags = atomic_load_explicit(&bucket->tags, memory_order_acquire);
    struct item *item = bucket_find(bucket, tags, hash, key);
    if (item != NULL || bucket_passed(tags) == 0)
        return item;
    return cache_mem_index_find_behind(table, home, hash, key);
}

/* Fetch the bucket of `hash`, and then its item, into the processor's caches, where a lookup soon needs them. A bucket
 * that was freed meanwhile does no harm. The second function may be called where table_find may. */
static inline void table_fetch_bucket(table_word table, uint32_t hash)
{
    if (table_n(table) > 0)
        __builtin_prefetch(&table_buckets(table)[table_home(hash, table_n(table))]);
}

static inline void table_fetch_item(table_word table, uint32_t hash)
{
    if (table_n(table) == 0)
        return;
    const struct bucket *bucket = &table_buckets(table)[table_home(hash, table_n(table))];
    const uint64_t match = bucket_match(atomic_load_explicit(&bucket->tags, memory_order_acquire), hash_tag(hash));
    if (match == 0)
        return;
    const char *item = (const char *)atomic_load_explicit(&bucket->items[match_slot(match)], memory_order_relaxed);
    __builtin_prefetch(item);
    __builtin_prefetch(item + 64);
    __builtin_prefetch(item + 128);
}

/* The position of an item in a table. */
struct slot {
    uint32_t bucket;
    unsigned i;
};

/* All functions below are called with the shard's lock held. */

/* Finds the slot of `item`, which must be in the table. */
struct slot cache_mem_index_slot(table_word table, const struct item *item);

/* Puts `item` into a free slot. Its key must not be in the table. Returns false if there is no free slot. */
bool cache_mem_index_add(table_word table, struct item *item, struct slot *slot);

void cache_mem_index_remove(table_word table, struct slot slot);

static inline void table_replace(table_word table, struct slot slot, struct item *item)
{
    atomic_store_explicit(&table_buckets(table)[slot.bucket].items[slot.i], item, memory_order_release);
}

static inline struct item *table_item(table_word table, uint32_t bucket, unsigned i)
{
    return atomic_load_explicit(&table_buckets(table)[bucket].items[i], memory_order_relaxed);
}

/* Returns the item with `hash` and `place` in a queue, or NULL. */
struct item *cache_mem_index_find_place(table_word table, uint32_t hash, uint32_t place);

/* The smallest class above `class` that has more buckets. */
uint32_t cache_mem_index_next_class(uint32_t class);

/* Returns a table of `class` with the items of `old`, or 0 if there is no memory. Class 0 needs no memory. */
table_word cache_mem_index_copy(table_word old, uint32_t class, const cache_allocator *allocator);

/* Return the allocator's block of a table, which is to be freed, and its cost. */
void *cache_mem_index_block(table_word table);
size_t cache_mem_index_cost(table_word table);

#endif
