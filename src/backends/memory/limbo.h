/* limbo.h - what left the index and may still be read: items and tables that wait for the readers to leave.
 *
 * Some rings a store. A ring's entries become safe to free in the order in which they came, hundreds at once, since
 * it takes a system call to know (epoch.h); they are freed a few at each write, so that no call frees them all. */
#ifndef MEMORY_LIMBO_H
#define MEMORY_LIMBO_H

#include "index.h"
#include "lock.h"

struct limbo {
    _Alignas(64) struct lock lock;
    bool asking;                       /* somebody is about to begin an epoch */
    atomic_bool due;                   /* cache_mem_limbo_reclaim has something to do */
    uintptr_t *entries;                /* an item, or a table's block and a 1 */
    size_t capacity;                   /* a power of two, or 0 */
    size_t head, safe, asked, tail;    /* up to `safe` the entries can be freed; up to `asked` once `epoch` passed */
    size_t bytes;                      /* of items since `asked` */
    size_t most_bytes;                 /* do not wait for hundreds when they are so large */
    uint64_t epoch;
    const cache_allocator *allocator;
};

void cache_mem_limbo_init(struct limbo *limbo, const cache_allocator *allocator, size_t most_bytes);

/* With the shard's lock held: an item that was taken out of the index, or a table that was replaced. */
void cache_mem_limbo_item(struct limbo *limbo, struct item *item);
void cache_mem_limbo_table(struct limbo *limbo, table_word table);

/* Free a few of those that nobody reads any more. Without a lock held. */
void cache_mem_limbo_reclaim(struct limbo *limbo);

/* The same, if it is worth it. */
static inline void limbo_reclaim(struct limbo *limbo)
{
    if (atomic_load_explicit(&limbo->due, memory_order_relaxed))
        cache_mem_limbo_reclaim(limbo);
}

/* Free all, when the store has no users any more. */
void cache_mem_limbo_release(struct limbo *limbo);

#endif
