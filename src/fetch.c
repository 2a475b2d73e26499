/* fetch.c - compute on a miss, once.
 *
 * A call reads the value, and hands it out if it is good. Else one caller leads a flight (flight.h): it computes, stores
 * and lands, and those who came meanwhile follow: they wait, or take the stale value if there is one. */
#include "envelope.h"
#include "flight.h"
#include "inner.h"
#include "lease.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define DEFAULT_WAIT_MS (INT64_C(30) * 1000)

enum found {
    FOUND_NOTHING,
    FOUND_FRESH,
    FOUND_EARLY,                       /* fresh, but XFetch wants a successor by now */
    FOUND_STALE,                       /* within `stale` */
    FOUND_FALLBACK                     /* within `stale_if_error` */
};

/* One call. It stands on the caller's stack, or, for a computation in the background, on the heap. */
struct fetch {
    cache_t *cache;
    struct cache_full_key key;
    cache_fetch_options options;
    int64_t ttl_ms, stale_ms, stale_if_error_ms, negative_ms, wait_ms, lock_ms;
    cache_compute_fn *compute;
    void *ctx;
    struct cache_tags tags;
    struct cache_flight *flight;       /* led by this call; NULL: compute and do not store */
    unsigned landed;                   /* how many flights had, before the value was read */
    enum found old;                    /* what was found at first, and when that was computed */
    int64_t old_created_ms;
    uint64_t deadline_ns;              /* of waiting for another thread; 0: did not wait yet */
};

/* What was read: `value` is the payload. */
struct reading {
    enum found found;
    cache_value value;
    int64_t created_ms, expires_ms;
    bool negative;
};

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static cache_status read_seconds(double seconds, const char *name, int64_t *ms)
{
    if (isnan(seconds) || isinf(seconds) || seconds < 0)
        return cache_fail(CACHE_ERR_INVALID, "fetch: %s must be 0 or more seconds, not %g", name, seconds);
    *ms = seconds * 1000 >= (double)CACHE_TTL_MAX_MS ? CACHE_TTL_MAX_MS : (int64_t)ceil(seconds * 1000);
    return CACHE_OK;
}

static cache_status read_options(struct fetch *fetch, const cache_fetch_options *options)
{
    cache_fetch_options *known = &fetch->options;
    *known = (cache_fetch_options)CACHE_FETCH_OPTIONS_INIT;
    if (options != NULL) {
        if (options->size < offsetof(cache_fetch_options, ttl) + sizeof options->ttl)
            return cache_fail(CACHE_ERR_INVALID, "fetch: options->size is too small: begin with CACHE_FETCH_OPTIONS_INIT");
        memcpy(known, options, options->size < sizeof *known ? options->size : sizeof *known);
    }
    if (!(known->jitter >= 0 && known->jitter <= 1))
        return cache_fail(CACHE_ERR_INVALID, "fetch: jitter must be 0..1, not %g", known->jitter);
    if (!(known->beta >= 0 && known->beta <= 1000))
        return cache_fail(CACHE_ERR_INVALID, "fetch: beta must be 0..1000, not %g", known->beta);
    const struct { double seconds; const char *name; int64_t *ms; } spans[] = {
        { known->stale, "stale", &fetch->stale_ms },
        { known->stale_if_error, "stale_if_error", &fetch->stale_if_error_ms },
        { known->negative_ttl, "negative_ttl", &fetch->negative_ms },
        { known->wait, "wait", &fetch->wait_ms },
        { known->lock_ttl, "lock_ttl", &fetch->lock_ms },
    };
    cache_status status = cache_ttl_ms(known->ttl, fetch->cache->default_ttl_ms, &fetch->ttl_ms);
    for (size_t i = 0; status == CACHE_OK && i < sizeof spans / sizeof spans[0]; i++)
        status = read_seconds(spans[i].seconds, spans[i].name, spans[i].ms);
    if (fetch->wait_ms == 0)
        fetch->wait_ms = DEFAULT_WAIT_MS;
    if (fetch->lock_ms == 0)
        fetch->lock_ms = fetch->wait_ms;
    return status;
}

