/* expect: the result of load is a pointer, which cannot be stored */
#include <libcache/cache.h>

static cache_status load(int id, const char **out)
{
    *out = id > 0 ? "yes" : "no";
    return CACHE_OK;
}

CACHE_MEMOIZE(get, load, 60, const char *, (int, id))

int main(void)
{
    return 0;
}
