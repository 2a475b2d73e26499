/* store.c - calls the operations of a store, counts and times them, and has a fallback for each one that a store may
 * lack. There are no fallbacks anywhere else. */
#include "cache_internal.h"
#include "invariant.h"
#include "layer.h"
#include "results.h"
#include "unique.h"

#include <string.h>

/* ---- keys ---------------------------------------------------------------------------------------------------- */

static void put_text(struct cache_full_key *out, const char *text, size_t size)
{
    memcpy(out->text + out->bytes.size, text, size);
    out->bytes.size += size;
    ASSERT(out->bytes.size < sizeof out->text);
    out->text[out->bytes.size] = '\0';
}

/* Makes most keys with a prefix. A hit in a front spends a tenth of its time here. A short prefix is copied together
 * with some bytes after it, so that the compiler knows the size of the copy. */
static bool make_usual(const cache_t *cache, const char *key, struct cache_full_key *out)
{
    enum { SHORT = 32 };
    _Static_assert(sizeof cache->prefix >= SHORT, "a short prefix is copied whole");
    const size_t prefix = cache->prefix_size, size = strnlen(key, CACHE_MAX_KEY + 1);
    if ((unsigned char)key[0] <= CACHE_INTERNAL_MARK[0] || size > CACHE_MAX_KEY)
        return false;
    if (prefix <= SHORT)
        memcpy(out->text, cache->prefix, SHORT);
    else
        memcpy(out->text, cache->prefix, prefix);
    memcpy(out->text + prefix, key, size + 1);
    out->bytes = (cache_bytes){ out->text, prefix + size };
    return true;
}

cache_status cache_key_make_slowly(const cache_t *cache, const char *key, struct cache_full_key *out)
{
    if (cache != NULL && key != NULL && make_usual(cache, key, out))
        return CACHE_OK;
    if (cache == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "out of memory: a NULL cache could not be replaced by null://");
    if (key == NULL)
        return cache_fail(CACHE_ERR_INVALID, "the key is NULL");
    const size_t size = strnlen(key, CACHE_MAX_KEY + 1);
    if (size == 0)
        return cache_fail(CACHE_ERR_INVALID, "the key is empty");
    if (size > CACHE_MAX_KEY)
        return cache_fail(CACHE_ERR_INVALID, "key '%.40s…' is longer than %d bytes", key, CACHE_MAX_KEY);
    out->bytes = (cache_bytes){ out->text, 0 };
    put_text(out, cache->prefix, cache->prefix_size);
    if (key[0] == CACHE_INTERNAL_MARK[0] && !cache_has_further_prefix(cache))
        put_text(out, CACHE_INTERNAL_MARK, 1);
    put_text(out, key, size);
    return CACHE_OK;
}

