/* memory.h - the memory store: what it is, and what its files share. */
#ifndef MEMORY_H
#define MEMORY_H

#include "shard.h"

struct memory {
    const cache_env *env;
    struct shard *shards;
    size_t n_shards;                   /* a power of two */
    uint64_t seed;
    size_t max_items, max_bytes;       /* SIZE_MAX: no limit */
    atomic_size_t items, bytes;        /* of all shards; a writer adds its own before it puts them in */
    atomic_size_t next_swept;          /* the shard whose turn it is to be swept by the way */
    void *block;                       /* of the shards, which begin on a cache line */
    struct memory *next, **at;         /* among all stores of the process, for fork */
};

/* Where a key is: its shard by the upper bits of its hash, its bucket by the lower ones. */
struct place {
    struct shard *shard;
    uint32_t hash;
};

struct place memory_place(struct memory *memory, cache_bytes key);

/* Make room for forks: a child may use its copy of the store at once. Defined in fork.c. */
void memory_enlist(struct memory *memory);
void memory_delist(struct memory *memory);

/* Take items that left off the sums. With their shard's lock held, so that a sum never lags behind a return. */
void memory_uncount(struct memory *memory, const struct item *gone);

/* Called by each operation, not under a lock: now and then it sweeps a shard, each in its turn, so that what died in
 * one goes though all traffic is in others. */
void memory_tick(struct memory *memory);

/* The operations that change something. Defined in write.c and counter.c. */
cache_set_fn memory_set;
cache_remove_fn memory_remove;
cache_touch_fn memory_touch;
cache_inc_fn memory_inc;

/* What leaves while an item is put in. Zeroed at first; given to memory_settle when no lock is held any more. */
struct leaving {
    struct item *gone, *evicted;       /* replaced or expired; evicted */
};

/* Milliseconds to a deadline; 0, for ever, stays 0. */
static inline int64_t memory_deadline(int64_t now_ms, int64_t ttl_ms)
{
    return ttl_ms > 0 ? now_ms + ttl_ms : 0;
}

/* Put `item` in place of `old` or of nothing, with the shard's lock held, and keep the limits in this shard.
 * CACHE_ERR_NOMEM: the old one stays. */
cache_status memory_put(struct memory *memory, struct place place, struct item *item, struct item *old, int64_t now_ms,
                        struct leaving *leaving);

/* After the lock: keep the limits in the other shards, report what was evicted, release all that left. */
void memory_settle(struct memory *memory, const struct shard *here, int64_t now_ms, struct leaving *leaving);

#endif
