/* server.c - one server: who uses which connection, and what the outcome of a batch means for its requests. */
#include "batch.h"
#include "turn.h"

#include "../../hooks.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    DONE = -2,                         /* in place of a slot */
    NANOSECONDS_IN_MS = 1000000,
    MAX_WAITING = 1024,
    MAX_BATCH_BYTES = 256 * 1024,
    SHORT_PATIENCE_MS = 20,
    CROWD = 8,                         /* callers that are worth a wait for the next batch */
    LEAST_PATIENCE_NS = 1000000,       /* of one who waits for a batch, though a connection is idle */
    PATIENT_TRY = 128                  /* one try in so many to reach a server that is away waits the whole time */
};

/* One caller that waits for a connection, or for another to do its request. What it is told: */
enum { FINISHED = 1, LEADS = 2 };      /* LEADS + the slot of the connection */

struct cache_waiter {
    struct cache_turn turn;
};

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
    if (server->connections == NULL || server->busy == NULL) {
        cache_server_release(server);
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", config->where);
    }
    memset(server->busy, 0, n * sizeof *server->busy);
    for (size_t i = 0; i < n; i++)
        server->connections[i] = (struct cache_connection){ .server = server, .wire = { .fd = -1 } };
    return CACHE_OK;
}

static void disconnect(struct cache_connection *connection)
{
    const struct cache_protocol *protocol = connection->server->config.protocol;
    if (connection->state != NULL && protocol->release != NULL)
        protocol->release(connection->state);
    connection->state = NULL;
    if (connection->connected)
        cache_wire_close(&connection->wire);
    connection->connected = false;
}

/* What another thread was busy with at the fork is in no known state: its memory is left alone for good. All else is
 * closed, without a byte: that takes nothing from the parent, which has descriptors of its own. */
static void forked(void *ctx)
{
    struct cache_server *server = ctx;
    for (int i = 0; i < server->config.pool; i++) {
        struct cache_connection *connection = &server->connections[i];
        if (!server->busy[i])
            disconnect(connection);
        else if (connection->wire.fd >= 0)
            close(connection->wire.fd);
        *connection = (struct cache_connection){ .server = server, .wire = { .fd = -1 } };
        server->busy[i] = false;
    }
    server->n_busy = server->n_gathering = 0;
    pthread_mutex_init(&server->lock, NULL);
    server->first = NULL;
    server->last = &server->first;
    server->n_waiting = 0;
    cache_breaker_forked(&server->breaker);
    cache_resolver_forked(&server->resolver);
    if (server->config.tls != NULL)
        cache_tls_forked(server->config.tls);
}

