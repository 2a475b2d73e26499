#include <libcache/cache.h>

cache_status load_sum(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l, int *out);
cache_status load_name(int id, char **out);

#define MINUTE 60

CACHE_MEMOIZE(get_sum, load_sum, 60, int, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g),
              (int, h), (int, i), (int, j), (int, k), (int, l))
CACHE_MEMOIZE_STRING(get_name, load_name, (5 * MINUTE), (int, id))

void write_parts(cache_t *cache, cache_writer *out, char *text, const char *const parts[3])
{
    CACHE_FRAGMENT(cache, out, 60, "1", text, parts[0], NULL, "5", "6", "7", "8", "9", "10", "11", "12", "13", "14",
                   "15", "16")
    {
        cache_writer_puts(out, "text");
    }
}
