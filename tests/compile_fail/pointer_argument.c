/* expect: an argument of a memoized function must be a number, a bool or a string */
#include <libcache/cache.h>

struct point {
    int x, y;
};

static cache_status load(struct point *at, double *out)
{
    *out = at->x;
    return CACHE_OK;
}

CACHE_MEMOIZE(get, load, 60, double, (struct point *, at))

int main(void)
{
    return 0;
}
