/* hit_for_miss.c - keys whose responses were lately found to be of the kind that is not stored. */
#include "hit_for_miss.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>

/* A slot holds the upper half of the last marked key's hash and, in units, when the mark ends; 0: none. */
enum { SLOTS = 1024, UNIT_MS = 16, UNITS = CACHE_HIT_FOR_MISS_SECONDS * 1000 / UNIT_MS };

struct cache_hit_for_miss {
    atomic_uint_fast64_t slots[SLOTS];
};

uint64_t cache_hit_for_miss_hash(const cache_t *cache, const char *key, size_t size)
{
    const XXH64_hash_t prefix = cache->prefix_size > 0 ? XXH3_64bits(cache->prefix, cache->prefix_size) : 0;
    return XXH3_64bits_withSeed(key, size, prefix);
}

static uint32_t now_units(const struct cache_store *store)
{
    return (uint32_t)(cache_env_monotonic_ms(&store->env) / UNIT_MS);
}

bool cache_hit_for_miss_is_set(const struct cache_store *store, uint64_t hash)
{
    struct cache_hit_for_miss *table = atomic_load_explicit(&store->hit_for_miss, memory_order_acquire);
    if (table == NULL)
        return false;
    const uint64_t slot = atomic_load_explicit(&table->slots[hash % SLOTS], memory_order_relaxed);
    if (slot == 0 || slot >> 32 != hash >> 32)
        return false;
    const uint32_t left = (uint32_t)slot - now_units(store);    /* wraps around after two years */
    return left > 0 && left <= UNITS;
}

/* The first mark of a store makes the table: most stores never have one. NULL: no memory. */
static struct cache_hit_for_miss *table_of(struct cache_store *store)
{
    struct cache_hit_for_miss *there = atomic_load_explicit(&store->hit_for_miss, memory_order_acquire);
    if (there != NULL)
        return there;
    struct cache_hit_for_miss *made = cache_env_alloc(&store->env, sizeof *made);
    if (made == NULL)
        return NULL;
    for (size_t i = 0; i < SLOTS; i++)
        atomic_init(&made->slots[i], 0);
    if (atomic_compare_exchange_strong(&store->hit_for_miss, &there, made))
        return made;
    cache_env_free(&store->env, made);
    return there;
}

void cache_hit_for_miss_set(struct cache_store *store, uint64_t hash)
{
    struct cache_hit_for_miss *table = table_of(store);
    if (table != NULL)
        atomic_store_explicit(&table->slots[hash % SLOTS], (hash >> 32) << 32 | (uint32_t)(now_units(store) + UNITS),
                              memory_order_relaxed);
}

void cache_hit_for_miss_clear(struct cache_store *store, uint64_t hash)
{
    if (!cache_hit_for_miss_is_set(store, hash))
        return;
    struct cache_hit_for_miss *table = atomic_load_explicit(&store->hit_for_miss, memory_order_acquire);
    atomic_store_explicit(&table->slots[hash % SLOTS], 0, memory_order_relaxed);
}
