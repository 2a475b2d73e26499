/* counters.c - counts events without a cache line that threads share. */
#include "counters.h"

#include <string.h>

enum { CACHE_LINE = 64 };

CACHE_HOT_THREAD_LOCAL unsigned cache_counters_unsampled = 1;

/* ---- stripes --------------------------------------------------------------------------------------------------- */

static struct cache_stripe *stripe_new(const cache_env *env)
{
    const size_t size = sizeof(struct cache_stripe) + CACHE_LINE;
    void *block = cache_env_alloc(env, size);
    if (block == NULL)
        return NULL;
    memset(block, 0, size);
    const uintptr_t aligned = ((uintptr_t)block + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct cache_stripe *stripe = (struct cache_stripe *)aligned;
    stripe->block = block;
    return stripe;
}

/* If there is no memory for a stripe, the thread counts in the first one. */
static struct cache_stripe *make_stripe(struct cache_live_counters *counters, _Atomic(struct cache_stripe *) *at)
{
    struct cache_stripe *there = NULL, *made = stripe_new(counters->env);
    if (made == NULL)
        return atomic_load_explicit(&counters->stripes[0], memory_order_acquire);
    if (atomic_compare_exchange_strong(at, &there, made))
        return made;
    cache_env_free(counters->env, made->block);
    return there;
}

struct cache_stripe *cache_counters_stripe(struct cache_live_counters *counters)
{
    _Atomic(struct cache_stripe *) *at = &counters->stripes[cache_thread_slot()];
    struct cache_stripe *stripe = atomic_load_explicit(at, memory_order_acquire);
    return stripe != NULL ? stripe : make_stripe(counters, at);
}

struct cache_live_counters *cache_counters_new(const cache_env *env)
{
    struct cache_live_counters *counters = cache_env_alloc(env, sizeof *counters);
    struct cache_stripe *first = stripe_new(env);
    if (counters == NULL || first == NULL) {
        cache_env_free(env, first != NULL ? first->block : NULL);
        cache_env_free(env, counters);
        return NULL;
    }
    counters->env = env;
    first->shared = true;
    atomic_init(&counters->stripes[0], first);
    for (size_t i = 1; i < THREAD_SLOTS; i++)
        atomic_init(&counters->stripes[i], NULL);
    return counters;
}

void cache_counters_free(const cache_env *env, struct cache_live_counters *counters)
{
    for (size_t i = 0; counters != NULL && i < THREAD_SLOTS; i++) {
        struct cache_stripe *stripe = atomic_load(&counters->stripes[i]);
        cache_env_free(env, stripe != NULL ? stripe->block : NULL);
    }
    cache_env_free(env, counters);
}

/* ---- counting -------------------------------------------------------------------------------------------------- */

static void add_to(const struct cache_stripe *stripe, atomic_uint_fast64_t *to, uint64_t n)
{
    if (stripe->shared)
        atomic_fetch_add_explicit(to, n, memory_order_relaxed);
    else
        atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static size_t bucket_of(uint64_t nanoseconds)
{
    size_t bucket = 0;
    for (nanoseconds >>= 8; nanoseconds > 0 && bucket < CACHE_LATENCY_BUCKETS - 1; nanoseconds >>= 1)
        bucket++;
    return bucket;
}

void cache_counters_time(struct cache_live_counters *counters, enum timed what, uint64_t nanoseconds)
{
    struct cache_stripe *stripe = cache_counters_stripe(counters);
    struct cache_stripe_latency *latency = &stripe->latencies[what];
    add_to(stripe, &latency->count, 1);
    add_to(stripe, &latency->nanoseconds, nanoseconds);
    add_to(stripe, &latency->buckets[bucket_of(nanoseconds)], 1);
}

/* ---- adding up ------------------------------------------------------------------------------------------------- */

static uint64_t load(atomic_uint_fast64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

static void add_latency(struct cache_stripe_latency *latency, cache_latency *out)
{
    const uint64_t count = load(&latency->count);
    if (count == 0)    /* most buckets of a name are empty; its count is written before its buckets */
        return;
    out->count += count;
    out->nanoseconds += load(&latency->nanoseconds);
    for (size_t b = 0; b < CACHE_LATENCY_BUCKETS; b++)
        out->buckets[b] += load(&latency->buckets[b]);
}

static void add_stripe(struct cache_stripe *stripe, cache_counters *out)
{
    uint64_t *const sums[COUNTERS] = {
        [COUNT_HIT] = &out->hits, [COUNT_MISS] = &out->misses, [COUNT_STALE] = &out->stale_hits,
        [COUNT_SET] = &out->sets, [COUNT_DELETE] = &out->deletes, [COUNT_INC] = &out->incs,
        [COUNT_COMPUTE] = &out->computations, [COUNT_COMPUTE_ERROR] = &out->compute_errors,
        [COUNT_WAIT_SAVED] = &out->waits_saved, [COUNT_ERROR] = &out->errors,
        [COUNT_FRONT_HIT] = &out->front_hits,
    };
    for (size_t i = 0; i < COUNTERS; i++)
        *sums[i] += load(&stripe->counters[i]);
    cache_latency *const latencies[TIMED] = {
        [TIMED_GET] = &out->get, [TIMED_SET] = &out->set, [TIMED_COMPUTE] = &out->compute,
    };
    for (size_t i = 0; i < TIMED; i++)
        add_latency(&stripe->latencies[i], latencies[i]);
}

void cache_counters_read(struct cache_live_counters *counters, cache_counters *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < THREAD_SLOTS; i++) {
        struct cache_stripe *stripe = atomic_load_explicit(&counters->stripes[i], memory_order_acquire);
        if (stripe != NULL)
            add_stripe(stripe, out);
    }
}
