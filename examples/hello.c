/* hello.c - the ten-line program: open a cache, put a text in it, get it back. */
#include <libcache/cache.h>

#include <stdio.h>

int main(void)
{
    cache_t *cache;
    cache_value value;
    if (cache_open("memory://?max_bytes=64mb", &cache) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        return 1;
    }
    cache_set_string(cache, "greeting", "hello, cache", 60);
    if (cache_get(cache, "greeting", &value) == CACHE_OK)
        puts(value.data);
    cache_value_release(&value);
    cache_close(cache);
    return 0;
}
