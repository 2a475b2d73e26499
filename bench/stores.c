/* bench_stores - the stores that have a server, beside the client libraries that they are made of, on the same socket.
 *
 *     bench_stores [redis|memcached]
 *
 * Both servers are its own: redis on a unix socket, and memcached on a loopback port. A thread of the raw
 * client has a connection of its own; ours share a handle. Values are copied out into the caller's buffer. Rounds are
 * interleaved, ours and the raw client one after the other and in turn first; what is printed are medians, the ratio's
 * of the rounds' ratios. */
#include <libcache/cache.h>

#include "server.h"

#include <hiredis/hiredis.h>
#include <libmemcached/memcached.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 75, KEYS = 1000, MANY = 100, SMALL = 100, LARGE = 10000, MAX_THREADS = 2 };

static char names[KEYS][32];
static char payload[LARGE];
static struct bench_redis redis_server;
static struct bench_memcached memcached_server;

static cache_t *open_store(const char *url)
{
    cache_t *cache = NULL;
    if (cache_open(url, &cache) != CACHE_OK)
        bench_die(cache_last_error());
    for (int i = 0; i < 500 && cache_set_string(cache, "ready", "1", 60) != CACHE_OK; i++)
        nanosleep(&(const struct timespec){ 0, 20000000 }, NULL);
    if (cache_has(cache, "ready") != CACHE_OK)
        bench_die(cache_last_error());
    return cache;
}

/* ---- the raw clients --------------------------------------------------------------------------------------------- */

static _Thread_local redisContext *redis;
static _Thread_local memcached_st *memc;

static void redis_begin(void)
{
    redis = redisConnectUnix(redis_server.path);
    if (redis == NULL || redis->err != 0)
        bench_die("hiredis cannot connect");
}

static void redis_end(void)
{
    redisFree(redis);
}

static redisReply *checked(void *reply, int type)
{
    if (reply == NULL || ((redisReply *)reply)->type != type)
        bench_die("hiredis failed");
    return reply;
}

static void redis_get(int key, size_t size)
{
    char value[LARGE];
    redisReply *reply = checked(redisCommand(redis, "GET raw:%s", names[key]), REDIS_REPLY_STRING);
    if (reply->len != size)
        bench_die("hiredis: a wrong size");
    memcpy(value, reply->str, reply->len);
    freeReplyObject(reply);
}

static void redis_set(int key, size_t size)
{
    freeReplyObject(
        checked(redisCommand(redis, "SET raw:%s %b PX 600000", names[key], payload, size), REDIS_REPLY_STATUS));
}

static void redis_get_many(int key, size_t size)
{
    const char *argv[MANY + 1] = { "MGET" };
    static _Thread_local char keys[MANY][40];
    char value[LARGE];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "raw:%s", names[(key + i) % KEYS]);
        argv[i + 1] = keys[i];
    }
    redisReply *reply = checked(redisCommandArgv(redis, MANY + 1, argv, NULL), REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i]->len != size)
            bench_die("hiredis: a wrong size");
        memcpy(value, reply->element[i]->str, size);
    }
    freeReplyObject(reply);
}

static void memcached_begin(void)
{
    memc = memcached_create(NULL);
    (void)memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
    if (!memcached_success(memcached_server_add(memc, "127.0.0.1", (in_port_t)memcached_server.port)))
        bench_die("libmemcached failed");
}

static void memcached_end(void)
{
    memcached_free(memc);
}

static size_t raw_name(int key, char out[40])
{
    return (size_t)snprintf(out, 40, "raw:%s", names[key]);
}

static void memc_get(int key, size_t size)
{
    char name[40], value[LARGE];
    size_t got = 0;
    uint32_t flags = 0;
    memcached_return_t rc = MEMCACHED_SUCCESS;
    const size_t name_size = raw_name(key, name);
    char *found = memcached_get(memc, name, name_size, &got, &flags, &rc);
    if (found == NULL || got != size)
        bench_die("libmemcached: a wrong size");
    memcpy(value, found, got);
    free(found);
}

