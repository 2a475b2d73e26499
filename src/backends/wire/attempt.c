/* attempt.c - prepares a connection, sends a batch, and decides what its outcome means for the server and for each
 * request. */
#include "attempt.h"

#include "slots.h"

#include "../../hooks.h"

#include <stdio.h>

enum {
    NANOSECONDS_IN_MS = 1000000,
    SHORT_PATIENCE_MS = 20,
    FAIR_SHARE = 8,                    /* a server that had less than this part of the usual time is not blamed */
    PATIENT_TRY = 128                  /* one of this many probes of a server that is down waits the whole timeout */
};

/* ---- the connection ---------------------------------------------------------------------------------------------- */

void cache_connection_close(struct cache_connection *connection)
{
    const struct cache_protocol *protocol = connection->server->config.protocol;
    if (connection->state != NULL && protocol->release != NULL)
        protocol->release(connection->state);
    connection->state = NULL;
    if (connection->connected)
        cache_wire_close(&connection->wire);
    connection->connected = false;
}

/* Returns how long a caller that probes a server that is down waits, since other callers may wait for its result. If
 * the server needed a certain time when it was well, some multiples of that are enough: if it hangs, waiting longer
 * does not help. */
static uint64_t patience_ns(struct cache_server *server)
{
    const uint64_t whole = (uint64_t)server->config.connect_timeout_ms * NANOSECONDS_IN_MS;
    const size_t n = cache_resolver_count(&server->resolver), each = n > 0 ? n : 1;
    const uint64_t usual = 4 * atomic_load(&server->connect_ns) * each;
    const uint64_t least = (uint64_t)SHORT_PATIENCE_MS * NANOSECONDS_IN_MS * each;
    if (usual == 0 || atomic_fetch_add(&server->failed_tries, 1) % PATIENT_TRY == PATIENT_TRY - 1)
        return whole;
    const uint64_t patience = usual > least ? usual : least;
    return patience < whole ? patience : whole;
}

static cache_status locate_and_connect(struct cache_server *server, struct cache_connection *connection,
                                       uint64_t deadline, bool *ours)
{
    const struct cache_server_config *config = &server->config;
    if (config->protocol->locate == NULL)
        return cache_wire_connect(&connection->wire, &server->resolver, config->tls, config->place.host, config->where,
                                  config->timeout_ms, deadline, ours);
    char host[256];
    struct cache_place place = { .host = host };
    struct cache_resolver resolver;
    cache_status status = config->protocol->locate(server, deadline, host, &place.port);
    *ours = status == CACHE_ERR_NOMEM || status == CACHE_ERR_IO;
    if (status != CACHE_OK)
        return status;
    cache_resolver_init(&resolver, &place, config->where);
    status = cache_wire_connect(&connection->wire, &resolver, config->tls, host, config->where, config->timeout_ms,
                                deadline, ours);
    cache_resolver_release(&resolver);
    return status;
}

static cache_status connect_and_greet(struct cache_connection *connection, uint64_t deadline, bool *ours)
{
    const struct cache_protocol *protocol = connection->server->config.protocol;
    cache_connection_close(connection);
    connection->once_more = false;
    cache_status status = locate_and_connect(connection->server, connection, deadline, ours);
    connection->connected = status == CACHE_OK;
    return status == CACHE_OK && protocol->greet != NULL ? protocol->greet(connection, connection->wire.ready_by)
                                                         : status;
}

/* It is repeated once, if the greeting asks for a new connection. */
static cache_status connect_and_greet_anew(struct cache_connection *connection, uint64_t deadline, bool *ours)
{
    const cache_status status = connect_and_greet(connection, deadline, ours);
    return status != CACHE_OK && connection->once_more ? connect_and_greet(connection, deadline, ours) : status;
}

cache_status cache_connection_open(struct cache_connection *connection, uint64_t deadline)
{
    bool ours = false;
    int cancel = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    const cache_status status = connect_and_greet_anew(connection, deadline, &ours);
    if (status != CACHE_OK)
        cache_connection_close(connection);
    (void)pthread_setcancelstate(cancel, NULL);
    return status;
}

