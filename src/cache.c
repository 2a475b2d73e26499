/* cache.c - the everyday operations: arguments checked, the prefix added, the store called, what happened counted.
 * Every fallback for an operation that a store may leave out stands here, and nowhere else. */
#include "envelope.h"
#include "flight_invalidate.h"
#include "cache_internal.h"
#include "inner.h"
#include "lease.h"

#include <string.h>

/* ---- keys ---------------------------------------------------------------------------------------------------- */

static void put_prefix(const cache_t *cache, struct cache_full_key *out)
{
    memcpy(out->text, cache->prefix, cache->prefix_size);
    out->bytes = (cache_bytes){ out->text, cache->prefix_size };
}

static void put_text(struct cache_full_key *out, const char *text, size_t size)
{
    memcpy(out->text + out->bytes.size, text, size);
    out->bytes.size += size;
    out->text[out->bytes.size] = '\0';
}

cache_status cache_key_make(const cache_t *cache, const char *key, struct cache_full_key *out)
{
    if (cache == NULL)
        return cache_fail(CACHE_ERR_INVALID, "cache is NULL");
    if (key == NULL)
        return cache_fail(CACHE_ERR_INVALID, "key is NULL");
    const size_t size = strnlen(key, CACHE_MAX_KEY + 1);
    if (size == 0)
        return cache_fail(CACHE_ERR_INVALID, "key is empty");
    if (size > CACHE_MAX_KEY)
        return cache_fail(CACHE_ERR_INVALID, "key '%.40s…' is longer than %d bytes", key, CACHE_MAX_KEY);
    put_prefix(cache, out);
    if (key[0] == CACHE_INTERNAL_MARK[0])
        put_text(out, CACHE_INTERNAL_MARK, 1);
    put_text(out, key, size);
    return CACHE_OK;
}

void cache_key_make_internal(const cache_t *cache, const char *kind, const char *key, struct cache_full_key *out)
{
    put_prefix(cache, out);
    put_text(out, kind, strlen(kind));
    put_text(out, key, strlen(key));
}

/* ---- failures ------------------------------------------------------------------------------------------------ */

bool cache_is_store_failure(cache_status status)
{
    switch (status) {
    case CACHE_ERR_IO:
    case CACHE_ERR_CONNECT:
    case CACHE_ERR_TIMEOUT:
    case CACHE_ERR_PROTOCOL:
    case CACHE_ERR_AUTH:
        return true;
    default:
        return false;
    }
}

/* on_error=miss: what an empty store would have answered. */
cache_status cache_apply_on_error(const cache_t *cache, cache_status status, cache_status instead)
{
    return cache->miss_on_error && cache_is_store_failure(status) ? instead : status;
}

/* ---- the store, counted and timed ------------------------------------------------------------------------------ */

/* When to begin the clock for an operation: 0 is not at all. A store in this process answers in less time than it takes
 * to read the clock twice, so most of its operations go untimed. */
static uint64_t begin(const struct cache_store *store)
{
    const bool timed = store->env.event != NULL || !(store->ops.flags & CACHE_BACKEND_LOCAL) || cache_counters_sample();
    return timed ? cache_now_ns() : 0;
}

static uint64_t elapsed(uint64_t begun)
{
    return begun != 0 ? cache_now_ns() - begun : 0;
}

/* Not of the core's own keys, such as the tags that a fetch asks for with its value. */
static void emit_event(const cache_t *cache, cache_event_type event, cache_status status, cache_bytes key,
                       uint64_t nanoseconds)
{
    const char *user = cache_key_of_user(key.data + cache->prefix_size);
    if (user != NULL)
        cache_env_emit(&cache->store->env, event, status, user, nanoseconds);
}

static cache_status end(const cache_t *cache, cache_status status, cache_event_type event, cache_bytes key,
                        uint64_t nanoseconds)
{
    struct cache_store *store = cache->store;
    if (status < 0) {
        if (status == CACHE_ERR_NOMEM || cache_is_store_failure(status))
            cache_counters_add(store->counters, COUNT_ERROR, 1);
        event = CACHE_EVENT_ERROR;
    }
    emit_event(cache, event, status, key, nanoseconds);
    return status;
}

static cache_status end_timed(const cache_t *cache, cache_status status, enum timed what, cache_event_type event,
                              cache_bytes key, uint64_t begun)
{
    const uint64_t nanoseconds = elapsed(begun);
    if (begun != 0)
        cache_counters_time(cache->store->counters, what, nanoseconds);
    return end(cache, status, event, key, nanoseconds);
}

void cache_count_read(const cache_t *cache, cache_status status)
{
    if (status == CACHE_OK)
        cache_counters_add(cache->store->counters, COUNT_HIT, 1);
    else if (status == CACHE_MISS)
        cache_counters_add(cache->store->counters, COUNT_MISS, 1);
}

