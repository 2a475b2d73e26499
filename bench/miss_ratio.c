/* miss_ratio - how often real request sequences miss, beside other policies.
 *
 *     miss_ratio DIRECTORY      with cloudphysics.txt.gz and zipf1.0-100k.txt.gz: an object's id a line
 *
 * Each request is a cache_get and, on a miss, a cache_set, on memory://?max_items=N. The other rows were measured with
 * libCacheSim on the same traces: objects of size 1, cold start. */
#include <libcache/cache.h>

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
    if (argc != 2) {
        fprintf(stderr, "usage: miss_ratio DIRECTORY\n");
        return 2;
    }
    puts("             cloud 49  cloud 490  cloud 4898  zipf 1000  zipf 8000");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        puts(others[i]);
    printf("libcache     ");
    for (size_t i = 0; i < RUNS; i++)
        printf("%.4f%s", replay(argv[1], runs[i].file, runs[i].items), i + 1 < RUNS ? "     " : "\n");
    return 0;
}
