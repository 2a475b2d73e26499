/* fetch_hit.c - a fast path for the usual hit of cache_fetch. It costs little more than a get. */
#include "fetch_internal.h"
#include "tag.h"

/* Returns true if no option is set that changes a hit. All other options matter only on a miss. */
static bool is_usual(const cache_fetch_options *options)
{
    return options->size == sizeof *options && options->beta == 0 && options->refresh_after == 0 && !options->force &&
           !options->unless;
}

static bool has_type(const struct cache_envelope *envelope, const char *type)
{
    const size_t size = type != NULL ? strlen(type) : 0;
    return envelope->type.size == size && (size == 0 || memcmp(envelope->type.data, type, size) == 0);
}

/* Replaces a stored value by its payload. Returns false if it is not simply a fresh value. */
static bool open_fresh(const cache_t *cache, cache_bytes key, const char *type, cache_value *value,
                       struct cache_outcome *what)
{
    struct cache_envelope envelope;
    if (!cache_envelope_is(value->data, value->size)) {    /* a value of cache_set is always fresh */
        what->created_ms = cache_stored_recent_ms(cache);
        return type == NULL;
    }
    if (!cache_envelope_decode((cache_bytes){ value->data, value->size }, key, &envelope) ||
        (envelope.flags & ~ENVELOPE_STALE) != 0 || !has_type(&envelope, type) ||
        cache_stored_is_stale(cache, &envelope) || !cache_tags_hold(cache, envelope.tags))
        return false;
    value->data = envelope.payload.data;
    value->size = envelope.payload.size;
    what->created_ms = envelope.created_ms;
    what->expires_ms = envelope.expires_ms;
    return true;
}

bool cache_fetch_hit(cache_t *cache, const char *key, const cache_fetch_options *options, cache_value *out)
{
    /* A remote store must not be asked twice if the value is missing, so only a store of this process is asked here. */
    if (cache == NULL || !cache->store->sampled || !(cache->store->ops.flags & CACHE_BACKEND_LOCAL) ||
        (options != NULL && !is_usual(options)))
        return false;
    struct cache_full_key full;
    if (cache_key_make(cache, key, &full) != CACHE_OK)
        return false;
    struct cache_live_counters *named =
        options != NULL ? cache_named_counters_find(cache->store->named_counters, options->name) : NULL;
    const uint64_t begun = cache_fetch_begin_read(cache, named);
    cache_value value;
    if (cache_store_get(cache, full.bytes, &value) != CACHE_OK)
        return false;
    struct cache_outcome what = { .status = CACHE_OK, .stored = true };
    if (!open_fresh(cache, full.bytes, options != NULL ? options->type : NULL, &value, &what) ||
        (options != NULL && options->validate != NULL && !options->validate(options->validate_ctx, &value))) {
        cache_value_release(&value);
        return false;
    }
    CACHE_PROBE_KEY(hit, full.bytes);
    cache_counters_add(cache->store->counters, COUNT_HIT, 1);
    if (named != NULL) {
        cache_counters_add(named, COUNT_HIT, 1);
        if (begun != 0)
            cache_counters_time(named, TIMED_GET, cache_now_ns() - begun);
    }
    if (options != NULL && options->info != NULL)
        cache_fetch_fill_info(cache, options->info, CACHE_SOURCE_HIT, &what);
    *out = value;
    return true;
}
