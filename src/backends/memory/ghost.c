/* ghost.c - what was evicted lately, by hash alone. */
#include "ghost.h"

#include <string.h>

enum { WAYS = 4, SMALLEST = 64 };

static struct ghost_entry *set_of(struct ghost *ghost, uint32_t hash)
{
    return &ghost->entries[(hash & (ghost->n / WAYS - 1)) * WAYS];
}

/* A larger table begins empty: what is forgotten costs a few misses, once. */
static void grow(struct ghost *ghost, const cache_allocator *allocator, size_t wanted)
{
    size_t n = SMALLEST;
    while (n < wanted)
        n *= 2;
    if (n <= ghost->n)
        return;
    struct ghost_entry *entries = allocator->alloc(allocator->ctx, n * sizeof *entries);
    if (entries == NULL)
        return;
    memset(entries, 0, n * sizeof *entries);
    ghost_release(ghost, allocator);
    *ghost = (struct ghost){ entries, n, WAYS };
}

void ghost_add(struct ghost *ghost, const cache_allocator *allocator, uint32_t hash, size_t wanted)
{
    if (ghost->n < wanted)
        grow(ghost, allocator, wanted);
    if (ghost->n == 0)
        return;
    struct ghost_entry *set = set_of(ghost, hash), *oldest = set;
    ghost->time++;
    for (int i = 1; i < WAYS; i++)
        if (ghost->time - set[i].time > ghost->time - oldest->time)
            oldest = &set[i];
    *oldest = (struct ghost_entry){ hash, ghost->time };
}

bool ghost_take(struct ghost *ghost, uint32_t hash, size_t window)
{
    if (ghost->n == 0)
        return false;
    struct ghost_entry *set = set_of(ghost, hash);
    for (int i = 0; i < WAYS; i++)
        if (set[i].time != 0 && set[i].hash == hash) {
            const bool recent = ghost->time - set[i].time < window;
            set[i].time = 0;
            return recent;
        }
    return false;
}

void ghost_release(struct ghost *ghost, const cache_allocator *allocator)
{
    if (ghost->entries != NULL)
        allocator->free(allocator->ctx, ghost->entries);
    *ghost = (struct ghost){ NULL, 0, 0 };
}
