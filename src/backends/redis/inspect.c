/* inspect.c - operations for tools and for the front: the remaining time to live of a value, a list of keys, and
 * whether the server answers. */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <string.h>

/* ---- a value and its time ---------------------------------------------------------------------------------------- */

/* Returns the time to live from the reply to PTTL: milliseconds; -1 for a key without a time to live; -2 for no key. A
 * key that disappeared between GET and PTTL has no time left. */
static int64_t left_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer == -2 || reply->integer == 0)
        return 1;
    return reply->integer == -1 ? 0 : reply->integer;
}

static cache_status take_value(const redisReply *reply, cache_writer *out)
{
    return reply->type == REDIS_REPLY_NIL ? CACHE_MISS : cache_writer_append(out, reply->str, reply->len);
}

static void put_command_on(cache_writer *out, const char *name, cache_bytes key)
{
    (void)cache_redis_begin_command(out, 2);
    (void)cache_redis_put_word(out, name, strlen(name));
    (void)cache_redis_put_word(out, key.data, key.size);
}

static cache_status call_written(struct redis_store *store, cache_bytes key, cache_writer *out, uint64_t deadline,
                                 struct redis_request *request)
{
    request->parts[0] = (struct iovec){ out->data, out->size };
    request->n_parts = 1;
    request->repeatable = true;
    const cache_status status = cache_writer_status(out);
    return status == CACHE_OK ? cache_redis_call(store, key, request, deadline) : status;
}

/* Send GET and PTTL in one request. A cluster needs two, because ASKING holds for one command only. */
static cache_status get_and_time(struct redis_store *store, cache_bytes key, uint64_t deadline, cache_writer *out,
                                 int64_t *left_ms)
{
    const bool together = store->cluster == NULL;
    cache_writer commands;
    struct redis_request request = { .n_replies = together ? 2 : 1, .types = "sni" };
    cache_writer_init(&commands, cache_env_allocator(store->env));
    put_command_on(&commands, "GET", key);
    if (together)
        put_command_on(&commands, "PTTL", key);
    cache_status status = call_written(store, key, &commands, deadline, &request);
    if (status == CACHE_OK)
        status = take_value(request.replies[0], out);
    if (status == CACHE_OK && together)
        *left_ms = left_of(request.replies[1]);
    cache_redis_release(&request);
    if (status == CACHE_OK && !together) {
        struct redis_request time = { .n_replies = 1, .types = "i" };
        cache_writer_release(&commands);
        put_command_on(&commands, "PTTL", key);
        *left_ms = call_written(store, key, &commands, deadline, &time) == CACHE_OK ? left_of(time.replies[0]) : 1;
        cache_redis_release(&time);
    }
    cache_writer_release(&commands);
    return status;
}

cache_status cache_redis_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    struct redis_store *store = self;
    const uint64_t deadline = cache_redis_deadline(store);
    *left_ms = -1;
    const cache_status status = get_and_time(store, key, deadline, out, left_ms);
    if (status >= 0)
        cache_redis_connect_watch(store, deadline);
    return status;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static cache_status scan(struct redis_store *store, struct redis_node *node, cache_bytes prefix,
                         char cursor[REDIS_CURSOR_SIZE], cache_list_key_fn *each, void *ctx)
{
    struct redis_request request = { .n_parts = 1, .n_replies = 1, .repeatable = true, .types = "a" };
    cache_writer out;
    cache_bytes key;
    cache_writer_init(&out, cache_env_allocator(store->env));
    cache_status status = cache_redis_put_scan(&out, cursor, prefix);
    request.parts[0] = (struct iovec){ out.data, out.size };
    struct cache_exchange exchange = cache_redis_exchange(&request);
    if (status == CACHE_OK)
        status = cache_server_call(&node->server, &exchange, cache_redis_deadline(store));
    const redisReply *error = status == CACHE_OK ? cache_redis_first_error(&request) : NULL;
    if (error != NULL)
        status = cache_redis_error(node->server.config.where, error->str);
    if (status == CACHE_OK)
        status = cache_redis_read_scan(node->server.config.where, request.replies[0], cursor);
    for (size_t from = 0; status == CACHE_OK && cache_redis_scanned(request.replies[0], prefix, &from, &key, 1) > 0;)
        each(ctx, key);
    cache_redis_release(&request);
    cache_writer_release(&out);
    return status;
}

/* at[0] is the index of the node, at[1] its SCAN cursor. */
cache_status cache_redis_list(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each, void *ctx)
{
    struct redis_store *store = self;
    struct redis_cluster *cluster = store->cluster;
    char text[REDIS_CURSOR_SIZE];
    uint16_t any = 0;
    cache_status status = CACHE_OK;
    if (cluster != NULL)
        status = cache_redis_cluster_node(store, cache_redis_slot(prefix), cache_redis_deadline(store), &any);
    const size_t n = cluster != NULL ? atomic_load(&cluster->n_nodes) : 1;
    while (cluster != NULL && cursor->at[0] < n && !cache_redis_has_slots(cluster, (size_t)cursor->at[0]))
        cursor->at[0]++;
    if (status == CACHE_OK && cursor->at[0] < n) {
        struct redis_node *node = cluster != NULL ? atomic_load(&cluster->nodes[cursor->at[0]]) : &store->node;
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)cursor->at[1]);
        status = scan(store, node, prefix, text, each, ctx);
    }
    if (status != CACHE_OK)
        return status;
    cursor->at[1] = 0;
    for (const char *c = text; cursor->at[0] < n && *c >= '0' && *c <= '9'; c++)
        cursor->at[1] = cursor->at[1] * 10 + (uint64_t)(*c - '0');
    if (cursor->at[1] == 0)
        cursor->at[0]++;
    cursor->done = cursor->at[0] >= n;
    return CACHE_OK;
}

/* ---- ping -------------------------------------------------------------------------------------------------------- */

static cache_status ping(struct redis_node *node, uint64_t deadline)
{
    static const char command[] = "*1\r\n$4\r\nPING\r\n";
    struct redis_request request = { .parts = { { (char *)(uintptr_t)command, sizeof command - 1 } }, .n_parts = 1,
                                     .n_replies = 1, .repeatable = true, .types = "os" };
    struct cache_exchange exchange = cache_redis_exchange(&request);
    cache_status status = cache_server_call(&node->server, &exchange, deadline);
    const redisReply *error = status == CACHE_OK ? cache_redis_first_error(&request) : NULL;
    if (error != NULL)
        status = cache_redis_error(node->server.config.where, error->str);
    cache_redis_release(&request);
    return status;
}

cache_status cache_redis_ping(void *self)
{
    struct redis_store *store = self;
    const uint64_t deadline = cache_redis_deadline(store);
    uint16_t any = 0;
    if (store->cluster == NULL)
        return ping(&store->node, deadline);
    cache_status status = cache_redis_cluster_node(store, 0, deadline, &any);
    for (size_t i = 0; status == CACHE_OK && i < atomic_load(&store->cluster->n_nodes); i++)
        if (cache_redis_has_slots(store->cluster, i))
            status = ping(atomic_load(&store->cluster->nodes[i]), deadline);
    return status;
}
