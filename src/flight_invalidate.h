/* flight_invalidate.h - changes of keys, which running computations must know of. */
#ifndef FLIGHT_INVALIDATE_H
#define FLIGHT_INVALIDATE_H

#include "cache_internal.h"

/* Makes and frees the table of running computations of a store in this process. Returns NULL if there is no memory. */
struct cache_flights *cache_flights_new(const cache_env *env);
void cache_flights_free(struct cache_flights *flights);

/* Call this before changing `key` in the store. A computation that is already running will not store its result, and
 * later callers start a new one. If nothing is running, this costs one load. */
void cache_flights_invalidate(struct cache_flights *flights, cache_bytes key);

/* The same for every key that begins with `prefix`, and for every value under the tag whose key is `tag_key`. */
void cache_flights_invalidate_prefix(struct cache_flights *flights, cache_bytes prefix);
void cache_flights_invalidate_tag(struct cache_flights *flights, cache_bytes tag_key);

#endif