/* Into a writer of the caller's: the way that allocates nothing. */
static cache_status store_read(const cache_t *cache, cache_bytes key, cache_writer *writer)
{
    const struct cache_store *store = cache->store;
    const uint64_t begun = begin(store);
    const cache_status status = store->ops.get(store->self, key, writer);
    return end_timed(cache, status, TIMED_GET, status == CACHE_OK ? CACHE_EVENT_HIT : CACHE_EVENT_MISS, key, begun);
}

cache_status cache_store_get(const cache_t *cache, cache_bytes key, cache_value *out)
{
    cache_writer writer;
    cache_writer_init(&writer, cache->store->env.allocator);
    *out = (cache_value){ NULL, 0, NULL };
    cache_status status = store_read(cache, key, &writer);
    /* The way of a hit in this process: it is the value. */
    if (status == CACHE_OK && writer.memory == WRITER_PINNED) {
        *out = (cache_value){ writer.data, writer.size, writer.owner };
        return CACHE_OK;
    }
    if (status == CACHE_OK)
        status = cache_writer_take(&writer, out);
    cache_writer_release(&writer);
    return status;
}

cache_status cache_store_set(const cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    const struct cache_store *store = cache->store;
    if (store->ops.max_value != 0 && value.size > store->ops.max_value)
        return cache_fail(CACHE_ERR_TOO_LARGE, "%s: a value of %zu bytes: the limit is %zu", store->ops.scheme,
                          value.size, store->ops.max_value);
    const uint64_t begun = begin(store);
    const cache_status status = store->ops.set(store->self, key, value, ttl_ms, flags);
    if (status == CACHE_OK)
        cache_counters_add(store->counters, COUNT_SET, 1);
    return end_timed(cache, status, TIMED_SET, CACHE_EVENT_SET, key, begun);
}

cache_status cache_store_remove(const cache_t *cache, cache_bytes key)
{
    const struct cache_store *store = cache->store;
    const uint64_t begun = begin(store);
    const cache_status status = store->ops.remove(store->self, key);
    if (status == CACHE_OK)
        cache_counters_add(store->counters, COUNT_DELETE, 1);
    return end(cache, status, CACHE_EVENT_DELETE, key, elapsed(begun));
}

/* ---- many at once ---------------------------------------------------------------------------------------------- */

struct cache_results {
    const cache_t *cache;
    cache_value *out;
    size_t n;
};

cache_status cache_results_put(cache_results *results, size_t index, const void *data, size_t size)
{
    cache_writer writer;
    cache_writer_init(&writer, results->cache->store->env.allocator);
    cache_status status = cache_writer_append(&writer, data, size);
    if (status == CACHE_OK && index < results->n)
        status = cache_writer_take(&writer, &results->out[index]);
    cache_writer_release(&writer);
    return status;
}

cache_status cache_results_pin(cache_results *results, size_t index, const void *data, size_t size, cache_owner *owner)
{
    if (index < results->n)
        results->out[index] = (cache_value){ data, size, owner };
    else
        owner->ops->release(owner);
    return CACHE_OK;
}

void cache_keep_first(cache_status *first, cache_status status)
{
    if (*first == CACHE_OK && status < 0)
        *first = status;
}

cache_status cache_store_get_many(const cache_t *cache, const cache_bytes keys[], size_t n, cache_value out[])
{
    const struct cache_store *store = cache->store;
    for (size_t i = 0; i < n; i++)
        out[i] = (cache_value){ NULL, 0, NULL };
    cache_status first = CACHE_OK;
    if (store->ops.get_many == NULL) {
        for (size_t i = 0; i < n; i++)    /* a store without a round trip to save needs no get_many */
            cache_keep_first(&first, cache_store_get(cache, keys[i], &out[i]));
        return first;
    }
    cache_results results = { cache, out, n };
    const uint64_t begun = begin(store);
    first = n > 0 ? store->ops.get_many(store->self, keys, n, &results) : CACHE_OK;
    if (begun != 0)
        cache_counters_time(store->counters, TIMED_GET, elapsed(begun));
    if (first < 0)
        return end(cache, first, CACHE_EVENT_ERROR, keys[0], elapsed(begun));
    if (store->env.event != NULL)
        for (size_t i = 0; i < n; i++) {
            const bool there = out[i].data != NULL;
            emit_event(cache, there ? CACHE_EVENT_HIT : CACHE_EVENT_MISS, there ? CACHE_OK : CACHE_MISS, keys[i], 0);
        }
    return first;
}

