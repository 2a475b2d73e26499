/* shard.c - a part of the memory store: its index and its eviction order.
 *
 * uthash's keys are hashed by memory.c, seeded per process, before the lock is taken. Its memory comes from the
 * handle's allocator: the macros below expect an `env` in scope. A table that cannot grow refuses the item instead of
 * ending the process. */
#define uthash_malloc(size) cache_env_alloc(env, size)
#define uthash_free(block, size) cache_env_free(env, block)

#include "shard.h"

/* uthash grows a table when a chain has 10 items: then a hit looks at 2.4 items, of a million, and each is a cache line
 * of its own to wait for. At 5 it looks at 1.2, for two buckets of 16 bytes an item; at 4 there would be six. Behind
 * the header, which defines these whatever was defined before it. */
#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_INITIAL_NUM_BUCKETS 64U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 6U
#define HASH_BKT_CAPACITY_THRESH 5U

#include <string.h>

void shard_init(struct shard *shard, const cache_env *env)
{
    memset(shard, 0, sizeof *shard);
    atomic_init(&shard->lock.state, 0);
    shard->env = env;
    shard->wheel.now_ms = cache_env_monotonic_ms(env);
}

/* ---- the index --------------------------------------------------------------------------------------------------- */

/* The first item of a chain is the one looked for, four times out of five: what lies behind its handle is fetched
 * together with that, and not once the key is found to be the same. */
static void fetch_ahead(const struct shard *shard, uint32_t hash)
{
    if (shard->index == NULL)
        return;
    const UT_hash_table *table = shard->index->hh.tbl;
    unsigned bucket;
    HASH_TO_BKT(hash, table->num_buckets, bucket);
    const char *handle = (const char *)table->buckets[bucket].hh_head;
    if (handle != NULL) {
        __builtin_prefetch(handle + 64);
        __builtin_prefetch(handle + 128);
        __builtin_prefetch(handle + 192);
    }
}

struct item *shard_find_any(const struct shard *shard, cache_bytes key, uint32_t hash)
{
    struct item *item = NULL;
    fetch_ahead(shard, hash);
    HASH_FIND_BYHASHVALUE(hh, shard->index, key.data, (unsigned)key.size, hash, item);
    return item;
}

struct item *shard_find(const struct shard *shard, cache_bytes key, uint32_t hash)
{
    struct item *item = shard_find_any(shard, key, hash);
    if (item != NULL && item->deadline_ms != 0 && cache_env_monotonic_reached(shard->env, item->deadline_ms))
        return NULL;
    return item;
}

static bool index_add(struct shard *shard, struct item *item, uint32_t hash)
{
    const cache_env *env = shard->env;
    const cache_bytes key = item_key(item);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, shard->index, key.data, (unsigned)key.size, hash, item);
    return item->hh.tbl != NULL;
}

static void index_remove(struct shard *shard, struct item *item)
{
    const cache_env *env = shard->env;
    HASH_DELETE(hh, shard->index, item);
}

/* ---- queues ------------------------------------------------------------------------------------------------------ */

/* Within uthash's list: to the place before `at`, or to the end if that is NULL. */
static void list_move(struct shard *shard, struct item *item, struct item *at)
{
    UT_hash_table *table = item->hh.tbl;
    struct item *prev = item->hh.prev, *next = item->hh.next;
    if (item == at || next == at)
        return;
    if (prev != NULL)
        prev->hh.next = next;
    else
        shard->index = next;
    if (next != NULL)
        next->hh.prev = prev;
    else
        table->tail = &prev->hh;

    prev = at != NULL ? at->hh.prev : ELMT_FROM_HH(table, table->tail);
    item->hh.prev = prev;
    item->hh.next = at;
    if (prev != NULL)
        prev->hh.next = item;
    else
        shard->index = item;
    if (at != NULL)
        at->hh.prev = item;
    else
        table->tail = &item->hh;
}

static void count_in(struct shard *shard, struct item *item, enum item_queue queue)
{
    item->queue = (unsigned char)queue;
    shard->queued[queue]++;
}

/* As the newest of its queue: `item` is the list's last. */
static void queue_add(struct shard *shard, struct item *item, enum item_queue queue)
{
    count_in(shard, item, queue);
    if (queue == QUEUE_MAIN)
        list_move(shard, item, shard->small);
    else if (shard->small == NULL)
        shard->small = item;
}

