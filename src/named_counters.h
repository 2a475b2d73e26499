/* named_counters.h - counts by the names of views and memoized functions. */
#ifndef NAMED_COUNTERS_H
#define NAMED_COUNTERS_H

#include "counters.h"

/* The names that were counted under, each with its counters. They only become more, and stay until the store is closed,
 * so that a hit finds its own without a lock. */
struct cache_named_counters;

/* Returns NULL for lack of memory. `env` stays until the names are freed. */
struct cache_named_counters *cache_named_counters_new(const cache_env *env);
void cache_named_counters_free(const cache_env *env, struct cache_named_counters *names);

/* The counters of `name`, made if it is new; NULL for NULL and "". What cannot have one of its own (CACHE_MAX_NAMES are
 * there, it is too long or not UTF-8, no memory) counts under CACHE_NAME_OTHER. */
struct cache_live_counters *cache_named_counters_find(struct cache_named_counters *names, const char *name);

/* One name's counts, at the moment of the question. */
struct cache_named {
    const char *name;                  /* valid until the store is closed */
    cache_counters counters;
};

/* All of them, ordered by name, in a block to be freed with cache_env_free. CACHE_ERR_NOMEM. */
cache_status cache_named_counters_read(struct cache_named_counters *names, struct cache_named **out, size_t *n);

#endif
