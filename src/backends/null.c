/* null.c - a store that holds nothing. It switches caching off, and is the smallest example of a store.
 *
 * Every counter is missing, so inc starts over each time, as the contract says for a missing counter. */
#include "backends.h"

static char nothing;    /* open must return something other than NULL */

static cache_status null_open(const cache_backend_config *config, void **self)
{
    (void)config;
    *self = &nothing;
    return CACHE_OK;
}

static void null_close(void *self)
{
    (void)self;
}

static cache_status null_get(void *self, cache_bytes key, cache_writer *out)
{
    (void)self, (void)key, (void)out;
    return CACHE_MISS;
}

static cache_status null_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    (void)self, (void)key, (void)value, (void)ttl_ms, (void)flags;
    return CACHE_OK;
}

static cache_status null_remove(void *self, cache_bytes key)
{
    (void)self, (void)key;
    return CACHE_MISS;
}

static cache_status null_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    (void)self, (void)key, (void)ttl_ms;
    *result = delta;
    return CACHE_OK;
}

static cache_status null_clear(void *self, cache_bytes prefix)
{
    (void)self, (void)prefix;
    return CACHE_OK;
}

static cache_status null_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    (void)self, (void)key, (void)ttl_ms;
    return CACHE_MISS;
}

static cache_status null_list(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each, void *ctx)
{
    (void)self, (void)prefix, (void)each, (void)ctx;
    cursor->done = true;
    return CACHE_OK;
}

const cache_backend_ops cache_null_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "null",
    .flags = CACHE_BACKEND_LOCAL,
    .open = null_open,
    .close = null_close,
    .get = null_get,
    .set = null_set,
    .remove = null_remove,
    .inc = null_inc,
    .clear = null_clear,
    .touch = null_touch,
    .list = null_list,
};