/* At another address of the server. A password is no better there. */
static bool may_be_better_elsewhere(cache_status status)
{
    return status == CACHE_ERR_CONNECT || status == CACHE_ERR_TIMEOUT || status == CACHE_ERR_PROTOCOL;
}

/* A request that waited long for something else, or was at another server before, may leave so little time that even a
 * server that is well cannot answer. */
static bool had_time(const struct cache_server *server, uint64_t begun, uint64_t deadline, int64_t usual_ms)
{
    const int64_t ms = usual_ms < server->config.timeout_ms ? usual_ms : server->config.timeout_ms;
    return deadline >= begun + (uint64_t)ms * NANOSECONDS_IN_MS / FAIR_SHARE;
}

/* Nothing is sent for a request whose time is over: it could only come too late. */
static cache_status out_of_time(const struct cache_attempt *attempt)
{
    const struct cache_server_config *config = &attempt->server->config;
    atomic_fetch_add_explicit(&config->counters->timeouts, 1, memory_order_relaxed);
    return cache_fail(CACHE_ERR_TIMEOUT, "%s: the %lld ms were over before the request was sent", config->where,
                      (long long)config->timeout_ms);
}

static cache_status connect_anew(struct cache_attempt *attempt)
{
    struct cache_server *server = attempt->server;
    struct cache_connection *connection = attempt->connection;
    const unsigned epoch = atomic_load(&server->epoch);
    const uint64_t begun = cache_now_ns();
    const uint64_t latest = begun + (attempt->trying ? patience_ns(server)
                                                     : (uint64_t)server->config.connect_timeout_ms * NANOSECONDS_IN_MS);
    const uint64_t deadline = latest < attempt->own->deadline ? latest : attempt->own->deadline;
    const bool fair = attempt->trying || had_time(server, begun, deadline, server->config.connect_timeout_ms);
    bool ours = false, others = false;
    cache_status status;
    if (begun >= deadline)
        return out_of_time(attempt);
    do {
        status = connect_and_greet_anew(connection, deadline, &ours);
        ours = ours || (status == CACHE_ERR_TIMEOUT && !fair);
        others = status != CACHE_OK && !ours && may_be_better_elsewhere(status) &&
                 cache_resolver_leave_alone(&server->resolver, &connection->wire.address);
    } while (others && cache_now_ns() < deadline);
    if (status != CACHE_OK) {
        cache_connection_close(connection);
        if (status == CACHE_ERR_TIMEOUT)
            atomic_fetch_add_explicit(&server->config.counters->timeouts, 1, memory_order_relaxed);
        if (!ours && status != CACHE_ERR_NOMEM) {
            cache_breaker_trip(&server->breaker, status, others);
            cache_resolver_doubt(&server->resolver);
        }
        return status;
    }
    atomic_store(&server->connect_ns, cache_now_ns() - begun);
    atomic_store(&server->failed_tries, 0);
    if (connection->used)
        atomic_fetch_add_explicit(&server->config.counters->reconnects, 1, memory_order_relaxed);
    connection->used = true;
    connection->epoch = epoch;
    return CACHE_OK;
}

/* Returns true if the server has not closed the connection. If it has, it may have moved, so the name is looked up
 * before the next connection. */
static bool is_quiet(struct cache_connection *connection)
{
    const bool quiet = cache_wire_is_quiet(&connection->wire);
    if (!quiet)
        cache_resolver_doubt(&connection->server->resolver);
    return quiet;
}

void cache_server_distrust(struct cache_server *server)
{
    atomic_fetch_add(&server->epoch, 1);
}

bool cache_connection_is_good(struct cache_connection *connection)
{
    struct cache_server *server = connection->server;
    return connection->connected && connection->epoch == atomic_load(&server->epoch) && is_quiet(connection) &&
           (server->config.protocol->locate != NULL ||
            cache_resolver_still_has(&server->resolver, &connection->wire.address, &connection->wire.version));
}

static cache_status make_ready(struct cache_attempt *attempt)
{
    if (attempt->connection->connected && (attempt->trying || !cache_connection_is_good(attempt->connection)))
        cache_connection_close(attempt->connection);
    attempt->was_idle = attempt->connection->connected;
    return attempt->was_idle ? CACHE_OK : connect_anew(attempt);
}

