/* call.c - a request on a connection of the pool: taken, connected, judged by what came of it, given back. */
#include "store.h"

#include "hooks.h"

#include <string.h>

/* ---- replies ----------------------------------------------------------------------------------------------------- */

cache_status cache_redis_error(const char *where, const char *text)
{
    static const struct { const char *begins; cache_status status; } known[] = {
        { "WRONGTYPE", CACHE_ERR_TYPE },
        { "ERR value is not an integer", CACHE_ERR_TYPE },
        { "ERR increment or decrement would overflow", CACHE_ERR_RANGE },
        { "ERR string exceeds maximum", CACHE_ERR_TOO_LARGE },
        { "NOAUTH", CACHE_ERR_AUTH },
        { "WRONGPASS", CACHE_ERR_AUTH },
        { "NOPERM", CACHE_ERR_AUTH },
        { "DENIED", CACHE_ERR_AUTH },    /* protected mode */
        { "OOM", CACHE_ERR_IO },
        { "MISCONF", CACHE_ERR_IO },
        { "READONLY", CACHE_ERR_IO },
        { "NOREPLICAS", CACHE_ERR_IO },
        { "LOADING", CACHE_ERR_CONNECT },
        { "BUSY", CACHE_ERR_CONNECT },
        { "MASTERDOWN", CACHE_ERR_CONNECT },
        { "CLUSTERDOWN", CACHE_ERR_CONNECT },
        { "ERR max number of clients", CACHE_ERR_CONNECT },
        { "MOVED", CACHE_ERR_UNSUPPORTED },    /* a cluster: its keys are spread by a client that knows its map */
        { "CROSSSLOT", CACHE_ERR_UNSUPPORTED },
        { "ERR DB index is out of range", CACHE_ERR_CONFIG },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(text, known[i].begins, strlen(known[i].begins)) == 0)
            return cache_fail(known[i].status, "%s: %s", where, text);
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: %s", where, text);
}

cache_status cache_redis_unexpected(const struct redis_store *store, const redisReply *reply)
{
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: a reply of an unexpected type (%d)", store->where, reply->type);
}

/* ---- after a fork ------------------------------------------------------------------------------------------------ */

/* What another thread was busy with at the fork is in no known state, and left alone for good. An idle connection is
 * closed: that takes nothing from the parent, which has descriptors of its own. */
static void forked(void *ctx)
{
    struct redis_store *store = ctx;
    for (int i = 0; i < store->pool.n; i++) {
        redisContext *context = store->connections[i].context;
        store->connections[i] = (struct redis_connection){ NULL, 0, false };
        if (context != NULL && !cache_pool_is_busy(&store->pool, i))
            redisFree(context);
    }
    cache_pool_forked(&store->pool);
    cache_breaker_forked(&store->breaker);
}

void cache_redis_check_fork(struct redis_store *store)
{
    cache_fork_guard_check(&store->forked, forked, store);
}

/* ---- one attempt ------------------------------------------------------------------------------------------------- */

struct attempt {
    struct redis_store *store;
    struct redis_connection *connection;
    const struct redis_request *request;
    uint64_t deadline;
    bool was_idle;                     /* the connection was there already */
    bool connected;                    /* it is there, or was before this request */
    bool lost;                         /* and is not good for another request */
    bool demoted;                      /* the server is no longer a master */
    size_t n_handled;                  /* replies that tell of something done */
};

static void disconnect(struct redis_connection *connection)
{
    if (connection->context != NULL)
        redisFree(connection->context);
    connection->context = NULL;
}

static cache_status make_ready(struct attempt *attempt)
{
    struct redis_store *store = attempt->store;
    struct redis_connection *connection = attempt->connection;
    const unsigned epoch = atomic_load(&store->epoch);
    if (connection->context != NULL
        && (connection->epoch != epoch
            || (!attempt->request->repeatable && !cache_redis_is_quiet(connection->context))))
        disconnect(connection);
    attempt->was_idle = attempt->connected = connection->context != NULL;
    if (attempt->was_idle)
        return CACHE_OK;
    const cache_status status = cache_redis_connect(store, attempt->deadline, &connection->context);
    if (status != CACHE_OK) {
        connection->context = NULL;
        attempt->lost = true;
        return status;
    }
    attempt->connected = true;
    if (connection->used)
        atomic_fetch_add_explicit(&store->reconnects, 1, memory_order_relaxed);
    connection->used = true;
    connection->epoch = epoch;
    return CACHE_OK;
}

