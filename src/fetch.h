/* fetch.h - what the core must tell the computations that are under way. */
#ifndef FETCH_H
#define FETCH_H

#include "handle.h"

/* The computations under way in this process. NULL: no memory. */
struct cache_flights *cache_flights_new(const cache_env *env);
void cache_flights_free(struct cache_flights *flights);

/* `key` was set or deleted: a computation of it that began before is not to be stored. Costs one load when nothing is
 * under way. */
void cache_flights_invalidate(struct cache_flights *flights, cache_bytes key);

/* The same for every key that begins with `prefix`. */
void cache_flights_invalidate_prefix(struct cache_flights *flights, cache_bytes prefix);

#endif
