/* expect: libcache: get_price: the ttl must be seconds; the macros that end in _WITH take options */
#include <libcache/cache.h>

cache_status load_price(int id, double *out);

static const cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;

CACHE_MEMOIZE(get_price, load_price, &options, double, (int, id))
