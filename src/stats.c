/* stats.c - counting without a shared cache line. */
#include "stats.h"

#include <stdatomic.h>
#include <string.h>

/* Threads beyond the stripes share one, which stays right, since every addition is atomic. */
enum { STRIPES = 32, CACHE_LINE = 64 };

struct latency {
    atomic_uint_fast64_t count, nanoseconds, buckets[CACHE_LATENCY_BUCKETS];
};

/* It stands in a block of its own, from the next cache line on. */
struct stripe {
    _Alignas(CACHE_LINE) atomic_uint_fast64_t counters[COUNTERS];
    struct latency latencies[TIMED];
    void *block;                       /* what the allocator gave */
};

struct cache_tally {
    const cache_env *env;
    _Atomic(struct stripe *) stripes[STRIPES];    /* made when a thread first counts in them; the first one at once */
};

/* ---- stripes --------------------------------------------------------------------------------------------------- */

static struct stripe *stripe_new(const cache_env *env)
{
    const size_t size = sizeof(struct stripe) + CACHE_LINE;
    void *block = cache_env_alloc(env, size);
    if (block == NULL)
        return NULL;
    memset(block, 0, size);
    const uintptr_t aligned = ((uintptr_t)block + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct stripe *stripe = (struct stripe *)aligned;
    stripe->block = block;
    return stripe;
}

/* Without memory for a stripe the thread counts in the first one. */
static struct stripe *make_stripe(struct cache_tally *tally, _Atomic(struct stripe *) *at)
{
    struct stripe *there = NULL, *made = stripe_new(tally->env);
    if (made == NULL)
        return atomic_load_explicit(&tally->stripes[0], memory_order_acquire);
    if (atomic_compare_exchange_strong(at, &there, made))
        return made;
    cache_env_free(tally->env, made->block);
    return there;
}

static struct stripe *my_stripe(struct cache_tally *tally)
{
    static atomic_uint next;
    static _Thread_local unsigned mine;    /* 0: not chosen yet */
    if (mine == 0)
        mine = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % STRIPES + 1;
    _Atomic(struct stripe *) *at = &tally->stripes[mine - 1];
    struct stripe *stripe = atomic_load_explicit(at, memory_order_acquire);
    return stripe != NULL ? stripe : make_stripe(tally, at);
}

struct cache_tally *cache_tally_new(const cache_env *env)
{
    struct cache_tally *tally = cache_env_alloc(env, sizeof *tally);
    struct stripe *first = stripe_new(env);
    if (tally == NULL || first == NULL) {
        cache_env_free(env, first != NULL ? first->block : NULL);
        cache_env_free(env, tally);
        return NULL;
    }
    tally->env = env;
    atomic_init(&tally->stripes[0], first);
    for (size_t i = 1; i < STRIPES; i++)
        atomic_init(&tally->stripes[i], NULL);
    return tally;
}

void cache_tally_free(const cache_env *env, struct cache_tally *tally)
{
    for (size_t i = 0; tally != NULL && i < STRIPES; i++) {
        struct stripe *stripe = atomic_load(&tally->stripes[i]);
        cache_env_free(env, stripe != NULL ? stripe->block : NULL);
    }
    cache_env_free(env, tally);
}

/* ---- counting -------------------------------------------------------------------------------------------------- */

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
    return calls++ % CACHE_SAMPLE_EVERY == 0;
}

/* ---- adding up ------------------------------------------------------------------------------------------------- */

static uint64_t sum(struct cache_tally *tally, enum counter counter)
{
    uint64_t total = 0;
    for (size_t i = 0; i < STRIPES; i++) {
        struct stripe *stripe = atomic_load_explicit(&tally->stripes[i], memory_order_acquire);
        if (stripe != NULL)
            total += atomic_load_explicit(&stripe->counters[counter], memory_order_relaxed);
    }
    return total;
}

static void sum_latency(struct cache_tally *tally, enum timed what, cache_latency *out)
{
    for (size_t i = 0; i < STRIPES; i++) {
        struct stripe *stripe = atomic_load_explicit(&tally->stripes[i], memory_order_acquire);
        if (stripe == NULL)
            continue;
        struct latency *latency = &stripe->latencies[what];
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
        .computations = sum(tally, COUNT_COMPUTE), .compute_errors = sum(tally, COUNT_COMPUTE_ERROR),
        .waits_saved = sum(tally, COUNT_WAIT_SAVED), .errors = sum(tally, COUNT_ERROR),
    };
    sum_latency(tally, TIMED_GET, &out->get);
    sum_latency(tally, TIMED_SET, &out->set);
    sum_latency(tally, TIMED_COMPUTE, &out->compute);
}
