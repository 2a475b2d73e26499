/* counters.h - counts events without a cache line that threads share. */
#ifndef COUNTERS_H
#define COUNTERS_H

#include "hooks.h"
#include "thread_slot.h"

#include <stdatomic.h>

enum counter {
    COUNT_HIT, COUNT_MISS, COUNT_STALE, COUNT_SET, COUNT_DELETE, COUNT_INC, COUNT_COMPUTE,
    COUNT_COMPUTE_ERROR, COUNT_WAIT_SAVED, COUNT_ERROR, COUNT_FRONT_HIT, COUNTERS
};

enum timed { TIMED_GET, TIMED_SET, TIMED_COMPUTE, TIMED };

struct cache_stripe_latency {
    atomic_uint_fast64_t count, nanoseconds, buckets[CACHE_LATENCY_BUCKETS];
};

/* The counters of one thread, so that counting is a plain load and store. The first stripe is shared by all threads
 * without a slot, so there every addition is atomic. A stripe is in a block of its own, and begins at a cache line. */
struct cache_stripe {
    _Alignas(64) atomic_uint_fast64_t counters[COUNTERS];
    struct cache_stripe_latency latencies[TIMED];
    bool shared;
    void *block;                       /* the block from the allocator */
};

/* The counts of a store, or of one name in it. Reading adds up the stripes. */
struct cache_live_counters {
    const cache_env *env;
    _Atomic(struct cache_stripe *) stripes[THREAD_SLOTS];    /* each is made when its thread first counts */
};

/* Returns NULL if there is no memory. The stripe of a thread is made when it first counts. `env` must stay until the
 * counters are freed. */
struct cache_live_counters *cache_counters_new(const cache_env *env);
void cache_counters_free(const cache_env *env, struct cache_live_counters *counters);

/* Returns this thread's stripe, which is made if it is not there yet. */
struct cache_stripe *cache_counters_stripe(struct cache_live_counters *counters);

/* Any thread may call this at any time. */
static inline void cache_counters_add(struct cache_live_counters *counters, enum counter counter, uint64_t n)
{
    struct cache_stripe *stripe = atomic_load_explicit(&counters->stripes[cache_thread_slot()], memory_order_acquire);
    if (__builtin_expect(stripe == NULL, 0))
        stripe = cache_counters_stripe(counters);
    atomic_uint_fast64_t *to = &stripe->counters[counter];
    if (__builtin_expect(stripe->shared, 0))
        atomic_fetch_add_explicit(to, n, memory_order_relaxed);
    else
        atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Adds one operation of this duration to its histogram. */
void cache_counters_time(struct cache_live_counters *counters, enum timed what, uint64_t nanoseconds);

/* A prime, so that calls which alternate, such as a get and the set after its miss, are both sampled. */
#define CACHE_SAMPLE_EVERY 61

/* How many more calls of this thread are not sampled. Only cache_counters_sample() uses it. */
extern CACHE_HOT_THREAD_LOCAL unsigned cache_counters_unsampled;

/* Returns true for one call in 61 of this thread, to time operations that are too fast to time each time. */
static inline bool cache_counters_sample(void)
{
    if (__builtin_expect(--cache_counters_unsampled > 0, 1))
        return false;
    cache_counters_unsampled = CACHE_SAMPLE_EVERY;
    return true;
}

/* Adds up all stripes. While other threads count, the sums are of no single moment. Fields of `*out` that are not
 * counted here become 0. */
void cache_counters_read(struct cache_live_counters *counters, cache_counters *out);

#endif
