/* flight_invalidate.h - what the core must tell the computations that are under way. */
#ifndef FLIGHT_INVALIDATE_H
#define FLIGHT_INVALIDATE_H

#include "cache_internal.h"

/* The computations under way in this process. Returns NULL for lack of memory. */
struct cache_flights *cache_flights_new(const cache_env *env);
void cache_flights_free(struct cache_flights *flights);

/* `key` is about to be set or deleted: a computation of it that began before is not to be stored, and whoever comes now
 * begins another. To be called before the store is. Costs one load when nothing is under way. */
void cache_flights_invalidate(struct cache_flights *flights, cache_bytes key);

/* The same for every key that begins with `prefix`, and for all values under the tag that has this key. */
void cache_flights_invalidate_prefix(struct cache_flights *flights, cache_bytes prefix);
void cache_flights_invalidate_tag(struct cache_flights *flights, cache_bytes tag_key);

#endif
