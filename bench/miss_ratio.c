/* miss_ratio - how often real request sequences miss, beside other policies.
 *
 *     miss_ratio [DIRECTORY]    with cloudphysics.txt.gz and zipf1.0-100k.txt.gz: an object's id a line
 *
 * Each request is a cache_get and, on a miss, a cache_set, on memory://?max_items=N. The other rows were measured with
 * libCacheSim on the same traces: objects of size 1, cold start.
 *
 * Without a directory only the traces of traces.c are run, beside a plain LRU; then the same objects with sizes of 64
 * bytes to 64 kB, in a store with a limit of bytes: there the share of bytes that missed is printed, too. Last come the
 * hits of Zipf 0.99 over a million keys with room for a tenth of them, in the second half of 4, 6, 8 and 20 million
 * requests: the store starts empty, and learns from each request. */
#include "traces.h"

#include <libcache/cache.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const struct { const char *file; long items; } runs[] = {
    { "cloudphysics.txt.gz", 49 }, { "cloudphysics.txt.gz", 490 }, { "cloudphysics.txt.gz", 4898 },
    { "zipf1.0-100k.txt.gz", 1000 }, { "zipf1.0-100k.txt.gz", 8000 },
};

enum { RUNS = sizeof runs / sizeof runs[0] };

static double replay(const char *directory, const char *file, long items)
{
    char text[4096], url[64];
    unsigned long requests = 0, misses = 0;
    cache_t *cache = NULL;
    (void)snprintf(text, sizeof text, "%s/%s", directory, file);
    gzFile trace = gzopen(text, "rb");
    (void)snprintf(url, sizeof url, "memory://?max_items=%ld&default_ttl=0", items);
    if (trace == NULL || cache_open(url, &cache) != CACHE_OK) {
        fprintf(stderr, "miss_ratio: %s: %s\n", text, trace == NULL ? "cannot be read" : cache_last_error());
        exit(1);
    }
    while (gzgets(trace, text, sizeof text) != NULL) {
        text[strcspn(text, "\r\n")] = '\0';
        requests++;
        if (cache_get_copy(cache, text, NULL, 0, NULL) == CACHE_MISS) {
            misses++;
            (void)cache_set(cache, text, NULL, 0, CACHE_TTL_DEFAULT);
        }
    }
    gzclose(trace);
    cache_close(cache);
    return requests > 0 ? (double)misses / (double)requests : 0;
}

struct misses {
    double requests, bytes;
};

/* The size of an object with a value of its own: most are small, and few are large. */
static size_t size_of(uint32_t id)
{
    const uint32_t mixed = id * 2654435761u;
    return (size_t)64 << (mixed >> 28) * (mixed >> 24 & 15) / 22;
}

static struct misses run_made(const struct trace *trace, const char *url, bool sized)
{
    static char value[1 << 17];
    size_t misses = 0, bytes = 0, missed = 0;
    cache_t *cache = NULL;
    if (cache_open(url, &cache) != CACHE_OK)
        exit(1);
    for (size_t i = 0; i < trace->n; i++) {
        char key[16];
        const size_t size = sized ? size_of(trace->ids[i]) : 0;
        cache_value view;
        (void)snprintf(key, sizeof key, "%u", (unsigned)trace->ids[i]);
        bytes += size;
        if (cache_get(cache, key, &view) == CACHE_MISS) {
            misses++;
            missed += size;
            (void)cache_set(cache, key, value, size, CACHE_TTL_FOREVER);
        }
        cache_value_release(&view);
    }
    cache_close(cache);
    return (struct misses){ (double)misses / (double)trace->n, bytes > 0 ? (double)missed / (double)bytes : 0 };
}

static void run_all_made(void)
{
    struct trace trace;
    puts("made trace    LRU    libcache    with sizes: of requests, of bytes");
    for (int which = 0; trace_make(which, &trace) != 0; which++) {
        char url[64];
        (void)snprintf(url, sizeof url, "memory://?max_items=%zu", trace.room);
        const struct misses plain = run_made(&trace, url, false);
        const struct misses sized = run_made(&trace, "memory://?max_bytes=32mb", true);
        printf("%-10s %.4f %11.4f %27.4f %8.4f\n", trace.name, trace_lru(&trace), plain.requests, sized.requests,
               sized.bytes);
        trace_release(&trace);
    }
}

static double zipf_hits(size_t requests)
{
    size_t hits = 0;
    cache_t *cache = NULL;
    trace_zipf_begin(1000000, 0.99);
    if (cache_open("memory://?max_items=100000", &cache) != CACHE_OK)
        exit(1);
    for (size_t i = 0; i < requests; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%u", (unsigned)trace_zipf());
        const bool hit = cache_get_copy(cache, key, NULL, 0, NULL) != CACHE_MISS;
        hits += hit && i >= requests / 2;
        if (!hit)
            (void)cache_set(cache, key, NULL, 0, CACHE_TTL_FOREVER);
    }
    cache_close(cache);
    return (double)hits / (double)(requests - requests / 2);
}

static void run_zipf(void)
{
    puts("\nhits of Zipf 0.99 over a million keys, room for a tenth, by the requests");
    for (int i = 0; i < 4; i++) {
        static const size_t millions[] = { 4, 6, 8, 20 };
        printf("%zu million: %.4f\n", millions[i], zipf_hits(millions[i] * 1000000));
    }
}

int main(int argc, char **argv)
{
    static const char *const others[] = {
        "FIFO         0.9113    0.8476     0.8054      0.5365     0.3255",
        "LRU          0.9022    0.8379     0.8049      0.4953     0.2891",
        "SIEVE        0.8801    0.8291     0.7907      0.4039     0.2420",
        "W-TinyLFU    1.0000    0.8457     0.7771      0.3982     0.2380",
        "ARC          0.8767    0.8275     0.7728      0.4062     0.2430",
        "LIRS         0.8817    0.8314     0.7518      0.4059     0.2432",
        "2Q           0.8683    0.8305     0.7742      0.4192     0.2535",
        "S3-FIFO      0.8754    0.8304     0.7525      0.4026     0.2401",
    };
    run_all_made();
    run_zipf();
    if (argc < 2)
        return 0;
    puts("");
    puts("             cloud 49  cloud 490  cloud 4898  zipf 1000  zipf 8000");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        puts(others[i]);
    printf("libcache     ");
    for (size_t i = 0; i < RUNS; i++)
        printf("%.4f%s", replay(argv[1], runs[i].file, runs[i].items), i + 1 < RUNS ? "     " : "\n");
    return 0;
}