/* ---- what was read ----------------------------------------------------------------------------------------------- */

/* Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (VLDB 2015): the longer a
 * computation takes and the nearer the expiry, the likelier a caller recomputes ahead of it. */
static bool wants_early(const struct fetch *fetch, const struct cache_envelope *envelope, int64_t now_ms)
{
    if (fetch->options.beta <= 0 || envelope->expires_ms == 0)
        return false;
    const double ahead_ms = -(double)envelope->cost_us / 1000 * fetch->options.beta * log(cache_unique_fraction());
    return (double)now_ms + ahead_ms >= (double)envelope->expires_ms;
}

static enum found judge(const struct fetch *fetch, const struct cache_envelope *envelope, bool *negative)
{
    const char *type = fetch->options.type != NULL ? fetch->options.type : "";
    *negative = (envelope->flags & ENVELOPE_NEGATIVE) != 0;
    if (envelope->type.size != strlen(type) || memcmp(envelope->type.data, type, envelope->type.size) != 0)
        return FOUND_NOTHING;
    if (!(fetch->tags.n > 0 ? cache_tags_match(fetch->cache, &fetch->tags, envelope->tags)
                            : cache_tags_hold(fetch->cache, envelope->tags)))
        return FOUND_NOTHING;
    if (!cache_envelope_is_stale(fetch->cache, envelope)) {
        const bool early = !*negative && wants_early(fetch, envelope, cache_envelope_now_ms(fetch->cache));
        return early ? FOUND_EARLY : FOUND_FRESH;
    }
    const int64_t past_ms = cache_envelope_now_ms(fetch->cache) - envelope->expires_ms;
    if (*negative)
        return FOUND_NOTHING;
    return past_ms < fetch->stale_ms ? FOUND_STALE : past_ms < fetch->stale_if_error_ms ? FOUND_FALLBACK : FOUND_NOTHING;
}

/* A store that fails holds nothing, as far as a fetch is concerned. */
static void read_store(struct fetch *fetch, struct reading *reading)
{
    struct cache_envelope envelope = { .payload = { NULL, 0 } };
    *reading = (struct reading){ FOUND_NOTHING, { NULL, 0, NULL }, 0, 0, false };
    fetch->landed = cache_flights_landed(fetch->cache->store->flights);
    cache_value *value = &reading->value;
    const cache_status status = fetch->tags.n > 0 ? cache_tags_read(fetch->cache, &fetch->tags, value)
                                                  : cache_store_get(fetch->cache, fetch->key.bytes, value);
    if (status != CACHE_OK)
        return;
    if (!cache_envelope_is(value->data, value->size)) {    /* by cache_set: it is what the caller of that wants to be read */
        reading->found = fetch->options.type == NULL ? FOUND_FRESH : FOUND_NOTHING;
        reading->created_ms = fetch->options.info != NULL ? cache_envelope_now_ms(fetch->cache) : 0;
    } else if (cache_envelope_decode((cache_bytes){ value->data, value->size }, fetch->key.bytes, &envelope)) {
        reading->found = judge(fetch, &envelope, &reading->negative);
        reading->created_ms = envelope.created_ms;
        reading->expires_ms = envelope.expires_ms;
        value->data = envelope.payload.data;
        value->size = envelope.payload.size;
    }
    if (reading->found != FOUND_NOTHING && !reading->negative && fetch->options.validate != NULL &&
        !fetch->options.validate(fetch->options.validate_ctx, value))
        reading->found = FOUND_NOTHING;
    if (reading->found == FOUND_NOTHING)
        cache_value_release(value);
}

/* What a second read found, when another computation has ended since the first: is it that one's result? XFetch must not
 * ask for the successor of what has only just been stored. */
static bool is_new(const struct fetch *fetch, const struct reading *reading)
{
    return reading->found == FOUND_FRESH ||
           (reading->found == FOUND_EARLY && (fetch->old == FOUND_NOTHING || reading->created_ms != fetch->old_created_ms));
}

static struct cache_outcome outcome_of(const struct reading *reading)
{
    return (struct cache_outcome){
        .status = reading->negative ? CACHE_MISS : CACHE_OK, .value = reading->value, .negative = reading->negative,
        .created_ms = reading->created_ms, .expires_ms = reading->expires_ms,
    };
}

