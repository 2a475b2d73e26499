/* inspect.c - inspects a store: does it answer, how long does a value live, which keys are there, what is stored. */
#include "stored.h"
#include "tag.h"

#include <string.h>

cache_status cache_ping(cache_t *cache)
{
    if (cache == NULL)
        return cache_fail(CACHE_ERR_INVALID, "ping: cache is NULL");
    return cache_store_ping(cache);
}

/* ---- how long a value lives -------------------------------------------------------------------------------------- */

/* cache_get stops returning an enveloped value when it becomes stale, though the store keeps it longer. */
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
    cache = cache_or_none(cache);
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
    const char *user = cache_user_key(listing->cache, key);
    if (user != NULL)
        listing->each(listing->ctx, user);
}

/* Make the prefix of the handle followed by the prefix of the user, as the keys begin. */
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
    if (cursor == NULL || each == NULL)
        return cache_fail(CACHE_ERR_INVALID, "keys: %s is NULL", cursor == NULL ? "cursor" : "each");
    if (cache == NULL) {
        cursor->done = true;
        return CACHE_OK;
    }
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

/* ---- what is stored under a key ---------------------------------------------------------------------------------- */

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

/* Like in cache_fetch_info: negative in the past, but never CACHE_TTL_FOREVER. */
static double until_stale(const struct cache_envelope *envelope, int64_t now_ms)
{
    if (envelope->expires_ms == 0)
        return CACHE_TTL_FOREVER;
    const int64_t left_ms = envelope->expires_ms - now_ms;
    return seconds(left_ms == 0 || left_ms == -1000 ? left_ms - 1 : left_ms);
}

/* Copy the type and the tags into one block, after the array of the tags. Returns NULL if there is no memory. */
static void *copy_texts(const cache_t *cache, const struct cache_envelope *envelope, cache_entry *entry)
{
    cache_bytes tags = envelope->tags, name;
    const char *version = NULL;
    const size_t room = CACHE_MAX_TAGS * sizeof(char *) + envelope->type.size + 1 + envelope->tags.size;
    const char **names = cache_env_alloc(&cache->store->env, room);
    if (names == NULL)
        return NULL;
    char *text = (char *)(names + CACHE_MAX_TAGS);
    entry->type = text;
    memcpy(text, envelope->type.data, envelope->type.size);
    text += envelope->type.size;
    *text++ = '\0';
    while (cache_envelope_next_tag(&tags, &name, &version)) {
        names[entry->n_tags++] = text;
        memcpy(text, name.data, name.size);
        text += name.size;
        *text++ = '\0';    /* there is room: a tag's version is longer than this NUL */
    }
    entry->tags = names;
    return (void *)names;
}

static void fill_entry(const cache_t *cache, const struct cache_envelope *envelope, cache_entry *entry)
{
    const int64_t now_ms = cache_stored_now_ms(cache);
    const bool stale = cache_stored_is_stale(cache, envelope);
    entry->data = envelope->payload.data;
    entry->size = envelope->payload.size;
    if (envelope->flags & ENVELOPE_PLAIN)
        return;
    entry->kind = envelope->flags & ENVELOPE_NEGATIVE ? CACHE_ENTRY_NOTHING : CACHE_ENTRY_COMPUTED;
    entry->invalidated = !cache_tags_hold(cache, envelope->tags);
    entry->shown = entry->kind == CACHE_ENTRY_COMPUTED && !stale && !entry->invalidated;
    entry->age = seconds(now_ms - envelope->created_ms);
    entry->ttl_left = until_stale(envelope, now_ms);
    entry->has_stale = (envelope->flags & ENVELOPE_STALE) != 0;
    entry->stale = seconds(envelope->stale_ms);
    entry->stale_if_error = seconds(envelope->stale_if_error_ms);
}

cache_status cache_inspect(cache_t *cache, const char *key, cache_inspect_fn *show, void *ctx)
{
    if (show == NULL)
        return cache_fail(CACHE_ERR_INVALID, "inspect: show is NULL");
    if (cache == NULL)
        return CACHE_MISS;
    struct cache_full_key full;
    cache_status status = cache_key_make(cache, key, &full);
    if (status != CACHE_OK)
        return status;
    cache_value value;
    int64_t left_ms = -1;
    status = cache_store_get_left(cache, full.bytes, &value, &left_ms);
    if (status != CACHE_OK)
        return cache_apply_on_error(cache, status, CACHE_MISS);
    const double kept = left_ms < 0 ? 0 : left_ms == 0 ? CACHE_TTL_FOREVER : seconds(left_ms);
    cache_entry entry = {
        .kind = CACHE_ENTRY_PLAIN, .shown = true, .ttl_left = kept, .kept = kept, .type = "",
        .data = value.data, .size = value.size, .raw = value.data, .raw_size = value.size,
    };
    struct cache_envelope envelope;
    void *texts = NULL;
    if (cache_envelope_is(value.data, value.size)) {
        if (!cache_envelope_decode((cache_bytes){ value.data, value.size }, full.bytes, &envelope)) {
            entry.kind = CACHE_ENTRY_UNREADABLE;
            entry.shown = false;
            entry.size = 0;
        } else if ((texts = copy_texts(cache, &envelope, &entry)) == NULL)
            status = cache_fail(CACHE_ERR_NOMEM, "inspect '%.100s': out of memory", key);
        else
            fill_entry(cache, &envelope, &entry);
    }
    if (status == CACHE_OK)
        show(ctx, &entry);
    cache_env_free(&cache->store->env, texts);
    cache_value_release(&value);
    return status;
}
