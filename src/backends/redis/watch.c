/* watch.c - receives notifications of changed keys from the server, for a front in this process.
 *
 * With CLIENT TRACKING in broadcast mode, Redis reports each change of a key with a given prefix. Protocol version 2
 * has no message type for this, so Redis redirects the reports to a connection that has subscribed to a channel. A
 * connection may redirect them to itself. So one connection both tracks and listens, and cannot be half lost.
 *
 * The only call here that waits is the first request on a new connection; it is sent by calls that wait for the server
 * anyway. A PING shows how far the reports were received: its answer follows all reports that the server had sent
 * before. So if a change was acknowledged to any client before the PING was sent, its report has been received. A
 * cluster has a watch on each node that has slots. */
#include "store.h"

#include "hooks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READS_AT_ONCE = 64, READ_SIZE = 16 * 1024, NANOSECONDS_IN_MS = 1000000, PINGS_A_LAG = 4 };

static const char channel[] = "__redis__:invalidate";

/* ---- the nodes --------------------------------------------------------------------------------------------------- */

static size_t count_nodes(const struct redis_store *store)
{
    return store->cluster != NULL ? atomic_load(&store->cluster->n_nodes) : 1;
}

static struct redis_node *node_at(struct redis_store *store, size_t i)
{
    return store->cluster != NULL ? atomic_load(&store->cluster->nodes[i]) : &store->node;
}

static void close_watch(struct redis_watch *watch)
{
    if (atomic_load(&watch->state) == WATCH_ON)
        cache_connection_close(&watch->connection);
    atomic_store(&watch->state, WATCH_OFF);
}

/* Called in the child of a fork. The connections still belong to the parent, so the child closes its copies. A
 * connection that was being made is left alone. */
static void forked(void *ctx)
{
    struct redis_store *store = ctx;
    for (size_t i = 0; i < count_nodes(store); i++)
        close_watch(&node_at(store, i)->watch);
}

cache_status cache_redis_open_watch(const cache_backend_config *config, struct redis_store *store)
{
    const int64_t lag_ms = cache_option_ms(config, "front_lag");
    const uint64_t lag_ns = (uint64_t)(lag_ms > 0 ? lag_ms : 1) * NANOSECONDS_IN_MS;
    store->watch_interval_ns = lag_ns / PINGS_A_LAG;
    store->watch_prefix = cache_env_strdup(store->env, config->prefix);
    cache_fork_guard_init(&store->watch_guard);
    return store->watch_prefix != NULL ? CACHE_OK : cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
}

void cache_redis_close_watch(struct redis_store *store)
{
    if (store->watch_prefix != NULL)
        for (size_t i = 0; i < count_nodes(store); i++)
            close_watch(&node_at(store, i)->watch);
    cache_env_free(store->env, store->watch_prefix);
}

/* ---- connecting -------------------------------------------------------------------------------------------------- */

/* Send commands on the watch's connection. CACHE_OK: `n_replies` replies are in the request, and none is an error. */
static cache_status call(struct redis_watch *watch, cache_writer *out, struct redis_request *request, uint64_t deadline)
{
    cache_status status = cache_writer_status(out);
    request->parts[0] = (struct iovec){ out->data, out->size };
    request->n_parts = 1;
    struct cache_exchange exchange = cache_redis_exchange(request);
    if (status == CACHE_OK)
        status = cache_connection_call(&watch->connection, &exchange, deadline);
    const redisReply *error = status == CACHE_OK ? cache_redis_first_error(request) : NULL;
    return error != NULL ? cache_redis_error(watch->connection.wire.where, error->str) : status;
}

static cache_status ask_for_id(struct redis_watch *watch, const cache_env *env, uint64_t deadline, long long *id)
{
    cache_writer out;
    struct redis_request request = { .n_replies = 1, .types = "i" };
    cache_writer_init(&out, cache_env_allocator(env));
    (void)cache_redis_put_command(&out, (const char *const[]){ "CLIENT", "ID", NULL });
    const cache_status status = call(watch, &out, &request, deadline);
    if (status == CACHE_OK)
        *id = request.replies[0]->integer;
    cache_redis_release(&request);
    cache_writer_release(&out);
    return status;
}