cache_status cache_store_remove_many(const cache_t *cache, const cache_bytes keys[], size_t n, size_t *removed)
{
    const struct cache_store *store = cache->store;
    cache_status first = CACHE_OK;
    *removed = 0;
    if (store->ops.remove_many == NULL) {
        for (size_t i = 0; i < n; i++) {
            const cache_status status = cache_store_remove(cache, keys[i]);
            cache_keep_first(&first, status);
            *removed += status == CACHE_OK;
        }
        return first;
    }
    const uint64_t begun = begin(store);
    first = n > 0 ? store->ops.remove_many(store->self, keys, n, removed) : CACHE_OK;
    cache_counters_add(store->counters, COUNT_DELETE, *removed);
    for (size_t i = 0; i < n && (store->env.event != NULL || first < 0); i++) {
        end(cache, first, CACHE_EVENT_DELETE, keys[i], elapsed(begun));
        if (first < 0)
            break;
    }
    return first;
}

cache_status cache_store_set_many(const cache_t *cache, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                   int64_t ttl_ms)
{
    const struct cache_store *store = cache->store;
    cache_status first = CACHE_OK;
    bool each = store->ops.set_many == NULL;
    for (size_t i = 0; !each && i < n; i++)
        /* One by one, to refuse that one. */
        each = store->ops.max_value != 0 && values[i].size > store->ops.max_value;
    if (each) {
        for (size_t i = 0; i < n; i++)
            cache_keep_first(&first, cache_store_set(cache, keys[i], values[i], ttl_ms, 0));
        return first;
    }
    const uint64_t begun = begin(store);
    first = n > 0 ? store->ops.set_many(store->self, keys, values, n, ttl_ms) : CACHE_OK;
    if (begun != 0)
        cache_counters_time(store->counters, TIMED_SET, elapsed(begun));
    if (first == CACHE_OK)
        cache_counters_add(store->counters, COUNT_SET, n);
    for (size_t i = 0; i < n && (store->env.event != NULL || first < 0); i++) {
        end(cache, first, CACHE_EVENT_SET, keys[i], elapsed(begun));
        if (first < 0)
            break;
    }
    return first;
}

/* ---- get and has ----------------------------------------------------------------------------------------------- */

cache_status cache_get(cache_t *cache, const char *key, cache_value *out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "get: out is NULL");
    *out = (cache_value){ NULL, 0, NULL };
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    status = cache_store_get(cache, full.bytes, out);
    if (status == CACHE_OK && cache_envelope_is(out->data, out->size))
        status = cache_envelope_unwrap(cache, full.bytes, out);
    cache_count_read(cache, status);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

static cache_status copy_out(const cache_value *value, void *buf, size_t cap, size_t *size)
{
    if (size != NULL)
        *size = value->size;
    if (value->size > cap)
        return cache_fail(CACHE_ERR_TOO_LARGE, "get_copy: the value has %zu bytes, the buffer %zu", value->size, cap);
    if (value->data != buf && value->size > 0)    /* the store has not put it there already */
        memmove(buf, value->data, value->size);    /* maybe from inside the buffer, where an envelope stood before it */
    return CACHE_OK;
}