static void begin_batch(struct cache_attempt *attempt, uint64_t now, uint64_t deadline)
{
    attempt->begun = now;
    attempt->batch = (struct cache_batch){ .connection = attempt->connection, .first = attempt->own,
                                           .deadline = deadline, .marked = true };
    cache_batch_begin(&attempt->batch);
}

/* ---- the outcome ------------------------------------------------------------------------------------------------- */

/* The server does not answer at the address of this connection. */
static void trip(struct cache_attempt *attempt)
{
    struct cache_server *server = attempt->server;
    const bool others = cache_resolver_leave_alone(&server->resolver, &attempt->connection->wire.address);
    if (others)
        cache_server_distrust(server);    /* the other connections lead there, too */
    cache_breaker_trip(&server->breaker, CACHE_ERR_TIMEOUT, others);
}

static void note_server_outcome(struct cache_attempt *attempt)
{
    struct cache_server *server = attempt->server;
    const struct cache_batch *batch = &attempt->batch;
    if (batch->status == CACHE_OK) {
        cache_breaker_answered(&server->breaker);
        cache_resolver_answered(&server->resolver);
    } else if (batch->status == CACHE_ERR_TIMEOUT) {
        cache_resolver_doubt(&server->resolver);
        if (had_time(server, attempt->begun, batch->deadline, server->config.timeout_ms) &&
            cache_breaker_timed_out(&server->breaker))
            trip(attempt);
    }
    if (attempt->was_idle && batch->status == CACHE_ERR_CONNECT) {
        cache_server_distrust(server);    /* the other connections lead to the same place */
        cache_resolver_doubt(&server->resolver);
    }
}

/* Returns true if a second copy of the request does no harm. To close a connection does not take back what the server
 * has received: it may do it after the second copy, and after later changes. */
static bool may_be_repeated(const struct cache_batch *batch, const struct cache_exchange *exchange)
{
    if (exchange->stage == CACHE_EXCHANGE_NEW)
        return true;
    return exchange->repeatable && (!exchange->overwrites || batch->status == CACHE_ERR_CONNECT);
}

/* Returns true if the request, which failed with the batch, may be sent again. */
static bool may_go_again(const struct cache_attempt *attempt, const struct cache_exchange *exchange, uint64_t now)
{
    const struct cache_batch *batch = &attempt->batch;
    if (exchange->again || now >= exchange->deadline || !may_be_repeated(batch, exchange))
        return false;
    if (exchange != batch->culprit)
        return true;
    return attempt->was_idle && batch->status == CACHE_ERR_CONNECT;
}

static void set_failure(const struct cache_attempt *attempt, struct cache_exchange *exchange, const char *message,
                        uint64_t now)
{
    const struct cache_batch *batch = &attempt->batch;
    const char *where = attempt->server->config.where;
    exchange->status = batch->status;
    if (now >= exchange->deadline) {
        exchange->status = CACHE_ERR_TIMEOUT;
        (void)snprintf(exchange->message, sizeof exchange->message, "%.150s: no answer within %lld ms", where,
                       (long long)attempt->server->config.timeout_ms);
    } else if (exchange == batch->culprit || batch->culprit == NULL)
        (void)snprintf(exchange->message, sizeof exchange->message, "%s", message);
    else {
        exchange->status = CACHE_ERR_CONNECT;
        (void)snprintf(exchange->message, sizeof exchange->message,
                       "%.150s: a request before it on the connection got no answer", where);
    }
    if (exchange->status == CACHE_ERR_TIMEOUT)
        atomic_fetch_add_explicit(&attempt->server->config.counters->timeouts, 1, memory_order_relaxed);
}

/* Applies the outcome of the batch to one request. Returns true if the request must be sent again. */
static bool apply_outcome(const struct cache_attempt *attempt, struct cache_exchange *exchange, const char *message,
                          uint64_t now)
{
    const struct cache_batch *batch = &attempt->batch;
    if (exchange->stage == CACHE_EXCHANGE_TAKEN && !batch->unsure) {
        exchange->status = CACHE_OK;
        return false;
    }
    const bool again = may_go_again(attempt, exchange, now);
    if (again) {
        exchange->again = true;
        exchange->stage = CACHE_EXCHANGE_NEW;
        if (exchange->restart != NULL)
            exchange->restart(exchange);
    } else
        set_failure(attempt, exchange, message, now);
    return again;
}

