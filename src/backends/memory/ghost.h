/* ghost.h - remembers the keys that were evicted lately, in four bytes each. A key that comes back soon goes directly
 * to the main queue. */
#ifndef MEMORY_GHOST_H
#define MEMORY_GHOST_H

#include "../../api.h"

struct ghost_entry {
    uint16_t hash, time;               /* lower half of the hash; time 0: empty */
};

/* The entries form small sets. A new entry replaces the oldest of its set. */
struct ghost {
    struct ghost_entry *entries;
    uint32_t n;                        /* a multiple of the size of a set; 0: there is no table */
    uint32_t evictions;
};

/* Remembers `hash`, in a table for `wanted` entries. If there is no memory for a table, it does nothing. */
void cache_mem_ghost_add(struct ghost *ghost, const cache_allocator *allocator, uint32_t hash, uint32_t wanted);

/* Returns true if `hash` was among the last `window` evictions, and then forgets it. */
bool cache_mem_ghost_take(struct ghost *ghost, uint32_t hash, uint32_t window);

void cache_mem_ghost_release(struct ghost *ghost, const cache_allocator *allocator);
size_t cache_mem_ghost_cost(const struct ghost *ghost);

#endif
