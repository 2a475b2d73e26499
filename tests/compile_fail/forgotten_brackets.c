/* expect: libcache: get_price: write each argument in brackets with its type: (int, id) */
#include <libcache/cache.h>

cache_status load_price(int id, double *out);

CACHE_MEMOIZE(get_price, load_price, 60, double, int id)
