/* fetch.c - computes a value on a miss, once for all callers.
 *
 * A call reads the value and returns it if it is fresh. Otherwise one caller leads a flight (flight.h): it computes and
 * stores the value, and ends the flight. Callers that come meanwhile follow: they wait, or return a stale value if
 * there is one. */
#include "fetch_internal.h"

#include <string.h>

#define DEFAULT_WAIT_MS (INT64_C(30) * 1000)
#define DEFAULT_ERROR_MS INT64_C(1000)

/* ---- arguments --------------------------------------------------------------------------------------------------- */

cache_status cache_fetch_copy_options(cache_fetch_options *known, const cache_fetch_options *options)
{
    if (options != NULL && options->size == sizeof *known) {
        *known = *options;
        return CACHE_OK;
    }
    *known = (cache_fetch_options)CACHE_FETCH_OPTIONS_INIT;
    if (options == NULL)
        return CACHE_OK;
    if (options->size < offsetof(cache_fetch_options, ttl) + sizeof options->ttl)
        return cache_fail(CACHE_ERR_INVALID, "fetch: options->size is too small: use CACHE_FETCH_OPTIONS_INIT");
    memcpy(known, options, options->size < sizeof *known ? options->size : sizeof *known);
    known->size = sizeof *known;
    return CACHE_OK;
}

/* Most options are 0, and cost a hit nothing. */
static inline void read_span(cache_status *status, double seconds, const char *name, int64_t *ms)
{
    *ms = 0;
    if (seconds != 0 && *status == CACHE_OK)
        *status = cache_seconds_ms(seconds, name, ms);
}

static cache_status read_options(struct fetch *fetch, const cache_fetch_options *options)
{
    cache_fetch_options *known = &fetch->options;
    cache_status status = cache_fetch_copy_options(known, options);
    if (status != CACHE_OK)
        return status;
    if (!(known->jitter >= 0 && known->jitter <= 1))
        return cache_fail(CACHE_ERR_INVALID, "fetch: jitter must be 0..1, not %g", known->jitter);
    if (!(known->beta >= 0 && known->beta <= 1000))
        return cache_fail(CACHE_ERR_INVALID, "fetch: beta must be 0..1000, not %g", known->beta);
    if (!(known->refresh_after >= 0 && known->refresh_after <= 1))
        return cache_fail(CACHE_ERR_INVALID, "fetch: refresh_after must be 0..1, not %g", known->refresh_after);
    status = cache_ttl_ms(known->ttl, fetch->cache->default_ttl_ms, &fetch->ttl_ms);
    read_span(&status, known->stale, "stale", &fetch->stale_ms);
    read_span(&status, known->stale_if_error, "stale_if_error", &fetch->stale_if_error_ms);
    read_span(&status, known->negative_ttl, "negative_ttl", &fetch->negative_ms);
    read_span(&status, known->wait, "wait", &fetch->wait_ms);
    read_span(&status, known->lock_ttl, "lock_ttl", &fetch->lock_ms);
    read_span(&status, known->soft_timeout, "soft_timeout", &fetch->soft_ms);
    read_span(&status, known->error_ttl, "error_ttl", &fetch->error_ms);
    if (fetch->error_ms == 0)
        fetch->error_ms = DEFAULT_ERROR_MS;
    if (fetch->wait_ms == 0)
        fetch->wait_ms = DEFAULT_WAIT_MS;
    if (fetch->lock_ms == 0)
        fetch->lock_ms = fetch->wait_ms;
    return status;
}

cache_status cache_fetch_begin(struct fetch *fetch, cache_t *cache, const cache_fetch_options *options)
{
    fetch->cache = cache;
    fetch->compute = NULL;
    fetch->ctx = NULL;
    fetch->tags = (struct cache_tags){ .n = 0 };
    fetch->flight = NULL;
    fetch->n_completed = 0;
    fetch->is_present = fetch->was_late = false;
    fetch->present.is_there = fetch->present.is_claim = false;
    fetch->old = FOUND_NOTHING;
    fetch->old_created_ms = 0;
    fetch->deadline_ns = fetch->soft_deadline_ns = 0;
    const cache_status status = read_options(fetch, options);
    if (status == CACHE_OK)
        fetch->named = cache_named_counters_find(cache->store->named_counters, fetch->options.name);
    return status;
}

