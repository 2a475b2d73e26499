/* open.c - opens and closes handles, which may share a store. */
#include "cache_internal.h"
#include "codec.h"
#include "flight_invalidate.h"
#include "front.h"
#include "layer.h"
#include "named_counters.h"
#include "options.h"
#include "prefix.h"
#include "registry.h"
#include "tag.h"

#include <pthread.h>
#include <string.h>

/* ---- stores ---------------------------------------------------------------------------------------------------- */

static void store_free(struct cache_store *store)
{
    const cache_env env = store->env;
    if (store->self != NULL)
        store->ops.close(store->self);
    cache_recent_keys_free(&store->hit_for_miss, &env);
    cache_recent_keys_free(&store->failed, &env);
    cache_hot_keys_free(store->hot_keys, &env);
    cache_flights_free(store->flights);
    cache_named_counters_free(&env, store->named_counters);
    cache_counters_free(&env, store->counters);
    cache_env_free(&env, store->tag_versions);
    cache_env_free(&env, store->url);
    cache_env_free(&env, store);
}

static cache_status store_new(const cache_env *env, const cache_backend_ops *ops, struct cache_store **out)
{
    struct cache_store *store = cache_env_alloc(env, sizeof *store);
    if (store == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "open: out of memory");
    memset(store, 0, sizeof *store);
    store->env = *env;
    /* If the table is older and shorter, the operations that it lacks stay NULL. */
    memcpy(&store->ops, ops, ops->size < sizeof store->ops ? ops->size : sizeof store->ops);
    atomic_init(&store->handles, 1);
    store->counters = cache_counters_new(&store->env);
    store->named_counters = cache_named_counters_new(&store->env);
    store->flights = cache_flights_new(&store->env);
    const bool counts_tags = (store->ops.flags & CACHE_BACKEND_NO_PREFIX) != 0;
    const size_t size = CACHE_TAG_COUNTERS * sizeof *store->tag_versions;
    store->tag_versions = counts_tags ? cache_env_alloc(&store->env, size) : NULL;
    if (store->tag_versions != NULL)
        memset(store->tag_versions, 0, size);
    store->hot_keys = cache_hot_keys_new(&store->env);
    if (store->counters == NULL || store->named_counters == NULL || store->flights == NULL || store->hot_keys == NULL ||
        (counts_tags && store->tag_versions == NULL)) {
        store_free(store);
        return cache_fail(CACHE_ERR_NOMEM, "open: out of memory");
    }
    *out = store;
    return CACHE_OK;
}

/* ---- handles --------------------------------------------------------------------------------------------------- */

/* `behind` is NULL, or the handle whose prefix comes first. */
static cache_status handle_new(struct cache_store *store, const cache_t *behind, const char *prefix, cache_t **out)
{
    cache_t *cache = cache_env_alloc(&store->env, sizeof *cache);
    if (cache == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "open: out of memory");
    *cache = behind != NULL ? *behind : (cache_t){ .store = store };
    cache->given_size += strlen(prefix);
    const cache_status status = cache_prefix_append(cache->prefix, &cache->prefix_size, prefix);
    cache->tag_seed = cache_tag_seed(cache);
    if (status != CACHE_OK)
        cache_env_free(&store->env, cache);
    else
        *out = cache;
    return status;
}

static cache_status open_store(struct cache_store *store, const struct cache_url *url,
                               const struct cache_options *options, cache_t *cache)
{
    cache->default_ttl_ms = cache_options_find(options, "default_ttl")->number;
    cache->miss_on_error = cache_options_find(options, "on_error")->number == ON_ERROR_MISS;
    memcpy(store->prefix, cache->prefix, cache->prefix_size + 1);
    store->env.prefix = store->prefix;
    if (store->ops.flags & CACHE_BACKEND_NO_PREFIX) {
        cache->prefix_size = 0;
        cache->prefix[0] = '\0';
    }
    store->env.prefix_size = cache->prefix_size;
    const cache_backend_config config = {
        .scheme = url->scheme, .user = url->user, .password = url->password,
        .hosts = url->hosts, .n_hosts = url->n_hosts, .path = url->path, .prefix = cache->prefix,
        .env = &store->env, .options = options,
    };
    const cache_status status = store->ops.open(&config, &store->self);
    if (status != CACHE_OK) {
        store->self = NULL;    /* opening failed, so there is nothing to close, whatever `self` was set to */
        return status;
    }
    if (store->ops.flags & CACHE_BACKEND_LOCAL)
        return CACHE_OK;
    /* The front is before the codec, because it holds plain values. */
    const cache_status added = cache_codec_add(options, &store->env, &store->ops, &store->self);
    return added == CACHE_OK
               ? cache_front_add(options, &store->env, store->counters, &store->ops, &store->self)
               : added;
}

/* A store in this process has no address. If one were ignored, the user would believe that it is used, so it is
 * refused. */
