/* expect: libcache: get_name: something is missing before the arguments, such as the ttl */
#include <libcache/cache.h>

cache_status load_name(int id, char **out);

CACHE_MEMOIZE_STRING(get_name, load_name, (int, id))
