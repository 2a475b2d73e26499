/* breaker.h - a circuit breaker: a server that is away costs its callers microseconds, not a timeout each.
 *
 * After a failure to connect, or two timeouts in a row, every call fails at once for `retry_after`; then one caller
 * tries, while the others still fail at once: as long as that one is at it. */
#ifndef BREAKER_H
#define BREAKER_H

#include "../api.h"

#include <pthread.h>
#include <stdatomic.h>

struct cache_breaker {
    const cache_env *env;
    const char *where;                 /* "redis 127.0.0.1:6379", for messages */
    int64_t retry_after_ms, try_ms;    /* the longest that one try may take, or retry_after if that is longer */
    _Atomic int64_t retry_at;          /* of the monotonic clock; 0: the server is in use */
    atomic_int timeouts_in_a_row;
    _Atomic uint64_t rejections;       /* callers that failed at once */
    pthread_mutex_t lock;              /* of what follows: why it is away */
    cache_status status;
    char reason[256];
};

/* `where` must outlive the breaker; `timeout_ms` is the longest that a call may take. */
void cache_breaker_init(struct cache_breaker *breaker, const cache_env *env, const char *where, int64_t retry_after_ms,
                        int64_t timeout_ms);
void cache_breaker_release(struct cache_breaker *breaker);

/* CACHE_OK: the caller may try. Else the failure that made the server count as away, as this thread's last error.
 * `*trying`: it counts as away, and this caller is the one that tries it. */
cache_status cache_breaker_try(struct cache_breaker *breaker, bool *trying);

/* It counts as away. */
bool cache_breaker_is_away(struct cache_breaker *breaker);

/* It could not be reached: away, for the reason that is this thread's last error. `at_once`: the next caller tries it,
 * since it has another address; else nobody does for retry_after. */
void cache_breaker_trip(struct cache_breaker *breaker, cache_status status, bool at_once);

/* It did not answer in time. One may be a slow answer. Returns true from the second in a row on: trip it. */
bool cache_breaker_timed_out(struct cache_breaker *breaker);

/* It answered. */
void cache_breaker_reset(struct cache_breaker *breaker);

/* In the child of a fork. */
void cache_breaker_forked(struct cache_breaker *breaker);

#endif
