/* expect: load must be: cache_status load(arguments..., double *out) */
#include <libcache/cache.h>

static cache_status load(int id, float *out)
{
    *out = (float)id;
    return CACHE_OK;
}

CACHE_MEMOIZE(get, load, 60, double, (int, id))

int main(void)
{
    return 0;
}
