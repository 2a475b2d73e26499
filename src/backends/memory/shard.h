/* shard.h - a part of the memory store: an index, its eviction order and its lock.
 *
 * The order is S3-FIFO: Yang, Zhang, Qiu, Yue and Rashmi, "FIFO Queues Are All You Need for Cache Eviction" (SOSP 2023).
 * New items enter a small queue; those that were hit there pass on to the main queue, the others leave early, and a ghost
 * remembers them. A hit moves nothing: it counts, up to 3, so readers share the lock. */
#ifndef SHARD_H
#define SHARD_H

#include "ghost.h"
#include "rwlock.h"
#include "wheel.h"

struct queue {
    struct item *newest, *oldest;
    size_t n;
};

struct shard {
    _Alignas(64) struct rwlock lock;   /* on a cache line that no other shard's lock shares */
    struct item *index;
    const cache_env *env;
    struct queue queues[2];            /* by enum item_queue */
    struct ghost ghost;
    struct wheel wheel;
    size_t bytes;
    uint64_t evictions, expirations;
};

void shard_init(struct shard *shard, const cache_env *env);
void shard_release(struct shard *shard);

/* What follows is called with the lock held: the first one shared, the others exclusively. Items that leave are put on
 * `*gone`, chained by `older`, to be reported and released when the lock is not held any more. */

/* The live item of `key`, or NULL. */
struct item *shard_find(struct shard *shard, cache_bytes key, uint64_t hash);

/* Put `item` in; `old`, the one of its key, or NULL, leaves. False: no memory, and nothing changed. */
bool shard_insert(struct shard *shard, struct item *item, struct item *old, struct item **gone);
void shard_remove(struct shard *shard, struct item *item, struct item **gone);

/* Give an item a new deadline. */
void shard_reschedule(struct shard *shard, struct item *item, int64_t deadline_ms);

/* Remove up to `n` expired items; how many there were. */
size_t shard_sweep(struct shard *shard, size_t n, struct item **gone);

/* Evict one item, an expired one first, but never `keep`. False: there is no other. */
bool shard_evict(struct shard *shard, const struct item *keep, struct item **gone);

static inline size_t shard_items(const struct shard *shard)
{
    return shard->queues[QUEUE_SMALL].n + shard->queues[QUEUE_MAIN].n;
}

#endif
