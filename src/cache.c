/* cache.c - the public calls for one key: they check arguments, add the prefix, call the store and count the
 * outcome. */
#include "flight_invalidate.h"
#include "layer.h"
#include "lease.h"
#include "named_counters.h"
#include "stored.h"
#include "tag.h"

#include <string.h>

/* How often an operation is repeated that found the key taken first, and free afterwards. */
enum { MAX_ATTEMPTS = 8 };

/* ---- get and has ----------------------------------------------------------------------------------------------- */

cache_status cache_get(cache_t *cache, const char *key, cache_value *out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "get: out is NULL");
    *out = (cache_value){ NULL, 0, NULL };
    cache = cache_or_none(cache);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    status = cache_store_get(cache, full.bytes, out);
    if (status == CACHE_OK && cache_envelope_is(out->data, out->size))
        status = cache_stored_unwrap(cache, full.bytes, out);
    cache_count_read(cache, status, full.bytes);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

static cache_status copy_out(const cache_value *value, void *buf, size_t cap, size_t *size)
{
    if (size != NULL)
        *size = value->size;
    if (value->size > cap)
        return cache_fail(CACHE_ERR_TOO_LARGE, "get_copy: the value has %zu bytes, the buffer %zu", value->size, cap);
    if (value->data != buf && value->size > 0)    /* the store has not put it there */
        memmove(buf, value->data, value->size);    /* the source may be inside the buffer, after an envelope */
    return CACHE_OK;
}

/* Returns true if a read has put the very value into the buffer of its writer. */
static bool is_plain_in_buffer(cache_status status, const cache_writer *writer)
{
    return status == CACHE_OK && writer->memory == WRITER_BUFFER && !cache_envelope_is(writer->data, writer->size);
}

/* Makes `*out` the value that a read has put into `writer`, without its envelope. The caller releases it, also after a
 * failure. It may still be in the writer's buffer. */
static cache_status take_value(const cache_t *cache, cache_status status, cache_bytes key, const cache_writer *writer,
                               cache_value *out)
{
    *out = (cache_value){ writer->data, writer->size, writer->owner };
    if (status == CACHE_OK && cache_envelope_is(out->data, out->size))
        return cache_stored_unwrap(cache, key, out);
    return status;
}

