/* Compiles: twelve in the list, of every kind. */
#include <libcache/cache.h>

struct pool;
enum color { RED, GREEN };

static cache_status load(signed char a, unsigned short b, long long c, float d, bool e, enum color f, char *g,
                         const char *h, struct pool *i, struct pool *j, double *out)
{
    *out = a + b + (double)c + (double)d + e + f + (g == h) + (i == j);
    return CACHE_OK;
}

CACHE_MEMOIZE(get, load, 60, double, (signed char, a), (unsigned short, b), (long long, c), (float, d), (bool, e),
              (enum color, f), (char *, g), (const char *, h), CACHE_IGNORE(struct pool *, i),
              CACHE_SHARED(struct pool *, j), CACHE_TAG("all"), CACHE_TAG("color:%d", (int)f))

int main(void)
{
    return 0;
}
