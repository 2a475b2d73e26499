/* sentinel.c - who is the master now. It is asked for each new connection, so that no address is ever out of date;
 * whether the server still takes itself for the master, it is asked when the connection logs in (as Redis' guide for
 * clients of Sentinel wants it). */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cache_status read_address(const struct redis_store *store, const redisReply *reply, struct redis_address *out)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return cache_redis_error(store->where, reply->str);
    if (reply->type == REDIS_REPLY_NIL)
        return cache_fail(CACHE_ERR_CONFIG, "%s: the sentinels know no service of this name", store->where);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING || reply->element[0]->len >= sizeof out->host)
        return cache_redis_unexpected(store, reply);
    memcpy(out->host, reply->element[0]->str, reply->element[0]->len + 1);
    const long port = strtol(reply->element[1]->str, NULL, 10);
    if (port < 1 || port > UINT16_MAX)
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: the sentinels name port '%.20s'", store->where,
                          reply->element[1]->str);
    out->port = (int)port;
    return CACHE_OK;
}

static cache_status ask(const struct redis_store *store, const cache_host *sentinel, uint64_t deadline,
                        struct redis_address *out)
{
    struct redis_address address = { .port = sentinel->port };
    (void)snprintf(address.host, sizeof address.host, "%s", sentinel->name);
    redisContext *context = NULL;
    cache_status status = cache_redis_dial(store, &address, deadline, &context);
    if (status != CACHE_OK)
        return status;
    char *command = NULL;
    redisReply *reply = NULL;
    const int size = redisFormatCommand(&command, "SENTINEL get-master-addr-by-name %s", store->name);
    if (size < 0)
        status = cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    else
        status = cache_redis_send(store, context, command, (size_t)size, deadline);
    if (status == CACHE_OK)
        status = cache_redis_receive(store, context, deadline, &reply);
    if (status == CACHE_OK)
        status = read_address(store, reply, out);
    freeReplyObject(reply);
    redisFreeCommand(command);
    redisFree(context);
    return status;
}

cache_status cache_redis_find_master(struct redis_store *store, uint64_t deadline, struct redis_address *out)
{
    const size_t first = atomic_load(&store->sentinel);
    cache_status status = CACHE_ERR_CONNECT;
    for (size_t i = 0; i < store->n_hosts; i++) {
        const size_t which = (first + i) % store->n_hosts;
        /* An equal share of what is left, so that one that does not answer leaves time for the others. */
        const uint64_t now = cache_now_ns(), left = now < deadline ? deadline - now : 0;
        status = ask(store, &store->hosts[which], now + left / (store->n_hosts - i), out);
        if (status == CACHE_OK) {
            atomic_store(&store->sentinel, which);
            return CACHE_OK;
        }
    }
    return status;
}
