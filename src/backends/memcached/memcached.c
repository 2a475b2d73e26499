/* memcached.c - the Memcached store: the options, operations on one key, and the table of operations. */
#include "store.h"

#include <string.h>

/* ---- open and close -------------------------------------------------------------------------------------------- */

static const cache_option options[] = {
    { "generation", CACHE_OPTION_BOOL, .def = "on",
      .help = "off: keys are prefix + key, to share them with other programs; clear is not supported then" },
    { "weights", CACHE_OPTION_TEXT, .min = 1, .max = 4096,
      .help = "how many keys each server gets beside the others: a number for each, 1 by default" },
    { "user", CACHE_OPTION_TEXT, .min = 1, .max = 255, .help = "whom to log in as, where the server wants it (-Y)" },
    { "password", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "the user's password" },
    { "pool", CACHE_OPTION_INT, .def = "4", .min = 1, .max = 1024,
      .help = "connections to each server, made as needed" },
    { "gather", CACHE_OPTION_BOOL, .def = "on",
      .help = "where all connections are busy, requests of several threads share one" },
    { "ca", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "memcacheds: a file of the certificates to trust" },
    { "cert", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "memcacheds: a file with our own certificate" },
    { "key", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "memcacheds: a file with the key of our certificate" },
    { "server_name", CACHE_OPTION_TEXT, .min = 1, .max = 255,
      .help = "memcacheds: the name in the server's certificate, if it is not the host" },
    { 0 },
};

static const char *const aliases[] = { "memcached+unix", "memcacheds", NULL };

static void store_close(void *self)
{
    struct mc_store *store = self;
    cache_mc_check_fork(store);
    cache_mc_servers_close(store);
    cache_env_free(store->env, store);
}

static cache_status store_open(const cache_backend_config *config, void **self)
{
    struct mc_store *store = cache_env_alloc(config->env, sizeof *store);
    if (store == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    *store = (struct mc_store){
        .env = config->env,
        .generations = cache_option_int(config, "generation") != 0,
        .prefix_size = strlen(config->prefix),
    };
    memcpy(store->prefix, config->prefix, store->prefix_size + 1);
    cache_fork_guard_init(&store->fork_guard);
    const cache_status status = cache_mc_servers_open(store, config);
    if (status != CACHE_OK) {
        store_close(store);
        return status;
    }
    *self = store;
    return CACHE_OK;
}

/* ---- one key --------------------------------------------------------------------------------------------------- */

struct get {
    const struct mc_place *place;
    cache_bytes key;
    cache_writer *out;
    size_t size;                       /* bytes that were written to `out` so far */
};

static cache_status take_value(void *ctx, const struct mc_reply *reply)
{
    struct get *get = ctx;
    char number[NUMBER_MAX_SIZE + 1];
    cache_bytes value = { "", 0 };
    cache_status status = cache_mc_decode(reply, &get->place->wire, get->key, number, &value);
    if (status == CACHE_OK)
        status = cache_writer_append(get->out, value.data, value.size);
    get->size = status == CACHE_OK ? value.size : 0;
    return status;
}

static void forget_value(void *ctx)
{
    struct get *get = ctx;
    cache_writer_undo(get->out, get->size);
    get->size = 0;
}

static cache_status store_get(void *self, cache_bytes key, cache_writer *out)
{
    struct mc_place place;
    struct get get = { .place = &place, .key = key, .out = out };
    struct mc_call call = { .verb = MC_GET, .place = &place, .take = take_value, .restart = forget_value, .ctx = &get };
    const cache_status status = cache_mc_begin(self, key, &call.deadline, &place);
    return status == CACHE_OK ? cache_mc_call(&call) : status;
}

static cache_status store_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct mc_place place;
    struct mc_item item = { .value = value, .expiration = cache_mc_expiration(ttl_ms) };
    struct mc_call call = { .verb = (flags & CACHE_SET_IF_ABSENT) != 0 ? MC_ADD : MC_SET, .place = &place, .key = key,
                            .item = &item };
    const cache_status status = cache_mc_begin(self, key, &call.deadline, &place);
    return status == CACHE_OK ? cache_mc_call(&call) : status;
}

/* The result of `gets`: whether the value is the expected one, and its version for `cas`. */
struct comparison {
    const struct mc_place *place;
    cache_bytes key, expected;
    uint64_t cas;
    bool is_it;
};

