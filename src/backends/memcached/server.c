/* server.c - hosts: which one keeps a key, its pool of handles and its circuit breaker, a request on one of the
 * handles. */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_PORT = 11211, NANOSECONDS_IN_MS = 1000000 };

/* ---- a request ------------------------------------------------------------------------------------------------- */

uint64_t cache_mc_deadline(const struct mc_store *store)
{
    return cache_now_ns() + (uint64_t)store->timeout_ms * NANOSECONDS_IN_MS;
}

static void put_back(struct mc_server *server, struct mc_handle *handle)
{
    cache_pool_give_back(&server->pool, (int)(handle - server->handles));
}

/* A failure that may leave something on the connection closes it. */
static void judge(struct mc_server *server, struct mc_handle *handle, cache_status status)
{
    if (status == CACHE_ERR_TIMEOUT) {
        atomic_fetch_add_explicit(&server->store->timeouts, 1, memory_order_relaxed);
        cache_breaker_timed_out(&server->breaker);
    } else if (status == CACHE_ERR_CONNECT && handle->connected)
        /* The host went or restarted: the other idle connections are dead too. */
        atomic_fetch_add(&server->epoch, 1);
    else if (status == CACHE_ERR_CONNECT)
        cache_breaker_trip(&server->breaker, status);
    cache_mc_handle_disconnect(handle);
}

cache_status cache_mc_release(struct mc_server *server, struct mc_handle *handle, memcached_return_t rc)
{
    const cache_status status = cache_mc_handle_status(server, handle, rc);
    if (status >= 0 || rc == MEMCACHED_E2BIG) {
        cache_breaker_reset(&server->breaker);
        if (cache_mc_handle_has_more(handle))
            cache_mc_handle_disconnect(handle);
    } else
        judge(server, handle, status);
    put_back(server, handle);
    return status;
}

static cache_status connect_handle(struct mc_server *server, struct mc_handle *handle, uint64_t deadline)
{
    handle->epoch = atomic_load(&server->epoch);    /* before: one that is lost meanwhile is noticed */
    const memcached_return_t rc = cache_mc_handle_connect(server, handle, deadline);
    const cache_status status = cache_mc_handle_status(server, handle, rc);
    if (status != CACHE_OK) {
        judge(server, handle, status);
        return status;
    }
    if (handle->used)
        atomic_fetch_add_explicit(&server->store->reconnects, 1, memory_order_relaxed);
    handle->used = true;
    return CACHE_OK;
}

static cache_status make_ready(struct mc_server *server, struct mc_handle *handle, uint64_t deadline, bool repeatable)
{
    cache_status status = handle->memc != NULL ? CACHE_OK : cache_mc_handle_make(server, handle);
    if (status != CACHE_OK)
        return status;
    if (handle->connected
        && (handle->epoch != atomic_load(&server->epoch) || (!repeatable && !cache_mc_handle_is_quiet(server, handle))))
        cache_mc_handle_disconnect(handle);
    handle->fresh = !handle->connected;
    if (handle->fresh)
        return connect_handle(server, handle, deadline);
    (void)cache_mc_handle_limit(handle, deadline);
    return CACHE_OK;
}

cache_status cache_mc_acquire(struct mc_server *server, uint64_t deadline, bool repeatable, struct mc_handle **out)
{
    *out = NULL;
    cache_status status = cache_breaker_check(&server->breaker);
    if (status != CACHE_OK)
        return status;
    const int slot = cache_pool_take(&server->pool, deadline);
    if (slot < 0) {
        atomic_fetch_add_explicit(&server->store->timeouts, 1, memory_order_relaxed);
        return cache_fail(CACHE_ERR_TIMEOUT, "%s: all %d connections were busy for %lld ms", server->where,
                          server->pool.n, (long long)server->store->timeout_ms);
    }
    status = make_ready(server, &server->handles[slot], deadline, repeatable);
    if (status == CACHE_OK)
        *out = &server->handles[slot];
    else
        cache_pool_give_back(&server->pool, slot);
    return status;
}

