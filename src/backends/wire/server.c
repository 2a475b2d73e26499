/* server.c - opens and closes a server, and calls it. */
#include "attempt.h"
#include "slots.h"

#include "../../hooks.h"
#include "../../probes.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DONE = -2, NANOSECONDS_IN_MS = 1000000 };    /* DONE replaces a slot */

/* ---- the server's life ------------------------------------------------------------------------------------------- */

cache_status cache_server_init(struct cache_server *server, const struct cache_server_config *config)
{
    const size_t n = (size_t)config->pool;
    *server = (struct cache_server){ .config = *config };
    server->last = &server->first;
    pthread_mutex_init(&server->lock, NULL);
    cache_fork_guard_init(&server->fork_guard);
    cache_breaker_init(&server->breaker, config->env, config->where, config->retry_after_ms, config->timeout_ms);
    cache_resolver_init(&server->resolver, &server->config.place, config->where);
    server->connections = cache_env_alloc(config->env, n * sizeof *server->connections);
    server->busy = cache_env_alloc(config->env, n * sizeof *server->busy);
    for (size_t i = 0; server->connections != NULL && i < n; i++)
        server->connections[i] = (struct cache_connection){ .server = server, .wire = { .fd = -1 } };
    if (server->connections == NULL || server->busy == NULL) {
        cache_server_release(server);
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", config->where);
    }
    memset(server->busy, 0, n * sizeof *server->busy);
    return CACHE_OK;
}

/* Called in a forked child. A connection that another thread used during the fork is in an unknown state, so its memory
 * is never touched again. All others are closed without sending a byte. This does not affect the parent, which has its
 * own descriptors. */
static void forked(void *ctx)
{
    struct cache_server *server = ctx;
    for (int i = 0; i < server->config.pool; i++) {
        struct cache_connection *connection = &server->connections[i];
        if (!server->busy[i])
            cache_connection_close(connection);
        else if (connection->wire.fd >= 0)
            close(connection->wire.fd);
        *connection = (struct cache_connection){ .server = server, .wire = { .fd = -1 } };
        server->busy[i] = false;
    }
    server->n_busy = server->n_gathering = 0;
    atomic_store(&server->n_callers, 0);
    pthread_mutex_init(&server->lock, NULL);
    server->first = NULL;
    server->last = &server->first;
    server->n_waiting = 0;
    cache_breaker_forked(&server->breaker);
    cache_resolver_forked(&server->resolver);
}

void cache_server_release(struct cache_server *server)
{
    cache_fork_guard_check(&server->fork_guard, forked, server);
    for (int i = 0; server->connections != NULL && i < server->config.pool; i++)
        cache_connection_close(&server->connections[i]);
    cache_env_free(server->config.env, server->connections);
    cache_env_free(server->config.env, server->busy);
    cache_resolver_release(&server->resolver);
    cache_breaker_release(&server->breaker);
    pthread_mutex_destroy(&server->lock);
}

uint64_t cache_server_deadline(const struct cache_server *server)
{
    return cache_now_ns() + (uint64_t)server->config.timeout_ms * NANOSECONDS_IN_MS;
}

void cache_server_trip(struct cache_server *server, cache_status status)
{
    cache_breaker_trip_refusing(&server->breaker, status);
}

void cache_server_serves(struct cache_server *server)
{
    if (cache_server_is_away(server))
        cache_breaker_reset(&server->breaker);
}

void cache_server_forgive(struct cache_server *server)
{
    if (cache_server_is_away(server))
        cache_breaker_forget(&server->breaker);
}

bool cache_server_is_away(struct cache_server *server)
{
    return cache_breaker_is_away(&server->breaker);
}

void cache_server_count(const struct cache_server *server, cache_counters *out)
{
    out->rejections += atomic_load_explicit(&server->breaker.rejections, memory_order_relaxed);
}

/* ---- a call ------------------------------------------------------------------------------------------------------ */

static size_t size_of(const struct cache_exchange *exchange)
{
    size_t size = 0;
    for (int i = 0; i < exchange->n_parts; i++)
        size += exchange->parts[i].iov_len;
    return size;
}

static void prepare(struct cache_exchange *exchange, const char *where, uint64_t deadline)
{
    exchange->where = where;
    exchange->deadline = deadline;
    exchange->stage = CACHE_EXCHANGE_NEW;
    exchange->again = false;
    exchange->next = NULL;
    exchange->waiter = NULL;
    exchange->size = size_of(exchange);
    exchange->alone = exchange->alone || exchange->size > CACHE_MAX_GATHERED;
    CACHE_PROBE3(request__begin, exchange, where, exchange->size);
}

/* Returns CACHE_OK, or a failure if the server is down. Sets `*trying` if this caller must probe whether it still
 * is. */
static cache_status check(struct cache_server *server, struct cache_exchange *exchange, bool *trying)
{
    const cache_status status = cache_breaker_try(&server->breaker, trying);
    exchange->status = status;
    if (status != CACHE_OK)
        (void)snprintf(exchange->message, sizeof exchange->message, "%s", cache_last_error());
    return status;
}

