/* time_to_live.c - converts the seconds of the public API to the milliseconds of stores. */
#include "time_to_live.h"

#include <math.h>

cache_status cache_ttl_ms(double ttl, int64_t default_ms, int64_t *out)
{
    if (ttl == CACHE_TTL_DEFAULT) {
        *out = default_ms;
        return CACHE_OK;
    }
    if (ttl == CACHE_TTL_FOREVER) {
        *out = 0;
        return CACHE_OK;
    }
    if (isnan(ttl) || isinf(ttl) || ttl < 0)
        return cache_fail(CACHE_ERR_INVALID,
                          "ttl must be CACHE_TTL_DEFAULT, CACHE_TTL_FOREVER or seconds above 0, not %g", ttl);
    if (ttl * 1000 >= (double)CACHE_TTL_MAX_MS)
        *out = 0;
    else {
        const int64_t whole = (int64_t)(ttl * 1000);
        /* 0.01 s is 10.000000000000000208 ms. Such an error of floating point must not be rounded up to 11. */
        *out = ttl * 1000 - (double)whole > 1e-6 ? whole + 1 : whole;
        if (*out == 0)
            *out = 1;
    }
    return CACHE_OK;
}

cache_status cache_seconds_ms(double seconds, const char *name, int64_t *ms)
{
    if (isnan(seconds) || isinf(seconds) || seconds < 0)
        return cache_fail(CACHE_ERR_INVALID, "%s must be 0 or more seconds, not %g", name, seconds);
    *ms = seconds * 1000 >= (double)CACHE_TTL_MAX_MS ? CACHE_TTL_MAX_MS : (int64_t)ceil(seconds * 1000);
    return CACHE_OK;
}
