/* memory.c - the store that holds nothing: caching switched off, and the smallest model of a store.
 *
 * A counter is always missing, so inc begins anew each time, as the contract says of a missing one. */
#include "../backends.h"

static char nothing;    /* open must give something to tell from NULL */

static cache_status memory_open(const cache_backend_config *config, void **self)
{
    (void)config;
    *self = &nothing;
    return CACHE_OK;
}

static void memory_close(void *self)
{
    (void)self;
}

static cache_status memory_get(void *self, cache_bytes key, cache_writer *out)
{
    (void)self, (void)key, (void)out;
    return CACHE_MISS;
}

static cache_status memory_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    (void)self, (void)key, (void)value, (void)ttl_ms, (void)flags;
    return CACHE_OK;
}

static cache_status memory_remove(void *self, cache_bytes key)
{
    (void)self, (void)key;
    return CACHE_MISS;
}

static cache_status memory_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    (void)self, (void)key, (void)ttl_ms;
    *result = delta;
    return CACHE_OK;
}

static cache_status memory_clear(void *self, cache_bytes prefix)
{
    (void)self, (void)prefix;
    return CACHE_OK;
}

static cache_status memory_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    (void)self, (void)key, (void)ttl_ms;
    return CACHE_MISS;
}

const cache_backend_ops cache_memory_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "memory",
    .flags = CACHE_BACKEND_LOCAL,
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .set = memory_set,
    .remove = memory_remove,
    .inc = memory_inc,
    .clear = memory_clear,
    .touch = memory_touch,
};
