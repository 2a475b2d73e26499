/* expect: libcache: get_price: something is missing before the arguments, such as the ttl */
#include <libcache/cache.h>

cache_status load_price(int id, double *out);

CACHE_MEMOIZE(get_price, load_price, double, (int, id))