static void memc_set(int key, size_t size)
{
    char name[40];
    const size_t name_size = raw_name(key, name);
    if (!memcached_success(memcached_set(memc, name, name_size, payload, size, 600, 0)))
        bench_die("libmemcached: set");
}

static void memc_get_many(int key, size_t size)
{
    static _Thread_local char keys[MANY][40];
    const char *texts[MANY];
    size_t sizes[MANY], n = 0;
    char value[LARGE];
    memcached_return_t rc = MEMCACHED_SUCCESS;
    for (int i = 0; i < MANY; i++) {
        sizes[i] = raw_name((key + i) % KEYS, keys[i]);
        texts[i] = keys[i];
    }
    if (!memcached_success(memcached_mget(memc, texts, sizes, MANY)))
        bench_die("libmemcached: mget");
    char *values[MANY], name[MEMCACHED_MAX_KEY];    /* all at hand together, as the other two have them */
    size_t name_size = 0, value_size = 0;
    uint32_t flags = 0;
    while (n < MANY && (values[n] = memcached_fetch(memc, name, &name_size, &value_size, &flags, &rc)) != NULL)
        n += value_size == size;
    if (n != MANY || memcached_fetch(memc, name, &name_size, &value_size, &flags, &rc) != NULL)
        bench_die("libmemcached: not all came");
    for (size_t i = 0; i < MANY; i++) {
        memcpy(value, values[i], size);
        free(values[i]);
    }
}

/* ---- ours -------------------------------------------------------------------------------------------------------- */

static cache_t *cache;

static void nothing(void)
{
}

static void our_get(int key, size_t size)
{
    char value[LARGE];
    size_t got = 0;
    if (cache_get_copy(cache, names[key], value, sizeof value, &got) != CACHE_OK || got != size)
        bench_die(cache_last_error());
}

static void our_set(int key, size_t size)
{
    if (cache_set(cache, names[key], payload, size, 600) != CACHE_OK)
        bench_die(cache_last_error());
}

static void our_get_many(int key, size_t size)
{
    const char *keys[MANY];
    cache_value values[MANY];
    char value[LARGE];
    for (int i = 0; i < MANY; i++)
        keys[i] = names[(key + i) % KEYS];
    if (cache_get_many(cache, keys, MANY, values) != CACHE_OK)
        bench_die(cache_last_error());
    for (int i = 0; i < MANY; i++) {
        if (values[i].size != size)
            bench_die("get_many: a wrong size");
        memcpy(value, values[i].data, size);
        cache_value_release(&values[i]);
    }
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

typedef void operation_fn(int key, size_t size);

struct client {
    void (*begin)(void), (*end)(void);
    operation_fn *get, *set, *get_many;
};

static const struct client ours = { nothing, nothing, our_get, our_set, our_get_many };
static const struct client raw_redis = { redis_begin, redis_end, redis_get, redis_set, redis_get_many };
static const struct client raw_memcached = { memcached_begin, memcached_end, memc_get, memc_set, memc_get_many };

struct work {
    pthread_t thread;
    const struct client *client;
    operation_fn *operation;
    size_t size;
    int count, first;
    pthread_barrier_t *ready;
    double seconds, cpu;
};

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *run(void *arg)
{
    struct work *work = arg;
    work->client->begin();
    work->operation(work->first, work->size);    /* connects */
    pthread_barrier_wait(work->ready);
    const double begun = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < work->count; i++)
        work->operation((work->first + i * 7) % KEYS, work->size);
    work->seconds = now(CLOCK_MONOTONIC) - begun;
    work->cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    work->client->end();
    return NULL;
}

/* Microseconds an operation takes its thread, by the clock and of the processor. */
struct cost {
    double wall, cpu;
};

