/* list.c - lists keys without a lock. A step lists a range of hashes of one shard, and the cursor says where the next
 * range begins. A range has the same items in any table, so tables may be replaced between steps. */
#include "memory.h"

#include "epoch.h"

enum { MOST = 1000, USUAL = 500, AT_SHARD = 0, AT_HASH = 1 };

#define HASHES (UINT64_C(1) << 32)

struct stretch {
    cache_bytes prefix;
    uint64_t from, to;                 /* hashes; `to` is not included */
    struct item *items[MOST];
    size_t n;
    bool full;                         /* there are more */
};

/* Takes a reference of each item of the range. If its bucket was full, an item is in a later one, at the latest in the
 * first bucket that no item passed. */
static void collect(table_word table, struct stretch *stretch)
{
    const uint32_t n = table_n(table);
    stretch->n = 0;
    stretch->full = false;
    if (n == 0)
        return;
    const uint32_t first = table_home((uint32_t)stretch->from, n), last = table_home((uint32_t)(stretch->to - 1), n);
    for (uint32_t looked_at = 0; looked_at < n; looked_at++) {
        const uint32_t at = (uint32_t)(((uint64_t)first + looked_at) % n);
        const struct bucket *bucket = &table_buckets(table)[at];
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            struct item *item = atomic_load_explicit(&bucket->items[i], memory_order_acquire);
            if (item == NULL || item->hash < stretch->from || item->hash >= stretch->to
                || !item_begins(item, stretch->prefix))
                continue;
            if (stretch->n == MOST) {
                stretch->full = true;
                return;
            }
            item_retain(item);
            stretch->items[stretch->n++] = item;
        }
        const bool passed = bucket_passed(atomic_load_explicit(&bucket->tags, memory_order_acquire)) > 0;
        if (first + looked_at >= last && !passed)
            return;
    }
}

/* User code must not run between epoch_enter and epoch_leave, so keys are passed on afterwards. */
static void read_stretch(struct memory *memory, size_t shard, struct stretch *stretch)
{
    struct reader *reader = epoch_enter();
    if (reader == NULL)
        lock_take(&memory->shards[shard].lock);
    collect(memory_table(memory, shard), stretch);
    if (reader == NULL)
        lock_give(&memory->shards[shard].lock);
    else
        epoch_leave(reader);
}

static void release(struct stretch *stretch)
{
    for (size_t i = 0; i < stretch->n; i++)
        stretch->items[i]->owner.ops->release(&stretch->items[i]->owner);
}

static void hand_over(const struct memory *memory, const struct stretch *stretch, cache_list_key_fn *each, void *ctx)
{
    for (size_t i = 0; i < stretch->n; i++)
        if (!memory_expired(memory, stretch->items[i]))
            each(ctx, item_key(stretch->items[i]));
}

cache_status cache_mem_list(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each, void *ctx)
{
    struct memory *memory = self;
    const size_t shard = (size_t)cursor->at[AT_SHARD] & (memory->n_shards - 1);    /* a caller may have changed it */
    struct stretch stretch = { .prefix = prefix, .from = cursor->at[AT_HASH] };
    const uint64_t items = atomic_load_explicit(&memory->shards[shard].items, memory_order_relaxed);
    uint64_t width = HASHES / (items / USUAL + 1);
    for (;; width = width / 2 + 1) {
        stretch.to = stretch.from + width < HASHES ? stretch.from + width : HASHES;
        read_stretch(memory, shard, &stretch);
        if (!stretch.full || width <= 1)
            break;
        release(&stretch);
    }
    hand_over(memory, &stretch, each, ctx);
    release(&stretch);
    cursor->at[AT_HASH] = stretch.to < HASHES ? stretch.to : 0;
    cursor->at[AT_SHARD] = shard + (stretch.to == HASHES);
    cursor->done = cursor->at[AT_SHARD] == memory->n_shards;
    return CACHE_OK;
}