void cache_server_release(struct cache_server *server)
{
    cache_fork_guard_check(&server->fork_guard, forked, server);
    for (int i = 0; server->connections != NULL && i < server->config.pool; i++)
        disconnect(&server->connections[i]);
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

void cache_server_distrust(struct cache_server *server)
{
    atomic_fetch_add(&server->epoch, 1);
}

bool cache_server_is_away(struct cache_server *server)
{
    return cache_breaker_is_away(&server->breaker);
}

void cache_server_count(const struct cache_server *server, cache_counters *out)
{
    out->rejections += atomic_load_explicit(&server->breaker.rejections, memory_order_relaxed);
}

/* ---- slots and the queue ----------------------------------------------------------------------------------------- */

/* With the lock held; -1: all are busy. The lowest, so that few callers share few connections. */
static int take_idle(struct cache_server *server, bool alone)
{
    for (int i = 0; i < server->config.pool; i++)
        if (!server->busy[i]) {
            server->busy[i] = true;
            server->n_busy++;
            server->n_gathering += !alone;
            return i;
        }
    return -1;
}

static void let_go(struct cache_server *server, int slot)
{
    server->busy[slot] = false;
    server->n_busy--;
}

/* Few large batches cost server and callers less than many small ones, and where there are many callers the next batch
 * is never far: then those who come wait for it, though a connection is idle. With the lock held. */
static bool is_crowded(const struct cache_server *server)
{
    return server->config.gather && server->n_gathering > 0 && server->n_waiting + server->n_busy >= CROWD;
}

static void enqueue(struct cache_server *server, struct cache_exchange *exchange)
{
    exchange->next = NULL;
    *server->last = exchange;
    server->last = &exchange->next;
    server->n_waiting++;
}

/* Of those that go out a second time: they have waited. */
static void enqueue_first(struct cache_server *server, struct cache_exchange *exchange)
{
    exchange->next = server->first;
    if (server->first == NULL)
        server->last = &exchange->next;
    server->first = exchange;
    server->n_waiting++;
}

static struct cache_exchange *dequeue(struct cache_server *server)
{
    struct cache_exchange *exchange = server->first;
    server->first = exchange->next;
    if (server->first == NULL)
        server->last = &server->first;
    server->n_waiting--;
    exchange->next = NULL;
    return exchange;
}

/* False: it is in the queue no longer. */
static bool remove_from_queue(struct cache_server *server, struct cache_exchange *exchange)
{
    struct cache_exchange **at = &server->first;
    while (*at != NULL && *at != exchange)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = exchange->next;
    if (*at == NULL)
        server->last = at;
    server->n_waiting--;
    return true;
}

/* Take the slot that is idle, and leave the queue with it; -1: there is none, or it is in the queue no longer. */
static int take_for(struct cache_server *server, struct cache_exchange *exchange)
{
    pthread_mutex_lock(&server->lock);
    int slot = take_idle(server, exchange->alone);
    if (slot >= 0 && !remove_from_queue(server, exchange)) {
        server->n_gathering -= !exchange->alone;
        let_go(server, slot);
        slot = -1;
    }
    pthread_mutex_unlock(&server->lock);
    return slot;
}

static void wait_in_vain(struct cache_server *server, struct cache_exchange *exchange)
{
    exchange->status = CACHE_ERR_TIMEOUT;
    (void)snprintf(exchange->message, sizeof exchange->message, "%.150s: all %d connections were busy for %lld ms",
                   server->config.where, server->config.pool, (long long)server->config.timeout_ms);
    atomic_fetch_add_explicit(&server->config.counters->timeouts, 1, memory_order_relaxed);
}

/* Wait for a turn, or until nobody but this thread knows of the request: the slot that it leads on, or -1. Where the
 * batch that was waited for takes long, an idle connection is taken after all. Once the request is in a batch no deadline
 * counts but the batch's, whose leader says what came. */
static int wait_for_turn(struct cache_server *server, struct cache_exchange *exchange)
{
    struct cache_turn *turn = &exchange->waiter->turn;
    uint64_t patience = LEAST_PATIENCE_NS, now = cache_now_ns();
    unsigned told = 0;
    for (; told == 0 && now < exchange->deadline; patience *= 2, now = cache_now_ns()) {
        const uint64_t until = now + patience;
        told = cache_turn_wait(turn, until < exchange->deadline ? until : exchange->deadline);
        const int slot = told == 0 ? take_for(server, exchange) : -1;
        if (slot >= 0)
            return slot;
    }
    if (told == 0) {
        pthread_mutex_lock(&server->lock);
        const bool removed = remove_from_queue(server, exchange);
        pthread_mutex_unlock(&server->lock);
        if (removed) {
            wait_in_vain(server, exchange);
            return -1;
        }
    }
    while (told == 0)
        told = cache_turn_wait(turn, UINT64_MAX);
    return told == FINISHED ? -1 : (int)told - LEADS;
}

/* The slot goes to who waits longest, or is free. */
static void give_back(struct cache_server *server, int slot, bool alone)
{
    struct cache_waiter *next = NULL;
    pthread_mutex_lock(&server->lock);
    server->n_gathering -= !alone;
    if (server->first != NULL && (server->first->alone || !is_crowded(server))) {
        struct cache_exchange *first = dequeue(server);
        server->n_gathering += !first->alone;
        next = first->waiter;
    } else
        let_go(server, slot);
    pthread_mutex_unlock(&server->lock);
    if (next != NULL)
        cache_turn_say(&next->turn, LEADS + (unsigned)slot);
}

/* ---- one attempt ------------------------------------------------------------------------------------------------- */

struct attempt {
    struct cache_server *server;
    struct cache_connection *connection;
    struct cache_exchange *own;        /* the request of the thread that leads */
    struct cache_batch batch;
    bool trying;                       /* to reach a server that is away */
    bool was_idle;                     /* the connection was there already */
};

/* How long the one caller waits who tries to reach a server that is away: it holds up all who wait for what it
 * computes. One that hangs answers as little in a second as in some multiples of what it needed when it was well. */
static uint64_t patience_ns(struct cache_server *server)
{
    const uint64_t whole = (uint64_t)server->config.connect_timeout_ms * NANOSECONDS_IN_MS;
    const uint64_t usual = 4 * atomic_load(&server->connect_ns), least = (uint64_t)SHORT_PATIENCE_MS * NANOSECONDS_IN_MS;
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
    *ours = false;
    cache_status status = config->protocol->locate(server, deadline, host, &place.port);
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
    disconnect(connection);
    connection->once_more = false;
    cache_status status = locate_and_connect(connection->server, connection, deadline, ours);
    connection->connected = status == CACHE_OK;
    return status == CACHE_OK && protocol->greet != NULL ? protocol->greet(connection, deadline) : status;
}

cache_status cache_connection_open(struct cache_connection *connection, uint64_t deadline)
{
    bool ours = false;
    int cancel = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    cache_status status = connect_and_greet(connection, deadline, &ours);
    if (status != CACHE_OK && connection->once_more)
        status = connect_and_greet(connection, deadline, &ours);
    if (status != CACHE_OK)
        disconnect(connection);
    (void)pthread_setcancelstate(cancel, NULL);
    return status;
}

void cache_connection_close(struct cache_connection *connection)
{
    disconnect(connection);
}

static cache_status connect_anew(struct attempt *attempt)
{
    struct cache_server *server = attempt->server;
    struct cache_connection *connection = attempt->connection;
    const unsigned epoch = atomic_load(&server->epoch);
    const uint64_t begun = cache_now_ns();
    const uint64_t latest = begun + (attempt->trying ? patience_ns(server)
                                                     : (uint64_t)server->config.connect_timeout_ms * NANOSECONDS_IN_MS);
    const uint64_t deadline = latest < attempt->own->deadline ? latest : attempt->own->deadline;
    bool ours = false;
    cache_status status = connect_and_greet(connection, deadline, &ours);
    if (status != CACHE_OK && connection->once_more)
        status = connect_and_greet(connection, deadline, &ours);
    if (status != CACHE_OK) {
        disconnect(connection);
        if (status == CACHE_ERR_TIMEOUT)
            atomic_fetch_add_explicit(&server->config.counters->timeouts, 1, memory_order_relaxed);
        if (!ours && status != CACHE_ERR_NOMEM)
            cache_breaker_trip(&server->breaker, status);
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

static bool is_good(struct cache_connection *connection)
{
    struct cache_server *server = connection->server;
    return connection->connected && connection->epoch == atomic_load(&server->epoch) &&
           cache_wire_is_quiet(&connection->wire) &&
           (server->config.protocol->locate != NULL ||
            cache_resolver_still_has(&server->resolver, &connection->wire.address, &connection->wire.version));
}

static cache_status make_ready(struct attempt *attempt)
{
    if (attempt->connection->connected && (attempt->trying || !is_good(attempt->connection)))
        disconnect(attempt->connection);
    attempt->was_idle = attempt->connection->connected;
    return attempt->was_idle ? CACHE_OK : connect_anew(attempt);
}

/* Put behind the own request those that wait and may go out with it. */
static void gather(struct attempt *attempt)
{
    struct cache_server *server = attempt->server;
    struct cache_exchange *last = attempt->own;
    size_t size = last->size;
    last->next = NULL;
    attempt->batch.first = last;
    attempt->batch.deadline = last->deadline;
    attempt->batch.marked = true;
    if (!server->config.gather || last->alone)
        return;
    pthread_mutex_lock(&server->lock);
    while (server->first != NULL && !server->first->alone && size + server->first->size <= MAX_BATCH_BYTES) {
        last = last->next = dequeue(server);
        size += last->size;
        if (last->deadline < attempt->batch.deadline)
            attempt->batch.deadline = last->deadline;
    }
    pthread_mutex_unlock(&server->lock);
}

static void judge_server(struct attempt *attempt)
{
    struct cache_server *server = attempt->server;
    const struct cache_batch *batch = &attempt->batch;
    if (batch->status == CACHE_OK)
        cache_breaker_reset(&server->breaker);
    else if (batch->status == CACHE_ERR_TIMEOUT)
        cache_breaker_timed_out(&server->breaker);
    if (attempt->was_idle && batch->status == CACHE_ERR_CONNECT) {
        cache_server_distrust(server);    /* the others lead to the same place */
        cache_resolver_doubt(&server->resolver);
    }
}

/* May the request, which failed with the batch, go out once more? */
static bool may_go_again(const struct attempt *attempt, const struct cache_exchange *exchange, uint64_t now)
{
    const struct cache_batch *batch = &attempt->batch;
    if (exchange->again || now >= exchange->deadline ||
        !(exchange->repeatable || exchange->stage == CACHE_EXCHANGE_NEW))
        return false;
    if (exchange != batch->culprit)
        return true;
    return attempt->was_idle && batch->status == CACHE_ERR_CONNECT;
}

static void set_failure(const struct attempt *attempt, struct cache_exchange *exchange, const char *message,
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

/* What the batch's outcome means for one request. True: it goes out again. */
static bool judge(const struct attempt *attempt, struct cache_exchange *exchange, const char *message, uint64_t now)
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

/* Judge all requests of the batch; the slot is given on before those that are done are woken. True: the own request
 * goes out again. */
static bool finish(struct attempt *attempt, int slot)
{
    struct cache_server *server = attempt->server;
    const uint64_t now = attempt->batch.status != CACHE_OK ? cache_now_ns() : 0;
    struct cache_exchange *done = NULL, *again = NULL, *next = attempt->own->next;
    char message[sizeof attempt->own->message] = "";
    if (attempt->batch.status != CACHE_OK)
        (void)snprintf(message, sizeof message, "%s", cache_last_error());
    const bool own_again = judge(attempt, attempt->own, message, now);
    struct cache_exchange **end = &done;
    for (struct cache_exchange *exchange = next; exchange != NULL; exchange = next) {
        next = exchange->next;
        struct cache_exchange **list = judge(attempt, exchange, message, now) ? &again : NULL;
        exchange->next = list != NULL ? *list : NULL;
        if (list != NULL)
            *list = exchange;
        else {
            *end = exchange;
            end = &exchange->next;
        }
    }
    if (again != NULL) {
        pthread_mutex_lock(&server->lock);
        for (; again != NULL; again = next) {
            next = again->next;
            enqueue_first(server, again);
        }
        pthread_mutex_unlock(&server->lock);
    }
    give_back(server, slot, attempt->own->alone);
    for (; done != NULL; done = next) {
        next = done->next;
        cache_turn_say(&done->waiter->turn, FINISHED);
    }
    return own_again;
}

/* Lead on the connection of `slot`: the own request, and those that go with it. True: the own one goes out again. */
static bool lead(struct cache_server *server, struct cache_exchange *own, int slot, bool trying)
{
    struct attempt attempt = { .server = server, .connection = &server->connections[slot], .own = own,
                               .trying = trying };
    attempt.batch.connection = attempt.connection;
    own->status = make_ready(&attempt);
    if (own->status != CACHE_OK) {
        (void)snprintf(own->message, sizeof own->message, "%s", cache_last_error());
        give_back(server, slot, own->alone);
        return false;
    }
    gather(&attempt);
    cache_batch_begin(&attempt.batch);
    cache_batch_run(&attempt.batch);
    judge_server(&attempt);
    if (attempt.batch.lost)
        disconnect(attempt.connection);    /* what arrives on it late belongs to nobody */
    return finish(&attempt, slot);
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
}

/* CACHE_OK, or the server is away; `*trying`: this caller is the one who finds out whether it still is. */
static cache_status check(struct cache_server *server, struct cache_exchange *exchange, bool *trying)
{
    const cache_status status = cache_breaker_try(&server->breaker, trying);
    exchange->status = status;
    if (status != CACHE_OK)
        (void)snprintf(exchange->message, sizeof exchange->message, "%s", cache_last_error());
    return status;
}

/* Take a slot, or wait until there is one or another thread has done the request: then -1. */
static int take_slot(struct cache_server *server, struct cache_exchange *exchange)
{
    struct cache_waiter waiter;
    pthread_mutex_lock(&server->lock);
    const bool queues = exchange->alone ? server->first != NULL && !is_crowded(server)
                                        : server->first != NULL || is_crowded(server);
    const int slot = queues ? -1 : take_idle(server, exchange->alone);
    const bool full = slot < 0 && server->n_waiting >= MAX_WAITING;
    if (slot < 0 && !full) {
        cache_turn_init(&waiter.turn);
        exchange->waiter = &waiter;
        enqueue(server, exchange);
    }
    pthread_mutex_unlock(&server->lock);
    if (full) {
        exchange->status = CACHE_ERR_TIMEOUT;
        (void)snprintf(exchange->message, sizeof exchange->message, "%.150s: %d callers wait for a connection",
                       server->config.where, (int)MAX_WAITING);
    }
    if (slot >= 0 || full)
        return slot;
    const int given = wait_for_turn(server, exchange);
    exchange->waiter = NULL;
    cache_turn_destroy(&waiter.turn);
    return given;
}

static void call(struct cache_server *server, struct cache_exchange *exchange)
{
    bool trying = false, again = true;
    while (again && check(server, exchange, &trying) == CACHE_OK) {
        const int slot = take_slot(server, exchange);
        if (slot < 0)
            return;
        again = lead(server, exchange, slot, trying);
    }
}

cache_status cache_server_call(struct cache_server *server, struct cache_exchange *exchange, uint64_t deadline)
{
    int cancel = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    cache_fork_guard_check(&server->fork_guard, forked, server);
    prepare(exchange, server->config.where, deadline);
    call(server, exchange);
    (void)pthread_setcancelstate(cancel, &cancel);
    return exchange->status == CACHE_OK ? CACHE_OK : cache_fail(exchange->status, "%s", exchange->message);
}

cache_status cache_connection_call(struct cache_connection *connection, struct cache_exchange *exchange,
                                   uint64_t deadline)
{
    prepare(exchange, connection->wire.where, deadline);
    struct cache_batch batch = { .connection = connection, .first = exchange, .deadline = deadline };
    cache_batch_begin(&batch);
    cache_batch_run(&batch);
    if (batch.status == CACHE_OK && batch.lost)
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: more came than the replies that were asked for",
                          connection->wire.where);
    return batch.status;
}

/* ---- several servers at once ------------------------------------------------------------------------------------- */

/* Send on an idle connection that is there already, without a wait. False: not now. */
static bool send_at_once(struct cache_server_call *call, struct attempt *attempt)
{
    struct cache_server *server = call->server;
    if (cache_breaker_is_away(&server->breaker))
        return false;
    pthread_mutex_lock(&server->lock);
    call->slot = server->first == NULL ? take_idle(server, call->exchange->alone) : -1;
    pthread_mutex_unlock(&server->lock);
    if (call->slot < 0)
        return false;
    *attempt = (struct attempt){ .server = server, .connection = &server->connections[call->slot],
                                 .own = call->exchange, .was_idle = true };
    if (!is_good(attempt->connection)) {
        give_back(server, call->slot, call->exchange->alone);
        return false;
    }
    attempt->batch = (struct cache_batch){ .connection = attempt->connection, .first = call->exchange,
                                           .deadline = call->exchange->deadline, .marked = true };
    cache_batch_begin(&attempt->batch);
    (void)cache_batch_send_some(&attempt->batch);    /* a failure comes again when the reply is read */
    return true;
}

/* True: the request goes out again. */
static bool receive_reply(struct cache_server_call *call, struct attempt *attempt)
{
    cache_batch_run(&attempt->batch);
    judge_server(attempt);
    if (attempt->batch.lost)
        disconnect(attempt->connection);
    return finish(attempt, call->slot);
}

static cache_status gather_outcomes(struct cache_server_call calls[], size_t n)
{
    size_t failed = n;
    for (size_t i = n; i-- > 0;) {
        calls[i].status = calls[i].exchange->status;
        if (calls[i].status != CACHE_OK)
            failed = i;
    }
    return failed == n ? CACHE_OK : cache_fail(calls[failed].status, "%s", calls[failed].exchange->message);
}

/* What could not be sent at once, for want of a connection or of memory, follows one by one: so no caller ever holds one
 * connection while it waits for another. */
static void call_all(struct cache_server_call calls[], size_t n)
{
    const cache_env *env = calls[0].server->config.env;
    struct attempt *attempts = n > 1 ? cache_env_alloc(env, n * sizeof *attempts) : NULL;
    for (size_t i = 0; i < n; i++)
        if (attempts == NULL || !send_at_once(&calls[i], &attempts[i]))
            calls[i].slot = -1;
    for (size_t i = 0; i < n; i++)
        if (calls[i].slot >= 0 && receive_reply(&calls[i], &attempts[i]))
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
