/* bench_codec - what compression and sealing cost a set and a get, and what they save.
 *
 * Once on a store of this program, which only copies a value, so that the codec is what is measured; and once on a
 * Redis of its own, on a Unix socket. JSON, and bytes that cannot be compressed; 1, 10 and 100 KiB. Plain values stand
 * beside. Rounds are interleaved, medians of five. */
#include <libcache/backend.h>
#include <libcache/cache.h>

#include "server.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, MAX_SIZE = 100 * 1024, ROUND_NS = 15000000 };

static const char *const options[] = { "", "compress=lz4", "compress=zstd", "seal=%s", "compress=lz4&seal=%s",
                                       "compress=zstd&seal=%s" };
static const char *const names[] = { "plain", "lz4", "zstd", "seal", "lz4, seal", "zstd, seal" };
enum { WAYS = sizeof names / sizeof names[0] };

static char json[MAX_SIZE + 256], noise[MAX_SIZE], key_path[] = "/tmp/bench-codec-XXXXXX";

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Records as an API returns them. */
static void make_values(void)
{
    static const char *const words[] = { "apple", "river", "stone", "cloud", "green", "paper", "light", "seven" };
    size_t size = 0;
    for (int id = 0; size < MAX_SIZE; id++)
        size += (size_t)snprintf(json + size, sizeof json - size,
                                 "{\"id\":%d,\"name\":\"%s %s\",\"price\":%d.%02d,\"stock\":%d,"
                                 "\"tags\":[\"%s\",\"%s\"]},", id, words[next_random() % 8], words[next_random() % 8],
                                 (int)(next_random() % 900), (int)(next_random() % 100), (int)(next_random() % 500),
                                 words[next_random() % 8], words[next_random() % 8]);
    for (size_t i = 0; i < MAX_SIZE; i++)
        noise[i] = (char)next_random();
}

/* ---- a store that holds one value -------------------------------------------------------------------------------- */

static struct { char bytes[MAX_SIZE + 1024]; size_t size; } held;

static cache_status hold_open(const cache_backend_config *config, void **self)
{
    (void)config;
    *self = &held;
    return CACHE_OK;
}

static void hold_close(void *self)
{
    (void)self;
}

static cache_status hold_get(void *self, cache_bytes key, cache_writer *out)
{
    (void)self, (void)key;
    return held.size > 0 ? cache_writer_append(out, held.bytes, held.size) : CACHE_MISS;
}

static cache_status hold_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    (void)self, (void)key, (void)ttl_ms, (void)flags;
    if (value.size > sizeof held.bytes)
        return CACHE_ERR_TOO_LARGE;
    memcpy(held.bytes, value.data, held.size = value.size);
    return CACHE_OK;
}

static cache_status hold_remove(void *self, cache_bytes key)
{
    (void)self, (void)key;
    held.size = 0;
    return CACHE_OK;
}

static cache_status hold_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    (void)self, (void)key, (void)delta, (void)ttl_ms, (void)result;
    return CACHE_ERR_UNSUPPORTED;
}

static cache_status hold_clear(void *self, cache_bytes prefix)
{
    return hold_remove(self, prefix);
}

static const cache_backend_ops hold_ops = {
    .size = sizeof(cache_backend_ops), .scheme = "hold", .open = hold_open, .close = hold_close, .get = hold_get,
    .set = hold_set, .remove = hold_remove, .inc = hold_inc, .clear = hold_clear,
};

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static double set_ns(cache_t *cache, const char *value, size_t size)
{
    long n = 0;
    const double begun = now_ns();
    double took;
    do {
        for (int i = 0; i < 8; i++, n++)
            if (cache_set(cache, "k", value, size, 3600) != CACHE_OK)
                bench_die(cache_last_error());
        took = now_ns() - begun;
    } while (took < ROUND_NS);
    return took / (double)n;
}

static double get_ns(cache_t *cache, const char *value, size_t size)
{
    long n = 0;
    const double begun = now_ns();
    double took;
    do {
        for (int i = 0; i < 8; i++, n++) {
            cache_value got;
            if (cache_get(cache, "k", &got) != CACHE_OK || got.size != size || got.data == value)
                bench_die(cache_last_error());
            cache_value_release(&got);
        }
        took = now_ns() - begun;
    } while (took < ROUND_NS);
    return took / (double)n;
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

static void compare(const char *where, cache_t *const caches[WAYS], const char *kind, const char *value, size_t size)
{
    double sets[WAYS][ROUNDS], gets[WAYS][ROUNDS], stored[WAYS];
    for (int round = 0; round < ROUNDS; round++)
        for (int k = 0; k < WAYS; k++) {
            const int i = (k + round) % WAYS;
            sets[i][round] = set_ns(caches[i], value, size);
            gets[i][round] = get_ns(caches[i], value, size);
            stored[i] = (double)held.size;
        }
    for (int i = 0; i < WAYS; i++) {
        const double set = median(sets[i]), get = median(gets[i]);
        printf("%-5s  %-5s  %3zu KiB  %-10s  set %8.0f ns %6.0f MB/s  get %8.0f ns %6.0f MB/s", where, kind,
               size / 1024, names[i], set, (double)size / set * 1e3, get, (double)size / get * 1e3);
        if (strcmp(where, "hold") == 0)
            printf("  stored %5.3f", stored[i] / (double)size);
        printf("\n");
    }
}

static void compare_all(const char *where, const char *base)
{
    static const size_t sizes[] = { 1024, 10 * 1024, 100 * 1024 };
    cache_t *caches[WAYS];
    for (int i = 0; i < WAYS; i++) {
        char url[256];
        int size = snprintf(url, sizeof url, "%s?prefix=w%d:&", base, i);
        (void)snprintf(url + size, sizeof url - (size_t)size, options[i], key_path);
        if (cache_open(url, &caches[i]) != CACHE_OK)
            bench_die(cache_last_error());
    }
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        compare(where, caches, "json", json, sizes[s]);
        compare(where, caches, "noise", noise, sizes[s]);
    }
    for (int i = 0; i < WAYS; i++)
        cache_close(caches[i]);
}

static void remove_key(void)
{
    unlink(key_path);
}

int main(void)
{
    char url[128];
    const int fd = mkstemp(key_path);
    atexit(remove_key);
    make_values();
    if (fd < 0 || write(fd, noise, 32) != 32 || cache_register_backend(&hold_ops) != CACHE_OK)
        bench_die("no key file");
    close(fd);
    compare_all("hold", "hold://");
    (void)snprintf(url, sizeof url, "redis+unix://%s", bench_redis_start(NULL).path);
    compare_all("redis", url);
    return 0;
}
