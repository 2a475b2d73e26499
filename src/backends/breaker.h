/* breaker.h - a circuit breaker: a server that is down costs its callers microseconds, not a timeout each.
 *
 * After a failure to connect, or two timeouts in a row, every call fails at once for `retry_after`. Then one caller
 * probes the server. Until the probe ends, all others still fail at once. */
#ifndef BREAKER_H
#define BREAKER_H

#include "../api.h"

#include <pthread.h>
#include <stdatomic.h>

struct cache_breaker {
    const cache_env *env;
    const char *where;                 /* "redis 127.0.0.1:6379", for messages */
    int64_t retry_after_ms, try_ms;    /* the longest time of one probe, or retry_after if that is longer */
    _Atomic int64_t retry_at;          /* of the monotonic clock; 0: the server is in use */
    atomic_bool refuses;               /* it answers, but serves nobody, so an answer alone does not mean that it is
                                        * well again */
    atomic_int timeouts_in_a_row;
    _Atomic uint64_t rejections;       /* callers that failed at once */
    pthread_mutex_t lock;              /* guards the rest, which says why the server is down */
    cache_status status;
    char reason[256];
};

/* `where` must outlive the breaker. `timeout_ms` is the longest time of a call. */
void cache_breaker_init(struct cache_breaker *breaker, const cache_env *env, const char *where, int64_t retry_after_ms,
                        int64_t timeout_ms);
void cache_breaker_release(struct cache_breaker *breaker);

/* Returns CACHE_OK if the caller may use the server. Else returns the failure that made it count as down, which is also
 * this thread's last error. Sets `*trying` if the server counts as down and this caller probes it. */
cache_status cache_breaker_try(struct cache_breaker *breaker, bool *trying);

/* Returns true if the server counts as down. */
bool cache_breaker_is_away(struct cache_breaker *breaker);

/* Call this if the server could not be reached. It then counts as down; this thread's last error is the reason. With
 * `at_once` the next caller probes it, since it has another address; else nobody does for retry_after. */
void cache_breaker_trip(struct cache_breaker *breaker, cache_status status, bool at_once);

/* Call this if the server did not answer in time. One timeout may be a slow answer. From the second in a row on it
 * returns true, and the caller must trip the breaker. */
bool cache_breaker_timed_out(struct cache_breaker *breaker);

/* The same if the server answers, but refuses everything. After retry_after one caller probes it; it counts as down
 * until cache_breaker_reset or cache_breaker_forget. */
void cache_breaker_trip_refusing(struct cache_breaker *breaker, cache_status status);

/* Call this if the server answered. It then is in use again, unless it refuses everything. */
void cache_breaker_answered(struct cache_breaker *breaker);

/* Call this if the server is well. cache_breaker_forget does the same without a line in the log, for a server of which
 * nothing was known for long. */
void cache_breaker_reset(struct cache_breaker *breaker);
void cache_breaker_forget(struct cache_breaker *breaker);

/* Call this in a forked child. */
void cache_breaker_forked(struct cache_breaker *breaker);

#endif
