/* call.c - sends a request to the server, or to the node of its key. */
#include "store.h"

#include "hooks.h"

#include <string.h>

/* Returns true if the request changed nothing, since the server refused each of its commands. MULTI is answered with a
 * status, and changes nothing either. */
static bool was_refused(const struct redis_request *request)
{
    for (size_t i = 0; i < request->n_taken && !request->fold; i++)
        if (request->replies[i]->type != REDIS_REPLY_ERROR && request->replies[i]->type != REDIS_REPLY_STATUS)
            return false;
    return !request->fold;
}

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

static cache_status send_request(struct redis_store *store, struct redis_request *request, uint64_t deadline)
{
    struct cache_exchange exchange = cache_redis_exchange(request);
    return cache_server_call(&store->node.server, &exchange, deadline);
}

/* Logs once if the URL names a single server, and the server is a node of a cluster: other nodes have its other
 * keys. */
static void log_that_it_is_a_cluster(struct redis_store *store, const redisReply *error)
{
    if (error != NULL && store->cluster == NULL && cache_redis_is_of_a_cluster(error->str) &&
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

uint64_t cache_redis_deadline(const struct redis_store *store)
{
    return cache_now_ns() + (uint64_t)store->timeout_ms * 1000000;
}