static cache_status check_address(const struct cache_url *url, const cache_backend_ops *ops)
{
    const bool has_path = url->path[0] != '\0' && strcmp(url->path, "/") != 0;
    const bool has_address = url->n_hosts > 0 || url->user != NULL || url->password != NULL || has_path;
    if ((ops->flags & CACHE_BACKEND_LOCAL) && has_address)
        return cache_fail(CACHE_ERR_CONFIG, "%s: takes no user, host or path: write %s://?option=…", url->scheme,
                          url->scheme);
    return CACHE_OK;
}

static cache_status open_url(const struct cache_url *url, const cache_env *env, cache_t **out)
{
    const cache_backend_ops *ops = NULL;
    cache_status status = cache_registry_find(url->scheme, &ops);
    if (status == CACHE_OK)
        status = check_address(url, ops);
    if (status != CACHE_OK)
        return status;
    struct cache_options options;
    status = cache_options_parse(url, ops, &options);
    if (status != CACHE_OK)
        return status;
    struct cache_store *store = NULL;
    cache_t *cache = NULL;
    status = store_new(env, ops, &store);
    if (status == CACHE_OK)
        status = handle_new(store, NULL, cache_options_find(&options, "prefix")->text, &cache);
    if (status == CACHE_OK)
        status = cache_url_print(url, &store->url);
    if (status == CACHE_OK)
        status = open_store(store, url, &options, cache);
    cache_options_release(&options);
    if (status == CACHE_OK) {
        store->sampled = store->env.event == NULL && (store->ops.flags & (CACHE_BACKEND_LOCAL | CACHE_LAYER_FRONT));
        *out = cache;
    } else {
        cache_env_free(env, cache);
        if (store != NULL)
            store_free(store);
    }
    return status;
}

cache_status cache_config_copy(const cache_config *config, cache_config *known)
{
    if (config == NULL)
        return cache_fail(CACHE_ERR_INVALID, "open: config is NULL");
    if (config->size < offsetof(cache_config, url) + sizeof config->url)
        return cache_fail(CACHE_ERR_INVALID, "open: config->size is too small: begin with CACHE_CONFIG_INIT");
    /* If the program was built with an older, shorter struct, the other fields keep their defaults. */
    *known = (cache_config)CACHE_CONFIG_INIT;
    memcpy(known, config, config->size < sizeof *known ? config->size : sizeof *known);
    known->size = sizeof *known;
    return CACHE_OK;
}

cache_status cache_open_config(const cache_config *config, cache_t **out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "open: out is NULL");
    *out = NULL;
    cache_config known;
    cache_status status = cache_config_copy(config, &known);
    if (status != CACHE_OK)
        return status;
    if (known.url == NULL)
        return cache_fail(CACHE_ERR_INVALID, "open: the url is NULL");
    const cache_allocator *allocator = known.allocator;
    if (allocator != NULL && (allocator->alloc == NULL || allocator->resize == NULL || allocator->free == NULL))
        return cache_fail(CACHE_ERR_INVALID, "open: config->allocator needs alloc, resize and free");

    cache_env env;
    cache_env_init(&env, &known);
    struct cache_url url;
    status = cache_url_parse(&env, known.url, &url);
    if (status != CACHE_OK)
        return status;
    status = open_url(&url, &env, out);
    cache_url_release(&url);
    return status;
}

cache_status cache_open(const char *url, cache_t **out)
{
    cache_config config = CACHE_CONFIG_INIT;
    config.url = url;
    return cache_open_config(&config, out);
}

const char *cache_url(const cache_t *cache)
{
    return cache != NULL ? cache->store->url : "";
}

cache_status cache_with_prefix(cache_t *cache, const char *prefix, cache_t **out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "with_prefix: out is NULL");
    *out = NULL;
    if (prefix == NULL || prefix[0] == '\0')
        return cache_fail(CACHE_ERR_INVALID, "with_prefix: the prefix is empty");
    if (cache == NULL)
        return CACHE_OK;    /* a handle on no cache is no cache either */
    if (strnlen(prefix, CACHE_MAX_PREFIX + 1) + cache->given_size > CACHE_MAX_PREFIX)
        return cache_fail(CACHE_ERR_INVALID, "with_prefix: all prefixes together have more than %d bytes",
                          CACHE_MAX_PREFIX);
    const cache_status status = handle_new(cache->store, cache, prefix, out);
    if (status == CACHE_OK)
        atomic_fetch_add(&cache->store->handles, 1);
    return status;
}

cache_t *cache_handle_copy(const cache_t *cache)
{
    cache_t *copy = cache_env_alloc(&cache->store->env, sizeof *copy);
    if (copy != NULL) {
        *copy = *cache;
        atomic_fetch_add(&copy->store->handles, 1);
    }
    return copy;
}

/* ---- no cache ---------------------------------------------------------------------------------------------------- */

static cache_t *none;

static void make_none(void)
{
    (void)cache_open("null://", &none);
}

cache_t *cache_none(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_none);
    return none;
}

void cache_close(cache_t *cache)
{
    if (cache == NULL)
        return;
    struct cache_store *store = cache->store;
    cache_env_free(&store->env, cache);
    if (atomic_fetch_sub(&store->handles, 1) == 1)
        store_free(store);
}