/* ---- handing out ------------------------------------------------------------------------------------------------- */

cache_status cache_fetch_return_value(const struct fetch *fetch, struct reading *reading, cache_value *out)
{
    const bool stale = reading->found == FOUND_STALE || reading->found == FOUND_FALLBACK;
    cache_fetch_count_hit(fetch);
    if (stale) {
        cache_fetch_count(fetch, COUNT_STALE);
        cache_env_emit(&fetch->cache->store->env,
                       (cache_event){ .type = CACHE_EVENT_STALE, .status = CACHE_OK, .size = reading->value.size,
                                      .key = cache_event_key(fetch->cache, fetch->key) });
    }
    const struct cache_outcome what = cache_fetch_outcome(reading);
    cache_fetch_fill_info(fetch->cache, fetch->options.info, stale ? CACHE_SOURCE_STALE : CACHE_SOURCE_HIT, &what);
    if (reading->negative)
        cache_value_release(&reading->value);
    else
        *out = reading->value;
    return what.status;
}

cache_status cache_fetch_return_outcome(const struct fetch *fetch, struct cache_outcome *outcome, cache_source source,
                                        struct reading *reading, cache_value *out)
{
    if (outcome->again || (outcome->status < 0 && reading->found != FOUND_NOTHING))
        return cache_fetch_return_value(fetch, reading, out);
    const bool something = outcome->status == CACHE_OK || outcome->negative;
    cache_value_release(&reading->value);
    if (!fetch->options.unless)
        cache_fetch_count_miss(fetch);
    if (source == CACHE_SOURCE_SHARED && something)
        cache_fetch_count(fetch, COUNT_WAIT_SAVED);
    if (something)
        cache_fetch_fill_info(fetch->cache, fetch->options.info, source, outcome);
    *out = outcome->value;
    return outcome->status;
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

enum cache_flight_role cache_fetch_join(struct fetch *fetch, bool has_value, struct cache_flight **flight)
{
    const struct cache_flight_request request = {
        .key = fetch->key, .type = fetch->options.type, .tags = fetch->tags.n > 0 ? &fetch->tags : NULL,
        .anew = fetch->options.force, .has_value = has_value,
    };
    return cache_flight_join(fetch->cache->store->flights, &request, flight);
}

static cache_status lead_here(struct fetch *fetch, struct reading *reading, cache_value *out)
{
    struct cache_outcome outcome;
    const cache_source source = cache_fetch_lead(fetch, &outcome);
    return cache_fetch_return_outcome(fetch, &outcome, source, reading, out);
}

/* Another flight may have ended between this call's read and its taking the lead. Returns true if that flight stored
 * the value; this call's flight has then ended too. */
static bool was_stored_meanwhile(struct fetch *fetch, struct cache_flight *flight, struct reading *reading)
{
    const unsigned n_completed = fetch->n_completed;
    struct reading second;
    if (fetch->options.force || cache_flights_n_completed(fetch->cache->store->flights) == n_completed)
        return false;
    cache_fetch_read(fetch, &second);
    if (!cache_fetch_is_new(fetch, &second)) {
        cache_value_release(&second.value);
        return false;
    }
    cache_value_release(&reading->value);
    *reading = second;
    /* Followers read the value themselves, since a delete that began before this flight may be done by now. */
    cache_flight_abandon(flight);
    return true;
}

/* Waits for the new value, but not longer than `soft_timeout`, and else returns the stale one. */
static cache_status follow_softly(struct fetch *fetch, struct cache_flight *flight, struct reading *reading,
                                  cache_value *out, bool *again)
{
    if (fetch->soft_ms > 0 && reading->found == FOUND_STALE)
        return cache_fetch_follow(fetch, flight, reading, out, again);
    cache_flight_leave(flight);
    return cache_fetch_return_value(fetch, reading, out);
}

/* Returns a value that is due for recomputation. One caller recomputes it. */
static cache_status refresh(struct fetch *fetch, struct reading *reading, cache_value *out, bool *again)
{
    struct fetch *job = cache_fetch_job_new(fetch);
    struct fetch *leader = job != NULL ? job : fetch;
    struct cache_flight *flight = NULL;
    const enum cache_flight_role role = cache_fetch_join(leader, true, &flight);
    leader->flight = role == FLIGHT_LEAD ? flight : NULL;
    const bool leads = role == FLIGHT_LEAD && !was_stored_meanwhile(fetch, flight, reading);
    if (leads && job == NULL)
        return lead_here(fetch, reading, out);
    if (leads) {
        cache_flight_retain(flight);
        cache_fetch_job_start(job);
        return follow_softly(fetch, flight, reading, out, again);
    }
    if (job != NULL)
        cache_fetch_job_free(job);
    if (role == FLIGHT_FOLLOW)
        return follow_softly(fetch, flight, reading, out, again);
    return cache_fetch_return_value(fetch, reading, out);
}

/* Returns true if the result of another thread came so late that its ttl is over. */
static bool is_late(const struct fetch *fetch, const struct cache_outcome *outcome)
{
    return (outcome->status == CACHE_OK || outcome->negative) && outcome->expires_ms != 0 &&
           cache_stored_now_ms(fetch->cache) >= outcome->expires_ms;
}

/* If there is an old value, the deadline is short. Else all waits of the call share one deadline. */
static uint64_t deadline_of(struct fetch *fetch, const struct reading *reading)
{
    const uint64_t now_ns = cache_now_ns();
    if (fetch->soft_ms > 0 && fetch->soft_ms < fetch->wait_ms && reading->found != FOUND_NOTHING)
        return fetch->soft_deadline_ns != 0 ? fetch->soft_deadline_ns : now_ns + (uint64_t)fetch->soft_ms * 1000000;
    if (fetch->deadline_ns == 0)
        fetch->deadline_ns = now_ns + (uint64_t)fetch->wait_ms * 1000000;
    return fetch->deadline_ns;
}

cache_status cache_fetch_follow(struct fetch *fetch, struct cache_flight *flight, struct reading *reading,
                                cache_value *out, bool *again)
{
    struct cache_outcome outcome = { .status = CACHE_ERR_TIMEOUT };
    bool cycle = false;
    if (!cache_flight_wait(flight, deadline_of(fetch, reading), &outcome, &cycle)) {
        if (cycle)
            outcome.status = cache_fail(CACHE_ERR_INVALID, "fetch '%.100s': its computation waits for itself",
                                        cache_user_key(fetch->cache, fetch->key));
        else
            outcome.status = cache_fail(CACHE_ERR_TIMEOUT,
                                        "fetch '%.100s': another thread still computes after %lld ms",
                                        cache_user_key(fetch->cache, fetch->key), (long long)fetch->wait_ms);
    } else if (outcome.again || is_late(fetch, &outcome)) {
        *again = true;
        fetch->was_late = !outcome.again;
        cache_value_release(&outcome.value);
        cache_value_release(&reading->value);
        return CACHE_MISS;
    } else if (outcome.status < 0 && !outcome.explained)
        (void)cache_fail(outcome.status, "fetch '%.100s': the computation in another thread failed: %s",
                         cache_user_key(fetch->cache, fetch->key), cache_strerror(outcome.status));
    return cache_fetch_return_outcome(fetch, &outcome, CACHE_SOURCE_SHARED, reading, out);
}

static cache_status compute_alone(struct fetch *fetch, struct reading *reading, cache_value *out)
{
    fetch->flight = NULL;
    return lead_here(fetch, reading, out);
}

/* Nothing usable was found: computes the value, or waits for the caller that does. */
static cache_status miss(struct fetch *fetch, struct reading *reading, cache_value *out, bool *again)
{
    const enum cache_flight_role role = cache_fetch_join(fetch, false, &fetch->flight);
    switch (role) {
    case FLIGHT_LEAD:
        if (was_stored_meanwhile(fetch, fetch->flight, reading))
            return cache_fetch_return_value(fetch, reading, out);
        return lead_here(fetch, reading, out);
    case FLIGHT_FOLLOW: {
        struct cache_flight *flight = fetch->flight;
        fetch->flight = NULL;
        if (fetch->options.no_wait || fetch->was_late) {
            cache_flight_leave(flight);
            return compute_alone(fetch, reading, out);
        }
        return cache_fetch_follow(fetch, flight, reading, out, again);
    }
    case FLIGHT_ALONE:
        return compute_alone(fetch, reading, out);
    case FLIGHT_CYCLE:
        break;
    }
    cache_value_release(&reading->value);
    return cache_fail(CACHE_ERR_INVALID, "fetch '%.100s': its computation fetches its own key",
                      cache_user_key(fetch->cache, fetch->key));
}

void cache_fetch_lookup(struct fetch *fetch, struct reading *reading)
{
    *reading = (struct reading){ .found = FOUND_NOTHING };
    if (fetch->options.unless)
        return;
    cache_fetch_read(fetch, reading);
    if (fetch->options.force && reading->found != FOUND_NOTHING) {
        cache_value_release(&reading->value);
        reading->found = FOUND_NOTHING;
    }
    fetch->old = reading->found;
    fetch->old_created_ms = reading->created_ms;
}

bool cache_fetch_rests(const struct fetch *fetch, const struct reading *reading)
{
    struct cache_store *store = fetch->cache->store;
    return reading->found != FOUND_NOTHING && !fetch->options.force &&
           cache_recent_keys_has(&store->failed, &store->env, cache_fetch_hash(fetch));
}

static cache_status run_with(struct fetch *fetch, struct reading *reading, cache_value *out, bool *again)
{
    if (fetch->options.unless)
        return compute_alone(fetch, reading, out);
    switch (reading->found) {
    case FOUND_FRESH:
        return cache_fetch_return_value(fetch, reading, out);
    default:
        break;
    }
    if (cache_fetch_rests(fetch, reading))
        return cache_fetch_return_value(fetch, reading, out);
    switch (reading->found) {
    case FOUND_EARLY:
    case FOUND_STALE:
        return refresh(fetch, reading, out, again);
    default:
        return miss(fetch, reading, out, again);
    }
}

/* What must be released if a call does not return. */
struct call {
    struct fetch *fetch;               /* NULL: it returned */
    struct reading *reading;
};

static void end_call(struct call *call)
{
    if (call->fetch == NULL)
        return;
    cache_value_release(&call->reading->value);
    cache_tags_release(call->fetch->cache, &call->fetch->tags);
}

static cache_status run_once(struct fetch *fetch, cache_value *out, bool *again)
{
    struct reading reading = { .found = FOUND_NOTHING };
    CACHE_AT_EXIT(end_call) struct call call = { fetch, &reading };
    cache_fetch_lookup(fetch, &reading);
    const cache_status status = run_with(fetch, &reading, out, again);
    call.fetch = NULL;
    return status;
}

static cache_status run(struct fetch *fetch, cache_value *out)
{
    cache_status status = CACHE_OK;
    bool again = false;
    do {    /* this ends, since the waits of all rounds share one deadline */
        again = false;
        status = run_once(fetch, out, &again);
    } while (again);
    return status;
}

/* ---- a computation that is inline code, not a callback ----------------------------------------------------------- */

/* Called when the thread that this one waited for has no result to share. Perhaps it found the result of a third one in
 * the store; or with `lock`, that of another process. */
static cache_status find_meanwhile(struct fetch *fetch, struct reading *reading, cache_value *out)
{
    cache_fetch_read(fetch, reading);
    if (reading->found == FOUND_FRESH)
        return cache_fetch_return_value(fetch, reading, out);
    cache_value_release(&reading->value);
    cache_fetch_count_miss(fetch);
    return CACHE_MISS;
}

bool cache_fetch_wait_or_lead(struct fetch *fetch, struct reading *reading, cache_value *out)
{
    const bool refreshes = reading->found == FOUND_EARLY || reading->found == FOUND_STALE;
    const enum cache_flight_role role = fetch->options.unless ? FLIGHT_ALONE
                                                              : cache_fetch_join(fetch, refreshes, &fetch->flight);
    if (role == FLIGHT_LEAD && was_stored_meanwhile(fetch, fetch->flight, reading)) {
        fetch->flight = NULL;
        return cache_fetch_return_value(fetch, reading, out) == CACHE_OK;
    }
    if (role == FLIGHT_LEAD)
        cache_flight_hand_over(fetch->flight);    /* another thread may end it */
    else if (role == FLIGHT_FOLLOW) {
        struct cache_flight *flight = fetch->flight;
        bool again = false;
        fetch->flight = NULL;
        if (!refreshes && !fetch->options.no_wait) {
            cache_status status = cache_fetch_follow(fetch, flight, reading, out, &again);
            if (again)
                status = find_meanwhile(fetch, reading, out);
            return status == CACHE_OK;
        }
        cache_flight_leave(flight);
    }
    if (role == FLIGHT_LEAD)
        return false;
    if (refreshes)
        return cache_fetch_return_value(fetch, reading, out) == CACHE_OK;
    cache_fetch_count_miss(fetch);
    return false;
}

/* Tags are often made from data, so a wrong tag must not fail the call of a user. */
cache_status cache_fetch_init_tags(struct fetch *fetch, union cache_tags_room *room, struct cache_tags *tags)
{
    struct cache_store *store = fetch->cache->store;
    const cache_status status = cache_tags_init(fetch->cache, fetch->key, fetch->options.tags, fetch->options.n_tags,
                                                room, tags);
    if (status != CACHE_ERR_TOO_LARGE)
        return status;
    const unsigned n = atomic_fetch_add(&store->n_untaggable, 1) + 1;
    if ((n & (n - 1)) == 0)    /* not each time, if it goes on */
        cache_env_log(&store->env, CACHE_LOG_WARN, "'%.100s' is computed each time and not stored: %s",
                      cache_user_key(fetch->cache, fetch->key), cache_last_error());
    fetch->options.unless = true;
    return CACHE_OK;
}

/* ---- the public call --------------------------------------------------------------------------------------------- */

cache_status cache_fetch_init(struct fetch *fetch, cache_t *cache, const char *key, const cache_fetch_options *options,
                              struct cache_full_key *full, union cache_tags_room *room)
{
    cache_status status = cache_key_make(cache, key, full);
    if (status == CACHE_OK)
        status = cache_fetch_begin(fetch, cache, options);
    if (status != CACHE_OK)
        return status;
    fetch->key = full->bytes;
    if (fetch->options.info != NULL)
        *fetch->options.info = (cache_fetch_info){ .source = CACHE_SOURCE_NONE };
    return cache_fetch_init_tags(fetch, room, &fetch->tags);
}

static cache_status run_with_event(struct fetch *fetch, cache_value *out)
{
    cache_fetch_info info = { .source = CACHE_SOURCE_NONE };
    if (fetch->options.info == NULL)
        fetch->options.info = &info;
    const cache_fetch_info *said = fetch->options.info;
    const uint64_t begun = cache_now_ns();
    const cache_status status = run(fetch, out);
    cache_env_emit(&fetch->cache->store->env,
                   (cache_event){ .type = CACHE_EVENT_FETCH, .status = status, .source = said->source,
                                  .size = out->size, .nanoseconds = cache_now_ns() - begun,
                                  .key = cache_event_key(fetch->cache, fetch->key) });
    return status;
}

/* The whole of a fetch, except the usual hit. It is a function of its own, so that a hit does not pay for its stack. */
__attribute__((noinline)) static cache_status read_or_compute(cache_t *cache, const char *key,
                                                              const cache_fetch_options *options,
                                                              cache_compute_fn *compute_fn, void *ctx, cache_value *out)
{
    struct cache_full_key full;
    union cache_tags_room room;
    struct fetch fetch;
    cache_status status = cache_fetch_init(&fetch, cache, key, options, &full, &room);
    if (status != CACHE_OK)
        return status;
    fetch.compute = compute_fn;
    fetch.ctx = ctx;
    if (compute_fn == NULL)
        status = cache_fail(CACHE_ERR_INVALID, "fetch: compute is NULL");
    else if (cache->store->env.event != NULL)
        status = run_with_event(&fetch, out);
    else
        status = run(&fetch, out);
    cache_tags_release(cache, &fetch.tags);
    return status;
}

cache_status cache_fetch(cache_t *cache, const char *key, const cache_fetch_options *options,
                         cache_compute_fn *compute_fn, void *ctx, cache_value *out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "fetch: out is NULL");
    *out = (cache_value){ NULL, 0, NULL };
    cache = cache_or_none(cache);
    if (compute_fn != NULL && cache_fetch_hit(cache, key, options, out))
        return CACHE_OK;
    return read_or_compute(cache, key, options, compute_fn, ctx, out);
}
