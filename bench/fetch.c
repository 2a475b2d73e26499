/* bench_fetch - what a hit costs by each way in: cache_get, cache_fetch with nothing, a name or a tag, a memoized
 * function.
 *
 * On memory://, with a thousand keys of 100 bytes, so that the calls are measured and not the memory. Rounds are
 * interleaved, medians of five. */
#include <libcache/cache.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ITEMS = 1024, OPERATIONS = 400000, ROUNDS = 5, VALUE_SIZE = 100, MAX_THREADS = 2 };

struct result {
    char bytes[VALUE_SIZE];
};

static char keys[ITEMS][16];
static cache_t *cache;

static cache_status load(int id, struct result *out)
{
    (void)snprintf(out->bytes, sizeof out->bytes, "%d", id);
    return CACHE_OK;
}

CACHE_MEMOIZE(memoized, load, 3600, struct result, (int, id))

static cache_status compute(void *ctx, cache_writer *out)
{
    static const char value[VALUE_SIZE];
    (void)ctx;
    return cache_writer_append(out, value, sizeof value);
}

/* ---- the ways in ------------------------------------------------------------------------------------------------- */

static void by_get(int i)
{
    cache_value value;
    if (cache_get(cache, keys[i], &value) == CACHE_OK)
        cache_value_release(&value);
}

static void by_get_copy(int i)
{
    struct result result;
    (void)cache_get_copy(cache, keys[i], &result, sizeof result, NULL);
}

static void fetch(const char *prefix, int i, const cache_fetch_options *options)
{
    char key[32];
    const size_t size = strlen(prefix);
    memcpy(key, prefix, size);
    memcpy(key + size, keys[i], sizeof keys[i]);
    cache_value value;
    if (cache_fetch(cache, key, options, compute, NULL, &value) == CACHE_OK)
        cache_value_release(&value);
}

static void by_fetch(int i)
{
    fetch("f", i, NULL);
}

static void by_named_fetch(int i)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.name = "by_named_fetch";
    fetch("n", i, &options);
}

static void by_tagged_fetch(int i)
{
    static const char *const tags[] = { "a tag" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.tags = tags;
    options.n_tags = 1;
    fetch("t", i, &options);
}

static void by_memoized(int i)
{
    struct result result;
    (void)memoized(cache, i, &result);
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

struct work {
    pthread_t thread;
    void (*way)(int i);
    int n;
};

static void *run(void *arg)
{
    const struct work *work = arg;
    unsigned at = 1;
    for (int i = 0; i < work->n; i++) {
        at = at * 1664525u + 1013904223u;
        work->way((int)(at >> 16) % ITEMS);
    }
    return NULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Wall nanoseconds per call, all threads together. */
static double measure(void (*way)(int i), int threads)
{
    struct work work[MAX_THREADS];
    const double begun = seconds();
    for (int i = 0; i < threads; i++) {
        work[i] = (struct work){ .way = way, .n = OPERATIONS / threads };
        pthread_create(&work[i].thread, NULL, run, &work[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(work[i].thread, NULL);
    return (seconds() - begun) * 1e9 / OPERATIONS;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    static const struct { const char *name; void (*way)(int i); } ways[] = {
        { "cache_get", by_get },           { "cache_get_copy", by_get_copy },       { "cache_fetch", by_fetch },
        { "with a name", by_named_fetch }, { "with a tag", by_tagged_fetch },
        { "memoized function", by_memoized },
    };
    enum { N = sizeof ways / sizeof ways[0] };
    static double took[N][MAX_THREADS][ROUNDS];
    if (cache_open("memory://?default_ttl=3600", &cache) != CACHE_OK)
        return 1;
    for (int i = 0; i < ITEMS; i++) {
        static const char value[VALUE_SIZE];
        (void)snprintf(keys[i], sizeof keys[i], "product:%d", i);
        (void)cache_set(cache, keys[i], value, sizeof value, 3600);
        for (int k = 0; k < N; k++)
            ways[k].way(i);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int threads = 1; threads <= MAX_THREADS; threads++)
            for (int k = 0; k < N; k++)
                took[k][threads - 1][round] = measure(ways[k].way, threads);
    puts("ns per hit (median of 5)   1 thread   2 threads");
    for (int k = 0; k < N; k++) {
        for (int threads = 0; threads < MAX_THREADS; threads++)
            qsort(took[k][threads], ROUNDS, sizeof(double), compare);
        printf("%-24s %10.0f %11.0f\n", ways[k].name, took[k][0][ROUNDS / 2], took[k][1][ROUNDS / 2]);
    }
    cache_close(cache);
    return 0;
}
