/* server.c - hosts: which one keeps a key, its pool of handles, its circuit breaker, its failures in words. */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HANDLE_EMPTY, HANDLE_IDLE, HANDLE_BUSY };

enum {
    DEFAULT_PORT = 11211,
    TIMEOUTS_TO_BE_AWAY = 2,           /* one may be a slow answer; two in a row are a host that does not answer */
    NEVER = 1 << 30                    /* libmemcached's own breaker counts whole seconds, one handle alone: ours does it */
};

/* ---- handles --------------------------------------------------------------------------------------------------- */

static bool set(memcached_st *memc, memcached_behavior_t behavior, int64_t value)
{
    return memcached_success(memcached_behavior_set(memc, behavior, (uint64_t)value));
}

static cache_status handle_make(struct mc_server *server, struct mc_handle *handle)
{
    const struct mc_store *store = server->store;
    memcached_st *memc = memcached_create(NULL);
    if (memc == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    const bool good = set(memc, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1)
        && set(memc, MEMCACHED_BEHAVIOR_TCP_KEEPALIVE, 1)
        && set(memc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, store->timeout_ms)
        && set(memc, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, store->connect_timeout_ms)
        && set(memc, MEMCACHED_BEHAVIOR_SERVER_TIMEOUT_LIMIT, NEVER)
        && set(memc, MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT, NEVER)
        && memcached_success(memcached_server_add(memc, server->host, (in_port_t)server->port));
    if (!good || memcached_result_create(memc, &handle->result) == NULL) {
        memcached_free(memc);
        return cache_fail(CACHE_ERR_NOMEM, "memcached %s: out of memory", server->where);
    }
    handle->memc = memc;
    handle->connected = handle->used = false;
    handle->epoch = atomic_load(&server->epoch);
    return CACHE_OK;
}

/* Close the connection, if there is one, without a wait for anything. */
static void handle_disconnect(const struct mc_store *store, struct mc_handle *handle)
{
    (void)set(handle->memc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 0);
    memcached_quit(handle->memc);
    (void)set(handle->memc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, store->timeout_ms);
    handle->connected = false;
}

static void handle_free(const struct mc_store *store, struct mc_handle *handle)
{
    handle_disconnect(store, handle);
    memcached_result_free(&handle->result);
    memcached_free(handle->memc);
    handle->memc = NULL;
}

static struct mc_handle *take(struct mc_server *server, int state)
{
    for (int i = 0; i < server->store->pool; i++) {
        int expected = state;    /* from the front, so that few callers share few connections */
        if (atomic_load_explicit(&server->handles[i].state, memory_order_relaxed) == state
            && atomic_compare_exchange_strong(&server->handles[i].state, &expected, HANDLE_BUSY))
            return &server->handles[i];
    }
    return NULL;
}

static struct mc_handle *take_any(struct mc_server *server)
{
    struct mc_handle *handle = take(server, HANDLE_IDLE);
    return handle != NULL ? handle : take(server, HANDLE_EMPTY);
}

static void put_back(struct mc_server *server, struct mc_handle *handle)
{
    atomic_store(&handle->state, handle->memc != NULL ? HANDLE_IDLE : HANDLE_EMPTY);
    if (atomic_load(&server->waiting) > 0) {
        pthread_mutex_lock(&server->lock);
        pthread_cond_signal(&server->freed);
        pthread_mutex_unlock(&server->lock);
    }
}

static struct mc_handle *wait_for_one(struct mc_server *server)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(server->store->timeout_ms / 1000);
    until.tv_nsec += (long)(server->store->timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    struct mc_handle *handle = NULL;
    pthread_mutex_lock(&server->lock);
    atomic_fetch_add(&server->waiting, 1);    /* before the look: who puts back after it will signal */
    int waited = 0;
    while ((handle = take_any(server)) == NULL && waited == 0)
        waited = pthread_cond_timedwait(&server->freed, &server->lock, &until);
    atomic_fetch_sub(&server->waiting, 1);
    pthread_mutex_unlock(&server->lock);
    return handle;
}

/* ---- the circuit breaker --------------------------------------------------------------------------------------- */

/* False: the host is away, and it is not this caller who tries it again. */
static bool may_try(struct mc_server *server)
{
    int64_t retry_at = atomic_load_explicit(&server->retry_at, memory_order_relaxed);
    if (retry_at == 0)
        return true;
    const struct mc_store *store = server->store;
    if (!cache_env_monotonic_reached(store->env, retry_at))
        return false;
    const int64_t next = cache_env_monotonic_ms(store->env) + store->retry_after_ms;
    return atomic_compare_exchange_strong(&server->retry_at, &retry_at, next);
}

static void is_away(struct mc_server *server)
{
    const struct mc_store *store = server->store;
    const int64_t next = cache_env_monotonic_ms(store->env) + store->retry_after_ms;
    if (atomic_exchange(&server->retry_at, next) == 0)
        cache_env_log(store->env, CACHE_LOG_WARN, "%s; left alone for %lld ms", cache_last_error(),
                      (long long)store->retry_after_ms);
}

static void is_here(struct mc_server *server)
{
    if (atomic_load_explicit(&server->timeouts_in_a_row, memory_order_relaxed) != 0)
        atomic_store(&server->timeouts_in_a_row, 0);
    if (atomic_load_explicit(&server->retry_at, memory_order_relaxed) != 0 && atomic_exchange(&server->retry_at, 0) != 0)
        cache_env_log(server->store->env, CACHE_LOG_INFO, "memcached %s: answers again", server->where);
}

/* ---- failures -------------------------------------------------------------------------------------------------- */

static cache_status status_of_errno(int error)
{
    switch (error) {
    case ETIMEDOUT:
        return CACHE_ERR_TIMEOUT;
    case ENOMEM:
        return CACHE_ERR_NOMEM;
    case ECONNREFUSED: case ECONNRESET: case ECONNABORTED: case ENOTCONN: case EPIPE: case EHOSTUNREACH: case ENETUNREACH:
    case EHOSTDOWN: case ENETDOWN: case EADDRNOTAVAIL:
        return CACHE_ERR_CONNECT;
    default:
        return CACHE_ERR_IO;
    }
}

static cache_status status_of(memcached_return_t rc, int error)
{
    switch (rc) {
    case MEMCACHED_SUCCESS: case MEMCACHED_STORED: case MEMCACHED_DELETED: case MEMCACHED_END: case MEMCACHED_BUFFERED:
        return CACHE_OK;
    case MEMCACHED_NOTFOUND:
        return CACHE_MISS;
    case MEMCACHED_NOTSTORED: case MEMCACHED_DATA_EXISTS:
        return CACHE_NOT_STORED;
    case MEMCACHED_TIMEOUT:
        return CACHE_ERR_TIMEOUT;
    case MEMCACHED_E2BIG:
        return CACHE_ERR_TOO_LARGE;
    case MEMCACHED_MEMORY_ALLOCATION_FAILURE:
        return CACHE_ERR_NOMEM;
    case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
        return CACHE_ERR_IO;
    case MEMCACHED_AUTH_FAILURE: case MEMCACHED_AUTH_PROBLEM:
        return CACHE_ERR_AUTH;
    case MEMCACHED_HOST_LOOKUP_FAILURE: case MEMCACHED_CONNECTION_FAILURE: case MEMCACHED_NO_SERVERS:
    case MEMCACHED_WRITE_FAILURE: case MEMCACHED_READ_FAILURE: case MEMCACHED_PARTIAL_READ: case MEMCACHED_SOME_ERRORS:
    case MEMCACHED_SERVER_MARKED_DEAD: case MEMCACHED_SERVER_TEMPORARILY_DISABLED: case MEMCACHED_FAILURE:
        return error != 0 ? status_of_errno(error) : CACHE_ERR_CONNECT;
    case MEMCACHED_ERRNO:
        return status_of_errno(error);
    default:
        return CACHE_ERR_PROTOCOL;
    }
}

/* What the server itself said stands in the middle of "(0x55…) SERVER ERROR, text,  host: …". */
static void explain(const struct mc_handle *handle, memcached_return_t rc, int error, char *out, size_t size)
{
    const char *text = memcached_last_error_message(handle->memc);
    if (error != 0) {
        char buffer[64] = "";
        (void)strerror_r(error, buffer, sizeof buffer);
        (void)snprintf(out, size, "%s", buffer);
    } else if ((rc == MEMCACHED_SERVER_ERROR || rc == MEMCACHED_CLIENT_ERROR) && text != NULL
               && strstr(text, ") ") != NULL) {
        text = strstr(text, ") ") + 2;
        const char *end = strstr(text, ",  host:");
        (void)snprintf(out, size, "%.*s", end != NULL ? (int)(end - text) : (int)strlen(text), text);
    } else if (rc == MEMCACHED_TIMEOUT)
        (void)snprintf(out, size, "no answer within %lld ms",
                       (long long)memcached_behavior_get(handle->memc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT));
    else {
        const char *words = memcached_strerror(handle->memc, rc);
        (void)snprintf(out, size, "%s", words);
    }
}

static void judge(struct mc_server *server, struct mc_handle *handle, cache_status status)
{
    struct mc_store *store = server->store;
    if (status == CACHE_ERR_TIMEOUT) {
        atomic_fetch_add_explicit(&store->timeouts, 1, memory_order_relaxed);
        if (atomic_fetch_add(&server->timeouts_in_a_row, 1) + 1 >= TIMEOUTS_TO_BE_AWAY)
            is_away(server);
    } else if (status == CACHE_ERR_CONNECT && handle->connected)
        atomic_fetch_add(&server->epoch, 1);    /* the host went or restarted: the other idle connections are dead too */
    else if (status == CACHE_ERR_CONNECT)
        is_away(server);
}

cache_status cache_mc_release(struct mc_server *server, struct mc_handle *handle, memcached_return_t rc)
{
    const int error = memcached_fatal(rc) ? memcached_last_error_errno(handle->memc) : 0;
    const cache_status status = status_of(rc, error);
    if (status >= 0 || rc == MEMCACHED_E2BIG) {
        if (!handle->connected && handle->used)
            atomic_fetch_add_explicit(&server->store->reconnects, 1, memory_order_relaxed);
        handle->connected = handle->used = true;
        is_here(server);
    }
    if (status < 0) {
        char text[256];
        explain(handle, rc, error, text, sizeof text);
        (void)cache_fail(status, "memcached %s: %s", server->where, text);
        judge(server, handle, status);
        handle_disconnect(server->store, handle);
    }
    put_back(server, handle);
    return status;
}

cache_status cache_mc_acquire(struct mc_server *server, struct mc_handle **out)
{
    const struct mc_store *store = server->store;
    *out = NULL;
    if (!may_try(server))
        return cache_fail(CACHE_ERR_CONNECT, "memcached %s: away, and left alone until retry_after is over", server->where);
    struct mc_handle *handle = take_any(server);
    if (handle == NULL)
        handle = wait_for_one(server);
    if (handle == NULL)
        return cache_fail(CACHE_ERR_TIMEOUT, "memcached %s: all %d connections were busy for %lld ms", server->where,
                          store->pool, (long long)store->timeout_ms);
    cache_status status = CACHE_OK;
    if (handle->memc == NULL)
        status = handle_make(server, handle);
    if (status != CACHE_OK) {
        put_back(server, handle);
        return status;
    }
    const unsigned epoch = atomic_load(&server->epoch);
    if (handle->epoch != epoch) {
        handle_disconnect(store, handle);
        handle->epoch = epoch;
    }
    *out = handle;
    return CACHE_OK;
}

cache_status cache_mc_call(struct mc_server *server, mc_request_fn *request, void *ctx, bool repeatable)
{
    for (;;) {
        struct mc_handle *handle = NULL;
        cache_status status = cache_mc_acquire(server, &handle);
        if (status != CACHE_OK)
            return status;
        const bool was_idle = handle->connected;
        const memcached_return_t rc = request(handle, ctx);
        status = cache_mc_release(server, handle, rc);
        if (status != CACHE_ERR_CONNECT || !was_idle || !repeatable)
            return status;
        repeatable = false;
    }
}

/* ---- the limit of an item -------------------------------------------------------------------------------------- */

static memcached_return_t read_setting(const memcached_instance_st *instance, const char *key, size_t key_size,
                                       const char *value, size_t value_size, void *ctx)
{
    (void)instance, (void)value_size;
    if (key_size == strlen("item_size_max") && memcmp(key, "item_size_max", key_size) == 0)
        (void)sscanf(value, "%zu", (size_t *)ctx);
    return MEMCACHED_SUCCESS;
}

static memcached_return_t ask_settings(struct mc_handle *handle, void *ctx)
{
    return memcached_stat_execute(handle->memc, "settings", read_setting, ctx);
}

size_t cache_mc_item_size_max(struct mc_server *server)
{
    size_t limit = atomic_load(&server->item_size_max);
    if (limit == 0 && cache_mc_call(server, ask_settings, &limit, true) == CACHE_OK)
        atomic_store(&server->item_size_max, limit);
    return limit;
}

/* ---- all hosts ------------------------------------------------------------------------------------------------- */

struct mc_server *cache_mc_route(const struct mc_store *store, cache_bytes key)
{
    return &store->servers[store->router != NULL ? memcached_generate_hash(store->router, key.data, key.size) : 0];
}

static cache_status router_open(struct mc_store *store)
{
    if (store->n_servers == 1)
        return CACHE_OK;
    store->router = memcached_create(NULL);
    bool good = store->router != NULL && set(store->router, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
    for (size_t i = 0; good && i < store->n_servers; i++)
        good = memcached_success(memcached_server_add(store->router, store->servers[i].host,
                                                      (in_port_t)store->servers[i].port));
    return good ? CACHE_OK : cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
}

static void monotonic_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void locks_init(struct mc_server *server)
{
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->generation.lock, NULL);
    monotonic_condition(&server->freed);
    atomic_init(&server->waiting, 0);
}

static cache_status server_open(struct mc_store *store, const cache_host *from, struct mc_server *server)
{
    const size_t size = strlen(from->name) + 1, handles = (size_t)store->pool * sizeof *server->handles;
    *server = (struct mc_server){ .store = store, .port = from->port != 0 ? from->port : DEFAULT_PORT };
    server->handles = cache_env_alloc(store->env, handles + size);
    if (server->handles == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    memset(server->handles, 0, handles);
    server->host = memcpy((char *)server->handles + handles, from->name, size);
    (void)snprintf(server->where, sizeof server->where, strchr(from->name, ':') != NULL ? "[%.100s]:%d" : "%.100s:%d",
                   from->name, server->port);
    locks_init(server);
    return CACHE_OK;
}

cache_status cache_mc_servers_open(struct mc_store *store, const cache_backend_config *config)
{
    static const cache_host here = { "127.0.0.1", 0 };
    const size_t n = config->n_hosts > 0 ? config->n_hosts : 1;
    store->servers = cache_env_alloc(store->env, n * sizeof *store->servers);
    if (store->servers == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    for (size_t i = 0; i < n; i++) {
        const cache_status status = server_open(store, config->n_hosts > 0 ? &config->hosts[i] : &here, &store->servers[i]);
        if (status != CACHE_OK)
            return status;
        store->n_servers++;
    }
    return router_open(store);
}

static void server_close(struct mc_server *server)
{
    const struct mc_store *store = server->store;
    for (int i = 0; i < store->pool; i++)
        if (atomic_load(&server->handles[i].state) == HANDLE_IDLE)
            handle_free(store, &server->handles[i]);
    pthread_cond_destroy(&server->freed);
    pthread_mutex_destroy(&server->generation.lock);
    pthread_mutex_destroy(&server->lock);
    cache_env_free(store->env, server->handles);
}

void cache_mc_servers_close(struct mc_store *store)
{
    for (size_t i = 0; i < store->n_servers; i++)
        server_close(&store->servers[i]);
    if (store->router != NULL)
        memcached_free(store->router);
    cache_env_free(store->env, store->servers);
}

/* ---- after a fork ---------------------------------------------------------------------------------------------- */

/* In the child. What another thread was busy with at the fork is in no known state: it is left alone for good. Handles
 * that were idle are freed, once their descriptors refer to nothing shared. */
void cache_mc_servers_forked(struct mc_store *store)
{
    for (size_t i = 0; i < store->n_servers; i++) {
        struct mc_server *server = &store->servers[i];
        for (int j = 0; j < store->pool; j++) {
            struct mc_handle *handle = &server->handles[j];
            if (atomic_load(&handle->state) == HANDLE_IDLE && cache_mc_detach(handle, server->port))
                handle_free(store, handle);
            handle->memc = NULL;
            atomic_store(&handle->state, HANDLE_EMPTY);
        }
        locks_init(server);    /* whoever held them is not in this process */
        server->generation.refreshing = false;
    }
}
