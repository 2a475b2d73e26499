/* shard.h - a part of the memory store: an index, its eviction order and its lock.
 *
 * The order is S3-FIFO: Yang, Zhang, Qiu, Yue and Rashmi, "FIFO Queues Are All You Need for Cache Eviction" (SOSP
 * 2023). New items enter a small queue; those that were hit there pass on to the main queue, the others leave early,
 * and a ghost remembers them. A hit moves nothing: it counts, up to 3, so readers share the lock.
 *
 * Both queues are stretches of the one list that uthash keeps of its elements: the main queue, oldest first, then the
 * small one, whose newest is the list's last. A new item is where uthash appends it; what passes from the small queue
 * to the main one stays where it is, and the border moves. So the order costs an item no links of its own. */
#ifndef SHARD_H
#define SHARD_H

#include "ghost.h"
#include "rwlock.h"
#include "wheel.h"

struct shard {
    _Alignas(64) struct rwlock lock;   /* on a cache line that no other shard's lock shares */
    struct item *index;                /* the list's first */
    struct item *small;                /* the oldest of the small queue; NULL: it is empty */
    size_t queued[2];                  /* items in each queue, by enum item_queue */
    const cache_env *env;
    size_t bytes;
    uint64_t evictions, expirations;
    struct ghost ghost;
    struct wheel wheel;
};

void shard_init(struct shard *shard, const cache_env *env);
void shard_release(struct shard *shard);

/* What follows is called with the lock held: the first two shared, the others exclusively. Items that leave are put on
 * `*gone`, to be reported and released when the lock is not held any more. */

/* The item of `key`, live or expired, or NULL. */
struct item *shard_find_any(const struct shard *shard, cache_bytes key, uint32_t hash);

/* The live item of `key`, or NULL. */
struct item *shard_find(const struct shard *shard, cache_bytes key, uint32_t hash);

/* Put `item` in; `old`, the one of its key, or NULL, leaves. False: no memory, and nothing changed. */
bool shard_insert(struct shard *shard, struct item *item, uint32_t hash, struct item *old, struct item **gone);
void shard_remove(struct shard *shard, struct item *item, struct item **gone);

/* Remove up to `n` items that have expired by `now_ms`; how many there were. */
size_t shard_sweep(struct shard *shard, size_t n, int64_t now_ms, struct item **gone);

/* Evict one item, an expired one first, but never `keep`. False: there is no other. */
bool shard_evict(struct shard *shard, const struct item *keep, int64_t now_ms, struct item **gone);

static inline size_t shard_items(const struct shard *shard)
{
    return shard->queued[QUEUE_SMALL] + shard->queued[QUEUE_MAIN];
}

#endif
