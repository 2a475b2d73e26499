/* memcached.c - the Memcached store: one key at a time, the options, the table. */
#include "store.h"

#include <string.h>

/* ---- open and close -------------------------------------------------------------------------------------------- */

static const cache_option options[] = {
    { "generation", CACHE_OPTION_BOOL, .def = "on",
      .help = "off: keys are prefix + key, to share them with other programs; clear is not supported then" },
    { "pool", CACHE_OPTION_INT, .def = "16", .min = 1, .max = 1024,
      .help = "connections to each server, made as needed" },
    { 0 },
};

static cache_status check(const cache_backend_config *config)
{
    if (config->user != NULL || config->password != NULL)
        return cache_fail(CACHE_ERR_CONFIG, "memcached: a user and password (SASL) are not supported");
    if (config->path[0] != '\0' && strcmp(config->path, "/") != 0)
        return cache_fail(CACHE_ERR_CONFIG, "memcached: a path ('%.60s') has no meaning", config->path);
    for (size_t i = 0; i < config->n_hosts; i++)
        if (config->hosts[i].name[0] == '/' || strlen(config->hosts[i].name) > 255)
            return cache_fail(CACHE_ERR_CONFIG, "memcached: '%.60s' is not a host", config->hosts[i].name);
    return CACHE_OK;
}

static void store_close(void *self)
{
    struct mc_store *store = self;
    cache_mc_check_fork(store);
    cache_mc_servers_close(store);
    cache_env_free(store->env, store);
}

static cache_status store_open(const cache_backend_config *config, void **self)
{
    cache_status status = check(config);
    if (status != CACHE_OK)
        return status;
    struct mc_store *store = cache_env_alloc(config->env, sizeof *store);
    if (store == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    *store = (struct mc_store){
        .env = config->env,
        .pool = (int)cache_option_int(config, "pool"),
        .generations = cache_option_int(config, "generation") != 0,
        .timeout_ms = cache_option_ms(config, "timeout"),
        .connect_timeout_ms = cache_option_ms(config, "connect_timeout"),
        .prefix_size = strlen(config->prefix),
    };
    memcpy(store->prefix, config->prefix, store->prefix_size + 1);
    cache_fork_guard_init(&store->forked);
    status = cache_mc_servers_open(store, config);
    if (status != CACHE_OK) {
        store_close(store);
        return status;
    }
    *self = store;
    return CACHE_OK;
}

/* ---- one key --------------------------------------------------------------------------------------------------- */

cache_status cache_mc_place(struct mc_store *store, cache_bytes key, uint64_t deadline, struct mc_place *out)
{
    int64_t generation = -1;
    out->server = cache_mc_route(store, key);
    const cache_status status = cache_mc_generation(out->server, deadline, &generation);
    if (status == CACHE_OK)
        cache_mc_key(store, key, generation, &out->wire);
    return status;
}

/* Every operation on one key begins so. */
static cache_status begin(struct mc_store *store, cache_bytes key, uint64_t *deadline, struct mc_place *place)
{
    cache_mc_check_fork(store);
    *deadline = cache_mc_deadline(store);
    return cache_mc_place(store, key, *deadline, place);
}

struct read {
    const struct mc_key *wire;
    cache_bytes key;
    cache_writer *out;
    cache_status status;               /* of what came: CACHE_OK, CACHE_MISS, the writer's failure */
};

static memcached_return_t read_value(struct mc_handle *handle, void *ctx)
{
    struct read *read = ctx;
    memcached_return_t rc = cache_mc_read(handle, read->wire);
    if (rc != MEMCACHED_SUCCESS)
        return rc;
    char number[MC_NUMBER_SIZE];
    cache_bytes value = { "", 0 };
    read->status = cache_mc_decode(&handle->result, read->wire, read->key, number, &value);
    if (read->status == CACHE_OK)
        read->status = cache_writer_append(read->out, value.data, value.size);
    rc = cache_mc_read_end(handle);
    if (rc != MEMCACHED_SUCCESS && read->status == CACHE_OK)
        cache_writer_undo(read->out, value.size);
    return rc;
}

static cache_status store_get(void *self, cache_bytes key, cache_writer *out)
{
    struct mc_place place;
    uint64_t deadline = 0;
    cache_status status = begin(self, key, &deadline, &place);
    if (status != CACHE_OK)
        return status;
    struct read read = { &place.wire, key, out, CACHE_OK };
    status = cache_mc_call(place.server, deadline, read_value, &read, true);
    return status == CACHE_OK ? read.status : status;
}

struct write {
    const struct mc_key *wire;
    cache_bytes value;
    time_t expiration;
    uint32_t flags;
};

static memcached_return_t set_value(struct mc_handle *handle, void *ctx)
{
    const struct write *write = ctx;
    return memcached_set(handle->memc, write->wire->text, write->wire->size, write->value.data, write->value.size,
                         write->expiration, write->flags);
}

static memcached_return_t add_value(struct mc_handle *handle, void *ctx)
{
    const struct write *write = ctx;
    return memcached_add(handle->memc, write->wire->text, write->wire->size, write->value.data, write->value.size,
                         write->expiration, write->flags);
}

cache_status cache_mc_too_large(struct mc_server *server, uint64_t deadline, size_t size)
{
    const size_t limit = cache_mc_item_size_max(server, deadline);
    if (limit == 0)
        return cache_fail(CACHE_ERR_TOO_LARGE, "%s: an item of %zu bytes is too large", server->where, size);
    return cache_fail(CACHE_ERR_TOO_LARGE,
                      "%s: an item of %zu bytes is too large: the server's limit, with key and header, is %zu (-I)",
                      server->where, size, limit);
}

static cache_status store_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct mc_store *store = self;
    struct mc_place place;
    uint64_t deadline = 0;
    cache_status status = begin(store, key, &deadline, &place);
    if (status != CACHE_OK)
        return status;
    struct write write = { .wire = &place.wire, .expiration = cache_mc_expiration(ttl_ms) };
    void *block = NULL;
    status = cache_mc_encode(store, &place.wire, key, value, &write.value, &write.flags, &block);
    if (status != CACHE_OK)
        return status;
    const bool if_absent = (flags & CACHE_SET_IF_ABSENT) != 0;
    status = cache_mc_call(place.server, deadline, if_absent ? add_value : set_value, &write, !if_absent);
    cache_env_free(store->env, block);
    return status == CACHE_ERR_TOO_LARGE ? cache_mc_too_large(place.server, deadline, value.size) : status;
}

