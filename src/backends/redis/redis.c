/* redis.c - the Redis store: the options, one key at a time, the table. */
#include "store.h"

#include "hooks.h"
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, DEFAULT_SENTINEL_PORT = 26379, MAX_SOCKET_PATH = 107, MAX_DB = 1 << 20 };

/* ---- open -------------------------------------------------------------------------------------------------------- */

static const cache_option options[] = {
    { "db", CACHE_OPTION_INT, .def = "0", .min = 0, .max = MAX_DB,
      .help = "the database; redis://host/2 says the same" },
    { "user", CACHE_OPTION_TEXT, .min = 1, .max = 512,
      .help = "an ACL user; redis://user:password@host says the same" },
    { "password", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "its password, or that of requirepass" },
    { "pool", CACHE_OPTION_INT, .def = "16", .min = 1, .max = 1024, .help = "connections, made as needed" },
    { 0 },
};

static cache_status copy_text(const cache_env *env, const char *text, char **out)
{
    *out = text != NULL ? cache_env_strdup(env, text) : NULL;
    return text == NULL || *out != NULL ? CACHE_OK : cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
}

static cache_status twice(const char *what)
{
    return cache_fail(CACHE_ERR_CONFIG, "redis: the %s stands in the URL twice", what);
}

static cache_status read_user(const cache_backend_config *config, struct redis_store *store)
{
    const char *user = cache_option_text(config, "user"), *password = cache_option_text(config, "password");
    if (user != NULL && config->user != NULL)
        return twice("user");
    if (password != NULL && config->password != NULL)
        return twice("password");
    user = user != NULL ? user : config->user;
    password = password != NULL ? password : config->password;
    if (password != NULL && password[0] == '\0')
        password = NULL;
    if (user != NULL && password == NULL)
        return cache_fail(CACHE_ERR_CONFIG, "redis: a user without a password");
    const cache_status status = copy_text(config->env, user, &store->user);
    return status == CACHE_OK ? copy_text(config->env, password, &store->password) : status;
}

/* `text`: what follows the '/' in front of the database's number; NULL or "": none stands there. */
static cache_status read_db(const cache_backend_config *config, const char *text, struct redis_store *store)
{
    store->db = cache_option_int(config, "db");
    if (text == NULL || text[0] == '\0')
        return CACHE_OK;
    const size_t size = strlen(text);
    const long number = size <= 7 && strspn(text, "0123456789") == size ? strtol(text, NULL, 10) : -1;
    if (number < 0 || number > MAX_DB)
        return cache_fail(CACHE_ERR_CONFIG, "redis: '%.60s' is no number of a database", text);
    if (cache_option_is_set(config, "db"))
        return twice("database");
    store->db = number;
    return CACHE_OK;
}

