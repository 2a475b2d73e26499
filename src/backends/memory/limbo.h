/* limbo.h - items and tables that have left the index, but may still be read. They are freed when all readers have
 * left.
 *
 * A store has some rings of them. The entries of a ring become safe to free in their order, hundreds at once, since it
 * takes a system call to find out (epoch.h). Each write frees a few, so that no call frees them all. */
#ifndef MEMORY_LIMBO_H
#define MEMORY_LIMBO_H

#include "index.h"
#include "lock.h"

struct limbo {
    _Alignas(64) struct lock lock;
    bool asking;                       /* a thread is about to begin an epoch */
    atomic_bool due;                   /* cache_mem_limbo_reclaim has something to do */
    uintptr_t *entries;                /* an item, or the block of a table plus 1 */
    size_t capacity;                   /* a power of two, or 0 */
    size_t head, safe, asked, tail;    /* up to `safe` the entries can be freed; up to `asked` once `epoch` passed */
    size_t bytes;                      /* of items since `asked` */
    size_t most_bytes;                 /* do not wait for hundreds when they are so large */
    uint64_t epoch;
    const cache_allocator *allocator;
};

void cache_mem_limbo_init(struct limbo *limbo, const cache_allocator *allocator, size_t most_bytes);

/* Called with the shard's lock held. They add an item that was taken out of the index, or a table that was replaced. */
void cache_mem_limbo_item(struct limbo *limbo, struct item *item);
void cache_mem_limbo_table(struct limbo *limbo, table_word table);

/* Frees a few entries that no thread reads any more. Must not be called with a lock held. */
void cache_mem_limbo_reclaim(struct limbo *limbo);

/* The same, but only if there is something to do. */
static inline void limbo_reclaim(struct limbo *limbo)
{
    if (atomic_load_explicit(&limbo->due, memory_order_relaxed))
        cache_mem_limbo_reclaim(limbo);
}

/* Frees all entries, when the store has no users any more. */
void cache_mem_limbo_release(struct limbo *limbo);

#endif
