/* program.c - somebody's program, in what C11 and C++11 have in common: it fetches a value twice and computes it
 * once. */
#include <libcache/backend.h>
#include <libcache/cache.h>

#include <stdio.h>
#include <string.h>

static cache_status compute(void *ctx, cache_writer *out)
{
    ++*(int *)ctx;
    return cache_writer_append(out, "computed", 8);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "memory://?max_bytes=1mb";
    cache_t *cache = NULL;
    if (cache_open(url, &cache) != CACHE_OK) {
        fprintf(stderr, "%s: %s\n", url, cache_last_error());
        return 1;
    }
    int computed = 0, wrong = 0;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = 60;
    for (int i = 0; i < 2; i++) {
        cache_value value;
        if (cache_fetch(cache, "key", &options, compute, &computed, &value) != CACHE_OK || value.size != 8 ||
            memcmp(value.data, "computed", 8) != 0)
            wrong = 1;
        cache_value_release(&value);
    }
    cache_clear(cache);
    cache_close(cache);
    if (computed != 1 || wrong || strcmp(cache_version(), CACHE_VERSION) != 0) {
        fprintf(stderr, "computed %d times, with libcache %s and headers %s\n", computed, cache_version(),
                CACHE_VERSION);
        return 1;
    }
    return 0;
}