/* ---- handing out ------------------------------------------------------------------------------------------------- */

static void tell(const struct fetch *fetch, cache_source source, int64_t created_ms, int64_t expires_ms, bool negative)
{
    cache_fetch_info *info = fetch->options.info;
    if (info == NULL)
        return;
    const int64_t now_ms = cache_envelope_now_ms(fetch->cache);
    *info = (cache_fetch_info){
        .source = source, .negative = negative,
        .age = now_ms > created_ms ? (double)(now_ms - created_ms) / 1000 : 0,
        .ttl_left = expires_ms != 0 ? (double)(expires_ms - now_ms) / 1000 : CACHE_TTL_FOREVER,
    };
}

static void count(const struct fetch *fetch, enum counter counter)
{
    cache_tally_add(fetch->cache->store->tally, counter, 1);
}

/* A stored value, which becomes the caller's. */
static cache_status give_reading(const struct fetch *fetch, struct reading *reading, cache_value *out)
{
    const bool stale = reading->found == FOUND_STALE || reading->found == FOUND_FALLBACK;
    count(fetch, COUNT_HIT);
    if (stale) {
        count(fetch, COUNT_STALE);
        cache_env_emit(&fetch->cache->store->env, CACHE_EVENT_STALE, CACHE_OK,
                       cache_user_key(fetch->cache, fetch->key.bytes), 0);
    }
    tell(fetch, stale ? CACHE_SOURCE_STALE : CACHE_SOURCE_HIT, reading->created_ms, reading->expires_ms,
         reading->negative);
    if (reading->negative) {
        cache_value_release(&reading->value);
        return CACHE_MISS;
    }
    *out = reading->value;
    return CACHE_OK;
}

static cache_status give_outcome(const struct fetch *fetch, struct cache_outcome *outcome, cache_source source,
                                 cache_value *out)
{
    const bool something = outcome->status == CACHE_OK || outcome->negative;
    tell(fetch, something ? source : CACHE_SOURCE_NONE, outcome->created_ms, outcome->expires_ms, outcome->negative);
    *out = outcome->value;
    return outcome->status;
}

/* ---- computing --------------------------------------------------------------------------------------------------- */

static int64_t with_jitter(const struct fetch *fetch, int64_t ttl_ms)
{
    if (ttl_ms == 0 || fetch->options.jitter == 0)
        return ttl_ms;
    const int64_t off = (int64_t)((double)ttl_ms * fetch->options.jitter * (1 - cache_unique_fraction()));
    return ttl_ms - off > 0 ? ttl_ms - off : 1;
}

/* Store what was computed, in its envelope. */
static void store(const struct fetch *fetch, const struct cache_outcome *outcome, int64_t ttl_ms, uint64_t cost_us)
{
    cache_t *cache = fetch->cache;
    const struct cache_tags *tags = &fetch->tags;
    cache_writer whole, versions;
    cache_writer_init(&whole, cache->store->env.allocator);
    cache_writer_init(&versions, cache->store->env.allocator);
    const char *type = fetch->options.type != NULL ? fetch->options.type : "";
    int64_t keep_ms = fetch->stale_ms > fetch->stale_if_error_ms ? fetch->stale_ms : fetch->stale_if_error_ms;
    if (outcome->negative)
        keep_ms = 0;
    if (cache_tags_write(cache, tags, &versions) == CACHE_OK) {
        const struct cache_envelope envelope = {
            .flags = outcome->negative ? ENVELOPE_NEGATIVE : 0,
            .created_ms = outcome->created_ms, .expires_ms = outcome->expires_ms, .cost_us = cost_us,
            .type = { type, strlen(type) }, .tags = { versions.data, versions.size },
            .payload = { outcome->value.data, outcome->value.size },
        };
        if (cache_envelope_encode(&envelope, fetch->key.bytes, &whole) == CACHE_OK)
            (void)cache_store_set(cache, fetch->key.bytes, (cache_bytes){ whole.data, whole.size },
                                  ttl_ms != 0 ? ttl_ms + keep_ms : 0, 0);
    }
    cache_writer_release(&versions);
    cache_writer_release(&whole);
}

