/* inner.c - the store's operations for the core's own keys: only their failures are counted. */
#include "inner.h"

static cache_status counted(const cache_t *cache, cache_status status)
{
    if (cache_is_store_failure(status))
        cache_counters_add(cache->store->counters, COUNT_ERROR, 1);
    return status;
}

cache_status cache_internal_read(const cache_t *cache, cache_bytes key, cache_writer *out)
{
    return counted(cache, cache->store->ops.get(cache->store->self, key, out));
}

cache_status cache_internal_get(const cache_t *cache, cache_bytes key, cache_value *out)
{
    cache_writer writer;
    cache_writer_init(&writer, cache->store->env.allocator);
    *out = (cache_value){ NULL, 0, NULL };
    cache_status status = cache_internal_read(cache, key, &writer);
    if (status == CACHE_OK)
        status = cache_writer_take(&writer, out);
    cache_writer_release(&writer);
    return status;
}

cache_status cache_internal_set(const cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms,
                                unsigned flags)
{
    return counted(cache, cache->store->ops.set(cache->store->self, key, value, ttl_ms, flags));
}

cache_status cache_internal_remove(const cache_t *cache, cache_bytes key)
{
    return counted(cache, cache->store->ops.remove(cache->store->self, key));
}