static cache_status read_hosts(const cache_backend_config *config, int default_port, struct redis_store *store)
{
    static const cache_host here = { "127.0.0.1", 0 };
    const size_t n = config->n_hosts > 0 ? config->n_hosts : 1;
    store->hosts = cache_env_alloc(config->env, n * sizeof *store->hosts);
    if (store->hosts == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
    for (size_t i = 0; i < n; i++) {
        const cache_host *from = config->n_hosts > 0 ? &config->hosts[i] : &here;
        if (from->name[0] == '/' || strlen(from->name) >= sizeof((struct redis_address *)NULL)->host)
            return cache_fail(CACHE_ERR_CONFIG, "redis: '%.60s' is not a host", from->name);
        char *name = NULL;
        const cache_status status = copy_text(config->env, from->name, &name);
        if (status != CACHE_OK)
            return status;
        store->hosts[i] = (cache_host){ name, from->port != 0 ? from->port : default_port };
        store->n_hosts++;
    }
    return CACHE_OK;
}

static cache_status read_tcp(const cache_backend_config *config, struct redis_store *store)
{
    store->kind = REDIS_TCP;
    if (config->n_hosts > 1)
        return cache_fail(CACHE_ERR_CONFIG, "redis: one server; several hosts are sentinels: redis+sentinel://");
    cache_status status = read_hosts(config, DEFAULT_PORT, store);
    if (status == CACHE_OK)
        status = read_db(config, config->path[0] != '\0' ? config->path + 1 : NULL, store);
    if (status == CACHE_OK)
        (void)snprintf(store->where, sizeof store->where,
                       strchr(store->hosts[0].name, ':') != NULL ? "redis [%.120s]:%d" : "redis %.120s:%d",
                       store->hosts[0].name, store->hosts[0].port);
    return status;
}

static cache_status read_unix(const cache_backend_config *config, struct redis_store *store)
{
    store->kind = REDIS_UNIX;
    if (config->n_hosts > 0 || config->path[0] == '\0' || config->path[1] == '\0')
        return cache_fail(CACHE_ERR_CONFIG,
                          "redis: a socket's path stands behind three slashes: redis+unix:///run/redis.sock");
    if (strlen(config->path) > MAX_SOCKET_PATH)
        return cache_fail(CACHE_ERR_CONFIG, "redis: a socket's path has at most %d bytes", MAX_SOCKET_PATH);
    (void)snprintf(store->where, sizeof store->where, "redis %s", config->path);
    const cache_status status = copy_text(config->env, config->path, &store->name);
    return status == CACHE_OK ? read_db(config, NULL, store) : status;
}

static cache_status read_sentinel(const cache_backend_config *config, struct redis_store *store)
{
    store->kind = REDIS_SENTINEL;
    const char *service = config->path[0] != '\0' ? config->path + 1 : "";
    const char *slash = strchr(service, '/');
    const size_t size = slash != NULL ? (size_t)(slash - service) : strlen(service);
    if (size == 0)
        return cache_fail(CACHE_ERR_CONFIG, "redis: the service's name is missing: redis+sentinel://host1,host2/name");
    (void)snprintf(store->where, sizeof store->where, "redis service %.*s", (int)(size < 120 ? size : 120), service);
    cache_status status = read_hosts(config, DEFAULT_SENTINEL_PORT, store);
    if (status == CACHE_OK)
        status = read_db(config, slash != NULL ? slash + 1 : NULL, store);
    if (status == CACHE_OK)
        status = copy_text(config->env, service, &store->name);
    if (status == CACHE_OK)
        store->name[size] = '\0';
    return status;
}

static cache_status read_place(const cache_backend_config *config, struct redis_store *store)
{
    if (strcmp(config->scheme, "redis") == 0)
        return read_tcp(config, store);
    if (strcmp(config->scheme, "redis+unix") == 0)
        return read_unix(config, store);
    if (strcmp(config->scheme, "redis+sentinel") == 0)
        return read_sentinel(config, store);
    return cache_fail(CACHE_ERR_CONFIG,
                      "redis: rediss:// needs TLS, which this build has not: "
                      "a tunnel on this machine (stunnel, spiped) and redis+unix:// or redis://127.0.0.1 do it");
}

static cache_status make_connections(struct redis_store *store, int n)
{
    store->connections = cache_env_alloc(store->env, (size_t)n * sizeof *store->connections);
    if (store->connections == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    memset(store->connections, 0, (size_t)n * sizeof *store->connections);
    return cache_pool_init(&store->pool, store->env, n, store->where);
}

static void store_close(void *self)
{
    struct redis_store *store = self;
    cache_redis_check_fork(store);
    for (int i = 0; store->connections != NULL && i < store->pool.n; i++)
        if (store->connections[i].context != NULL)
            redisFree(store->connections[i].context);
    cache_pool_release(&store->pool);
    cache_breaker_release(&store->breaker);
    cache_env_free(store->env, store->connections);
    for (size_t i = 0; i < store->n_hosts; i++)
        cache_env_free(store->env, (char *)(uintptr_t)store->hosts[i].name);
    cache_env_free(store->env, store->hosts);
    cache_env_free(store->env, store->name);
    cache_env_free(store->env, store->user);
    cache_env_free(store->env, store->password);
    cache_env_free(store->env, store);
}

static cache_status store_open(const cache_backend_config *config, void **self)
{
    struct redis_store *store = cache_env_alloc(config->env, sizeof *store);
    if (store == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
    *store = (struct redis_store){
        .env = config->env,
        .timeout_ms = cache_option_ms(config, "timeout"),
        .connect_timeout_ms = cache_option_ms(config, "connect_timeout"),
    };
    cache_fork_guard_init(&store->forked);
    cache_breaker_init(&store->breaker, store->env, store->where, cache_option_ms(config, "retry_after"),
                       store->timeout_ms);
    cache_status status = read_place(config, store);
    if (status == CACHE_OK)
        status = read_user(config, store);
    if (status == CACHE_OK)
        status = cache_redis_prepare(store);
    if (status == CACHE_OK)
        status = make_connections(store, (int)cache_option_int(config, "pool"));
    if (status != CACHE_OK) {
        store_close(store);
        return status;
    }
    *self = store;
    return CACHE_OK;
}

/* ---- one command ------------------------------------------------------------------------------------------------- */

enum { ONCE = false, REPEATABLE = true };

/* Send the command that `format` makes, in redisFormatCommand's words, and hand its reply to `reply`. */
static cache_status command(struct redis_store *store, bool repeatable, redis_reply_fn *reply, void *ctx,
                            const char *format, ...)
{
    char *bytes = NULL;
    va_list args;
    va_start(args, format);
    const int size = redisvFormatCommand(&bytes, format, args);
    va_end(args);
    if (size < 0)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    const struct redis_request request = {
        .data = bytes, .size = (size_t)size, .n_replies = 1, .repeatable = repeatable, .reply = reply, .ctx = ctx
    };
    const cache_status status = cache_redis_call(store, &request);
    redisFreeCommand(bytes);
    return status;
}

static cache_status reply_done(void *ctx, size_t index, const redisReply *reply)
{
    (void)index;
    return reply->type == REDIS_REPLY_STATUS ? CACHE_OK : cache_redis_unexpected(ctx, reply);
}

/* SET … NX says nil to a key that is there. */
static cache_status reply_stored(void *ctx, size_t index, const redisReply *reply)
{
    return reply->type == REDIS_REPLY_NIL ? CACHE_NOT_STORED : reply_done(ctx, index, reply);
}

/* How many keys the command met. */
static cache_status reply_there(void *ctx, size_t index, const redisReply *reply)
{
    (void)index;
    if (reply->type != REDIS_REPLY_INTEGER)
        return cache_redis_unexpected(ctx, reply);
    return reply->integer > 0 ? CACHE_OK : CACHE_MISS;
}

/* ---- get, set, remove -------------------------------------------------------------------------------------------- */

struct read {
    struct redis_store *store;
    cache_writer *out;
};

static cache_status reply_value(void *ctx, size_t index, const redisReply *reply)
{
    const struct read *read = ctx;
    (void)index;
    if (reply->type == REDIS_REPLY_NIL)
        return CACHE_MISS;
    if (reply->type != REDIS_REPLY_STRING)
        return cache_redis_unexpected(read->store, reply);
    return cache_writer_append(read->out, reply->str, reply->len);
}

static cache_status store_get(void *self, cache_bytes key, cache_writer *out)
{
    struct read read = { self, out };
    return command(self, REPEATABLE, reply_value, &read, "GET %b", key.data, key.size);
}

static cache_status store_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    const bool if_absent = (flags & CACHE_SET_IF_ABSENT) != 0;
    const long long ttl = ttl_ms;
    if (if_absent && ttl > 0)
        return command(self, ONCE, reply_stored, self, "SET %b %b PX %lld NX", key.data, key.size, value.data,
                       value.size, ttl);
    if (if_absent)
        return command(self, ONCE, reply_stored, self, "SET %b %b NX", key.data, key.size, value.data, value.size);
    if (ttl > 0)
        return command(self, REPEATABLE, reply_done, self, "SET %b %b PX %lld", key.data, key.size, value.data,
                       value.size, ttl);
    return command(self, REPEATABLE, reply_done, self, "SET %b %b", key.data, key.size, value.data, value.size);
}

static cache_status store_remove(void *self, cache_bytes key)
{
    return command(self, REPEATABLE, reply_there, self, "UNLINK %b", key.data, key.size);
}

static cache_status store_has(void *self, cache_bytes key)
{
    return command(self, REPEATABLE, reply_there, self, "EXISTS %b", key.data, key.size);
}

/* ---- several commands in one request ----------------------------------------------------------------------------- */

static cache_status append(cache_writer *out, const char *format, ...)
{
    char *bytes = NULL;
    va_list args;
    va_start(args, format);
    const int size = redisvFormatCommand(&bytes, format, args);
    va_end(args);
    if (size < 0)
        return cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
    const cache_status status = cache_writer_append(out, bytes, (size_t)size);
    redisFreeCommand(bytes);
    return status;    /* a writer's first failure stays: the last status tells of all */
}

/* PERSIST says 0 to a key that is not there and to one that had no time to begin with: EXISTS tells them apart. */
static cache_status reply_persisted(void *ctx, size_t index, const redisReply *reply)
{
    return index == 0 ? CACHE_OK : reply_there(ctx, index, reply);
}

static cache_status store_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct redis_store *store = self;
    if (ttl_ms > 0)
        return command(store, REPEATABLE, reply_there, store, "PEXPIRE %b %lld", key.data, key.size, (long long)ttl_ms);
    cache_writer out;
    cache_writer_init(&out, cache_env_allocator(store->env));
    (void)append(&out, "PERSIST %b", key.data, key.size);
    cache_status status = append(&out, "EXISTS %b", key.data, key.size);
    if (status == CACHE_OK) {
        const struct redis_request request = { .data = out.data, .size = out.size, .n_replies = 2, .repeatable = true,
                                               .reply = reply_persisted, .ctx = store };
        status = cache_redis_call(store, &request);
    }
    cache_writer_release(&out);
    return status;
}

/* ---- inc ---------------------------------------------------------------------------------------------------------- *
 * INCRBY leaves the time of a key alone, and gives a new one none. So that a new one has its time from the start, a
 * transaction makes it 0 with its time where there is none, and adds. One round trip, and the number never passes
 * through Lua, whose numbers are doubles. */

enum { REPLY_EXEC = 3 };

struct count {
    struct redis_store *store;
    int64_t result;
};

static cache_status reply_number(void *ctx, size_t index, const redisReply *reply)
{
    struct count *count = ctx;
    (void)index;
    if (reply->type == REDIS_REPLY_ERROR)
        return cache_redis_error(count->store->where, reply->str);
    if (reply->type != REDIS_REPLY_INTEGER)
        return cache_redis_unexpected(count->store, reply);
    count->result = reply->integer;
    return CACHE_OK;
}

static cache_status reply_transaction(void *ctx, size_t index, const redisReply *reply)
{
    struct count *count = ctx;
    if (index < REPLY_EXEC)
        return reply_done(count->store, index, reply);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return cache_redis_unexpected(count->store, reply);
    return reply_number(ctx, index, reply->element[1]);
}

static cache_status store_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct redis_store *store = self;
    struct count count = { store, 0 };
    cache_status status;
    if (ttl_ms == 0)
        status = command(store, ONCE, reply_number, &count, "INCRBY %b %lld", key.data, key.size, (long long)delta);
    else {
        cache_writer out;
        cache_writer_init(&out, cache_env_allocator(store->env));
        (void)append(&out, "MULTI");
        (void)append(&out, "SET %b 0 PX %lld NX", key.data, key.size, (long long)ttl_ms);
        (void)append(&out, "INCRBY %b %lld", key.data, key.size, (long long)delta);
        status = append(&out, "EXEC");
        if (status == CACHE_OK) {
            const struct redis_request request = { .data = out.data, .size = out.size, .n_replies = REPLY_EXEC + 1,
                                                   .transaction = true, .reply = reply_transaction, .ctx = &count };
            status = cache_redis_call(store, &request);
        }
        cache_writer_release(&out);
    }
    if (status == CACHE_OK)
        *result = count.result;
    return status;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static cache_status store_stats(void *self, cache_counters *out)
{
    struct redis_store *store = self;
    out->timeouts += atomic_load_explicit(&store->timeouts, memory_order_relaxed);
    out->reconnects += atomic_load_explicit(&store->reconnects, memory_order_relaxed);
    out->rejections += atomic_load_explicit(&store->breaker.rejections, memory_order_relaxed);
    return CACHE_OK;
}

static const char *const aliases[] = { "redis+unix", "redis+sentinel", "rediss", NULL };

const cache_backend_ops cache_redis_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "redis",
    .aliases = aliases,
    .max_value = 512u * 1024 * 1024,    /* proto-max-bulk-len, unless the server's administrator changed it */
    .options = options,
    .open = store_open,
    .close = store_close,
    .get = store_get,
    .set = store_set,
    .remove = store_remove,
    .inc = store_inc,
    .clear = cache_redis_clear,
    .get_many = cache_redis_get_many,
    .set_many = cache_redis_set_many,
    .remove_many = cache_redis_remove_many,
    .touch = store_touch,
    .has = store_has,
    .stats = store_stats,
};
