/* expect: libcache: this list has at most 16 elements */
#include <libcache/cache.h>

void write_parts(cache_t *cache, cache_writer *out)
{
    CACHE_FRAGMENT(cache, out, 60, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15",
                   "16", "17")
    {
        cache_writer_puts(out, "text");
    }
}
