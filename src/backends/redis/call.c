/* call.c - sends a request to the server, and turns error replies into statuses. */
#include "store.h"

#include "hooks.h"

#include <string.h>

/* ---- replies ----------------------------------------------------------------------------------------------------- */

bool cache_redis_spans_slots(const char *text)
{
    static const char word[] = "CROSSSLOT";
    return strncmp(text, word, sizeof word - 1) == 0;
}

/* Returns true if only a node of a cluster says so. */
static bool is_of_a_cluster(const char *text)
{
    return strncmp(text, "MOVED ", 6) == 0 || strncmp(text, "ASK ", 4) == 0 || strncmp(text, "TRYAGAIN", 8) == 0 ||
           cache_redis_spans_slots(text);
}

cache_status cache_redis_error(const char *where, const char *text)
{
    static const struct { const char *begins; cache_status status; } known[] = {
        { "WRONGTYPE", CACHE_ERR_TYPE },
        { "ERR value is not an integer", CACHE_ERR_TYPE },
        { "ERR increment or decrement would overflow", CACHE_ERR_RANGE },
        { "ERR string exceeds maximum", CACHE_ERR_TOO_LARGE },
        { "ERR Protocol error: invalid bulk length", CACHE_ERR_TOO_LARGE },    /* above proto-max-bulk-len */
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
        { "ERR DB index is out of range", CACHE_ERR_CONFIG },
    };
    if (is_of_a_cluster(text))
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: %s (this is a node of a cluster: write redis+cluster://)", where,
                          text);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(text, known[i].begins, strlen(known[i].begins)) == 0)
            return known[i].status == CACHE_ERR_TOO_LARGE
                ? cache_fail(CACHE_ERR_TOO_LARGE, "%s: larger than the server takes: %s", where, text)
                : cache_fail(known[i].status, "%s: %s", where, text);
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: %s", where, text);
}

cache_status cache_redis_unexpected(const char *where, const redisReply *reply)
{
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: a reply of an unexpected type (%d)", where, reply->type);
}

bool cache_redis_is_refusal(const redisReply *reply)
{
    static const char unknown[] = "ERR unknown command", no_permission[] = "NOPERM";
    return reply->type == REDIS_REPLY_ERROR && (strncmp(reply->str, unknown, sizeof unknown - 1) == 0 ||
                                                strncmp(reply->str, no_permission, sizeof no_permission - 1) == 0);
}

bool cache_redis_refuses(const char *message)
{
    return strstr(message, ": ERR unknown command") != NULL || strstr(message, ": NOPERM") != NULL;
}

const redisReply *cache_redis_first_error(const struct redis_request *request)
{
    if (request->fold)
        return request->error;
    for (size_t i = 0; i < request->n_taken; i++)
        if (request->replies[i]->type == REDIS_REPLY_ERROR)
            return request->replies[i];
    return NULL;
}

/* Returns true if the request changed nothing, since the server refused each of its commands. MULTI is answered with a
 * status, and changes nothing either. */
static bool was_refused(const struct redis_request *request)
{
    for (size_t i = 0; i < request->n_taken && !request->fold; i++)
        if (request->replies[i]->type != REDIS_REPLY_ERROR && request->replies[i]->type != REDIS_REPLY_STATUS)
            return false;
    return !request->fold;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* A demoted master may have a successor at the same address. A server that has always been a replica has none, so this
 * is checked only once in each retry_after. */
static bool may_have_a_successor(struct redis_store *store)
{
    int64_t at = atomic_load(&store->suspect_at);
    return store->kind == REDIS_SENTINEL ||
           (cache_env_monotonic_reached(store->env, at) &&
            atomic_compare_exchange_strong(&store->suspect_at, &at,
                                           cache_env_monotonic_ms(store->env) + store->retry_after_ms));
}

/* Returns true if a demoted master refused the request, and it may be sent to its successor. */
static bool was_demoted(struct redis_store *store, const struct redis_request *request)
{
    const redisReply *error = cache_redis_first_error(request);
    if (error == NULL || strncmp(error->str, "READONLY", strlen("READONLY")) != 0 || !may_have_a_successor(store))
        return false;
    cache_server_distrust(&store->node.server);
    return store->kind == REDIS_SENTINEL && was_refused(request);
}

struct cache_exchange cache_redis_exchange(struct redis_request *request)
{
    return (struct cache_exchange){ .parts = request->parts, .n_parts = request->n_parts,
                                    .repeatable = request->repeatable, .overwrites = request->overwrites,
                                    .alone = request->alone, .take = cache_redis_take, .restart = cache_redis_restart,
                                    .ctx = request };
}

static cache_status send_request(struct redis_store *store, struct redis_request *request, uint64_t deadline)
{
    struct cache_exchange exchange = cache_redis_exchange(request);
    return cache_server_call(&store->node.server, &exchange, deadline);
}

/* Logs once if the URL names a single server, and the server is a node of a cluster: other nodes have its other
 * keys. */
static void log_that_it_is_a_cluster(struct redis_store *store, const redisReply *error)
{
    if (error != NULL && store->cluster == NULL && is_of_a_cluster(error->str) &&
        !atomic_exchange(&store->told_of_cluster, true))
        cache_env_log(store->env, CACHE_LOG_WARN, "%s: this is a node of a cluster: write redis+cluster://",
                      store->where);
}

cache_status cache_redis_call(struct redis_store *store, cache_bytes key, struct redis_request *request,
                              uint64_t deadline)
{
    cache_status status;
    if (store->cluster != NULL)
        status = cache_redis_cluster_call(store, key, request, deadline);
    else
        status = send_request(store, request, deadline);
    if (status == CACHE_OK && store->cluster == NULL && was_demoted(store, request)) {
        cache_redis_release(request);
        status = send_request(store, request, deadline);
    }
    const redisReply *error = cache_redis_first_error(request);
    log_that_it_is_a_cluster(store, error);
    if (status != CACHE_OK) {
        if (request->values != NULL)
            cache_redis_values_forget(request->values);
        return status;
    }
    return error != NULL && !request->takes_errors ? cache_redis_error(store->where, error->str) : CACHE_OK;
}

void cache_redis_release(struct redis_request *request)
{
    for (size_t i = 0; i < request->n_taken && !request->fold; i++)
        freeReplyObject(request->replies[i]);
    if (request->error != NULL)
        freeReplyObject(request->error);
    request->error = NULL;
    request->n_taken = 0;
    request->sum = 0;
}

uint64_t cache_redis_deadline(const struct redis_store *store)
{
    return cache_now_ns() + (uint64_t)store->timeout_ms * 1000000;
}
