/* bench_cluster - a Redis Cluster of three masters beside one Redis, and beside itself while one of the masters hangs.
 *
 * All on loopback ports of the program's own. One thread: a get, and many in one call; the servers in turns, medians of
 * five rounds. Then four threads read all keys, in turns with and without a master that is stopped (SIGSTOP); counted
 * are the values that came from the two others. */
#include <libcache/cache.h>

#include "server.h"

#include <hiredis/hiredis.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEYS = 1000, SIZE = 100, ROUNDS = 5, CALLS = 2000, THREADS = 4, SLOTS = 16384, ROUND_MS = 700 };

static char names[KEYS][16];
static bool is_of_last[KEYS];          /* its master is the one that will hang */

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void pause_ms(long ms)
{
    nanosleep(&(const struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static cache_t *open_store(const char *url)
{
    cache_t *cache = NULL;
    char value[SIZE];
    memset(value, 'x', sizeof value);
    if (cache_open(url, &cache) != CACHE_OK)
        bench_die(cache_last_error());
    for (int i = 0; i < KEYS; i++)
        if (cache_set(cache, names[i], value, sizeof value, 3600) != CACHE_OK)
            bench_die(cache_last_error());
    return cache;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof *values, by_size);
    return values[ROUNDS / 2];
}

/* ---- one call ---------------------------------------------------------------------------------------------------- */

/* Microseconds of a call for `n` keys. */
static double call_us(cache_t *cache, size_t n)
{
    const char *keys[100];
    cache_value values[100];
    const double begun = now_ns();
    for (size_t call = 0; call < CALLS; call++) {
        for (size_t i = 0; i < n; i++)
            keys[i] = names[(call * 7 + i * 31) % KEYS];
        if ((n == 1 ? cache_get(cache, keys[0], values) : cache_get_many(cache, keys, n, values)) != CACHE_OK)
            bench_die(cache_last_error());
        for (size_t i = 0; i < n; i++)
            cache_value_release(&values[i]);
    }
    return (now_ns() - begun) / CALLS / 1e3;
}

static void compare(cache_t *cluster, cache_t *single)
{
    static const size_t counts[] = { 1, 10, 100 };
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        double of_cluster[ROUNDS], of_single[ROUNDS], ratio[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            of_single[round] = call_us(single, counts[c]);
            of_cluster[round] = call_us(cluster, counts[c]);
            ratio[round] = of_cluster[round] / of_single[round];
        }
        printf("a call for %3zu keys: one Redis %.1f us, the cluster %.1f us (%.2f)\n", counts[c], median(of_single),
               median(of_cluster), median(ratio));
    }
}

/* ---- a master that hangs ----------------------------------------------------------------------------------------- */

static atomic_bool stop_now;
static atomic_long n_good;             /* values from the masters that do not hang */

static void *read_all(void *arg)
{
    cache_t *cache = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    long good = 0;
    while (!atomic_load_explicit(&stop_now, memory_order_relaxed)) {
        const int i = (int)((seed = seed * 1664525 + 1013904223) >> 16) % KEYS;
        cache_value value;
        const cache_status status = cache_get(cache, names[i], &value);
        if (status == CACHE_OK)
            good += !is_of_last[i];
        else if (!is_of_last[i])
            bench_die(cache_last_error());
        cache_value_release(&value);
    }
    atomic_fetch_add(&n_good, good);
    return NULL;
}

static double rate(cache_t *cache)
{
    pthread_t threads[THREADS];
    atomic_store(&stop_now, false);
    atomic_store(&n_good, 0);
    const double begun = now_ns();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, read_all, cache) != 0)
            bench_die("no thread");
    pause_ms(ROUND_MS);
    atomic_store(&stop_now, true);
    const double took = now_ns() - begun;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return (double)atomic_load(&n_good) / took * 1e9;
}

/* Calls its keys until they fail at once, or come again. */
static void wait_until(cache_t *cache, bool hangs)
{
    int last = 0;
    while (!is_of_last[last])
        last++;
    for (;;) {
        cache_value value;
        const double begun = now_ns();
        const cache_status status = cache_get(cache, names[last], &value);
        cache_value_release(&value);
        if (hangs ? status < 0 && now_ns() - begun < 1e6 : status == CACHE_OK)
            return;
        pause_ms(5);
    }
}

static void find_masters(int port)
{
    redisContext *context = redisConnect("127.0.0.1", port);
    for (int i = 0; i < KEYS; i++) {
        redisReply *reply = context != NULL ? redisCommand(context, "CLUSTER KEYSLOT c:%s", names[i]) : NULL;
        if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
            bench_die("CLUSTER KEYSLOT");
        is_of_last[i] = reply->integer * BENCH_NODES / SLOTS == BENCH_NODES - 1;
        freeReplyObject(reply);
    }
    redisFree(context);
}

static void hang(cache_t *cache, const struct bench_cluster *nodes)
{
    double up[ROUNDS], hanging[ROUNDS], ratio[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        up[round] = rate(cache);
        kill(nodes->pids[BENCH_NODES - 1], SIGSTOP);
        wait_until(cache, true);
        hanging[round] = rate(cache);
        kill(nodes->pids[BENCH_NODES - 1], SIGCONT);
        wait_until(cache, false);
        ratio[round] = hanging[round] / up[round];
    }
    printf("%d threads read all keys; values of two masters a second: %.0f, and %.0f while the third hangs (%.2f)\n",
           THREADS, median(up), median(hanging), median(ratio));
}

int main(void)
{
    char url[128], port[8];
    const struct bench_cluster nodes = bench_cluster_start();
    const int plain = bench_free_port();
    (void)snprintf(port, sizeof port, "%d", plain);
    const char *const more[] = { "--port", port, "--bind", "127.0.0.1", NULL };
    (void)bench_redis_start(more);
    for (int i = 0; i < KEYS; i++)
        (void)snprintf(names[i], sizeof names[i], "key:%d", i);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?prefix=c:", nodes.ports[0]);
    cache_t *cluster = open_store(url);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?prefix=c:", plain);
    cache_t *single = open_store(url);
    find_masters(nodes.ports[0]);
    compare(cluster, single);
    hang(cluster, &nodes);
    cache_close(single);
    cache_close(cluster);
    return 0;
}