static struct cost measure(const struct client *client, operation_fn *operation, size_t size, int threads, int count)
{
    struct work work[MAX_THREADS];
    pthread_barrier_t ready;
    double longest = 0, cpu = 0;
    pthread_barrier_init(&ready, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        work[i] = (struct work){
            .client = client, .operation = operation, .size = size, .count = count, .first = i * 500, .ready = &ready
        };
        pthread_create(&work[i].thread, NULL, run, &work[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(work[i].thread, NULL);
        longest = work[i].seconds > longest ? work[i].seconds : longest;
        cpu += work[i].cpu;
    }
    pthread_barrier_destroy(&ready);
    return (struct cost){ longest * 1e6 / count, cpu * 1e6 / count / threads };
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof values[0], compare);
    return values[ROUNDS / 2];
}

static void compare_clients(const char *name, const struct client *raw, size_t size, int threads)
{
    static const char *const operations[] = { "get", "set", "get_many of 100" };
    operation_fn *const of_ours[] = { our_get, our_set, our_get_many };
    operation_fn *const of_raw[] = { raw->get, raw->set, raw->get_many };
    for (int i = 0; i < KEYS; i++)
        our_set(i, size);
    (void)measure(raw, raw->set, size, 1, KEYS);    /* 7 and KEYS have no common divisor: all of them */
    for (size_t o = 0; o < 3; o++) {
        double our_time[ROUNDS], raw_time[ROUNDS], ratio[ROUNDS], cpu_ratio[ROUNDS];
        const int count = o < 2 ? 400 : 25;
        for (int round = 0; round < ROUNDS; round++) {
            struct cost of[2] = { { 0, 0 }, { 0, 0 } };
            for (int turn = 0; turn < 2; turn++) {
                const int who = (turn + round) % 2;
                of[who] = who == 0 ? measure(&ours, of_ours[o], size, threads, count)
                                   : measure(raw, of_raw[o], size, threads, count);
            }
            our_time[round] = of[0].wall;
            raw_time[round] = of[1].wall;
            ratio[round] = of[0].wall / of[1].wall;
            cpu_ratio[round] = of[0].cpu / of[1].cpu;
        }
        const double middle = median(ratio);
        printf("%-10s %-16s %6zu B %8d %10.1f %10.1f %8.2f  %.2f-%.2f %10.2f\n", name, operations[o], size, threads,
               median(our_time), median(raw_time), middle, ratio[ROUNDS / 4], ratio[ROUNDS * 3 / 4], median(cpu_ratio));
        fflush(stdout);
    }
}

static void compare_store(const char *name, const char *url, const struct client *raw)
{
    cache = open_store(url);
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        compare_clients(name, raw, SMALL, threads);
        compare_clients(name, raw, LARGE, threads);
    }
    cache_close(cache);
}

int main(int argc, char **argv)
{
    char redis_url[128], memcached_url[64];
    const char *only = argc > 1 ? argv[1] : "";
    for (int i = 0; i < KEYS; i++)
        (void)snprintf(names[i], sizeof names[i], "key:%d", i);
    memset(payload, 'x', sizeof payload);
    redis_server = bench_redis_start(NULL);
    memcached_server = bench_memcached_start();
    (void)snprintf(redis_url, sizeof redis_url, "redis+unix://%s?prefix=our:&timeout=60", redis_server.path);
    (void)snprintf(memcached_url, sizeof memcached_url, "memcached://127.0.0.1:%d?prefix=our:&timeout=60",
                   memcached_server.port);
    printf("store      operation             value  threads    ours us     raw us    ratio  quartiles  CPU ratio"
           " (%d rounds)\n", ROUNDS);
    if (strcmp(only, "memcached") != 0)
        compare_store("redis", redis_url, &raw_redis);
    if (strcmp(only, "redis") != 0)
        compare_store("memcached", memcached_url, &raw_memcached);
    return 0;
}