void cache_key_make_internal(const cache_t *cache, const char *kind, const char *key, struct cache_full_key *out)
{
    const size_t first = cache->store->env.prefix_size;
    out->bytes = (cache_bytes){ out->text, 0 };
    put_text(out, cache->prefix, first);
    put_text(out, kind, strlen(kind));
    put_text(out, cache->prefix + first, cache->prefix_size - first);
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

/* ---- the store, counted and timed ------------------------------------------------------------------------------ */

/* Not of the core's own keys, such as the tags that a fetch asks for with its value. */
static void emit_event(const cache_t *cache, cache_event_type event, cache_status status, cache_bytes key,
                       size_t size, uint64_t nanoseconds)
{
    ASSERT(key.size >= cache->prefix_size && memcmp(key.data, cache->prefix, cache->prefix_size) == 0);
    const char *user = cache->store->env.event != NULL ? cache_event_key(cache, key) : NULL;
    if (user != NULL)
        cache_env_emit(&cache->store->env, (cache_event){ .type = event, .status = status, .key = user, .size = size,
                                                          .nanoseconds = nanoseconds });
}

cache_status cache_store_end(const cache_t *cache, cache_status status, cache_event_type event, cache_bytes key,
                             size_t size, uint64_t nanoseconds)
{
    struct cache_store *store = cache->store;
    if (status < 0) {
        if (status == CACHE_ERR_NOMEM || cache_is_store_failure(status))
            cache_counters_add(store->counters, COUNT_ERROR, 1);
        event = CACHE_EVENT_ERROR;
    }
    emit_event(cache, event, status, key, status == CACHE_OK ? size : 0, nanoseconds);
    return status;
}

static cache_status end_timed(const cache_t *cache, cache_status status, enum timed what, cache_event_type event,
                              cache_bytes key, size_t size, uint64_t begun)
{
    const uint64_t nanoseconds = cache_store_elapsed(begun);
    if (begun != 0)
        cache_counters_time(cache->store->counters, what, nanoseconds);
    return cache_store_end(cache, status, event, key, size, nanoseconds);
}

/* Counts a read that was timed. A store of this process times one read in CACHE_SAMPLE_EVERY, the others each. */
static void note_hot(const cache_t *cache, cache_bytes key, unsigned reads)
{
    struct cache_store *store = cache->store;
    const char *user = cache_event_key(cache, key);
    if (user != NULL)
        cache_hot_keys_add(store->hot_keys, user, (uint64_t)reads * (store->sampled ? CACHE_SAMPLE_EVERY : 1));
}

enum { NOTED_OF_MANY = 8 };

/* Counts one key in NOTED_OF_MANY: to count a key takes a tenth of a microsecond, too much for each of hundreds. Every
 * key has the same chance, whatever its place among them. */
static void note_hot_of_many(const cache_t *cache, const cache_bytes keys[], size_t n, const cache_value values[])
{
    for (size_t i = (cache_unique_quick() >> 32) % NOTED_OF_MANY; i < n; i += NOTED_OF_MANY)
        if (values[i].data != NULL)
            note_hot(cache, keys[i], NOTED_OF_MANY);
}

int64_t cache_store_now_ms(const cache_t *cache)
{
    const cache_env *env = &cache->store->env;
    const bool is_local = (cache->store->ops.flags & CACHE_BACKEND_LOCAL) != 0;
    return is_local ? cache_env_monotonic_ms(env) : cache_env_wall_ms(env);
}

cache_status cache_store_end_read(const cache_t *cache, cache_status status, cache_bytes key, size_t size,
                                  uint64_t begun)
{
    if (begun != 0 && status == CACHE_OK)
        note_hot(cache, key, 1);
    return end_timed(cache, status, TIMED_GET, status == CACHE_OK ? CACHE_EVENT_HIT : CACHE_EVENT_MISS, key, size,
                     begun);
}

cache_status cache_store_get(const cache_t *cache, cache_bytes key, cache_value *out)
{
    cache_writer writer;
    cache_writer_init(&writer, cache->store->env.allocator);
    *out = (cache_value){ NULL, 0, NULL };
    cache_status status = cache_store_read(cache, key, &writer);
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

cache_status cache_store_get_left(const cache_t *cache, cache_bytes key, cache_value *out, int64_t *left_ms)
{
    const struct cache_store *store = cache->store;
    *left_ms = -1;
    if (store->ops.get_left == NULL)
        return cache_store_get(cache, key, out);
    cache_writer writer;
    cache_writer_init(&writer, store->env.allocator);
    *out = (cache_value){ NULL, 0, NULL };
    const uint64_t begun = cache_store_begin(store);
    cache_status status = store->ops.get_left(store->self, key, &writer, left_ms);
    status = cache_store_end_read(cache, status, key, writer.size, begun);
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
    const uint64_t begun = cache_store_begin(store);
    const cache_status status = store->ops.set(store->self, key, value, ttl_ms, flags);
    if (status == CACHE_OK) {
        CACHE_PROBE3(set, key.data, key.size, value.size);
        cache_counters_add(store->counters, COUNT_SET, 1);
    }
    return end_timed(cache, status, TIMED_SET, CACHE_EVENT_SET, key, value.size, begun);
}

cache_status cache_store_remove(const cache_t *cache, cache_bytes key)
{
    const struct cache_store *store = cache->store;
    const uint64_t begun = cache_store_begin(store);
    const cache_status status = store->ops.remove(store->self, key);
    if (status == CACHE_OK)
        cache_counters_add(store->counters, COUNT_DELETE, 1);
    return cache_store_end(cache, status, CACHE_EVENT_DELETE, key, 0, cache_store_elapsed(begun));
}

cache_status cache_store_compare_and_set(const cache_t *cache, cache_bytes key, cache_bytes expected, cache_bytes value,
                                         int64_t ttl_ms)
{
    const struct cache_store *store = cache->store;
    if (store->ops.max_value != 0 && value.size > store->ops.max_value)
        return cache_fail(CACHE_ERR_TOO_LARGE, "%s: a value of %zu bytes: the limit is %zu", store->ops.scheme,
                          value.size, store->ops.max_value);
    const uint64_t begun = cache_store_begin(store);
    const cache_status status = store->ops.compare_and_set(store->self, key, expected, value, ttl_ms);
    if (value.data == NULL)
        return cache_store_end(cache, status, CACHE_EVENT_DELETE, key, 0, cache_store_elapsed(begun));
    if (status == CACHE_OK) {
        CACHE_PROBE3(set, key.data, key.size, value.size);
        cache_counters_add(store->counters, COUNT_SET, 1);
    }
    return end_timed(cache, status, TIMED_SET, CACHE_EVENT_SET, key, value.size, begun);
}

void cache_store_drop(const cache_t *cache, cache_bytes key)
{
    (void)cache->store->ops.remove(cache->store->self, key);
}

/* ---- looking at the store --------------------------------------------------------------------------------------- */

cache_status cache_store_list(const cache_t *cache, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each,
                              void *ctx)
{
    const struct cache_store *store = cache->store;
    if (store->ops.list == NULL)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "%s: this store cannot list its keys", store->ops.scheme);
    const cache_status status = store->ops.list(store->self, prefix, cursor, each, ctx);
    return status < 0 ? cache_store_end(cache, status, CACHE_EVENT_ERROR, prefix, 0, 0) : status;
}

cache_status cache_store_ping(const cache_t *cache)
{
    const struct cache_store *store = cache->store;
    struct cache_full_key key;
    cache_key_make_internal(cache, CACHE_INTERNAL_MARK "ping", "", &key);
    if (store->ops.ping != NULL) {
        const cache_status status = store->ops.ping(store->self);
        return status < 0 ? cache_store_end(cache, status, CACHE_EVENT_ERROR, key.bytes, 0, 0) : CACHE_OK;
    }
    /* A read asks the server; that nothing is there is an answer. */
    cache_value value;
    const cache_status status = cache_internal_get(cache, key.bytes, &value);
    cache_value_release(&value);
    return status < 0 ? status : CACHE_OK;
}

/* ---- many at once ---------------------------------------------------------------------------------------------- */

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
    cache_results results = { store->env.allocator, out, n };
    const uint64_t begun = cache_store_begin(store);
    first = n > 0 ? store->ops.get_many(store->self, keys, n, &results) : CACHE_OK;
    if (begun != 0) {
        cache_counters_time(store->counters, TIMED_GET, cache_store_elapsed(begun));
        note_hot_of_many(cache, keys, n, out);
    }
    if (first < 0)
        return cache_store_end(cache, first, CACHE_EVENT_ERROR, keys[0], 0, cache_store_elapsed(begun));
    if (store->env.event != NULL)
        for (size_t i = 0; i < n; i++) {
            const bool there = out[i].data != NULL;
            emit_event(cache, there ? CACHE_EVENT_HIT : CACHE_EVENT_MISS, there ? CACHE_OK : CACHE_MISS, keys[i],
                       out[i].size, 0);
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
    const uint64_t begun = cache_store_begin(store);
    first = n > 0 ? store->ops.remove_many(store->self, keys, n, removed) : CACHE_OK;
    cache_counters_add(store->counters, COUNT_DELETE, *removed);
    for (size_t i = 0; i < n && (store->env.event != NULL || first < 0); i++) {
        cache_store_end(cache, first, CACHE_EVENT_DELETE, keys[i], 0, cache_store_elapsed(begun));
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
    const uint64_t begun = cache_store_begin(store);
    first = n > 0 ? store->ops.set_many(store->self, keys, values, n, ttl_ms) : CACHE_OK;
    if (begun != 0)
        cache_counters_time(store->counters, TIMED_SET, cache_store_elapsed(begun));
    if (first == CACHE_OK)
        cache_counters_add(store->counters, COUNT_SET, n);
    for (size_t i = 0; i < n && first == CACHE_OK; i++)
        CACHE_PROBE3(set, keys[i].data, keys[i].size, values[i].size);
    for (size_t i = 0; i < n && (store->env.event != NULL || first < 0); i++) {
        cache_store_end(cache, first, CACHE_EVENT_SET, keys[i], values[i].size, cache_store_elapsed(begun));
        if (first < 0)
            break;
    }
    return first;
}

/* ---- keys of the core's own -------------------------------------------------------------------------------------- */

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

cache_status cache_internal_compare_and_set(const cache_t *cache, cache_bytes key, cache_bytes expected,
                                            cache_bytes value, int64_t ttl_ms)
{
    const struct cache_store *store = cache->store;
    return counted(cache, store->ops.compare_and_set(store->self, key, expected, value, ttl_ms));
}
