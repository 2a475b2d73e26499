/* hit_for_miss.h - keys whose responses were lately found to be of the kind that is not stored.
 *
 * Whoever waits for such a response waits in vain, since it goes to one request alone. While a key is marked, its
 * requests run their handlers side by side. A mark is a hint: it may be lost, or, once in four billion, be another
 * key's. */
#ifndef HIT_FOR_MISS_H
#define HIT_FOR_MISS_H

#include "cache_internal.h"

#define CACHE_MARK_SECONDS 10

/* Of the key with its prefix. */
uint64_t cache_mark_hash(const cache_t *cache, const char *key, size_t size);

bool cache_mark_is_set(const struct cache_store *store, uint64_t hash);
void cache_mark_set(struct cache_store *store, uint64_t hash);
void cache_mark_clear(struct cache_store *store, uint64_t hash);

/* What the marks of a store need, when it closes. */
void cache_marks_free(struct cache_store *store);

#endif