static cache_status handle(struct attempt *attempt, size_t index, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        attempt->demoted = attempt->demoted || strncmp(reply->str, "READONLY", strlen("READONLY")) == 0;
        return cache_redis_error(attempt->store->where, reply->str);
    }
    attempt->n_handled += !attempt->request->transaction || index + 1 == attempt->request->n_replies;
    const cache_status status = attempt->request->reply(attempt->request->ctx, index, reply);
    attempt->lost = attempt->lost || status == CACHE_ERR_PROTOCOL;
    return status;
}

static cache_status exchange(struct attempt *attempt)
{
    const struct redis_request *request = attempt->request;
    redisContext *context = attempt->connection->context;
    struct redis_values *values = request->values;
    cache_status first = CACHE_OK;
    if (values != NULL)
        cache_redis_values_begin(values, context);
    cache_status status = cache_redis_send(attempt->store, context, request->data, request->size, attempt->deadline);
    for (size_t i = 0; i < request->n_replies && status == CACHE_OK && !attempt->lost; i++) {
        redisReply *reply = NULL;
        if (values != NULL)
            cache_redis_values_next(values, i);
        status = cache_redis_receive(attempt->store, context, attempt->deadline, &reply);
        if (status != CACHE_OK)
            break;
        if (first == CACHE_OK)
            first = handle(attempt, i, reply);
        freeReplyObject(reply);    /* behind a failure they are read, and dropped */
    }
    if (values != NULL) {
        cache_redis_values_end(values, context);
        attempt->n_handled += values->any;
    }
    attempt->lost = attempt->lost || status != CACHE_OK || cache_redis_has_more(context);
    return status != CACHE_OK ? status : first;
}

/* A master that was demoted may have a successor at the same address. A replica that was one all along has none: once
 * in each retry_after is enough to find out. */
static bool may_have_a_successor(struct redis_store *store)
{
    int64_t at = atomic_load(&store->suspect_at);
    return store->kind == REDIS_SENTINEL
        || (cache_env_monotonic_reached(store->env, at)
            && atomic_compare_exchange_strong(&store->suspect_at, &at,
                                              cache_env_monotonic_ms(store->env) + store->breaker.retry_after_ms));
}

/* What the outcome says of the server and its other connections. True: the request did nothing yet and may go out
 * again. */
static bool judge(struct attempt *attempt, cache_status status)
{
    struct redis_store *store = attempt->store;
    const bool idle_one_was_dead = attempt->lost && attempt->was_idle && status == CACHE_ERR_CONNECT;
    if (status == CACHE_ERR_TIMEOUT)
        atomic_fetch_add_explicit(&store->timeouts, 1, memory_order_relaxed);
    if (!attempt->lost)
        cache_breaker_reset(&store->breaker);
    else if (!attempt->connected && status != CACHE_ERR_NOMEM)
        cache_breaker_trip(&store->breaker, status);
    else if (status == CACHE_ERR_TIMEOUT)
        cache_breaker_timed_out(&store->breaker);
    if (idle_one_was_dead || (attempt->demoted && may_have_a_successor(store)))
        atomic_fetch_add(&store->epoch, 1);    /* the others lead to the same place */
    if (attempt->n_handled > 0)
        return false;
    return (idle_one_was_dead && attempt->request->repeatable) || (attempt->demoted && store->kind == REDIS_SENTINEL);
}

static cache_status try_once(struct redis_store *store, const struct redis_request *request, uint64_t deadline,
                             bool *again)
{
    *again = false;
    cache_status status = cache_breaker_check(&store->breaker);
    if (status != CACHE_OK)
        return status;
    const int slot = cache_pool_take(&store->pool, deadline);
    if (slot < 0) {
        atomic_fetch_add_explicit(&store->timeouts, 1, memory_order_relaxed);
        return cache_fail(CACHE_ERR_TIMEOUT, "%s: all %d connections were busy for %lld ms", store->where,
                          store->pool.n, (long long)store->timeout_ms);
    }
    struct attempt attempt = { .store = store, .connection = &store->connections[slot], .request = request,
                               .deadline = deadline };
    status = make_ready(&attempt);
    if (status == CACHE_OK)
        status = exchange(&attempt);
    *again = judge(&attempt, status);
    if (attempt.lost)
        disconnect(attempt.connection);    /* what arrives on it late belongs to nobody */
    cache_pool_give_back(&store->pool, slot);
    return status;
}

cache_status cache_redis_call(struct redis_store *store, const struct redis_request *request)
{
    cache_redis_check_fork(store);
    const uint64_t deadline = cache_now_ns() + (uint64_t)store->timeout_ms * 1000000;
    bool again = false;
    cache_status status = try_once(store, request, deadline, &again);
    if (again)
        status = try_once(store, request, deadline, &again);
    return status;
}