static cache_status track_and_subscribe(struct redis_watch *watch, const struct redis_store *store, long long id,
                                        uint64_t deadline)
{
    char text[24];
    cache_writer out;
    struct redis_request request = { .n_replies = 2, .types = "oa" };
    const bool all = store->watch_prefix[0] == '\0';
    (void)snprintf(text, sizeof text, "%lld", id);
    cache_writer_init(&out, cache_env_allocator(store->env));
    (void)cache_redis_put_command(&out, (const char *const[]){ "CLIENT", "TRACKING", "ON", "REDIRECT", text, "BCAST",
                                                               all ? NULL : "PREFIX", store->watch_prefix, NULL });
    (void)cache_redis_put_command(&out, (const char *const[]){ "SUBSCRIBE", channel, NULL });
    const cache_status status = call(watch, &out, &request, deadline);
    cache_redis_release(&request);
    cache_writer_release(&out);
    return status;
}

/* If the server does not support the command or refuses it, it is not asked again. */
static void note_refusal(struct redis_store *store)
{
    char message[256];
    (void)snprintf(message, sizeof message, "%s", cache_last_error());
    if (cache_redis_refuses(message) && !atomic_exchange(&store->is_watch_refused, true))
        cache_env_log(store->env, CACHE_LOG_WARN, "%s: the front is not used, since the server does not report changes",
                      message);
}

static void connect_node(struct redis_store *store, struct redis_node *node, uint64_t deadline)
{
    struct redis_watch *watch = &node->watch;
    const int64_t now_ms = cache_env_monotonic_ms(store->env);
    int expected = WATCH_OFF;
    long long id = 0;
    if (now_ms < atomic_load(&watch->retry_ms) ||
        !atomic_compare_exchange_strong(&watch->state, &expected, WATCH_CONNECTING))
        return;
    watch->connection = (struct cache_connection){ .server = &node->server, .wire = { .fd = -1 } };
    const uint64_t begun = cache_now_ns();
    cache_status status = cache_connection_open(&watch->connection, deadline);
    if (status == CACHE_OK)
        status = ask_for_id(watch, store->env, deadline, &id);
    if (status == CACHE_OK)
        status = track_and_subscribe(watch, store, id, deadline);
    if (status == CACHE_OK) {
        watch->is_new = true;
        watch->heard = begun;
        watch->sent = watch->number = 0;
        atomic_store(&watch->state, WATCH_ON);
        return;
    }
    note_refusal(store);
    cache_connection_close(&watch->connection);
    atomic_store(&watch->retry_ms, now_ms + store->retry_after_ms);
    atomic_store(&watch->state, WATCH_OFF);
}

void cache_redis_connect_watch(struct redis_store *store, uint64_t deadline)
{
    if (!atomic_load_explicit(&store->is_watched, memory_order_relaxed) || atomic_load(&store->is_watch_refused))
        return;
    cache_fork_guard_check(&store->watch_guard, forked, store);
    for (size_t i = 0; i < count_nodes(store); i++) {
        struct redis_node *node = node_at(store, i);
        const bool is_needed = store->cluster == NULL || node->has_slots;
        if (!is_needed || atomic_load(&node->watch.state) != WATCH_OFF || cache_server_is_away(&node->server))
            continue;
        int cancel = 0;
        /* A thread that was cancelled in between would leave the watch connecting for ever. */
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        connect_node(store, node, deadline);
        (void)pthread_setcancelstate(cancel, NULL);
    }
}

/* ---- hearing ----------------------------------------------------------------------------------------------------- */

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* Use one message. Returns false if it is not a message that a watch expects. */
static bool use_message(struct redis_watch *watch, const redisReply *message, const cache_changes *to, void *ctx)
{
    if (message->type != REDIS_REPLY_ARRAY || message->elements < 2)
        return false;
    if (is_text(message->element[0], "pong")) {
        char number[24];
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)watch->number);
        if (watch->sent == 0 || !is_text(message->element[1], number))
            return false;
        watch->heard = watch->sent;
        watch->sent = 0;
        return true;
    }
    if (!is_text(message->element[0], "message") || message->elements != 3)
        return false;
    const redisReply *keys = message->element[2];
    if (keys->type == REDIS_REPLY_NIL)
        to->all(ctx);
    for (size_t i = 0; keys->type == REDIS_REPLY_ARRAY && i < keys->elements; i++)
        if (keys->element[i]->type == REDIS_REPLY_STRING)
            to->one(ctx, (cache_bytes){ keys->element[i]->str, keys->element[i]->len });
    return keys->type == REDIS_REPLY_NIL || keys->type == REDIS_REPLY_ARRAY;
}

