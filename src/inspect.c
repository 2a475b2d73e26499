/* inspect.c - looking at a store: does it answer, how long does a value live, which keys are there. */
#include "stored.h"

#include <string.h>

cache_status cache_ping(cache_t *cache)
{
    if (cache == NULL)
        return cache_fail(CACHE_ERR_INVALID, "ping: cache is NULL");
    return cache_store_ping(cache);
}

/* ---- how long a value lives -------------------------------------------------------------------------------------- */

/* What cache_get shows of an enveloped value ends when it becomes stale, though the store keeps it longer. */
static void shorten_by_envelope(const cache_t *cache, cache_bytes key, const cache_value *value, int64_t *left_ms)
{
    struct cache_envelope envelope;
    if (!cache_envelope_is(value->data, value->size) ||
        !cache_envelope_decode((cache_bytes){ value->data, value->size }, key, &envelope) ||
        (envelope.flags & ENVELOPE_PLAIN))
        return;
    if (envelope.expires_ms == 0) {
        *left_ms = *left_ms > 0 ? *left_ms : 0;
        return;
    }
    const int64_t fresh_ms = envelope.expires_ms - cache_stored_now_ms(cache);
    if (*left_ms <= 0 || fresh_ms < *left_ms)
        *left_ms = fresh_ms > 1 ? fresh_ms : 1;
}

cache_status cache_ttl_left(cache_t *cache, const char *key, double *left)
{
    if (left == NULL)
        return cache_fail(CACHE_ERR_INVALID, "ttl_left: left is NULL");
    *left = 0;
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    cache_value value;
    int64_t left_ms = -1;
    status = cache_store_get_left(cache, full.bytes, &value, &left_ms);
    if (status == CACHE_OK)
        shorten_by_envelope(cache, full.bytes, &value, &left_ms);
    if (status == CACHE_OK && cache_envelope_is(value.data, value.size))
        status = cache_stored_unwrap(cache, full.bytes, &value);
    cache_value_release(&value);
    if (status == CACHE_OK && left_ms < 0)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "%s: this store does not know how long it keeps '%.100s'",
                          cache->store->ops.scheme, key);
    if (status == CACHE_OK)
        *left = left_ms > 0 ? (double)left_ms / 1000 : CACHE_TTL_FOREVER;
    return cache_apply_on_error(cache, status, CACHE_MISS);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

struct listing {
    const cache_t *cache;
    cache_key_fn *each;
    void *ctx;
};

static void hand_over(void *ctx, cache_bytes key)
{
    const struct listing *listing = ctx;
    const char *user = cache_key_of_user(key.data + listing->cache->prefix_size);
    if (user != NULL)
        listing->each(listing->ctx, user);
}

/* The handle's prefix and the user's, behind each other as the keys begin. */
static cache_status make_prefix(const cache_t *cache, const char *prefix, struct cache_full_key *full)
{
    if (prefix != NULL && prefix[0] != '\0')
        return cache_key_make(cache, prefix, full);
    memcpy(full->text, cache->prefix, cache->prefix_size + 1);
    full->bytes = (cache_bytes){ full->text, cache->prefix_size };
    return CACHE_OK;
}

cache_status cache_keys(cache_t *cache, const char *prefix, cache_cursor *cursor, cache_key_fn *each, void *ctx)
{
    if (cache == NULL || cursor == NULL || each == NULL)
        return cache_fail(CACHE_ERR_INVALID, "keys: %s is NULL",
                          cache == NULL ? "cache" : cursor == NULL ? "cursor" : "each");
    struct cache_full_key full;
    cache_status status = make_prefix(cache, prefix, &full);
    if (status != CACHE_OK || cursor->done)
        return status;
    struct listing listing = { cache, each, ctx };
    status = cache_store_list(cache, full.bytes, cursor, hand_over, &listing);
    if (status != CACHE_OK)
        cursor->done = cache->miss_on_error && cache_is_store_failure(status);
    return cache_apply_on_error(cache, status, CACHE_OK);
}
