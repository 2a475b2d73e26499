/* sentinel.c - asks the Sentinels for the current master. They are asked for each new connection, so no address is ever
 * out of date. At login the server itself is asked whether it still is the master, as Redis' guide for Sentinel clients
 * demands. */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cache_status open_sentinel(struct redis_store *store, struct redis_node *node, const cache_host *host)
{
    (void)snprintf(node->where, sizeof node->where, "%.90s: sentinel %.40s:%d", store->where, host->name, host->port);
    const struct cache_server_config config = {
        .env = store->env, .where = node->where, .place = { host->name, host->port },
        .protocol = &cache_redis_sentinel_protocol, .ctx = store, .tls = store->tls, .pool = 1, .gather = true,
        .timeout_ms = store->timeout_ms, .connect_timeout_ms = store->connect_timeout_ms,
        .retry_after_ms = store->retry_after_ms, .counters = &store->sentinel_counters,
    };
    return cache_server_init(&node->server, &config);
}

cache_status cache_redis_open_sentinels(struct redis_store *store)
{
    cache_status status = CACHE_OK;
    if (store->kind != REDIS_SENTINEL)
        return CACHE_OK;
    store->sentinels = cache_env_alloc(store->env, store->n_hosts * sizeof *store->sentinels);
    if (store->sentinels == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    for (size_t i = 0; i < store->n_hosts && status == CACHE_OK; i++) {
        status = open_sentinel(store, &store->sentinels[i], &store->hosts[i]);
        store->n_sentinels += status == CACHE_OK;
    }
    return status;
}

void cache_redis_close_sentinels(struct redis_store *store)
{
    for (size_t i = 0; i < store->n_sentinels; i++)
        cache_server_release(&store->sentinels[i].server);
    cache_env_free(store->env, store->sentinels);
}

static cache_status read_address(const struct redis_store *store, const redisReply *reply, char host[256], int *port)
{
    if (reply->type == REDIS_REPLY_NIL)
        return cache_fail(CACHE_ERR_CONFIG, "%s: the Sentinels know no service with this name", store->where);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING || reply->element[0]->len >= 256)
        return cache_redis_unexpected(store->where, reply);
    memcpy(host, reply->element[0]->str, reply->element[0]->len + 1);
    const long number = strtol(reply->element[1]->str, NULL, 10);
    if (number < 1 || number > UINT16_MAX)
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: the Sentinels named the invalid port '%.20s'", store->where,
                          reply->element[1]->str);
    *port = (int)number;
    return CACHE_OK;
}

static cache_status ask(struct redis_store *store, struct redis_node *sentinel, uint64_t deadline, char host[256],
                        int *port)
{
    cache_writer out;
    cache_writer_init(&out, cache_env_allocator(store->env));
    cache_status status = cache_redis_put_command(
        &out, (const char *const[]){ "SENTINEL", "get-master-addr-by-name", store->name, NULL });
    if (status == CACHE_OK) {
        struct redis_request request = { .parts = { { out.data, out.size } }, .n_parts = 1, .n_replies = 1,
                                         .repeatable = true, .types = "snoia" };
        struct cache_exchange exchange = { .parts = request.parts, .n_parts = 1, .repeatable = true,
                                           .take = cache_redis_take, .restart = cache_redis_restart,
                                           .ctx = &request };
        status = cache_server_call(&sentinel->server, &exchange, deadline);
        if (status == CACHE_OK && request.replies[0]->type == REDIS_REPLY_ERROR)
            status = cache_redis_error(sentinel->where, request.replies[0]->str);
        else if (status == CACHE_OK)
            status = read_address(store, request.replies[0], host, port);
        cache_redis_release(&request);
    }
    cache_writer_release(&out);
    return status;
}

cache_status cache_redis_find_master(struct cache_server *server, uint64_t deadline, char host[256], int *port)
{
    struct redis_store *store = server->config.ctx;
    const size_t first = atomic_load(&store->sentinel);
    cache_status status = CACHE_ERR_CONNECT;
    for (size_t i = 0; i < store->n_sentinels; i++) {
        const size_t which = (first + i) % store->n_sentinels;
        /* Each Sentinel gets an equal share of the time left, so a silent one leaves time for the others. */
        const uint64_t now = cache_now_ns(), left = now < deadline ? deadline - now : 0;
        status = ask(store, &store->sentinels[which], now + left / (store->n_sentinels - i), host, port);
        if (status == CACHE_OK) {
            atomic_store(&store->sentinel, which);
            return CACHE_OK;
        }
    }
    return status;
}