static void call(struct cache_server *server, struct cache_exchange *exchange)
{
    struct cache_attempt attempt;
    bool trying = false, again = true;
    int slot;
    exchange->attempt = &attempt;
    atomic_fetch_add_explicit(&server->n_callers, !exchange->alone, memory_order_relaxed);
    while (again && check(server, exchange, &trying) == CACHE_OK &&
           (slot = cache_slots_take(server, exchange)) >= 0) {
        if (!exchange->begun)
            attempt = (struct cache_attempt){ .server = server, .connection = &server->connections[slot],
                                              .own = exchange, .trying = trying };
        again = exchange->begun ? cache_attempt_run(&attempt, slot) : cache_attempt_lead(&attempt, slot);
    }
    exchange->attempt = NULL;
    atomic_fetch_sub_explicit(&server->n_callers, !exchange->alone, memory_order_relaxed);
}

cache_status cache_server_call(struct cache_server *server, struct cache_exchange *exchange, uint64_t deadline)
{
    int cancel = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    cache_fork_guard_check(&server->fork_guard, forked, server);
    prepare(exchange, server->config.where, deadline);
    call(server, exchange);
    CACHE_PROBE3(request__end, exchange, exchange->where, exchange->status);
    (void)pthread_setcancelstate(cancel, &cancel);
    return exchange->status == CACHE_OK ? CACHE_OK : cache_fail(exchange->status, "%s", exchange->message);
}

cache_status cache_connection_call(struct cache_connection *connection, struct cache_exchange *exchange,
                                   uint64_t deadline)
{
    prepare(exchange, connection->wire.where, deadline);
    struct cache_batch batch = { .connection = connection, .first = exchange, .deadline = deadline };
    int cancel = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    cache_batch_begin(&batch);
    cache_batch_run(&batch);
    (void)pthread_setcancelstate(cancel, NULL);
    CACHE_PROBE3(request__end, exchange, exchange->where, batch.status);
    if (batch.status == CACHE_OK && batch.lost)
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: received more replies than were requested",
                          connection->wire.where);
    return batch.status;
}

/* ---- several servers at once ------------------------------------------------------------------------------------- */

/* Sends on an idle connection without waiting. Returns false if there is none. */
static bool send_at_once(struct cache_server_call *call, struct cache_attempt *attempt)
{
    struct cache_server *server = call->server;
    if (cache_breaker_is_away(&server->breaker))
        return false;
    call->slot = cache_slots_take_idle(server, call->exchange);
    if (call->slot < 0)
        return false;
    *attempt = (struct cache_attempt){ .server = server, .connection = &server->connections[call->slot],
                                 .own = call->exchange, .was_idle = true };
    const bool good = cache_connection_is_good(attempt->connection);
    attempt->begun = cache_now_ns();
    if (!good || attempt->begun >= call->exchange->deadline) {
        cache_slots_give_back(server, call->slot, call->exchange);
        return false;
    }
    attempt->batch = (struct cache_batch){ .connection = attempt->connection, .first = call->exchange,
                                           .deadline = call->exchange->deadline, .marked = true };
    cache_batch_begin(&attempt->batch);
    (void)cache_batch_send_some(&attempt->batch);    /* reading the reply meets the same failure */
    return true;
}

static cache_status gather_outcomes(struct cache_server_call calls[], size_t n)
{
    size_t failed = n;
    for (size_t i = n; i-- > 0;) {
        calls[i].status = calls[i].exchange->status;
        CACHE_PROBE3(request__end, calls[i].exchange, calls[i].exchange->where, calls[i].status);
        if (calls[i].status != CACHE_OK)
            failed = i;
    }
    return failed == n ? CACHE_OK : cache_fail(calls[failed].status, "%s", calls[failed].exchange->message);
}

/* Requests that could not be sent at once, for lack of a connection or memory, follow one by one. So no caller holds
 * one connection while it waits for another, which could be a deadlock. */
static void call_all(struct cache_server_call calls[], size_t n)
{
    const cache_env *env = calls[0].server->config.env;
    struct cache_attempt *attempts = n > 1 ? cache_env_alloc(env, n * sizeof *attempts) : NULL;
    for (size_t i = 0; i < n; i++)
        if (attempts == NULL || !send_at_once(&calls[i], &attempts[i]))
            calls[i].slot = -1;
    for (size_t i = 0; i < n; i++)
        if (calls[i].slot >= 0 && cache_attempt_run(&attempts[i], calls[i].slot))
            calls[i].slot = -1;
        else if (calls[i].slot >= 0)
            calls[i].slot = DONE;
    for (size_t i = 0; i < n; i++)
        if (calls[i].slot != DONE)
            call(calls[i].server, calls[i].exchange);
    cache_env_free(env, attempts);
}

cache_status cache_server_call_all(struct cache_server_call calls[], size_t n, uint64_t deadline)
{
    int cancel = 0;
    if (n == 0)
        return CACHE_OK;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    for (size_t i = 0; i < n; i++) {
        cache_fork_guard_check(&calls[i].server->fork_guard, forked, calls[i].server);
        prepare(calls[i].exchange, calls[i].server->config.where, deadline);
    }
    call_all(calls, n);
    (void)pthread_setcancelstate(cancel, &cancel);
    return gather_outcomes(calls, n);
}
