/* ghost.h - what was evicted lately, by four bytes each: a key that comes back soon goes to the main queue at once. */
#ifndef MEMORY_GHOST_H
#define MEMORY_GHOST_H

#include "../../api.h"

struct ghost_entry {
    uint16_t hash, time;               /* lower half of the hash; time 0: empty */
};

/* Sets of a few entries; the oldest of a set makes room. */
struct ghost {
    struct ghost_entry *entries;
    uint32_t n;                        /* a multiple of a set's size; 0: nothing is remembered */
    uint32_t evictions;
};

/* Remember `hash`, in a table that fits `wanted` entries. Without memory for one, nothing is remembered. */
void cache_mem_ghost_add(struct ghost *ghost, const cache_allocator *allocator, uint32_t hash, uint32_t wanted);

/* Returns true if it was evicted within the last `window` evictions. Then it is forgotten here. */
bool cache_mem_ghost_take(struct ghost *ghost, uint32_t hash, uint32_t window);

void cache_mem_ghost_release(struct ghost *ghost, const cache_allocator *allocator);
size_t cache_mem_ghost_cost(const struct ghost *ghost);

#endif
