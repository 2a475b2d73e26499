/* stored.c - handles values in envelopes: finds out whether they are stale, and returns their payload to plain
 * operations. */
#include "stored.h"

#include "number.h"
#include "tag.h"

#include <string.h>

/* ---- expiry ---------------------------------------------------------------------------------------------------- */

static bool is_local(const cache_t *cache)
{
    return (cache->store->ops.flags & CACHE_BACKEND_LOCAL) != 0;
}

int64_t cache_stored_now_ms(const cache_t *cache)
{
    return cache_store_now_ms(cache);
}

int64_t cache_stored_recent_ms(const cache_t *cache)
{
    const cache_env *env = &cache->store->env;
    return is_local(cache) ? cache_env_recent_monotonic_ms(env) : cache_env_recent_wall_ms(env);
}

bool cache_stored_is_stale(const cache_t *cache, const struct cache_envelope *envelope)
{
    if (envelope->expires_ms == 0)
        return false;
    const cache_env *env = &cache->store->env;
    return is_local(cache) ? cache_env_deadline_reached(env, envelope->expires_ms)
                           : cache_env_wall_ms(env) >= envelope->expires_ms;
}

/* ---- for the plain operations ---------------------------------------------------------------------------------- */

cache_status cache_stored_unwrap(const cache_t *cache, cache_bytes key, cache_value *value)
{
    struct cache_envelope envelope;
    if (cache_envelope_decode((cache_bytes){ value->data, value->size }, key, &envelope) &&
        !(envelope.flags & (ENVELOPE_NEGATIVE | ENVELOPE_CLAIM)) && !cache_stored_is_stale(cache, &envelope) &&
        cache_tags_hold(cache, envelope.tags)) {
        value->data = envelope.payload.data;
        value->size = envelope.payload.size;
        return CACHE_OK;
    }
    cache_value_release(value);
    return CACHE_MISS;
}

/* Puts a plain value of cache_set that begins with the magic into an envelope, so that unwrapping returns it. */
static cache_status wrap_plain(const cache_t *cache, cache_bytes key, cache_bytes value, cache_writer *out)
{
    const struct cache_envelope envelope = {
        .flags = ENVELOPE_PLAIN, .created_ms = cache_stored_now_ms(cache), .payload = value,
    };
    return cache_envelope_encode(&envelope, key, out);
}

cache_status cache_stored_set(cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    if (!cache_envelope_is(value.data, value.size))
        return cache_store_set(cache, key, value, ttl_ms, flags);
    cache_writer wrapped;
    cache_writer_init(&wrapped, cache->store->env.allocator);
    cache_status status = wrap_plain(cache, key, value, &wrapped);
    if (status == CACHE_OK)
        status = cache_store_set(cache, key, (cache_bytes){ wrapped.data, wrapped.size }, ttl_ms, flags);
    cache_writer_release(&wrapped);
    return status;
}

/* ---- looking inside for add and inc ------------------------------------------------------------------------------ */

/* The first bytes of an envelope. Two envelopes of one key differ in them. */
struct header {
    char bytes[ENVELOPE_HEADER_SIZE];
    size_t size;
};

static struct header header_of(const cache_value *value)
{
    struct header header = { .size = value->size < ENVELOPE_HEADER_SIZE ? value->size : ENVELOPE_HEADER_SIZE };
    memcpy(header.bytes, value->data, header.size);
    return header;
}

static cache_status replace(const cache_t *cache, cache_bytes key, const struct header *header, cache_bytes value,
                            int64_t ttl_ms)
{
    return cache_internal_compare_and_set(cache, key, (cache_bytes){ header->bytes, header->size }, value, ttl_ms);
}

bool cache_stored_remove_dead(const cache_t *cache, cache_bytes key)
{
    cache_value value;
    if (cache->store->ops.compare_and_set == NULL)
        return false;
    const cache_status status = cache_internal_get(cache, key, &value);
    if (status != CACHE_OK)
        return status == CACHE_MISS;
    bool is_free = false;
    if (cache_envelope_is(value.data, value.size)) {
        const struct header header = header_of(&value);
        is_free = cache_stored_unwrap(cache, key, &value) == CACHE_MISS &&
                  replace(cache, key, &header, (cache_bytes){ NULL, 0 }, 0) >= 0;
    }
    cache_value_release(&value);
    return is_free;
}

/* Returns how long the store keeps an envelope from now on. */
static int64_t kept_ms(const cache_t *cache, const struct cache_envelope *envelope, int64_t left_ms)
{
    if (left_ms >= 0 || envelope->expires_ms == 0)
        return left_ms >= 0 ? left_ms : 0;
    const int64_t fresh_ms = envelope->expires_ms - cache_stored_now_ms(cache);
    return fresh_ms > 1 ? fresh_ms : 1;
}

static cache_status get_left(const cache_t *cache, cache_bytes key, cache_value *out, int64_t *left_ms)
{
    const struct cache_store *store = cache->store;
    *left_ms = -1;
    if (store->ops.get_left == NULL)
        return cache_internal_get(cache, key, out);
    cache_writer writer;
    cache_writer_init(&writer, store->env.allocator);
    *out = (cache_value){ NULL, 0, NULL };
    cache_status status = store->ops.get_left(store->self, key, &writer, left_ms);
    if (status == CACHE_OK)
        status = cache_writer_take(&writer, out);
    cache_writer_release(&writer);
    return status;
}

static cache_status add_to(const cache_t *cache, cache_bytes key, const struct header *header,
                           struct cache_envelope *envelope, int64_t ttl_ms, int64_t delta, int64_t *result)
{
    char text[NUMBER_MAX_SIZE + 1];
    int64_t number = 0;
    if (envelope->type.size > 0 || !cache_number_parse(envelope->payload.data, envelope->payload.size, &number))
        return cache_fail(CACHE_ERR_TYPE, "the value that cache_fetch stored is not a number");
    if (!cache_number_add(number, delta, result))
        return cache_fail(CACHE_ERR_RANGE, "the result does not fit in int64");
    envelope->payload = (cache_bytes){ text, cache_number_format(*result, text) };
    envelope->id = 0;
    cache_writer whole;
    cache_writer_init(&whole, cache->store->env.allocator);
    cache_status status = cache_envelope_encode(envelope, key, &whole);
    if (status == CACHE_OK)
        status = replace(cache, key, header, (cache_bytes){ whole.data, whole.size }, ttl_ms);
    cache_writer_release(&whole);
    return status;
}

cache_status cache_stored_inc(const cache_t *cache, cache_bytes key, int64_t delta, int64_t *result)
{
    cache_value value;
    struct cache_envelope envelope;
    int64_t left_ms = -1;
    if (cache->store->ops.compare_and_set == NULL)
        return CACHE_ERR_TYPE;
    cache_status status = get_left(cache, key, &value, &left_ms);
    if (status != CACHE_OK)
        return status == CACHE_MISS ? CACHE_NOT_STORED : status;
    const cache_value stored = value;
    const struct header header = header_of(&value);
    if (!cache_envelope_is(value.data, value.size))
        status = CACHE_ERR_TYPE;
    else if (cache_stored_unwrap(cache, key, &value) == CACHE_MISS)
        status = replace(cache, key, &header, (cache_bytes){ NULL, 0 }, 0) < 0 ? CACHE_ERR_TYPE : CACHE_NOT_STORED;
    else if (cache_envelope_decode((cache_bytes){ stored.data, stored.size }, key, &envelope))
        status = add_to(cache, key, &header, &envelope, kept_ms(cache, &envelope, left_ms), delta, result);
    cache_value_release(&value);
    return status;
}