/* Use all complete messages in the reader. Returns false if one is damaged or unexpected. */
static bool use_messages(struct redis_watch *watch, const cache_changes *to, void *ctx)
{
    redisReader *reader = cache_redis_reader(&watch->connection);
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK)
            return false;
        if (reply == NULL)
            return true;
        const bool good = use_message(watch, reply, to, ctx);
        freeReplyObject(reply);
        if (!good)
            return false;
    }
}

/* Read the messages that have arrived. Returns false if the connection is lost. */
static bool read_messages(struct redis_watch *watch, const cache_changes *to, void *ctx)
{
    char bytes[READ_SIZE];
    redisReader *reader = cache_redis_reader(&watch->connection);
    size_t size = 1;
    bool good = use_messages(watch, to, ctx);    /* messages that came together with the replies to the first request */
    for (int i = 0; good && size > 0 && i < READS_AT_ONCE; i++) {
        good = cache_wire_read_some(&watch->connection.wire, bytes, sizeof bytes, false, &size) == CACHE_OK;
        if (good && size > 0)
            good = redisReaderFeed(reader, bytes, size) == REDIS_OK && use_messages(watch, to, ctx);
    }
    return good;
}

/* Send a PING if it is time. Returns false if the server has been silent for too long, or the connection is lost. */
static bool ping(struct redis_watch *watch, const struct redis_store *store, uint64_t now)
{
    char command[64], number[24];
    size_t sent = 0;
    if (watch->sent != 0)
        return now - watch->sent < (uint64_t)store->timeout_ms * NANOSECONDS_IN_MS;
    if (now - watch->heard < store->watch_interval_ns)
        return true;
    const int digits = snprintf(number, sizeof number, "%llu", (unsigned long long)++watch->number);
    const int size = snprintf(command, sizeof command, "*2\r\n$4\r\nPING\r\n$%d\r\n%s\r\n", digits, number);
    const struct iovec part = { command, (size_t)size };
    watch->sent = now;
    return cache_wire_send_some(&watch->connection.wire, &part, 1, &sent) == CACHE_OK && sent == (size_t)size;
}

/* Receive reports from one node. Returns the time until which all reports were received; 0 if this is unknown. */
static uint64_t receive_reports(struct redis_store *store, struct redis_watch *watch, const cache_changes *to,
                                void *ctx)
{
    if (atomic_load(&watch->state) != WATCH_ON)
        return 0;
    if (watch->is_new)
        to->all(ctx);
    watch->is_new = false;
    if (read_messages(watch, to, ctx) && ping(watch, store, cache_now_ns()))
        return watch->heard;
    close_watch(watch);
    to->all(ctx);
    return 0;
}

/* If slots went to another node, everything may have changed, since the old node does not report this as changes of
 * keys. */
static void look_at_map(struct redis_store *store, const cache_changes *to, void *ctx)
{
    struct redis_cluster *cluster = store->cluster;
    const unsigned changes = atomic_load(&cluster->changes);
    if (changes == store->watched_map)
        return;
    store->watched_map = changes;
    for (size_t i = 0; i < count_nodes(store); i++)
        node_at(store, i)->has_slots = cache_redis_has_slots(cluster, i);
    to->all(ctx);
}

void cache_redis_changes(void *self, const cache_changes *to, void *ctx, uint64_t *heard_ns)
{
    struct redis_store *store = self;
    uint64_t least = UINT64_MAX;
    atomic_store_explicit(&store->is_watched, true, memory_order_relaxed);
    cache_fork_guard_check(&store->watch_guard, forked, store);
    if (store->cluster != NULL)
        look_at_map(store, to, ctx);
    for (size_t i = 0; i < count_nodes(store); i++) {
        struct redis_node *node = node_at(store, i);
        if (store->cluster != NULL && !node->has_slots)
            continue;
        const uint64_t heard = receive_reports(store, &node->watch, to, ctx);
        least = heard < least ? heard : least;
    }
    *heard_ns = least != UINT64_MAX ? least : 0;
}