/* Returns true if it is time to look the name up. The next leader does that, since here the callers of a batch that is
 * done wait. */
static bool may_wait_for_name(struct cache_server *server)
{
    return server->config.protocol->locate == NULL && cache_resolver_is_due(&server->resolver);
}

/* Sends the next batch for a caller that waits, so that the server works on it while the callers of this one wake. That
 * caller leads it afterwards. Returns NULL if none waits, or if the connection cannot be used. */
static struct cache_exchange *send_next(const struct cache_attempt *attempt)
{
    struct cache_server *server = attempt->server;
    uint64_t deadline = 0;
    if (attempt->own->alone || !cache_slots_has_next(server) || may_wait_for_name(server) ||
        !cache_connection_is_good(attempt->connection))
        return NULL;
    const uint64_t now = cache_now_ns();
    struct cache_exchange *next = cache_slots_next(server, now, &deadline);
    if (next == NULL)
        return NULL;
    *next->attempt = (struct cache_attempt){ .server = server, .connection = attempt->connection, .own = next,
                                             .was_idle = true };
    begin_batch(next->attempt, now, deadline);
    (void)cache_batch_send_some(&next->attempt->batch);    /* reading the reply meets the same failure */
    next->begun = true;
    return next;
}

/* Applies the outcome to all requests of the batch. Passes the slot on, and then wakes the callers whose requests are
 * done. Returns true if the own request must be sent again. */
static bool finish(struct cache_attempt *attempt, int slot)
{
    struct cache_server *server = attempt->server;
    const uint64_t now = attempt->batch.status != CACHE_OK ? cache_now_ns() : 0;
    struct cache_exchange *done = NULL, *again = NULL, *next = attempt->own->next;
    char message[sizeof attempt->own->message] = "";
    if (attempt->batch.status != CACHE_OK)
        (void)snprintf(message, sizeof message, "%s", cache_last_error());
    const bool own_again = apply_outcome(attempt, attempt->own, message, now);
    struct cache_exchange **end = &done;
    for (struct cache_exchange *exchange = next; exchange != NULL; exchange = next) {
        next = exchange->next;
        struct cache_exchange **list = apply_outcome(attempt, exchange, message, now) ? &again : NULL;
        exchange->next = list != NULL ? *list : NULL;
        if (list != NULL)
            *list = exchange;
        else {
            *end = exchange;
            end = &exchange->next;
        }
    }
    if (again != NULL)
        cache_slots_return(server, again);
    struct cache_exchange *leader = attempt->batch.lost ? NULL : send_next(attempt);
    if (leader == NULL)
        cache_slots_give_back(server, slot, attempt->own);
    for (; done != NULL; done = next) {
        next = done->next;
        cache_slots_finish(done);
    }
    if (leader != NULL)
        cache_slots_pass_on(leader, slot);
    return own_again;
}

bool cache_attempt_run(struct cache_attempt *attempt, int slot)
{
    cache_batch_run(&attempt->batch);
    note_server_outcome(attempt);
    if (attempt->batch.lost)
        cache_connection_close(attempt->connection);    /* a late reply on it must reach no other request */
    return finish(attempt, slot);
}

bool cache_attempt_lead(struct cache_attempt *attempt, int slot)
{
    struct cache_exchange *own = attempt->own;
    own->status = make_ready(attempt);
    const uint64_t now = cache_now_ns();
    if (own->status == CACHE_OK && now >= own->deadline)
        own->status = out_of_time(attempt);
    if (own->status != CACHE_OK) {
        (void)snprintf(own->message, sizeof own->message, "%s", cache_last_error());
        cache_slots_give_back(attempt->server, slot, own);
        return false;
    }
    begin_batch(attempt, now, cache_slots_gather(attempt->server, own, now));
    return cache_attempt_run(attempt, slot);
}

