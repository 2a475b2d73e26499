/* ghost.c - remembers the keys that were evicted lately. */
#include "ghost.h"

#include "account.h"

#include <string.h>

/* The time advances by one every 16 evictions, so that 16 bits are enough for a million evictions. */
enum { WAYS = 8, SMALLEST = 4 * WAYS, EVICTIONS_BITS = 4 };

static struct ghost_entry *set_of(const struct ghost *ghost, uint32_t hash)
{
    return &ghost->entries[(uint64_t)hash * (ghost->n / WAYS) >> 32 << 3];
}

static uint16_t now(const struct ghost *ghost)
{
    const uint16_t time = (uint16_t)(ghost->evictions >> EVICTIONS_BITS);
    return time != 0 ? time : 1;
}

/* A table of another size starts empty. This costs a few misses, once. */
static void resize(struct ghost *ghost, const cache_allocator *allocator, uint32_t wanted)
{
    const uint32_t n = wanted < SMALLEST ? SMALLEST : (wanted + wanted / 4 + WAYS - 1) / WAYS * WAYS;
    struct ghost_entry *entries = allocator->alloc(allocator->ctx, n * sizeof *entries);
    if (entries == NULL)
        return;
    memset(entries, 0, n * sizeof *entries);
    cache_mem_ghost_release(ghost, allocator);
    ghost->entries = entries;
    ghost->n = n;
}

void cache_mem_ghost_add(struct ghost *ghost, const cache_allocator *allocator, uint32_t hash, uint32_t wanted)
{
    if (ghost->n < wanted || ghost->n / 4 > wanted + SMALLEST)
        resize(ghost, allocator, wanted);
    if (ghost->n == 0)
        return;
    struct ghost_entry *set = set_of(ghost, hash), *oldest = set;
    ghost->evictions++;
    for (int i = 1; i < WAYS && oldest->time != 0; i++)
        if (set[i].time == 0 || (uint16_t)(now(ghost) - set[i].time) > (uint16_t)(now(ghost) - oldest->time))
            oldest = &set[i];
    *oldest = (struct ghost_entry){ (uint16_t)hash, now(ghost) };
}

bool cache_mem_ghost_take(struct ghost *ghost, uint32_t hash, uint32_t window)
{
    if (ghost->n == 0)
        return false;
    struct ghost_entry *set = set_of(ghost, hash);
    for (int i = 0; i < WAYS; i++)
        if (set[i].time != 0 && set[i].hash == (uint16_t)hash) {
            const bool recent = (uint16_t)(now(ghost) - set[i].time) <= window >> EVICTIONS_BITS;
            set[i].time = 0;
            return recent;
        }
    return false;
}

void cache_mem_ghost_release(struct ghost *ghost, const cache_allocator *allocator)
{
    if (ghost->entries != NULL)
        allocator->free(allocator->ctx, ghost->entries);
    ghost->entries = NULL;
    ghost->n = 0;
}

size_t cache_mem_ghost_cost(const struct ghost *ghost)
{
    return account_block(ghost->n * sizeof *ghost->entries);
}
