/* redis.c - the Redis store: opening it, operations on one key, and the table of operations. */
#include "store.h"

#include "hooks.h"

#include <string.h>

/* ---- open -------------------------------------------------------------------------------------------------------- */

static cache_status open_node(struct redis_store *store)
{
    store->protocol = cache_redis_protocol;
    if (store->kind == REDIS_SENTINEL)
        store->protocol.locate = cache_redis_find_master;
    const struct cache_server_config config = {
        .env = store->env, .where = store->where,
        .place = { store->kind == REDIS_UNIX ? store->name : store->hosts[0].name,
                   store->kind == REDIS_UNIX ? 0 : store->hosts[0].port },
        .protocol = &store->protocol, .ctx = store, .tls = store->tls, .pool = store->pool, .gather = store->gather,
        .timeout_ms = store->timeout_ms, .connect_timeout_ms = store->connect_timeout_ms,
        .retry_after_ms = store->retry_after_ms,
        .counters = &store->counters,
    };
    const cache_status status = cache_server_init(&store->node.server, &config);
    store->opened = status == CACHE_OK;
    return status;
}

static void store_close(void *self)
{
    struct redis_store *store = self;
    cache_redis_close_watch(store);
    if (store->opened)
        cache_server_release(&store->node.server);
    cache_redis_close_cluster(store);
    cache_redis_close_sentinels(store);
    cache_redis_forget_url(store);
    cache_env_free(store->env, store);
}

static cache_status store_open(const cache_backend_config *config, void **self)
{
    struct redis_store *store = cache_env_alloc(config->env, sizeof *store);
    if (store == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
    *store = (struct redis_store){ .env = config->env };
    cache_status status = cache_redis_read_url(config, store);
    if (status == CACHE_OK)
        status = cache_redis_prepare(store);
    if (status == CACHE_OK)
        status = cache_redis_open_sentinels(store);
    if (status == CACHE_OK)
        status = store->kind == REDIS_CLUSTER ? cache_redis_open_cluster(store, config->prefix)
                                              : open_node(store);
    if (status == CACHE_OK)
        status = cache_redis_open_watch(config, store);
    if (status != CACHE_OK) {
        store_close(store);
        return status;
    }
    *self = store;
    return CACHE_OK;
}

/* ---- get, set, remove -------------------------------------------------------------------------------------------- */

static cache_status store_get(void *self, cache_bytes key, cache_writer *out)
{
    return cache_redis_get_by(self, key, cache_redis_deadline(self), out);
}

static cache_status store_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    return cache_redis_set_by(self, key, value, ttl_ms, flags, cache_redis_deadline(self));
}

static cache_status store_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    const uint64_t deadline = cache_redis_deadline(self);
    const cache_status status = cache_redis_get_many(self, keys, n, out);
    if (status == CACHE_OK)
        cache_redis_connect_watch(self, deadline);
    return status;
}

/* Send a command that returns the number of keys that existed. */
static cache_status command_on_key(struct redis_store *store, const cache_bytes words[], size_t n, bool overwrites,
                                   uint64_t deadline)
{
    struct redis_request request = { .repeatable = true, .overwrites = overwrites, .types = "i" };
    cache_status status = cache_redis_command(store, words[1], words, n, deadline, &request);
    if (status == CACHE_OK && request.replies[0]->integer == 0)
        status = CACHE_MISS;
    cache_redis_release(&request);
    return status;
}

static cache_status store_remove(void *self, cache_bytes key)
{
    size_t removed = 0;
    const cache_status status = cache_redis_remove_many(self, &key, 1, &removed);
    return status == CACHE_OK && removed == 0 ? CACHE_MISS : status;
}

static cache_status store_has(void *self, cache_bytes key)
{
    const cache_bytes words[] = { REDIS_WORD("EXISTS"), key };
    return command_on_key(self, words, 2, false, cache_redis_deadline(self));
}

/* ---- touch, inc -------------------------------------------------------------------------------------------------- */

