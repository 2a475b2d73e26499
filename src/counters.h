/* counters.h - counts events without a cache line that threads share. */
#ifndef COUNTERS_H
#define COUNTERS_H

#include "hooks.h"

enum counter {
    COUNT_HIT, COUNT_MISS, COUNT_STALE, COUNT_SET, COUNT_DELETE, COUNT_INC, COUNT_COMPUTE,
    COUNT_COMPUTE_ERROR, COUNT_WAIT_SAVED, COUNT_ERROR, COUNT_FRONT_HIT, COUNTERS
};

enum timed { TIMED_GET, TIMED_SET, TIMED_COMPUTE, TIMED };

/* The counts of a store, or of one name in it: each thread has its own stripe of cache lines; reading adds them up. */
struct cache_live_counters;

/* NULL: no memory. A thread's stripe is made when it first counts. `env` stays until the counters is freed. */
struct cache_live_counters *cache_counters_new(const cache_env *env);
void cache_counters_free(const cache_env *env, struct cache_live_counters *counters);

void cache_counters_add(struct cache_live_counters *counters, enum counter counter, uint64_t n);
void cache_counters_time(struct cache_live_counters *counters, enum timed what, uint64_t nanoseconds);

/* A prime, so that calls which alternate, such as a get and the set after its miss, are both sampled. */
#define CACHE_SAMPLE_EVERY 61

/* Returns true for one call in 61 of this thread, to time operations that are too fast to time each time. */
bool cache_counters_sample(void);

void cache_counters_read(struct cache_live_counters *counters, cache_counters *out);

#endif
