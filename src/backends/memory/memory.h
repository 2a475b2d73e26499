/* memory.h - the structs of the memory store, which its files share. docs/memory-engine.md explains it. */
#ifndef MEMORY_H
#define MEMORY_H

#include "../../hooks.h"
#include "../../thread_slot.h"
#include "expiry.h"
#include "limbo.h"
#include "lock.h"
#include "queue.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The part of a shard that writers use. The lock guards the shard's table, order and deadlines. The numbers are written
 * with the lock held and read without it. */
struct shard {
    _Alignas(32) struct lock lock;     /* two shards on a cache line */
    _Atomic uint32_t items;
    atomic_size_t bytes;
    atomic_ullong evictions, expirations;
};

enum { LIMBOS = 8 };

/* The first fields never change. The fields that writers change follow, on separate cache lines. */
struct memory {
    const cache_env *env;
    const cache_allocator *allocator;
    struct pool *pool;
    uint64_t seed;
    size_t n_shards;                   /* a power of two */
    size_t max_items, max_bytes;       /* SIZE_MAX: no limit */
    bool limited;
    struct shard *shards;
    _Atomic table_word *tables;        /* of the shards; dense, so that they stay in processor caches */
    _Atomic int64_t *next_expiry;      /* a shard's earliest deadline, or a time before it */
    struct order *orders;              /* NULL: without a limit nothing is evicted */
    void *block;                       /* as the allocator returned it */
    struct memory *next, **at;         /* in the list of all stores of the process, for forks */
    _Alignas(64) atomic_size_t items, bytes;    /* of all shards, if there is a limit */
    atomic_size_t next_victim, next_swept;      /* the shards whose turn is next */
    _Atomic int64_t next_due;          /* nothing in the store expires before this time */
    struct limbo limbos[LIMBOS];       /* a thread uses the one of its slot, so that writers seldom collide */
};

/* A key and its position. */
struct place {
    cache_bytes key;
    size_t shard;
    uint32_t hash;
};

static inline struct limbo *memory_limbo(struct memory *memory)
{
    return &memory->limbos[cache_thread_slot() % LIMBOS];
}

static inline table_word memory_table(const struct memory *memory, size_t shard)
{
    return atomic_load_explicit(&memory->tables[shard], memory_order_acquire);
}

/* Returns true if an item with this `life` has expired. */
static inline bool memory_life_ended(const struct memory *memory, uint64_t life)
{
    const int64_t deadline = life_deadline(life);
    return deadline != 0 && cache_env_deadline_reached(memory->env, deadline);
}

static inline bool memory_expired(const struct memory *memory, const struct item *item)
{
    return memory_life_ended(memory, item_life(item));
}

/* The lower half of the hash chooses bucket and tag (index.h), and the upper half chooses the shard. */
__attribute__((always_inline)) static inline struct place memory_place(const struct memory *memory, cache_bytes key)
{
    const uint64_t hash = XXH3_64bits_withSeed(key.data, key.size, memory->seed);
    return (struct place){ key, (size_t)(hash >> 32) & (memory->n_shards - 1), (uint32_t)hash };
}

/* Returns the item of a key, live or expired, or NULL. Call this with the shard's lock held, or between epoch_enter and
 * epoch_leave. */
static inline struct item *memory_find_any(const struct memory *memory, const struct place *place)
{
    return table_find(memory_table(memory, place->shard), place->hash, place->key);
}

/* The same, but only a live one. */
static inline struct item *memory_find(const struct memory *memory, const struct place *place)
{
    struct item *item = memory_find_any(memory, place);
    return item != NULL && !memory_expired(memory, item) ? item : NULL;
}

/* Fetches what a write of this key soon needs into the processor's caches: lock, bucket and deadline. In a large store
 * each of them is far away. No lock need be held. */
static inline void memory_fetch_for_write(const struct memory *memory, const struct place *place)
{
    const table_word table = memory_table(memory, place->shard);
    __builtin_prefetch(&memory->shards[place->shard], 1);
    table_fetch_bucket(table, place->hash);
    if (table_n(table) > 0)
        __builtin_prefetch(expiry_leaves(table) + table_home(place->hash, table_n(table)), 1);
}

/* Counts a hit, if the store evicts, since only the order of eviction uses it. */
static inline void memory_count_hit(const struct memory *memory, struct item *item)
{
    if (memory->limited)
        item_count_hit(item);
}

/* Returns the deadline of an item that lives for `ttl_ms` from now. 0, which means for ever, stays 0. */
static inline int64_t memory_deadline(int64_t now_ms, int64_t ttl_ms)
{
    if (ttl_ms <= 0)
        return 0;
    const int64_t deadline = ttl_ms < ITEM_MAX_DEADLINE - now_ms ? now_ms + ttl_ms : ITEM_MAX_DEADLINE;
    return deadline != 0 ? deadline : 1;
}

/* ---- shard.c: one shard, with its lock held --------------------------------------------------------------------- */

/* Puts `item` into the index, in place of `old` unless that is NULL. On CACHE_ERR_NOMEM the old item stays. */
cache_status cache_mem_put(struct memory *memory, size_t shard, struct item *item, struct item *old);

/* Takes `item` out of the index. It stays allocated for its readers. */
void cache_mem_take_out(struct memory *memory, size_t shard, struct item *item);

/* Changes the deadline of an item in the index. */
void cache_mem_reschedule(struct memory *memory, size_t shard, struct item *item, int64_t deadline_ms);

/* Notes the shard's earliest deadline, for cache_mem_sweep. */
void cache_mem_note_expiry(struct memory *memory, size_t shard);

/* Shrinks the table and order of a shard that lost many items, and frees them if it has none. */
void cache_mem_trim(struct memory *memory, size_t shard);

/* ---- limits.c: the whole store, without a lock ------------------------------------------------------------------ */

/* Removes up to `n` items, of any shard, that have expired by `now_ms`. Returns how many were removed. Without `wait`,
 * a shard whose lock is held is skipped. */
size_t cache_mem_sweep(struct memory *memory, size_t n, int64_t now_ms, bool wait);

/* Called after a write. Sweeps a little, evicts until the limits hold, but never `keep`, and frees unread memory. */
void cache_mem_finish_write(struct memory *memory, const struct item *keep, int64_t now_ms);

/* Counts down the reads of this thread until the next sweep. Use memory_tick(). */
extern CACHE_HOT_THREAD_LOCAL unsigned cache_mem_reads_before_sweep;

/* Sweeps a little. The first read of a thread does this, and then one of 61. */
void cache_mem_sweep_by_the_way(struct memory *memory);

/* Called by each operation that reads, so that expired items are removed even if nobody writes. */
static inline void memory_tick(struct memory *memory)
{
    if (__builtin_expect(--cache_mem_reads_before_sweep == 0, 0))
        cache_mem_sweep_by_the_way(memory);
}

/* ---- the operations of other files ------------------------------------------------------------------------------ */

cache_set_fn cache_mem_set;
cache_remove_fn cache_mem_remove;
cache_touch_fn cache_mem_touch;
cache_compare_and_set_fn cache_mem_compare_and_set;
cache_inc_fn cache_mem_inc;
cache_clear_fn cache_mem_clear;
cache_list_fn cache_mem_list;

/* Add and remove a store in the list for forks: a child may use its copy at once. Defined in fork.c. */
void cache_mem_enlist(struct memory *memory);
void cache_mem_delist(struct memory *memory);

#endif