static memcached_return_t remove_value(struct mc_handle *handle, void *ctx)
{
    const struct mc_key *wire = ctx;
    return memcached_delete(handle->memc, wire->text, wire->size, 0);
}

static cache_status store_remove(void *self, cache_bytes key)
{
    struct mc_place place;
    uint64_t deadline = 0;
    const cache_status status = begin(self, key, &deadline, &place);
    return status == CACHE_OK ? cache_mc_call(place.server, deadline, remove_value, &place.wire, true) : status;
}

static memcached_return_t touch_value(struct mc_handle *handle, void *ctx)
{
    const struct write *write = ctx;
    return memcached_touch(handle->memc, write->wire->text, write->wire->size, write->expiration);
}

static cache_status store_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct mc_place place;
    uint64_t deadline = 0;
    const cache_status status = begin(self, key, &deadline, &place);
    struct write write = { .wire = &place.wire, .expiration = cache_mc_expiration(ttl_ms) };
    return status == CACHE_OK ? cache_mc_call(place.server, deadline, touch_value, &write, true) : status;
}

/* ---- all keys -------------------------------------------------------------------------------------------------- */

static cache_status store_clear(void *self, cache_bytes prefix)
{
    struct mc_store *store = self;
    if (!store->generations)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "memcached: with generation=off keys cannot be told apart: no clear");
    if (prefix.size != store->prefix_size || memcmp(prefix.data, store->prefix, prefix.size) != 0)
        return cache_fail(CACHE_ERR_UNSUPPORTED,
                          "memcached: only the prefix of the URL can be cleared, not the further one of '%.*s'",
                          (int)prefix.size, prefix.data);
    cache_mc_check_fork(store);
    return cache_mc_clear(store);
}

static cache_status store_stats(void *self, cache_counters *out)
{
    struct mc_store *store = self;
    out->timeouts += atomic_load_explicit(&store->timeouts, memory_order_relaxed);
    out->reconnects += atomic_load_explicit(&store->reconnects, memory_order_relaxed);
    for (size_t i = 0; i < store->n_servers; i++)
        out->rejections += atomic_load_explicit(&store->servers[i].breaker.rejections, memory_order_relaxed);
    return CACHE_OK;
}

const cache_backend_ops cache_memcached_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "memcached",
    .max_value = 1024u * 1024 * 1024,    /* more than any -I; what this server takes, it says itself */
    .options = options,
    .open = store_open,
    .close = store_close,
    .get = store_get,
    .set = store_set,
    .remove = store_remove,
    .inc = cache_mc_inc,
    .clear = store_clear,
    .get_many = cache_mc_get_many,
    .set_many = cache_mc_set_many,
    .remove_many = cache_mc_remove_many,
    .touch = store_touch,
    .stats = store_stats,
};
