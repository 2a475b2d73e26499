/* named_counters.h - counts separately for each view and memoized function, by its name. */
#ifndef NAMED_COUNTERS_H
#define NAMED_COUNTERS_H

#include "counters.h"

/* The names and their counters. Names are only added, and stay until the store is closed, so a hit finds its counters
 * without a lock. */
struct cache_named_counters;

/* Returns NULL if there is no memory. `env` must stay until the names are freed. */
struct cache_named_counters *cache_named_counters_new(const cache_env *env);
void cache_named_counters_free(const cache_env *env, struct cache_named_counters *names);

/* Returns the counters of `name`, and creates them if it is new; or NULL if `name` is NULL or "". A name without
 * counters of its own counts as CACHE_NAME_OTHER: there are CACHE_MAX_NAMES already, or the name is too long or not
 * UTF-8, or there is no memory. */
struct cache_live_counters *cache_named_counters_find(struct cache_named_counters *names, const char *name);

/* The counters of one name, at the moment of reading. */
struct cache_named {
    const char *name;                  /* valid until the store is closed */
    cache_counters counters;
};

/* Read all of them, ordered by name, into a block that the caller frees with cache_env_free. Returns CACHE_OK or
 * CACHE_ERR_NOMEM. */
cache_status cache_named_counters_read(struct cache_named_counters *names, struct cache_named **out, size_t *n);

#endif
