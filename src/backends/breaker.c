/* breaker.c - the circuit breaker of one server. */
#include "breaker.h"

#include "../hooks.h"

#include <stdio.h>

enum { TIMEOUTS_TO_BE_AWAY = 2 };

void cache_breaker_init(struct cache_breaker *breaker, const cache_env *env, const char *where, int64_t retry_after_ms,
                        int64_t timeout_ms)
{
    *breaker = (struct cache_breaker){ .env = env, .where = where, .retry_after_ms = retry_after_ms,
                                       .try_ms = timeout_ms > retry_after_ms ? timeout_ms : retry_after_ms };
    pthread_mutex_init(&breaker->lock, NULL);
}

void cache_breaker_release(struct cache_breaker *breaker)
{
    pthread_mutex_destroy(&breaker->lock);
}

static int64_t next_try(const struct cache_breaker *breaker, int64_t in_ms)
{
    const int64_t at = cache_env_monotonic_ms(breaker->env) + in_ms;
    return at != 0 ? at : 1;    /* 0 means that the server is in use */
}

static cache_status fail_at_once(struct cache_breaker *breaker)
{
    char reason[sizeof breaker->reason];
    atomic_fetch_add_explicit(&breaker->rejections, 1, memory_order_relaxed);
    pthread_mutex_lock(&breaker->lock);
    const cache_status status = breaker->status;
    (void)snprintf(reason, sizeof reason, "%s", breaker->reason);
    pthread_mutex_unlock(&breaker->lock);
    return cache_fail(status != CACHE_OK ? status : CACHE_ERR_CONNECT, "%s; left alone for %lld ms", reason,
                      (long long)breaker->retry_after_ms);
}

bool cache_breaker_is_away(struct cache_breaker *breaker)
{
    return atomic_load_explicit(&breaker->retry_at, memory_order_relaxed) != 0;
}

cache_status cache_breaker_try(struct cache_breaker *breaker, bool *trying)
{
    *trying = false;
    int64_t retry_at = atomic_load_explicit(&breaker->retry_at, memory_order_relaxed);
    if (retry_at == 0)
        return CACHE_OK;
    if (cache_env_monotonic_reached(breaker->env, retry_at)
        && atomic_compare_exchange_strong(&breaker->retry_at, &retry_at, next_try(breaker, breaker->try_ms))) {
        /* This caller probes. If it never reports back, another may probe once its time is up. */
        *trying = true;
        return CACHE_OK;
    }
    return fail_at_once(breaker);
}

static void trip(struct cache_breaker *breaker, cache_status status, bool at_once)
{
    const int64_t at = next_try(breaker, at_once ? 0 : breaker->retry_after_ms);
    pthread_mutex_lock(&breaker->lock);
    breaker->status = status;
    (void)snprintf(breaker->reason, sizeof breaker->reason, "%s", cache_last_error());
    pthread_mutex_unlock(&breaker->lock);
    if (atomic_exchange(&breaker->retry_at, at) != 0)
        return;
    if (at_once)
        cache_env_log(breaker->env, CACHE_LOG_WARN, "%s; another address is tried", cache_last_error());
    else
        cache_env_log(breaker->env, CACHE_LOG_WARN, "%s; left alone for %lld ms", cache_last_error(),
                      (long long)breaker->retry_after_ms);
}

void cache_breaker_trip(struct cache_breaker *breaker, cache_status status, bool at_once)
{
    atomic_store(&breaker->refuses, false);
    trip(breaker, status, at_once);
}

void cache_breaker_trip_refusing(struct cache_breaker *breaker, cache_status status)
{
    atomic_store(&breaker->refuses, true);
    trip(breaker, status, false);
}

bool cache_breaker_timed_out(struct cache_breaker *breaker)
{
    return atomic_fetch_add(&breaker->timeouts_in_a_row, 1) + 1 >= TIMEOUTS_TO_BE_AWAY;
}

void cache_breaker_forget(struct cache_breaker *breaker)
{
    atomic_store(&breaker->refuses, false);
    atomic_store(&breaker->retry_at, 0);
}

void cache_breaker_reset(struct cache_breaker *breaker)
{
    atomic_store(&breaker->refuses, false);
    if (atomic_exchange(&breaker->retry_at, 0) != 0)
        cache_env_log(breaker->env, CACHE_LOG_INFO, "%s: answers again", breaker->where);
}

void cache_breaker_answered(struct cache_breaker *breaker)
{
    if (atomic_load_explicit(&breaker->timeouts_in_a_row, memory_order_relaxed) != 0)
        atomic_store(&breaker->timeouts_in_a_row, 0);
    if (atomic_load_explicit(&breaker->retry_at, memory_order_relaxed) != 0 && !atomic_load(&breaker->refuses))
        cache_breaker_reset(breaker);
}

void cache_breaker_forked(struct cache_breaker *breaker)
{
    pthread_mutex_init(&breaker->lock, NULL);    /* the thread that held it is in the parent */
}
