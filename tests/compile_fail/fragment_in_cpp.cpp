/* expect: libcache: CACHE_FRAGMENT is C; in C++ use cache_fragment_begin and cache_fragment_end */
#include <libcache/cache.h>

void write_part(cache_t *cache, cache_writer *out)
{
    CACHE_FRAGMENT(cache, out, 60, "part")
    {
        cache_writer_puts(out, "text");
    }
}