/* Out of its queue, before it leaves the list. */
static void queue_remove(struct shard *shard, struct item *item)
{
    shard->queued[item->queue]--;
    if (item == shard->small)
        shard->small = item->hh.next;
}

/* The oldest of a queue becomes the newest of one. */
static void requeue(struct shard *shard, struct item *item, enum item_queue queue)
{
    queue_remove(shard, item);
    count_in(shard, item, queue);
    if (queue == QUEUE_MAIN)
        list_move(shard, item, shard->small);
    else {
        list_move(shard, item, NULL);
        if (shard->small == NULL)
            shard->small = item;
    }
}

/* ---- in and out -------------------------------------------------------------------------------------------------- */

bool shard_insert(struct shard *shard, struct item *item, uint32_t hash, struct item *old, struct item **gone)
{
    /* The new one first, so that there is a way back: uthash finds the one it added last, and removes the one it is
     * told. */
    if (!index_add(shard, item, hash))
        return false;
    enum item_queue queue = QUEUE_SMALL;
    if (old != NULL) {
        queue = (enum item_queue)old->queue;
        atomic_store_explicit(&item->frequency, atomic_load_explicit(&old->frequency, memory_order_relaxed),
                              memory_order_relaxed);
        shard_remove(shard, old, gone);
    } else if (ghost_take(&shard->ghost, hash, shard_items(shard)))
        queue = QUEUE_MAIN;
    queue_add(shard, item, queue);
    wheel_add(&shard->wheel, item);
    shard->bytes += item_cost(item);
    return true;
}

void shard_remove(struct shard *shard, struct item *item, struct item **gone)
{
    queue_remove(shard, item);
    index_remove(shard, item);
    wheel_remove(item);
    shard->bytes -= item_cost(item);
    item_chain(gone, item);
}

/* ---- expiry and eviction ----------------------------------------------------------------------------------------- */

size_t shard_sweep(struct shard *shard, size_t n, int64_t now_ms, struct item **gone)
{
    size_t swept = 0;
    for (struct item *item; swept < n && (item = wheel_expired(&shard->wheel, now_ms)) != NULL; swept++)
        shard_remove(shard, item, gone);
    shard->expirations += swept;
    return swept;
}

/* Once through the queues, oldest first: what was hit gets another chance, what was not is the victim. */
static struct item *next_victim(struct shard *shard, const struct item *keep)
{
    const size_t items = shard_items(shard);
    /* A hit counts to 3: after four rounds all are at 0. */
    for (size_t tries = 0; tries < 4 * items + 4; tries++) {
        const bool small = shard->queued[QUEUE_SMALL] * 10 >= items || shard->queued[QUEUE_MAIN] == 0;
        struct item *item = small ? shard->small : shard->index;
        const unsigned char frequency = atomic_load_explicit(&item->frequency, memory_order_relaxed);
        if (item != keep && frequency <= (small ? 1 : 0))
            return item;
        atomic_store_explicit(&item->frequency, small || frequency == 0 ? 0 : (unsigned char)(frequency - 1),
                              memory_order_relaxed);
        requeue(shard, item, item == keep && small ? QUEUE_SMALL : QUEUE_MAIN);
    }
    return NULL;
}

bool shard_evict(struct shard *shard, const struct item *keep, int64_t now_ms, struct item **gone)
{
    if (shard_sweep(shard, 1, now_ms, gone) == 1)
        return true;
    struct item *victim = shard_items(shard) > (keep != NULL ? 1u : 0u) ? next_victim(shard, keep) : NULL;
    if (victim == NULL)
        return false;
    if (victim->queue == QUEUE_SMALL)
        ghost_add(&shard->ghost, cache_env_allocator(shard->env), victim->hh.hashv, shard_items(shard));
    shard_remove(shard, victim, gone);
    shard->evictions++;
    return true;
}

void shard_release(struct shard *shard)
{
    const cache_env *env = shard->env;
    struct item *all = shard->index;    /* the list is a chain of items that leave, once the index is gone */
    HASH_CLEAR(hh, shard->index);
    item_release_all(all);
    ghost_release(&shard->ghost, cache_env_allocator(env));
}
