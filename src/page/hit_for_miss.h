/* hit_for_miss.h - remembers keys whose last response must not be stored.
 *
 * Waiting for such a response is useless, since only the request that produced it gets it. Varnish calls such a key
 * hit-for-miss. While a key is marked, its requests run their handlers at the same time. A mark is only a hint: it may
 * be lost, and one time in four billion it belongs to another key. */
#ifndef HIT_FOR_MISS_H
#define HIT_FOR_MISS_H

#include "cache_internal.h"

#define CACHE_HIT_FOR_MISS_SECONDS 10

/* Returns the hash of the key with its prefix. */
uint64_t cache_hit_for_miss_hash(const cache_t *cache, const char *key, size_t size);

bool cache_hit_for_miss_is_set(struct cache_store *store, uint64_t hash);
void cache_hit_for_miss_set(struct cache_store *store, uint64_t hash);
void cache_hit_for_miss_clear(struct cache_store *store, uint64_t hash);

#endif