/* Ends a get_copy whose value is not in the buffer as it is. */
__attribute__((noinline)) static cache_status end_copy(const cache_t *cache, cache_status status, cache_bytes key,
                                                       const cache_writer *writer, void *buf, size_t cap, size_t *size)
{
    cache_value value;
    status = take_value(cache, status, key, writer, &value);
    cache_count_read(cache, status, key);
    if (status == CACHE_OK)
        status = copy_out(&value, buf, cap, size);
    cache_value_release(&value);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

cache_status cache_get_copy(cache_t *cache, const char *key, void *buf, size_t cap, size_t *size)
{
    if (size != NULL)
        *size = 0;
    if (buf == NULL && cap > 0)
        return cache_fail(CACHE_ERR_INVALID, "get_copy: buf is NULL and cap is %zu", cap);
    cache = cache_or_none(cache);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    /* The store writes straight into the buffer. A value that does not fit goes to a block, and the buffer stays
     * unchanged. */
    cache_writer writer;
    cache_writer_init_buffer(&writer, cache->store->env.allocator, buf, cap);
    status = cache_store_read(cache, full.bytes, &writer);
    if (!is_plain_in_buffer(status, &writer))
        return end_copy(cache, status, full.bytes, &writer, buf, cap, size);
    cache_count_read(cache, CACHE_OK, full.bytes);
    if (size != NULL)
        *size = writer.size;
    return CACHE_OK;
}

/* The store may have a value that cache_get would not return, such as a stale one. Only the value itself shows that. */
static cache_status look_inside(const cache_t *cache, cache_bytes key)
{
    cache_value value;
    cache_status status = cache_internal_get(cache, key, &value);
    if (status == CACHE_OK && cache_envelope_is(value.data, value.size))
        status = cache_stored_unwrap(cache, key, &value);
    cache_value_release(&value);
    return status;
}

/* A front would answer a get by itself, so its store is asked first whether the key still exists. */
static cache_status has_by_asking(const cache_t *cache, cache_bytes key)
{
    const struct cache_store *store = cache->store;
    const uint64_t begun = cache_store_begin(store);
    cache_status status = store->ops.has(store->self, key);
    if (status == CACHE_OK)
        status = look_inside(cache, key);
    return cache_store_end(cache, status, status == CACHE_OK ? CACHE_EVENT_HIT : CACHE_EVENT_MISS, key, 0,
                           cache_store_elapsed(begun));
}

/* The value has to be read in any case, so reading it at once saves a round trip. To copy a small value costs less than
 * a view of it. */
static cache_status has_by_reading(const cache_t *cache, cache_bytes key)
{
    enum { SMALL = 128 };
    char small[SMALL];
    cache_writer writer;
    cache_writer_init_buffer(&writer, cache->store->env.allocator, small, sizeof small);
    cache_status status = cache_store_read(cache, key, &writer);
    if (!is_plain_in_buffer(status, &writer)) {
        cache_value value;
        status = take_value(cache, status, key, &writer, &value);
        cache_value_release(&value);
    }
    return status;
}

cache_status cache_has(cache_t *cache, const char *key)
{
    cache = cache_or_none(cache);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    const bool asks = cache->store->ops.has != NULL && (cache->store->ops.flags & CACHE_LAYER_FRONT);
    status = asks ? has_by_asking(cache, full.bytes) : has_by_reading(cache, full.bytes);
    cache_count_read(cache, status, full.bytes);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

/* ---- set, add, touch ------------------------------------------------------------------------------------------- */

static cache_status set(cache_t *cache, const char *key, const void *data, size_t size, double ttl, unsigned flags)
{
    cache = cache_or_none(cache);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    if (data == NULL && size > 0)
        return cache_fail(CACHE_ERR_INVALID, "set '%.40s': data is NULL and size is %zu", key, size);
    int64_t ttl_ms = 0;
    status = cache_ttl_ms(ttl, cache->default_ttl_ms, &ttl_ms);
    if (status != CACHE_OK)
        return status;
    const cache_bytes value = { size > 0 ? data : "", size };
    cache_flights_invalidate(cache->store->flights, full.bytes);    /* this comes first, for the same reason as in
                                                                     * cache_delete */
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        status = cache_stored_set(cache, full.bytes, value, ttl_ms, flags);
        if (status != CACHE_NOT_STORED || !cache_stored_remove_dead(cache, full.bytes))
            break;
    }
    /* If the caller does not learn of the failure, it must not read the old value. */
    if (status < 0 && cache->miss_on_error && !(flags & CACHE_SET_IF_ABSENT))
        cache_store_drop(cache, full.bytes);
    return cache_apply_on_error(cache, status, CACHE_OK);
}

cache_status cache_set(cache_t *cache, const char *key, const void *data, size_t size, double ttl)
{
    return set(cache, key, data, size, ttl, 0);
}

cache_status cache_set_string(cache_t *cache, const char *key, const char *text, double ttl)
{
    if (text == NULL)
        return cache_fail(CACHE_ERR_INVALID, "set_string: text is NULL");
    return set(cache, key, text, strlen(text), ttl, 0);
}

cache_status cache_add(cache_t *cache, const char *key, const void *data, size_t size, double ttl)
{
    return set(cache, key, data, size, ttl, CACHE_SET_IF_ABSENT);
}

cache_status cache_touch(cache_t *cache, const char *key, double ttl)
{
    cache = cache_or_none(cache);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    int64_t ttl_ms = 0;
    status = cache_ttl_ms(ttl, cache->default_ttl_ms, &ttl_ms);
    if (status != CACHE_OK)
        return status;
    const struct cache_store *store = cache->store;
    if (store->ops.touch == NULL)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "%s: this store does not support touch", store->ops.scheme);
    status = look_inside(cache, full.bytes);
    if (status != CACHE_OK)
        return cache_apply_on_error(cache, status, CACHE_MISS);
    status = store->ops.touch(store->self, full.bytes, ttl_ms);
    if (status < 0)
        cache_store_end(cache, status, CACHE_EVENT_ERROR, full.bytes, 0, 0);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

/* ---- delete, clear, invalidate --------------------------------------------------------------------------------- */

cache_status cache_delete(cache_t *cache, const char *key)
{
    cache = cache_or_none(cache);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    /* This comes first. A caller that stores a computed value checks for invalidations once more after its store, and
     * removes the value if there was one. If it has checked already, its value is in the store and is removed below. */
    cache_flights_invalidate(cache->store->flights, full.bytes);
    status = cache_lease_revoke(cache, full.bytes);
    if (status < 0)
        cache_store_end(cache, status, CACHE_EVENT_ERROR, full.bytes, 0, 0);
    else
        status = cache_store_remove(cache, full.bytes);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

cache_status cache_clear(cache_t *cache)
{
    if (cache == NULL)
        return CACHE_OK;
    const cache_bytes prefix = { cache->prefix, cache->prefix_size };
    const struct cache_store *store = cache->store;
    cache_flights_invalidate_prefix(store->flights, prefix);
    const cache_status status = store->ops.clear(store->self, prefix);
    if (status < 0)
        cache_store_end(cache, status, CACHE_EVENT_ERROR, prefix, 0, 0);
    return cache_apply_on_error(cache, status, CACHE_OK);
}

cache_status cache_invalidate_tag(cache_t *cache, const char *tag)
{
    cache = cache_or_none(cache);
    struct cache_full_key key;
    cache_status status = cache_key_make(cache, tag, &key);
    if (status != CACHE_OK)
        return status;
    cache_tag_key(cache, tag, &key);
    /* This is done before the write and after it. A computation that began in between may have read values under the
     * old version. */
    cache_flights_invalidate_tag(cache->store->flights, key.bytes);
    status = cache_tag_renew(cache, key.bytes);
    cache_flights_invalidate_tag(cache->store->flights, key.bytes);
    return cache_apply_on_error(cache, status, CACHE_OK);
}

/* ---- counters -------------------------------------------------------------------------------------------------- */

cache_status cache_inc(cache_t *cache, const char *key, int64_t delta, int64_t *result)
{
    cache = cache_or_none(cache);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    const struct cache_store *store = cache->store;
    int64_t number = delta;    /* the answer of an empty store */
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        status = store->ops.inc(store->self, full.bytes, delta, cache->default_ttl_ms, &number);
        if (status == CACHE_ERR_TYPE)
            status = cache_stored_inc(cache, full.bytes, delta, &number);
        if (status != CACHE_NOT_STORED)
            break;
    }
    if (status == CACHE_NOT_STORED)
        status = cache_fail(CACHE_ERR_TYPE, "other callers keep changing the value");
    if (status == CACHE_OK)
        cache_counters_add(store->counters, COUNT_INC, 1);
    if (status == CACHE_ERR_TYPE || status == CACHE_ERR_RANGE)    /* the store's message says why, but does not name the
                                                                   * key */
        (void)cache_fail(status, "inc '%.100s': %s", key, cache_last_error());
    if (store->env.event != NULL || status < 0)
        cache_store_end(cache, status, CACHE_EVENT_SET, full.bytes, 0, 0);
    status = cache_apply_on_error(cache, status, CACHE_OK);
    if (status == CACHE_OK && result != NULL)
        *result = number;
    return status;
}

cache_status cache_dec(cache_t *cache, const char *key, int64_t delta, int64_t *result)
{
    if (delta == INT64_MIN)
        return cache_fail(CACHE_ERR_RANGE, "dec: delta must not be INT64_MIN: -delta would overflow");
    return cache_inc(cache, key, -delta, result);
}

/* ---- statistics ------------------------------------------------------------------------------------------------ */

cache_status cache_stats(cache_t *cache, cache_counters *out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "stats: out is NULL");
    *out = (cache_counters){ 0 };
    cache = cache_or_none(cache);
    if (cache == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "stats: out of memory for what stands in for a NULL cache");
    cache_counters_read(cache->store->counters, out);
    return cache->store->ops.stats != NULL ? cache->store->ops.stats(cache->store->self, out) : CACHE_OK;
}

cache_status cache_stats_names(cache_t *cache, cache_stats_name_fn *each, void *ctx)
{
    if (each == NULL)
        return cache_fail(CACHE_ERR_INVALID, "stats_names: each is NULL");
    cache = cache_or_none(cache);
    if (cache == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "stats_names: out of memory for what stands in for a NULL cache");
    struct cache_named *named = NULL;
    size_t n = 0;
    const cache_status status = cache_named_counters_read(cache->store->named_counters, &named, &n);
    for (size_t i = 0; i < n; i++)
        each(ctx, named[i].name, &named[i].counters);
    cache_env_free(&cache->store->env, named);
    return status;
}