/* Run the caller's function; true if its result may be stored, for `*ttl_ms`. */
static bool compute(struct fetch *fetch, struct cache_outcome *outcome, int64_t *ttl_ms, uint64_t *cost_us)
{
    struct cache_store *owner = fetch->cache->store;
    cache_writer writer;
    cache_writer_init(&writer, owner->env.allocator);
    const uint64_t begun = cache_now_ns();
    outcome->status = fetch->compute(fetch->ctx, &writer);
    const uint64_t took = cache_now_ns() - begun;
    count(fetch, COUNT_COMPUTE);
    cache_tally_time(owner->tally, TIMED_COMPUTE, took);
    cache_env_emit(&owner->env, CACHE_EVENT_COMPUTE, outcome->status,
                   cache_user_key(fetch->cache, fetch->key.bytes), took);
    const bool storable = !writer.no_store;
    outcome->negative = storable && outcome->status == CACHE_MISS && fetch->negative_ms > 0;
    *ttl_ms = with_jitter(fetch, writer.has_ttl ? writer.ttl_ms : outcome->negative ? fetch->negative_ms : fetch->ttl_ms);
    *cost_us = took / 1000;
    outcome->created_ms = cache_envelope_now_ms(fetch->cache);
    outcome->expires_ms = *ttl_ms != 0 ? outcome->created_ms + *ttl_ms : 0;
    if (outcome->status == CACHE_OK)
        outcome->status = cache_writer_take(&writer, &outcome->value);
    cache_writer_release(&writer);
    return storable && (outcome->status == CACHE_OK || outcome->negative);
}

/* There is nothing, and that is not remembered: then an old value must not be served stale either. */
static bool is_gone(const struct fetch *fetch, const struct cache_outcome *outcome)
{
    return outcome->status == CACHE_MISS && !outcome->negative && fetch->flight != NULL &&
           !cache_flight_is_invalidated(fetch->flight) && (fetch->old != FOUND_NOTHING || fetch->options.force);
}

/* Compute, and store unless the key was invalidated meanwhile. `lease` may be NULL; it is given back. */
static void compute_and_store(struct fetch *fetch, const struct cache_lease *lease, struct cache_outcome *outcome)
{
    cache_t *cache = fetch->cache;
    int64_t ttl_ms = 0;
    uint64_t cost_us = 0;
    /* The tags' versions from before: an invalidation while computing makes the result a miss. */
    const bool tagged = fetch->tags.n == 0 || cache_tags_ensure(cache, &fetch->tags) == CACHE_OK;
    bool storable = compute(fetch, outcome, &ttl_ms, &cost_us) && tagged && fetch->flight != NULL;
    storable = storable && !cache_flight_is_invalidated(fetch->flight);
    if (storable && lease != NULL)
        storable = cache_lease_holds(cache, lease);
    if (storable)
        store(fetch, outcome, ttl_ms, cost_us);
    const bool ours = lease == NULL || cache_lease_drop(cache, lease);
    /* An invalidation that came between the question and the store has found nothing to remove. */
    const bool revoked = storable && (!ours || cache_flight_is_invalidated(fetch->flight));
    if (revoked || is_gone(fetch, outcome))
        (void)cache_inner_remove(cache, fetch->key.bytes);
}

/* ---- one computation among all processes ------------------------------------------------------------------------- */

static void pause_ms(int64_t ms)
{
    const struct timespec pause = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&pause, NULL);
}

/* While another process computes: ask for its result, or for its lease. True: `*outcome` is its result, or that it did not
 * come in time, or that there is an old value to serve meanwhile; false: the lease is ours, or cannot be had since the
 * store fails. */
