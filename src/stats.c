/* stats.c - counting without a shared cache line. */
#include "stats.h"

#include <stdatomic.h>
#include <string.h>

/* Threads beyond the stripes share one, which stays right, since every addition is atomic. */
enum { STRIPES = 32, CACHE_LINE = 64, SAMPLE_EVERY = 64 };

struct latency {
    atomic_uint_fast64_t count, nanoseconds, buckets[CACHE_LATENCY_BUCKETS];
};

struct stripe {
    _Alignas(CACHE_LINE) atomic_uint_fast64_t counters[COUNTERS];
    struct latency latencies[TIMED];
};

struct cache_tally {
    void *block;                       /* what the allocator gave: the stripes begin on a cache line of their own */
    struct stripe stripes[STRIPES];
};

static atomic_uint next_stripe;

static struct stripe *my_stripe(struct cache_tally *tally)
{
    static _Thread_local unsigned mine;    /* 0: not chosen yet */
    if (mine == 0)
        mine = atomic_fetch_add_explicit(&next_stripe, 1, memory_order_relaxed) % STRIPES + 1;
    return &tally->stripes[mine - 1];
}

struct cache_tally *cache_tally_new(const cache_env *env)
{
    const size_t size = sizeof(struct cache_tally) + CACHE_LINE;
    void *block = cache_env_alloc(env, size);
    if (block == NULL)
        return NULL;
    memset(block, 0, size);
    const uintptr_t aligned = ((uintptr_t)block + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct cache_tally *tally = (struct cache_tally *)aligned;
    tally->block = block;
    return tally;
}

void cache_tally_free(const cache_env *env, struct cache_tally *tally)
{
    if (tally != NULL)
        cache_env_free(env, tally->block);
}

static void add(atomic_uint_fast64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void cache_tally_add(struct cache_tally *tally, enum counter counter, uint64_t n)
{
    add(&my_stripe(tally)->counters[counter], n);
}

static size_t bucket_of(uint64_t nanoseconds)
{
    size_t bucket = 0;
    for (nanoseconds >>= 8; nanoseconds > 0 && bucket < CACHE_LATENCY_BUCKETS - 1; nanoseconds >>= 1)
        bucket++;
    return bucket;
}

void cache_tally_time(struct cache_tally *tally, enum timed what, uint64_t nanoseconds)
{
    struct latency *latency = &my_stripe(tally)->latencies[what];
    add(&latency->count, 1);
    add(&latency->nanoseconds, nanoseconds);
    add(&latency->buckets[bucket_of(nanoseconds)], 1);
}

bool cache_tally_sample(void)
{
    static _Thread_local unsigned calls;
    return calls++ % SAMPLE_EVERY == 0;
}

static uint64_t sum(struct cache_tally *tally, enum counter counter)
{
    uint64_t total = 0;
    for (size_t i = 0; i < STRIPES; i++)
        total += atomic_load_explicit(&tally->stripes[i].counters[counter], memory_order_relaxed);
    return total;
}

static void sum_latency(struct cache_tally *tally, enum timed what, cache_latency *out)
{
    for (size_t i = 0; i < STRIPES; i++) {
        struct latency *latency = &tally->stripes[i].latencies[what];
        out->count += atomic_load_explicit(&latency->count, memory_order_relaxed);
        out->nanoseconds += atomic_load_explicit(&latency->nanoseconds, memory_order_relaxed);
        for (size_t b = 0; b < CACHE_LATENCY_BUCKETS; b++)
            out->buckets[b] += atomic_load_explicit(&latency->buckets[b], memory_order_relaxed);
    }
}

void cache_tally_read(struct cache_tally *tally, cache_counters *out)
{
    *out = (cache_counters){
        .hits = sum(tally, COUNT_HIT), .misses = sum(tally, COUNT_MISS), .stale_hits = sum(tally, COUNT_STALE),
        .sets = sum(tally, COUNT_SET), .deletes = sum(tally, COUNT_DELETE), .incs = sum(tally, COUNT_INC),
        .computations = sum(tally, COUNT_COMPUTE), .waits_saved = sum(tally, COUNT_WAIT_SAVED),
        .errors = sum(tally, COUNT_ERROR),
    };
    sum_latency(tally, TIMED_GET, &out->get);
    sum_latency(tally, TIMED_SET, &out->set);
    sum_latency(tally, TIMED_COMPUTE, &out->compute);
}
