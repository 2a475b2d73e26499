/* time_to_live.h - converts the seconds of the public API to the milliseconds of stores. */
#ifndef TIME_TO_LIVE_H
#define TIME_TO_LIVE_H

#include "api.h"

/* A longer time is for ever. 100 years keep a deadline in milliseconds, on any clock, far inside int64. */
#define CACHE_TTL_MAX_MS (INT64_C(100) * 366 * 24 * 3600 * 1000)

/* Check `ttl` and convert it to milliseconds, rounded up. 0 milliseconds mean for ever. CACHE_TTL_DEFAULT becomes
 * `default_ms`. */
cache_status cache_ttl_ms(double ttl, int64_t default_ms, int64_t *out);

/* Check a span of 0 or more seconds, and convert it to milliseconds, rounded up. `name` is its name in the message. */
cache_status cache_seconds_ms(double seconds, const char *name, int64_t *ms);

#endif
