/* expect: libcache: the name and vary parts of a fragment must be strings, but id is not */
#include <libcache/cache.h>

void write_post(cache_t *cache, cache_writer *out, int id)
{
    CACHE_FRAGMENT(cache, out, 60, "post", id)
    {
        cache_writer_printf(out, "%d", id);
    }
}
