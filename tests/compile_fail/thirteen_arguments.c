/* expect: libcache: get_sum: a memoized function has at most 12 arguments and tags */
#include <libcache/cache.h>

cache_status load_sum(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l, int m,
                      int *out);

CACHE_MEMOIZE(get_sum, load_sum, 60, int, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g),
              (int, h), (int, i), (int, j), (int, k), (int, l), (int, m))
