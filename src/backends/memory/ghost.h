/* ghost.h - what was evicted lately, by hash alone: a key that comes back soon goes to the main queue at once. */
#ifndef GHOST_H
#define GHOST_H

#include "../../api.h"

struct ghost_entry {
    uint32_t hash, time;
};

/* Sets of four entries; the oldest of a set makes room. */
struct ghost {
    struct ghost_entry *entries;
    size_t n;                          /* a power of two; 0: nothing is remembered */
    uint32_t time;                     /* counts evictions, from 1 */
};

/* Remember `hash`, in a table that fits `wanted` entries. Without memory for one, nothing is remembered. */
void ghost_add(struct ghost *ghost, const cache_allocator *allocator, uint32_t hash, size_t wanted);

/* Was it evicted within the last `window` evictions? If so it is forgotten here. */
bool ghost_take(struct ghost *ghost, uint32_t hash, size_t window);
void ghost_release(struct ghost *ghost, const cache_allocator *allocator);

#endif
