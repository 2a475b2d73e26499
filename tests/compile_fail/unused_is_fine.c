/* Compiles: all that the macros define may stay unused. */
#include <libcache/cache.h>

static cache_status load(int id, const char *text, double *out)
{
    *out = id + (text != NULL);
    return CACHE_OK;
}

CACHE_MEMOIZE(get, load, 60, double, (int, id), (const char *, text))

int main(void)
{
    return 0;
}
