/* stored.c - what the core does with an envelope: its clock, and what the plain operations show of it. */
#include "stored.h"

#include "tag.h"

/* ---- expiry ---------------------------------------------------------------------------------------------------- */

static bool is_local(const cache_t *cache)
{
    return (cache->store->ops.flags & CACHE_BACKEND_LOCAL) != 0;
}

int64_t cache_stored_now_ms(const cache_t *cache)
{
    const cache_env *env = &cache->store->env;
    return is_local(cache) ? cache_env_monotonic_ms(env) : cache_env_wall_ms(env);
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
    return is_local(cache) ? cache_env_monotonic_reached(env, envelope->expires_ms)
                           : cache_env_wall_ms(env) >= envelope->expires_ms;
}

/* ---- for the plain operations ---------------------------------------------------------------------------------- */

cache_status cache_stored_unwrap(const cache_t *cache, cache_bytes key, cache_value *value)
{
    struct cache_envelope envelope;
    if (cache_envelope_decode((cache_bytes){ value->data, value->size }, key, &envelope) &&
        !(envelope.flags & ENVELOPE_NEGATIVE) && !cache_stored_is_stale(cache, &envelope) &&
        cache_tags_hold(cache, envelope.tags)) {
        value->data = envelope.payload.data;
        value->size = envelope.payload.size;
        return CACHE_OK;
    }
    cache_value_release(value);
    return CACHE_MISS;
}

/* A plain value of cache_set that begins with the magic: wrapped so that unwrap gives it back. */
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
