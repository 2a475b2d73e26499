/* clash.c - a program whose own functions have names that a cache might use inside: it links, and the library calls
 * none of them. */
#include <libcache/cache.h>

#include <stdlib.h>

#define MINE(name)          \
    void name(void);        \
    void name(void)         \
    {                       \
        abort();            \
    }
MINE(ghost_add) MINE(ghost_take) MINE(ghost_release)
#ifndef GHOSTS_ALONE    /* all names of one object file: a linker may take the program's, and say nothing */
MINE(item_new) MINE(item_release) MINE(item_retain) MINE(shard_find) MINE(shard_insert)
MINE(shard_evict) MINE(wheel_add) MINE(memory_set) MINE(memory_remove) MINE(index_find) MINE(queue_push) MINE(hash)
MINE(pool_get) MINE(redis_get) MINE(entry_read) MINE(url_parse) MINE(fetch) MINE(lease_take) MINE(tag_add) MINE(sha256)
#endif

int main(void)
{
    cache_t *cache;
    cache_value value;
    if (cache_open("memory://?max_items=100", &cache) != CACHE_OK)
        return 1;
    char key[2] = "a";
    for (int i = 0; i < 2000; i++) {    /* with evictions, and keys that were evicted before */
        key[0] = (char)('!' + i % 90);
        if (cache_set_string(cache, key, "value", i % 3 == 0 ? 0.001 : 60) != CACHE_OK)
            return 1;
        if (cache_get(cache, key, &value) == CACHE_OK)
            cache_value_release(&value);
    }
    cache_clear(cache);
    cache_close(cache);
    return 0;
}
