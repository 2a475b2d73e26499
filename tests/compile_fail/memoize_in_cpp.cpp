/* expect: libcache: CACHE_MEMOIZE is C; in C++ use libcache::handle::fetch of <libcache/cache.hpp> */
#include <libcache/cache.h>

cache_status load_price(int id, double *out);

CACHE_MEMOIZE(get_price, load_price, 60, double, (int, id))