static bool wait_for_lease(struct fetch *fetch, struct cache_lease *lease, bool *held, struct cache_outcome *outcome)
{
    const uint64_t deadline_ns = cache_now_ns() + (uint64_t)fetch->wait_ms * 1000000;
    for (int64_t ms = 2;; ms = ms < 50 ? ms * 2 : ms) {
        const cache_status status = cache_lease_take(fetch->cache, fetch->key.bytes, fetch->lock_ms, lease);
        *held = status == CACHE_OK;
        struct reading reading;
        read_store(fetch, &reading);    /* the one before us may have stored and let go since we read */
        if (is_new(fetch, &reading) && !fetch->options.force) {
            *outcome = outcome_of(&reading);
            return true;
        }
        cache_value_release(&reading.value);
        if (status != CACHE_NOT_STORED)
            return false;
        if (fetch->old == FOUND_EARLY || fetch->old == FOUND_STALE) {
            outcome->again = true;
            return true;
        }
        if (cache_now_ns() >= deadline_ns) {
            outcome->status = cache_fail(CACHE_ERR_TIMEOUT, "fetch: another process still computes after %lld ms",
                                         (long long)fetch->wait_ms);
            return true;
        }
        pause_ms(ms);
    }
}

/* Compute as the leader of a flight (or alone), and land it. The outcome is the caller's. */
static cache_source lead(struct fetch *fetch, struct cache_outcome *outcome)
{
    cache_t *cache = fetch->cache;
    struct cache_lease lease;
    bool held = false;
    cache_source source = CACHE_SOURCE_COMPUTED;
    *outcome = (struct cache_outcome){ .status = CACHE_ERR_COMPUTE };
    const bool leased = fetch->options.lock && fetch->flight != NULL && !(cache->store->ops.flags & CACHE_BACKEND_LOCAL);
    if (leased && wait_for_lease(fetch, &lease, &held, outcome)) {
        source = CACHE_SOURCE_SHARED;
        if (held)
            (void)cache_lease_drop(cache, &lease);
    } else
        compute_and_store(fetch, held ? &lease : NULL, outcome);
    if (fetch->flight != NULL)
        cache_flight_land(fetch->flight, outcome);
    fetch->flight = NULL;
    return source;
}

/* ---- in the background ------------------------------------------------------------------------------------------- */

static void free_job(struct fetch *job)
{
    const cache_env *env = &job->cache->store->env;
    cache_tags_release(job->cache, &job->tags);
    cache_env_free(env, (void *)(uintptr_t)job->options.type);
    if (job->ctx != NULL && job->options.ctx_free != NULL)
        job->options.ctx_free(job->ctx);
    cache_t *cache = job->cache;
    cache_env_free(env, job);
    cache_close(cache);
}

/* A fetch that outlives the caller: with a handle, a context and texts of its own. NULL: it cannot be had. */
static struct fetch *new_job(const struct fetch *fetch)
{
    const cache_env *env = &fetch->cache->store->env;
    const bool can_copy = fetch->ctx == NULL || (fetch->options.ctx_copy != NULL && fetch->options.ctx_free != NULL);
    if (env->spawn == NULL || !can_copy)
        return NULL;
    struct fetch *job = cache_env_alloc(env, sizeof *job);
    cache_t *cache = cache_env_alloc(env, sizeof *cache);
    if (job == NULL || cache == NULL) {
        cache_env_free(env, cache);
        cache_env_free(env, job);
        return NULL;
    }
    *cache = *fetch->cache;
    atomic_fetch_add(&cache->store->handles, 1);
    *job = *fetch;
    job->cache = cache;
    job->key.bytes.data = job->key.text;
    job->options.info = NULL;
    job->options.validate = NULL;    /* its context is the caller's, who does not wait */
    job->options.name = NULL;
    job->options.type = fetch->options.type != NULL ? cache_env_strdup(env, fetch->options.type) : NULL;
    job->ctx = fetch->ctx != NULL ? fetch->options.ctx_copy(fetch->ctx) : NULL;
    const cache_status status = cache_tags_init(cache, job->key.bytes, fetch->options.tags, fetch->options.n_tags, &job->tags);
    if (status != CACHE_OK || (fetch->ctx != NULL && job->ctx == NULL) ||
        (fetch->options.type != NULL && job->options.type == NULL)) {
        free_job(job);
        return NULL;
    }
    return job;
}

