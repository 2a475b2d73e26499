/* fetch_read.c - reads a value for cache_fetch, and decides whether it is fresh, stale or unusable. */
#include "fetch_internal.h"
#include "unique.h"

#include <math.h>
#include <string.h>

/* XFetch, by Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (VLDB 2015): a
 * caller recomputes before expiry with a probability that grows with the cost of the computation, and as the expiry
 * comes nearer. */
static bool wants_early(const struct fetch *fetch, const struct cache_envelope *envelope)
{
    if (envelope->expires_ms == 0)
        return false;
    if (fetch->options.refresh_after > 0 &&
        (double)(cache_stored_now_ms(fetch->cache) - envelope->created_ms) >=
            fetch->options.refresh_after * (double)(envelope->expires_ms - envelope->created_ms))
        return true;
    if (fetch->options.beta <= 0)
        return false;
    const double ahead_ms = -(double)envelope->cost_us / 1000 * fetch->options.beta * log(cache_unique_fraction());
    return (double)cache_stored_now_ms(fetch->cache) + ahead_ms >= (double)envelope->expires_ms;
}

static enum found classify_entry(const struct fetch *fetch, const struct cache_envelope *envelope, bool *negative)
{
    const char *type = fetch->options.type != NULL ? fetch->options.type : "";
    *negative = (envelope->flags & ENVELOPE_NEGATIVE) != 0;
    if (envelope->flags & ENVELOPE_CLAIM)
        return FOUND_NOTHING;
    if (envelope->type.size != strlen(type) || memcmp(envelope->type.data, type, envelope->type.size) != 0)
        return FOUND_NOTHING;
    if (!(fetch->tags.n > 0 ? cache_tags_match(fetch->cache, &fetch->tags, envelope->tags)
                            : cache_tags_hold(fetch->cache, envelope->tags)))
        return FOUND_NOTHING;
    if (!cache_stored_is_stale(fetch->cache, envelope)) {
        const bool early = !*negative && wants_early(fetch, envelope);
        return early ? FOUND_EARLY : FOUND_FRESH;
    }
    const int64_t past_ms = cache_stored_now_ms(fetch->cache) - envelope->expires_ms;
    if (*negative)
        return FOUND_NOTHING;
    const bool own = (envelope->flags & ENVELOPE_STALE) != 0;    /* the value's own times override the caller's */
    if (past_ms < (own ? envelope->stale_ms : fetch->stale_ms))
        return FOUND_STALE;
    return past_ms < (own ? envelope->stale_if_error_ms : fetch->stale_if_error_ms) ? FOUND_FALLBACK : FOUND_NOTHING;
}

uint64_t cache_fetch_begin_read(const cache_t *cache, const struct cache_live_counters *named)
{
    static _Thread_local unsigned reads;
    if (named == NULL)
        return 0;
    const bool is_local = (cache->store->ops.flags & CACHE_BACKEND_LOCAL) != 0;
    return !is_local || reads++ % CACHE_SAMPLE_EVERY == 0 ? cache_now_ns() : 0;
}

void cache_fetch_read(struct fetch *fetch, struct reading *reading)
{
    *reading = (struct reading){ FOUND_NOTHING, { NULL, 0, NULL }, 0, 0, false };
    fetch->n_completed = cache_flights_n_completed(fetch->cache->store->flights);
    cache_value *value = &reading->value;
    const uint64_t begun = cache_fetch_begin_read(fetch->cache, fetch->named);
    const cache_status status = fetch->tags.n > 0 ? cache_tags_read(fetch->cache, &fetch->tags, value)
                                                  : cache_store_get(fetch->cache, fetch->key, value);
    cache_fetch_count_store(fetch, TIMED_GET, begun, status);
    fetch->is_present = status == CACHE_OK;
    fetch->present.is_there = fetch->present.is_claim = false;
    if (status == CACHE_OK)
        cache_fetch_classify(fetch, reading);
}

/* An entry that this call cannot use is dead, unless only `validate` rejects it. */
static void note_present(struct fetch *fetch, const cache_value *stored, const struct reading *reading)
{
    cache_present_set(&fetch->present, fetch->key, stored);
    fetch->present.is_dead = reading->found == FOUND_NOTHING && cache_envelope_is(stored->data, stored->size);
}

void cache_fetch_classify(struct fetch *fetch, struct reading *reading)
{
    const cache_value stored = reading->value;
    struct cache_envelope envelope = { .payload = { NULL, 0 } };
    cache_value *value = &reading->value;
    if (!cache_envelope_is(value->data, value->size)) {    /* a value of cache_set is always fresh */
        reading->found = fetch->options.type == NULL ? FOUND_FRESH : FOUND_NOTHING;
        reading->created_ms = fetch->options.info != NULL ? cache_stored_now_ms(fetch->cache) : 0;
    } else if (cache_envelope_decode((cache_bytes){ value->data, value->size }, fetch->key, &envelope)) {
        reading->found = classify_entry(fetch, &envelope, &reading->negative);
        reading->created_ms = envelope.created_ms;
        reading->expires_ms = envelope.expires_ms;
        value->data = envelope.payload.data;
        value->size = envelope.payload.size;
    }
    if (fetch->options.lock)
        note_present(fetch, &stored, reading);
    if (reading->found != FOUND_NOTHING && !reading->negative && fetch->options.validate != NULL &&
        !fetch->options.validate(fetch->options.validate_ctx, value))
        reading->found = FOUND_NOTHING;
    if (reading->found == FOUND_NOTHING)
        cache_value_release(value);
}

/* A value that was just stored must not be recomputed early. */
bool cache_fetch_is_new(const struct fetch *fetch, const struct reading *reading)
{
    const bool another = fetch->old == FOUND_NOTHING || reading->created_ms != fetch->old_created_ms;
    return reading->found == FOUND_FRESH || (reading->found == FOUND_EARLY && another);
}

struct cache_outcome cache_fetch_outcome(const struct reading *reading)
{
    return (struct cache_outcome){
        .status = reading->negative ? CACHE_MISS : CACHE_OK, .value = reading->value, .negative = reading->negative,
        .stored = true,
        .created_ms = reading->created_ms, .expires_ms = reading->expires_ms,
    };
}

/* ---- cache_fetch_info -------------------------------------------------------------------------------------------- */

/* A value that becomes stale in this very millisecond is stale, so the result is negative. One that became stale
 * exactly one second ago must not look like CACHE_TTL_FOREVER. */
static double seconds_left(int64_t expires_ms, int64_t now_ms)
{
    if (expires_ms == 0)
        return CACHE_TTL_FOREVER;
    const int64_t left_ms = expires_ms - now_ms;
    return (double)(left_ms == 0 || left_ms == -1000 ? left_ms - 1 : left_ms) / 1000;
}

void cache_fetch_fill_info(const cache_t *cache, cache_fetch_info *info, cache_source source,
                           const struct cache_outcome *what)
{
    if (info == NULL)
        return;
    /* For a fresh value the coarse clock is enough: the exact one is a tenth of the cost of a hit. */
    const int64_t now_ms = source == CACHE_SOURCE_HIT ? cache_stored_recent_ms(cache) : cache_stored_now_ms(cache);
    *info = (cache_fetch_info){
        .source = source, .negative = what->negative, .stored = what->stored,
        .age = now_ms > what->created_ms ? (double)(now_ms - what->created_ms) / 1000 : 0,
        .ttl_left = seconds_left(what->expires_ms, now_ms),
    };
}
