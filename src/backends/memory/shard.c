/* shard.c - a part of the memory store: its index and its eviction order.
 *
 * uthash grows a table when a chain has 10 items, which is slow to walk: here at 5, from 256 buckets on. Its keys are hashed
 * by memory.c, seeded per process, before the lock is taken. Its memory comes from the handle's allocator: the macros
 * below expect an `env` in scope. A table that cannot grow refuses the item instead of ending the process. */
#define HASH_INITIAL_NUM_BUCKETS 256U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 8U
#define HASH_BKT_CAPACITY_THRESH 5U
#define uthash_malloc(size) cache_env_alloc(env, size)
#define uthash_free(block, size) cache_env_free(env, block)

#include "shard.h"

#include <string.h>

void shard_init(struct shard *shard, const cache_env *env)
{
    memset(shard, 0, sizeof *shard);
    atomic_init(&shard->lock.state, 0);
    shard->env = env;
    shard->wheel.now_ms = cache_env_monotonic_ms(env);
}

/* ---- queues ------------------------------------------------------------------------------------------------------ */

static void queue_push(struct shard *shard, struct item *item, enum item_queue which)
{
    struct queue *queue = &shard->queues[which];
    item->queue = (unsigned char)which;
    item->newer = NULL;
    item->older = queue->newest;
    if (queue->newest != NULL)
        queue->newest->newer = item;
    else
        queue->oldest = item;
    queue->newest = item;
    queue->n++;
}

static void queue_remove(struct shard *shard, struct item *item)
{
    struct queue *queue = &shard->queues[item->queue];
    if (item->newer != NULL)
        item->newer->older = item->older;
    else
        queue->newest = item->older;
    if (item->older != NULL)
        item->older->newer = item->newer;
    else
        queue->oldest = item->newer;
    queue->n--;
}

/* ---- the index --------------------------------------------------------------------------------------------------- */

struct item *shard_find(struct shard *shard, cache_bytes key, uint64_t hash)
{
    struct item *item = NULL;
    HASH_FIND_BYHASHVALUE(hh, shard->index, key.data, (unsigned)key.size, (unsigned)hash, item);
    if (item != NULL && item->deadline_ms != 0 && cache_env_monotonic_reached(shard->env, item->deadline_ms))
        return NULL;
    return item;
}

static bool index_add(struct shard *shard, struct item *item)
{
    const cache_env *env = shard->env;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, shard->index, item->bytes, (unsigned)item->key_size, (unsigned)item->hash, item);
    return item->hh.tbl != NULL;
}

static void index_remove(struct shard *shard, struct item *item)
{
    const cache_env *env = shard->env;
    HASH_DELETE(hh, shard->index, item);
}

/* ---- in and out -------------------------------------------------------------------------------------------------- */

/* Out of queue and wheel, and out of the sum of bytes: the index is the caller's matter. */
static void detach(struct shard *shard, struct item *item, struct item **gone)
{
    queue_remove(shard, item);
    wheel_remove(item);
    shard->bytes -= item_cost(item);
    item->older = *gone;
    *gone = item;
}

bool shard_insert(struct shard *shard, struct item *item, struct item *old, struct item **gone)
{
    /* The new one first, so that there is a way back: uthash finds the one it added last, and removes the one it is told. */
    if (!index_add(shard, item))
        return false;
    enum item_queue queue = QUEUE_SMALL;
    if (old != NULL) {
        queue = (enum item_queue)old->queue;
        atomic_store_explicit(&item->frequency, atomic_load_explicit(&old->frequency, memory_order_relaxed),
                              memory_order_relaxed);
        shard_remove(shard, old, gone);
    } else if (ghost_take(&shard->ghost, item->hash, shard_items(shard)))
        queue = QUEUE_MAIN;
    queue_push(shard, item, queue);
    wheel_add(&shard->wheel, item);
    shard->bytes += item_cost(item);
    return true;
}

void shard_remove(struct shard *shard, struct item *item, struct item **gone)
{
    index_remove(shard, item);
    detach(shard, item, gone);
}

void shard_reschedule(struct shard *shard, struct item *item, int64_t deadline_ms)
{
    wheel_remove(item);
    item->deadline_ms = deadline_ms;
    wheel_add(&shard->wheel, item);
}

/* ---- expiry and eviction ----------------------------------------------------------------------------------------- */

size_t shard_sweep(struct shard *shard, size_t n, struct item **gone)
{
    size_t swept = 0;
    const int64_t now_ms = cache_env_monotonic_ms(shard->env);
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
        const bool small = shard->queues[QUEUE_SMALL].n * 10 >= items || shard->queues[QUEUE_MAIN].n == 0;
        struct item *item = shard->queues[small ? QUEUE_SMALL : QUEUE_MAIN].oldest;
        const unsigned char frequency = atomic_load_explicit(&item->frequency, memory_order_relaxed);
        if (item == keep || (small ? frequency > 1 : frequency > 0)) {
            queue_remove(shard, item);
            atomic_store_explicit(&item->frequency, small ? 0 : frequency > 0 ? (unsigned char)(frequency - 1) : 0,
                                  memory_order_relaxed);
            queue_push(shard, item, item == keep && small ? QUEUE_SMALL : QUEUE_MAIN);
        } else
            return item;
    }
    return NULL;
}

bool shard_evict(struct shard *shard, const struct item *keep, struct item **gone)
{
    if (shard_sweep(shard, 1, gone) == 1)
        return true;
    struct item *victim = shard_items(shard) > (keep != NULL ? 1u : 0u) ? next_victim(shard, keep) : NULL;
    if (victim == NULL)
        return false;
    if (victim->queue == QUEUE_SMALL)
        ghost_add(&shard->ghost, cache_env_allocator(shard->env), victim->hash, shard_items(shard));
    shard_remove(shard, victim, gone);
    shard->evictions++;
    return true;
}

void shard_release(struct shard *shard)
{
    const cache_env *env = shard->env;
    struct item *gone = NULL;
    HASH_CLEAR(hh, shard->index);
    while (shard->queues[QUEUE_SMALL].oldest != NULL)
        detach(shard, shard->queues[QUEUE_SMALL].oldest, &gone);
    while (shard->queues[QUEUE_MAIN].oldest != NULL)
        detach(shard, shard->queues[QUEUE_MAIN].oldest, &gone);
    ghost_release(&shard->ghost, cache_env_allocator(env));
    item_release_all(gone);
}