static void put_words(cache_writer *out, const cache_bytes words[], size_t n)
{
    (void)cache_redis_begin_command(out, n);
    for (size_t i = 0; i < n; i++)
        (void)cache_redis_put_word(out, words[i].data, words[i].size);
}

static cache_status call_written(struct redis_store *store, cache_bytes key, cache_writer *out,
                                 struct redis_request *request)
{
    cache_status status = cache_writer_status(out);
    request->parts[0] = (struct iovec){ out->data, out->size };
    request->n_parts = 1;
    if (status == CACHE_OK)
        status = cache_redis_call(store, key, request, cache_redis_deadline(store));
    cache_writer_release(out);
    return status;
}

/* Send two requests, because ASKING holds for one command only. */
static cache_status persist_in_cluster(struct redis_store *store, cache_bytes key)
{
    const uint64_t deadline = cache_redis_deadline(store);
    const cache_bytes persist[] = { REDIS_WORD("PERSIST"), key }, exists[] = { REDIS_WORD("EXISTS"), key };
    const cache_status status = command_on_key(store, persist, 2, true, deadline);
    return status == CACHE_MISS ? command_on_key(store, exists, 2, false, deadline) : status;
}

/* PERSIST returns 0 if the key does not exist, and also if it has no time to live. EXISTS tells these cases apart. */
static cache_status persist(struct redis_store *store, cache_bytes key)
{
    cache_writer out;
    struct redis_request request = { .n_replies = 2, .repeatable = true, .overwrites = true, .types = "i" };
    cache_writer_init(&out, cache_env_allocator(store->env));
    put_words(&out, (const cache_bytes[]){ REDIS_WORD("PERSIST"), key }, 2);
    put_words(&out, (const cache_bytes[]){ REDIS_WORD("EXISTS"), key }, 2);
    cache_status status = call_written(store, key, &out, &request);
    if (status == CACHE_OK && request.replies[1]->integer == 0)
        status = CACHE_MISS;
    cache_redis_release(&request);
    return status;
}

static cache_status store_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    char number[NUMBER_MAX_SIZE + 1];
    if (ttl_ms == 0)
        return ((struct redis_store *)self)->cluster != NULL ? persist_in_cluster(self, key) : persist(self, key);
    const cache_bytes expire[] = { REDIS_WORD("PEXPIRE"), key, cache_redis_number_word(ttl_ms, number) };
    return command_on_key(self, expire, 3, true, cache_redis_deadline(self));
}

/* Read the reply of INCRBY: a number, or an error. */
static cache_status read_number(const struct redis_store *store, const redisReply *reply, int64_t *result)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return cache_redis_error(store->where, reply->str);
    if (reply->type != REDIS_REPLY_INTEGER)
        return cache_redis_unexpected(store->where, reply);
    *result = reply->integer;
    return CACHE_OK;
}

/* INCRBY keeps the time to live of a key, and creates a new key without one. So that a new counter has its time to live
 * from the start, a transaction first creates it as 0 with that time if it does not exist, and then adds. This takes
 * one round trip, and the number never passes through Lua, whose numbers are doubles. If MULTI is refused (by an ACL),
 * the commands after it are executed one by one. The counter is as correct, but another client may see its 0. */
enum { REPLY_MULTI, REPLY_SET, REPLY_INCRBY, REPLY_EXEC, N_REPLIES };

static cache_status read_transaction(const struct redis_store *store, redisReply *const replies[N_REPLIES],
                                     int64_t *result)
{
    const redisReply *exec = replies[REPLY_EXEC];
    if (replies[REPLY_MULTI]->type == REDIS_REPLY_ERROR) {
        if (replies[REPLY_INCRBY]->type != REDIS_REPLY_INTEGER && replies[REPLY_SET]->type == REDIS_REPLY_ERROR)
            return cache_redis_error(store->where, replies[REPLY_SET]->str);
        return read_number(store, replies[REPLY_INCRBY], result);
    }
    for (size_t i = REPLY_SET; i < REPLY_EXEC; i++)
        if (replies[i]->type == REDIS_REPLY_ERROR)
            return cache_redis_error(store->where, replies[i]->str);
    if (exec->type == REDIS_REPLY_ARRAY && exec->elements == 2)
        return read_number(store, exec->element[1], result);
    return exec->type == REDIS_REPLY_ERROR ? cache_redis_error(store->where, exec->str)
                                           : cache_redis_unexpected(store->where, exec);
}

