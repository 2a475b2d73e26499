/* hit_for_miss.c - remembers keys whose last response must not be stored. */
#include "hit_for_miss.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t cache_hit_for_miss_hash(const cache_t *cache, const char *key, size_t size)
{
    const XXH64_hash_t prefix = cache->prefix_size > 0 ? XXH3_64bits(cache->prefix, cache->prefix_size) : 0;
    return XXH3_64bits_withSeed(key, size, prefix);
}

bool cache_hit_for_miss_is_set(struct cache_store *store, uint64_t hash)
{
    return cache_recent_keys_has(&store->hit_for_miss, &store->env, hash);
}

void cache_hit_for_miss_set(struct cache_store *store, uint64_t hash)
{
    cache_recent_keys_add(&store->hit_for_miss, &store->env, hash, CACHE_HIT_FOR_MISS_SECONDS * INT64_C(1000));
}

void cache_hit_for_miss_clear(struct cache_store *store, uint64_t hash)
{
    cache_recent_keys_remove(&store->hit_for_miss, &store->env, hash);
}
