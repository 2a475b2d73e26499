/* fetch.c - compute on a miss, once. */
#include "fetch.h"

struct cache_flights { const cache_env *env; };

struct cache_flights *cache_flights_new(const cache_env *env)
{
    struct cache_flights *flights = cache_env_alloc(env, sizeof *flights);
    if (flights != NULL)
        flights->env = env;
    return flights;
}

void cache_flights_free(struct cache_flights *flights)
{
    if (flights != NULL)
        cache_env_free(flights->env, flights);
}

void cache_flights_invalidate(struct cache_flights *flights, cache_bytes key)
{
    (void)flights, (void)key;
}

void cache_flights_invalidate_prefix(struct cache_flights *flights, cache_bytes prefix)
{
    (void)flights, (void)prefix;
}