static cache_status compare(void *ctx, const struct mc_reply *reply)
{
    struct comparison *comparison = ctx;
    char number[NUMBER_MAX_SIZE + 1];
    cache_bytes value = { "", 0 };
    comparison->cas = reply->number;
    comparison->is_it = cache_mc_decode(reply, &comparison->place->wire, comparison->key, number, &value) == CACHE_OK
        && value.size >= comparison->expected.size
        && memcmp(value.data, comparison->expected.data, comparison->expected.size) == 0;
    return CACHE_OK;
}

/* memcached takes more than 30 days as a date. This date is in 1970, so the item has expired. */
#define LONG_OVER (30 * 24 * 3600 + 1)

/* No command removes a given version, so an expired item replaces it. */
static cache_status store_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                          int64_t ttl_ms)
{
    const bool removes = value.data == NULL;
    struct mc_place place;
    struct comparison comparison = { .place = &place, .key = key, .expected = expected };
    struct mc_call gets = { .verb = MC_GETS, .place = &place, .take = compare, .ctx = &comparison };
    cache_status status = cache_mc_begin(self, key, &gets.deadline, &place);
    if (status == CACHE_OK)
        status = cache_mc_call(&gets);
    if (status == CACHE_MISS || (status == CACHE_OK && !comparison.is_it))
        return CACHE_NOT_STORED;
    if (status != CACHE_OK)
        return status;
    struct mc_item item = { .value = removes ? (cache_bytes){ "", 0 } : value, .cas = comparison.cas,
                            .expiration = removes ? LONG_OVER : cache_mc_expiration(ttl_ms) };
    struct mc_call cas = { .verb = MC_CAS, .place = &place, .deadline = gets.deadline, .key = key, .item = &item };
    status = cache_mc_call(&cas);
    return status == CACHE_MISS ? CACHE_NOT_STORED : status;
}

static cache_status store_remove(void *self, cache_bytes key)
{
    struct mc_place place;
    struct mc_call call = { .verb = MC_DELETE, .place = &place };
    const cache_status status = cache_mc_begin(self, key, &call.deadline, &place);
    return status == CACHE_OK ? cache_mc_call(&call) : status;
}

static cache_status store_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct mc_place place;
    struct mc_call call = { .verb = MC_TOUCH, .place = &place, .number = (uint64_t)cache_mc_expiration(ttl_ms) };
    const cache_status status = cache_mc_begin(self, key, &call.deadline, &place);
    return status == CACHE_OK ? cache_mc_call(&call) : status;
}
/* ---- all keys -------------------------------------------------------------------------------------------------- */

static cache_status store_clear(void *self, cache_bytes prefix)
{
    struct mc_store *store = self;
    if (!store->generations)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "memcached: clear is not possible with generation=off");
    const size_t own = store->prefix_size;
    if (prefix.size < own || memcmp(prefix.data, store->prefix, own) != 0)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "memcached: only keys of the URL's prefix can be cleared");
    const cache_bytes further = { prefix.data + own, prefix.size - own };
    if (further.size > CACHE_MAX_STORED_PREFIX || (further.size > 0 && further.data[further.size - 1] != ':'))
        return cache_fail(CACHE_ERR_UNSUPPORTED, "memcached: clear: '%.*s' is not the prefix of any handle",
                          (int)prefix.size, prefix.data);
    cache_mc_check_fork(store);
    return cache_mc_clear(store, further);
}

static cache_status drop_value(void *ctx, const struct mc_reply *reply)
{
    (void)ctx, (void)reply;
    return CACHE_OK;
}

static cache_status store_ping(void *self)
{
    struct mc_store *store = self;
    cache_mc_check_fork(store);
    const uint64_t deadline = cache_mc_deadline(store);
    for (size_t i = 0; i < store->n_servers; i++) {
        struct mc_place place = { .server = &store->servers[i] };
        struct mc_call call = { .verb = MC_GET, .place = &place, .deadline = deadline, .take = drop_value };
        cache_mc_generation_key(store, &place.wire);
        const cache_status status = cache_mc_call(&call);
        if (status < 0)
            return status;
    }
    return CACHE_OK;
}

static cache_status store_stats(void *self, cache_counters *out)
{
    struct mc_store *store = self;
    out->timeouts += atomic_load_explicit(&store->counters.timeouts, memory_order_relaxed);
    out->reconnects += atomic_load_explicit(&store->counters.reconnects, memory_order_relaxed);
    for (size_t i = 0; i < store->n_servers; i++)
        cache_server_count(&store->servers[i].link, out);
    return CACHE_OK;
}

const cache_backend_ops cache_memcached_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "memcached",
    .aliases = aliases,
    .max_value = 1024u * 1024 * 1024,    /* more than any -I allows; the server reports its own limit */
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
    .ping = store_ping,
    .compare_and_set = store_compare_and_set,
};