static cache_status inc_with_time(struct redis_store *store, cache_bytes key, cache_bytes delta, int64_t ttl_ms,
                                  int64_t *result)
{
    cache_writer out;
    char number[NUMBER_MAX_SIZE + 1];
    struct redis_request request = { .n_replies = N_REPLIES, .takes_errors = true, .types = "oina" };
    const cache_bytes ttl = cache_redis_number_word(ttl_ms, number);
    cache_writer_init(&out, cache_env_allocator(store->env));
    put_words(&out, (const cache_bytes[]){ REDIS_WORD("MULTI") }, 1);
    put_words(&out, (const cache_bytes[]){ REDIS_WORD("SET"), key, REDIS_WORD("0"), REDIS_WORD("PX"), ttl,
                                           REDIS_WORD("NX") }, 6);
    put_words(&out, (const cache_bytes[]){ REDIS_WORD("INCRBY"), key, delta }, 3);
    put_words(&out, (const cache_bytes[]){ REDIS_WORD("EXEC") }, 1);
    cache_status status = call_written(store, key, &out, &request);
    if (status == CACHE_OK)
        status = read_transaction(store, request.replies, result);
    cache_redis_release(&request);
    return status;
}

static cache_status store_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    char number[NUMBER_MAX_SIZE + 1];
    const cache_bytes words[] = { REDIS_WORD("INCRBY"), key, cache_redis_number_word(delta, number) };
    struct redis_request request = { .types = "i" };
    if (ttl_ms > 0)
        return inc_with_time(self, key, words[2], ttl_ms, result);
    const cache_status status =
        cache_redis_command(self, words[1], words, 3, cache_redis_deadline(self), &request);
    if (status == CACHE_OK)
        *result = request.replies[0]->integer;
    cache_redis_release(&request);
    return status;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static cache_status store_stats(void *self, cache_counters *out)
{
    struct redis_store *store = self;
    out->timeouts += atomic_load_explicit(&store->counters.timeouts, memory_order_relaxed);
    out->reconnects += atomic_load_explicit(&store->counters.reconnects, memory_order_relaxed);
    for (size_t i = 0; store->cluster != NULL && i < atomic_load(&store->cluster->n_nodes); i++)
        cache_server_count(&atomic_load(&store->cluster->nodes[i])->server, out);
    if (store->cluster == NULL)
        cache_server_count(&store->node.server, out);
    return CACHE_OK;
}

static const char *const aliases[] = { "redis+unix", "redis+sentinel", "rediss", "rediss+sentinel",
                                       "redis+cluster", "rediss+cluster", "valkey", "valkey+unix", "valkey+sentinel",
                                       "valkey+cluster", "valkeys", "valkeys+sentinel", "valkeys+cluster", NULL };

const cache_backend_ops cache_redis_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "redis",
    .aliases = aliases,
    .max_value = 512u * 1024 * 1024,    /* the default of proto-max-bulk-len, which the server's administrator can
                                         * change */
    .options = cache_redis_options,
    .open = store_open,
    .close = store_close,
    .get = store_get,
    .set = store_set,
    .remove = store_remove,
    .inc = store_inc,
    .clear = cache_redis_clear,
    .get_many = store_get_many,
    .set_many = cache_redis_set_many,
    .remove_many = cache_redis_remove_many,
    .touch = store_touch,
    .has = store_has,
    .stats = store_stats,
    .get_left = cache_redis_get_left,
    .list = cache_redis_list,
    .ping = cache_redis_ping,
    .changes = cache_redis_changes,
    .compare_and_set = cache_redis_compare_and_set,
};