cache_status cache_get_copy(cache_t *cache, const char *key, void *buf, size_t cap, size_t *size)
{
    if (size != NULL)
        *size = 0;
    if (buf == NULL && cap > 0)
        return cache_fail(CACHE_ERR_INVALID, "get_copy: buf is NULL and cap is %zu", cap);
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    /* The store writes straight into the buffer; what does not fit goes to a block instead, and the buffer stays as it
     * was. */
    cache_writer writer;
    cache_writer_init_buffer(&writer, cache->store->env.allocator, buf, cap);
    status = store_read(cache, full.bytes, &writer);
    cache_value value = { writer.data, writer.size, writer.owner };
    if (status == CACHE_OK && cache_envelope_is(value.data, value.size)) {
        writer.owner = NULL;    /* unwrap lets go of the value on a miss */
        status = cache_envelope_unwrap(cache, full.bytes, &value);
        writer.owner = value.owner;
    }
    cache_count_read(cache, status);
    if (status == CACHE_OK)
        status = copy_out(&value, buf, cap, size);
    if (writer.owner != NULL)    /* what stands in the caller's buffer needs none */
        writer.owner->ops->release(writer.owner);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

/* What the store has may be what cache_get would not show. A store in this process is asked for the value too, which
 * costs no round trip and no copy; for others that would be a transfer of the whole value for a yes or no. */
static cache_status look_inside(const cache_t *cache, cache_bytes key)
{
    cache_value value;
    cache_status status = cache_internal_get(cache, key, &value);
    if (status == CACHE_OK && cache_envelope_is(value.data, value.size))
        status = cache_envelope_unwrap(cache, key, &value);
    cache_value_release(&value);
    return status;
}

cache_status cache_has(cache_t *cache, const char *key)
{
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    const struct cache_store *store = cache->store;
    if (store->ops.has != NULL) {
        const uint64_t begun = begin(store);
        status = store->ops.has(store->self, full.bytes);
        if (status == CACHE_OK && (store->ops.flags & CACHE_BACKEND_LOCAL))
            status = look_inside(cache, full.bytes);
        status = end(cache, status, status == CACHE_OK ? CACHE_EVENT_HIT : CACHE_EVENT_MISS, full.bytes,
                     elapsed(begun));
    } else {
        cache_value value;    /* a store without a cheaper question still has get */
        status = cache_store_get(cache, full.bytes, &value);
        if (status == CACHE_OK && cache_envelope_is(value.data, value.size))
            status = cache_envelope_unwrap(cache, full.bytes, &value);
        cache_value_release(&value);
    }
    cache_count_read(cache, status);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

/* ---- set, add, touch ------------------------------------------------------------------------------------------- */

cache_status cache_set_checked(cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    if (!cache_envelope_is(value.data, value.size))
        return cache_store_set(cache, key, value, ttl_ms, flags);
    cache_writer wrapped;
    cache_writer_init(&wrapped, cache->store->env.allocator);
    cache_status status = cache_envelope_wrap_plain(cache, key, value, &wrapped);
    if (status == CACHE_OK)
        status = cache_store_set(cache, key, (cache_bytes){ wrapped.data, wrapped.size }, ttl_ms, flags);
    cache_writer_release(&wrapped);
    return status;
}

static cache_status set(cache_t *cache, const char *key, const void *data, size_t size, double ttl, unsigned flags)
{
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
    cache_flights_invalidate(cache->store->flights, full.bytes);    /* first, for the same reason as in cache_delete */
    status = cache_set_checked(cache, full.bytes, value, ttl_ms, flags);
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
        return cache_fail(CACHE_ERR_UNSUPPORTED, "%s: this store cannot touch", store->ops.scheme);
    status = store->ops.touch(store->self, full.bytes, ttl_ms);
    if (status < 0)
        end(cache, status, CACHE_EVENT_ERROR, full.bytes, 0);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

/* ---- delete and clear ------------------------------------------------------------------------------------------ */

cache_status cache_delete(cache_t *cache, const char *key)
{
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    /* First: whoever stores a computation asks once more behind its store, and takes back what it should not have
     * stored. If it has asked already, its value is there to be removed. */
    cache_flights_invalidate(cache->store->flights, full.bytes);
    status = cache_lease_revoke(cache, full.bytes);
    status = status < 0 ? end(cache, status, CACHE_EVENT_ERROR, full.bytes, 0) : cache_store_remove(cache, full.bytes);
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

cache_status cache_clear(cache_t *cache)
{
    if (cache == NULL)
        return cache_fail(CACHE_ERR_INVALID, "cache is NULL");
    const cache_bytes prefix = { cache->prefix, cache->prefix_size };
    const struct cache_store *store = cache->store;
    cache_flights_invalidate_prefix(store->flights, prefix);
    const cache_status status = store->ops.clear(store->self, prefix);
    if (status < 0)
        end(cache, status, CACHE_EVENT_ERROR, prefix, 0);
    return cache_apply_on_error(cache, status, CACHE_OK);
}

/* ---- counters -------------------------------------------------------------------------------------------------- */

cache_status cache_inc(cache_t *cache, const char *key, int64_t delta, int64_t *result)
{
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    const struct cache_store *store = cache->store;
    int64_t number = delta;    /* what an empty store would answer */
    status = store->ops.inc(store->self, full.bytes, delta, cache->default_ttl_ms, &number);
    if (status == CACHE_OK)
        cache_counters_add(store->counters, COUNT_INC, 1);
    if (status == CACHE_ERR_TYPE || status == CACHE_ERR_RANGE)    /* the store says why, and not of which key */
        (void)cache_fail(status, "inc '%.100s': %s", key, cache_last_error());
    if (store->env.event != NULL || status < 0)
        end(cache, status, CACHE_EVENT_SET, full.bytes, 0);
    status = cache_apply_on_error(cache, status, CACHE_OK);
    if (status == CACHE_OK && result != NULL)
        *result = number;
    return status;
}

cache_status cache_dec(cache_t *cache, const char *key, int64_t delta, int64_t *result)
{
    if (delta == INT64_MIN)
        return cache_fail(CACHE_ERR_RANGE, "dec: delta INT64_MIN has no opposite");
    return cache_inc(cache, key, -delta, result);
}

/* ---- statistics ------------------------------------------------------------------------------------------------ */

cache_status cache_stats(cache_t *cache, cache_counters *out)
{
    if (cache == NULL || out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "stats: %s is NULL", cache == NULL ? "cache" : "out");
    cache_counters_read(cache->store->counters, out);
    return cache->store->ops.stats != NULL ? cache->store->ops.stats(cache->store->self, out) : CACHE_OK;
}