cache_status cache_mc_call(struct mc_server *server, uint64_t deadline, mc_request_fn *request, void *ctx,
                           bool repeatable)
{
    for (;;) {
        struct mc_handle *handle = NULL;
        cache_status status = cache_mc_acquire(server, deadline, repeatable, &handle);
        if (status != CACHE_OK)
            return status;
        const bool was_idle = !handle->fresh;
        const memcached_return_t rc = request(handle, ctx);
        status = cache_mc_release(server, handle, rc);
        if (status != CACHE_ERR_CONNECT || !was_idle || !repeatable)
            return status;
        repeatable = false;    /* it was dead; its successor is asked for a sign of life */
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

size_t cache_mc_item_size_max(struct mc_server *server, uint64_t deadline)
{
    size_t limit = atomic_load(&server->item_size_max);
    if (limit == 0 && cache_mc_call(server, deadline, ask_settings, &limit, true) == CACHE_OK)
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
    bool good = store->router != NULL
        && memcached_success(memcached_behavior_set(store->router, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1));
    for (size_t i = 0; good && i < store->n_servers; i++)
        good = memcached_success(memcached_server_add(store->router, store->servers[i].host,
                                                      (in_port_t)store->servers[i].port));
    return good ? CACHE_OK : cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
}

static cache_status server_open(struct mc_store *store, const cache_host *from, int64_t retry_after_ms,
                                struct mc_server *server)
{
    const size_t size = strlen(from->name) + 1, handles = (size_t)store->pool * sizeof *server->handles;
    *server = (struct mc_server){ .store = store, .port = from->port != 0 ? from->port : DEFAULT_PORT };
    server->handles = cache_env_alloc(store->env, handles + size);
    if (server->handles == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    memset(server->handles, 0, handles);
    server->host = memcpy((char *)server->handles + handles, from->name, size);
    (void)snprintf(server->where, sizeof server->where,
                   strchr(from->name, ':') != NULL ? "memcached [%.100s]:%d" : "memcached %.100s:%d", from->name,
                   server->port);
    const cache_status status = cache_pool_init(&server->pool, store->env, store->pool, server->where);
    if (status != CACHE_OK) {
        cache_env_free(store->env, server->handles);
        return status;
    }
    cache_breaker_init(&server->breaker, store->env, server->where, retry_after_ms, store->timeout_ms);
    pthread_mutex_init(&server->generation.lock, NULL);
    return CACHE_OK;
}

cache_status cache_mc_servers_open(struct mc_store *store, const cache_backend_config *config)
{
    static const cache_host here = { "127.0.0.1", 0 };
    const int64_t retry_after_ms = cache_option_ms(config, "retry_after");
    const size_t n = config->n_hosts > 0 ? config->n_hosts : 1;
    store->servers = cache_env_alloc(store->env, n * sizeof *store->servers);
    if (store->servers == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    for (size_t i = 0; i < n; i++) {
        const cache_host *host = config->n_hosts > 0 ? &config->hosts[i] : &here;
        const cache_status status = server_open(store, host, retry_after_ms, &store->servers[i]);
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
        cache_mc_handle_free(&server->handles[i]);
    pthread_mutex_destroy(&server->generation.lock);
    cache_breaker_release(&server->breaker);
    cache_pool_release(&server->pool);
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
static void forked(void *ctx)
{
    struct mc_store *store = ctx;
    for (size_t i = 0; i < store->n_servers; i++) {
        struct mc_server *server = &store->servers[i];
        for (int j = 0; j < store->pool; j++) {
            struct mc_handle *handle = &server->handles[j];
            if (handle->memc != NULL && !cache_pool_is_busy(&server->pool, j) && cache_mc_detach(handle, server->port))
                cache_mc_handle_free(handle);
            handle->memc = NULL;
        }
        cache_pool_forked(&server->pool);
        cache_breaker_forked(&server->breaker);
        pthread_mutex_init(&server->generation.lock, NULL);    /* whoever held it is not in this process */
        server->generation.refreshing = false;
    }
}

void cache_mc_check_fork(struct mc_store *store)
{
    cache_fork_guard_check(&store->forked, forked, store);
}