static void run_job(void *arg)
{
    struct fetch *job = arg;
    struct cache_outcome outcome;
    cache_flight_take_over(job->flight);
    (void)lead(job, &outcome);
    cache_value_release(&outcome.value);
    free_job(job);
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

static enum cache_flight_role join(struct fetch *fetch, struct cache_flight **flight)
{
    const struct cache_flight_request request = {
        .key = fetch->key.bytes, .type = fetch->options.type, .tags = fetch->tags.n > 0 ? &fetch->tags : NULL,
        .anew = fetch->options.force,
    };
    return cache_flight_join(fetch->cache->store->flights, &request, flight);
}

/* Recomputing failed: is the old value still good enough? */
static bool falls_back(const struct reading *reading, cache_status status)
{
    return status < 0 && reading->found != FOUND_NOTHING;
}

static cache_status lead_here(struct fetch *fetch, struct reading *reading, cache_value *out)
{
    struct cache_outcome outcome;
    const cache_source source = lead(fetch, &outcome);
    if (outcome.again || falls_back(reading, outcome.status))
        return give_reading(fetch, reading, out);
    cache_value_release(&reading->value);
    count(fetch, COUNT_MISS);
    return give_outcome(fetch, &outcome, source, out);
}

/* A flight that landed between our read and our taking the lead has stored what we missed. True: so it was, and our flight has
 * landed with it. */
static bool was_stored_meanwhile(struct fetch *fetch, struct cache_flight *flight, struct reading *reading)
{
    const unsigned landed = fetch->landed;
    struct reading second;
    if (fetch->options.force || cache_flights_landed(fetch->cache->store->flights) == landed)
        return false;
    read_store(fetch, &second);
    if (!is_new(fetch, &second)) {
        cache_value_release(&second.value);
        return false;
    }
    cache_value_release(&reading->value);
    *reading = second;
    const struct cache_outcome outcome = outcome_of(reading);
    cache_flight_land(flight, &outcome);
    return true;
}

/* There is a value to hand out, and it wants a successor: one caller sees to it. */
static cache_status refresh(struct fetch *fetch, struct reading *reading, cache_value *out)
{
    struct fetch *job = new_job(fetch);
    struct fetch *leader = job != NULL ? job : fetch;
    const enum cache_flight_role role = join(leader, &leader->flight);
    if (role == FLIGHT_FOLLOW) {
        cache_flight_leave(leader->flight);
        leader->flight = NULL;
    }
    const bool leads = role == FLIGHT_LEAD && !was_stored_meanwhile(fetch, leader->flight, reading);
    if (leads && job == NULL)
        return lead_here(fetch, reading, out);
    if (leads) {
        const cache_env *env = &fetch->cache->store->env;
        cache_flight_hand_over(job->flight);
        if (!env->spawn(env->spawn_ctx, run_job, job))
            run_job(job);    /* nobody else will: the next callers have the successor */
    } else if (job != NULL)
        free_job(job);
    return give_reading(fetch, reading, out);
}

/* Wait for another thread's result. `*again`: it had none to share, but only served an old value. */
static cache_status follow(struct fetch *fetch, struct cache_flight *flight, struct reading *reading, cache_value *out,
                           bool *again)
{
    struct cache_outcome outcome = { .status = CACHE_ERR_TIMEOUT };
    bool cycle = false;
    if (fetch->deadline_ns == 0)
        fetch->deadline_ns = cache_now_ns() + (uint64_t)fetch->wait_ms * 1000000;
    if (!cache_flight_wait(flight, fetch->deadline_ns, &outcome, &cycle)) {
        if (cycle)
            outcome.status = cache_fail(CACHE_ERR_INVALID, "fetch '%.100s': its computation waits for itself",
                                        cache_user_key(fetch->cache, fetch->key.bytes));
        else
            outcome.status = cache_fail(CACHE_ERR_TIMEOUT, "fetch '%.100s': another thread still computes after %lld ms",
                                        cache_user_key(fetch->cache, fetch->key.bytes), (long long)fetch->wait_ms);
    } else if (outcome.again) {
        *again = true;
        cache_value_release(&reading->value);
        return CACHE_MISS;
    } else if (outcome.status < 0)
        (void)cache_fail(outcome.status, "fetch '%.100s': the computation in another thread failed: %s",
                         cache_user_key(fetch->cache, fetch->key.bytes), cache_strerror(outcome.status));
    if (falls_back(reading, outcome.status))
        return give_reading(fetch, reading, out);
    cache_value_release(&reading->value);
    count(fetch, COUNT_MISS);
    if (outcome.status == CACHE_OK || outcome.negative)
        count(fetch, COUNT_WAIT_SAVED);
    return give_outcome(fetch, &outcome, CACHE_SOURCE_SHARED, out);
}

static cache_status compute_alone(struct fetch *fetch, struct reading *reading, cache_value *out)
{
    fetch->flight = NULL;
    return lead_here(fetch, reading, out);
}

/* Nothing good was found: compute, or wait for who does. */
static cache_status miss(struct fetch *fetch, struct reading *reading, cache_value *out, bool *again)
{
    const enum cache_flight_role role = join(fetch, &fetch->flight);
    switch (role) {
    case FLIGHT_LEAD:
        if (was_stored_meanwhile(fetch, fetch->flight, reading))
            return give_reading(fetch, reading, out);
        return lead_here(fetch, reading, out);
    case FLIGHT_FOLLOW: {
        struct cache_flight *flight = fetch->flight;
        fetch->flight = NULL;
        return follow(fetch, flight, reading, out, again);
    }
    case FLIGHT_ALONE:
        return compute_alone(fetch, reading, out);
    case FLIGHT_CYCLE:
        break;
    }
    cache_value_release(&reading->value);
    return cache_fail(CACHE_ERR_INVALID, "fetch '%.100s': its computation asks for its own key",
                      cache_user_key(fetch->cache, fetch->key.bytes));
}

static cache_status run_once(struct fetch *fetch, cache_value *out, bool *again)
{
    struct reading reading = { .found = FOUND_NOTHING };
    if (fetch->options.unless)
        return compute_alone(fetch, &reading, out);
    read_store(fetch, &reading);
    if (fetch->options.force && reading.found != FOUND_NOTHING) {
        cache_value_release(&reading.value);
        reading.found = FOUND_NOTHING;
    }
    fetch->old = reading.found;
    fetch->old_created_ms = reading.created_ms;
    switch (reading.found) {
    case FOUND_FRESH:
        return give_reading(fetch, &reading, out);
    case FOUND_EARLY:
    case FOUND_STALE:
        return refresh(fetch, &reading, out);
    default:
        return miss(fetch, &reading, out, again);
    }
}

static cache_status run(struct fetch *fetch, cache_value *out)
{
    cache_status status = CACHE_OK;
    bool again = false;
    do {    /* bounded: the waits of all rounds share one deadline */
        again = false;
        status = run_once(fetch, out, &again);
    } while (again);
    return status;
}

cache_status cache_fetch(cache_t *cache, const char *key, const cache_fetch_options *options,
                         cache_compute_fn *compute_fn, void *ctx, cache_value *out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "fetch: out is NULL");
    *out = (cache_value){ NULL, 0, NULL };
    struct fetch fetch;
    cache_status status = cache_key_make(cache, key, &fetch.key);
    if (status != CACHE_OK)
        return status;
    if (compute_fn == NULL)
        return cache_fail(CACHE_ERR_INVALID, "fetch: compute is NULL");
    fetch.cache = cache;
    fetch.compute = compute_fn;
    fetch.ctx = ctx;
    fetch.flight = NULL;
    fetch.landed = 0;
    fetch.old = FOUND_NOTHING;
    fetch.deadline_ns = 0;
    status = read_options(&fetch, options);
    if (status != CACHE_OK)
        return status;
    status = cache_tags_init(cache, fetch.key.bytes, fetch.options.tags, fetch.options.n_tags, &fetch.tags);
    if (status != CACHE_OK)
        return status;
    if (fetch.options.info != NULL)
        *fetch.options.info = (cache_fetch_info){ .source = CACHE_SOURCE_NONE };
    status = run(&fetch, out);
    cache_tags_release(cache, &fetch.tags);
    return status;
}
