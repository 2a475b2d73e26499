/* fetch_compute.c - runs the computation of a fetch and stores its result, in one process at a time if `lock` is
 * set. */
#define XXH_INLINE_ALL
#include "fetch_internal.h"

#include <string.h>
#include <time.h>
#include <xxhash.h>

/* ---- computing --------------------------------------------------------------------------------------------------- */

static int64_t with_jitter(const struct fetch *fetch, int64_t ttl_ms)
{
    if (ttl_ms == 0 || fetch->options.jitter == 0)
        return ttl_ms;
    const int64_t off = (int64_t)((double)ttl_ms * fetch->options.jitter * (1 - cache_unique_fraction()));
    return ttl_ms - off > 0 ? ttl_ms - off : 1;
}

int64_t cache_fetch_kept_ms(const struct cache_outcome *outcome, const struct cache_lifetime *lifetime, int64_t ttl_ms)
{
    if (ttl_ms == 0 || outcome->negative)
        return ttl_ms;
    return ttl_ms +
           (lifetime->stale_ms > lifetime->stale_if_error_ms ? lifetime->stale_ms : lifetime->stale_if_error_ms);
}

cache_status cache_fetch_encode(const struct fetch *fetch, const struct cache_outcome *outcome,
                                const struct cache_lifetime *lifetime, cache_writer *whole)
{
    cache_writer versions;
    cache_writer_init(&versions, fetch->cache->store->env.allocator);
    const char *type = fetch->options.type != NULL ? fetch->options.type : "";
    cache_status status = cache_tags_write(fetch->cache, &fetch->tags, &versions);
    if (status == CACHE_OK) {
        const struct cache_envelope envelope = {
            .flags = (outcome->negative ? ENVELOPE_NEGATIVE : 0) | (lifetime->is_own ? ENVELOPE_STALE : 0),
            .created_ms = outcome->created_ms, .expires_ms = outcome->expires_ms, .cost_us = lifetime->cost_us,
            .stale_ms = lifetime->stale_ms, .stale_if_error_ms = lifetime->stale_if_error_ms,
            .type = { type, strlen(type) }, .tags = { versions.data, versions.size },
            .payload = { outcome->value.data, outcome->value.size },
        };
        status = cache_envelope_encode(&envelope, fetch->key, whole);
    }
    cache_writer_release(&versions);
    return status;
}

/* Stores the outcome in an envelope. `lease` may be NULL. */
static cache_status store(const struct fetch *fetch, struct cache_lease *lease, const struct cache_outcome *outcome,
                          const struct cache_lifetime *lifetime)
{
    cache_writer whole;
    cache_writer_init(&whole, fetch->cache->store->env.allocator);
    cache_status status = cache_fetch_encode(fetch, outcome, lifetime, &whole);
    if (status == CACHE_OK) {
        const cache_bytes value = { whole.data, whole.size };
        const int64_t kept_ms = cache_fetch_kept_ms(outcome, lifetime, lifetime->ttl_ms);
        const uint64_t begun = fetch->named != NULL ? cache_now_ns() : 0;
        status = lease != NULL ? cache_lease_store(fetch->cache, fetch->key, lease, value, kept_ms)
                               : cache_store_set(fetch->cache, fetch->key, value, kept_ms, 0);
        cache_fetch_count_store(fetch, TIMED_SET, begun, status);
    }
    cache_writer_release(&whole);
    return status;
}

static struct cache_lifetime lifetime_of(const struct fetch *fetch, const cache_writer *writer, bool is_negative,
                                         uint64_t took_ns)
{
    const int64_t asked_ms = is_negative ? fetch->negative_ms : fetch->ttl_ms;
    const int64_t ttl_ms = writer->has_ttl ? writer->ttl_ms : asked_ms;
    return (struct cache_lifetime){
        .ttl_ms = with_jitter(fetch, ttl_ms), .whole_ttl_ms = ttl_ms,
        .stale_ms = writer->has_stale ? writer->stale_ms : fetch->stale_ms,
        .stale_if_error_ms = writer->has_stale ? writer->stale_if_error_ms : fetch->stale_if_error_ms,
        .is_own = writer->has_stale, .cost_us = took_ns / 1000,
    };
}

bool cache_fetch_take_result(const struct fetch *fetch, cache_status status, cache_writer *writer, uint64_t took_ns,
                             struct cache_outcome *outcome, struct cache_lifetime *lifetime)
{
    CACHE_PROBE4(compute, fetch->key.data, fetch->key.size, status, took_ns);
    cache_fetch_count(fetch, COUNT_COMPUTE);
    if (status < 0)
        cache_fetch_count(fetch, COUNT_COMPUTE_ERROR);
    cache_env_emit(&fetch->cache->store->env,
                   (cache_event){ .type = CACHE_EVENT_COMPUTE, .status = status, .nanoseconds = took_ns,
                                  .key = cache_event_key(fetch->cache, fetch->key),
                                  .size = status == CACHE_OK ? writer->size : 0 });
    const bool storable = !writer->no_store;
    outcome->status = status;
    outcome->negative = storable && status == CACHE_MISS && (fetch->negative_ms > 0 || writer->has_ttl);
    *lifetime = lifetime_of(fetch, writer, outcome->negative, took_ns);
    outcome->created_ms = cache_stored_now_ms(fetch->cache);
    outcome->expires_ms = lifetime->ttl_ms != 0 ? outcome->created_ms + lifetime->ttl_ms : 0;
    if (status == CACHE_OK)
        outcome->status = cache_writer_take(writer, &outcome->value);
    cache_writer_release(writer);
    return storable && (outcome->status == CACHE_OK || outcome->negative);
}

/* Runs the caller's function. Returns true if its result may be stored, and sets `*lifetime` to how long. */
static bool compute(const struct fetch *fetch, struct cache_outcome *outcome, struct cache_lifetime *lifetime)
{
    CACHE_AT_EXIT(cache_writer_release) cache_writer writer;
    cache_writer_init(&writer, fetch->cache->store->env.allocator);
    const unsigned failures = cache_n_failures();
    const uint64_t begun = cache_now_ns();
    const cache_status status = fetch->compute(fetch->ctx, &writer);
    const uint64_t took = cache_now_ns() - begun;
    outcome->explained = status < 0 && cache_n_failures() != failures;
    cache_fetch_time(fetch, TIMED_COMPUTE, took);
    return cache_fetch_take_result(fetch, status, &writer, took, outcome, lifetime);
}

/* ---- storing ---------------------------------------------------------------------------------------------------- */

bool cache_fetch_may_store(const struct fetch *fetch)
{
    return fetch->flight != NULL && !cache_flight_is_invalidated(fetch->flight);
}

bool cache_fetch_is_absent(const struct fetch *fetch, const struct cache_outcome *outcome)
{
    return outcome->status == CACHE_MISS && !outcome->negative && cache_fetch_may_store(fetch) && fetch->is_present;
}

void cache_fetch_end_store(const struct fetch *fetch, struct cache_outcome *outcome, cache_status status)
{
    /* If an old value could not be replaced, it must not be served any longer. */
    if (status < 0 && fetch->is_present)
        cache_store_drop(fetch->cache, fetch->key);
    const bool stays = cache_flight_end_store(fetch->flight);
    if (!stays)
        cache_store_drop(fetch->cache, fetch->key);
    outcome->stored = status == CACHE_OK && stays && cache_fetch_may_store(fetch);
}

/* Without a lease, the callers that wait get the outcome before it is stored, since storing it may take long. */
static void share_and_store(const struct fetch *fetch, struct cache_outcome *outcome,
                            const struct cache_lifetime *lifetime)
{
    const bool storable = outcome->stored;
    if (fetch->flight != NULL)
        cache_flight_share(fetch->flight, outcome);
    outcome->stored = false;
    if (storable && cache_flight_begin_store(fetch->flight))
        cache_fetch_end_store(fetch, outcome, store(fetch, NULL, outcome, lifetime));
    if (cache_fetch_is_absent(fetch, outcome))
        cache_store_drop(fetch->cache, fetch->key);
}

/* With a lease, the outcome is stored first, since only the store knows whether another process changed the key
 * meanwhile. Returns false if one did: the callers that wait then start over. Gives the lease back. */
static bool store_under_lease(const struct fetch *fetch, struct cache_lease *lease, struct cache_outcome *outcome,
                              const struct cache_lifetime *lifetime)
{
    const cache_bytes nothing = { NULL, 0 };
    const bool stores = outcome->stored && cache_flight_begin_store(fetch->flight);
    cache_status status = CACHE_OK;
    bool covered = true;
    outcome->stored = false;
    /* The store is asked only once whether the key has changed. A caller that comes later must not get this result. */
    cache_flight_close(fetch->flight);
    if (stores) {
        status = store(fetch, lease, outcome, lifetime);
        if (status < 0)    /* an old value must not be served any longer */
            (void)cache_lease_store(fetch->cache, fetch->key, lease, nothing, 0);
        cache_fetch_end_store(fetch, outcome, status < 0 ? CACHE_NOT_STORED : status);
    } else if (cache_fetch_is_absent(fetch, outcome))
        status = cache_lease_store(fetch->cache, fetch->key, lease, nothing, 0);
    else if (outcome->status == CACHE_OK)
        covered = cache_lease_covers(fetch->cache, fetch->key, lease);
    const bool ours = cache_lease_drop(fetch->cache, fetch->key, lease);
    if (lease->kind == LEASE_PLAIN && !ours && outcome->stored) {
        outcome->stored = false;
        cache_store_drop(fetch->cache, fetch->key);
    }
    return status != CACHE_NOT_STORED && covered && (ours || outcome->stored);
}

uint64_t cache_fetch_hash(const struct fetch *fetch)
{
    return XXH3_64bits(fetch->key.data, fetch->key.size);
}

/* Returns true if the failure is one of the source of the value, such as a database, and not of the caller's
 * request. */
static bool is_of_the_source(cache_status status)
{
    return status < 0 && status != CACHE_ERR_INVALID && status != CACHE_ERR_UNSUPPORTED;
}

void cache_fetch_note_failure(const struct fetch *fetch, const struct cache_outcome *outcome)
{
    struct cache_store *store = fetch->cache->store;
    if (is_of_the_source(outcome->status) && fetch->is_present)
        cache_recent_keys_add(&store->failed, &store->env, cache_fetch_hash(fetch), fetch->error_ms);
}

/* Returns false if the callers that wait must not get the outcome. `lease` may be NULL. */
static bool finish(const struct fetch *fetch, struct cache_lease *lease, struct cache_outcome *outcome,
                   const struct cache_lifetime *lifetime, bool storable)
{
    cache_fetch_note_failure(fetch, outcome);
    outcome->stored = storable && cache_fetch_may_store(fetch);
    if (outcome->stored && fetch->tags.n > 0)
        cache_tags_extend(fetch->cache, &fetch->tags, cache_fetch_kept_ms(outcome, lifetime, lifetime->ttl_ms));
    if (lease != NULL)
        return store_under_lease(fetch, lease, outcome, lifetime);
    share_and_store(fetch, outcome, lifetime);
    return true;
}

int64_t cache_fetch_likely_kept_ms(const struct fetch *fetch)
{
    const int64_t past_ms = fetch->stale_ms > fetch->stale_if_error_ms ? fetch->stale_ms : fetch->stale_if_error_ms;
    return fetch->ttl_ms != 0 ? fetch->ttl_ms + past_ms : 0;
}

/* Reads the versions of the tags before the computation, so that an invalidation during it makes the result a miss. */
bool cache_fetch_prepare(struct fetch *fetch)
{
    if (fetch->tags.n == 0)
        return true;
    const bool tagged = cache_tags_ensure(fetch->cache, &fetch->tags, cache_fetch_likely_kept_ms(fetch)) == CACHE_OK;
    if (tagged && fetch->flight != NULL)
        cache_flight_note_tags(fetch->flight, &fetch->tags);
    return tagged;
}

static bool compute_and_store(struct fetch *fetch, struct cache_lease *lease, struct cache_outcome *outcome)
{
    struct cache_lifetime lifetime;
    const bool tagged = cache_fetch_prepare(fetch);
    const bool storable = compute(fetch, outcome, &lifetime);
    return finish(fetch, lease, outcome, &lifetime, storable && tagged);
}

/* For a call with `lock` that could not get the lease. */
static void compute_only(const struct fetch *fetch, struct cache_outcome *outcome)
{
    struct cache_lifetime lifetime;
    (void)compute(fetch, outcome, &lifetime);
    cache_fetch_note_failure(fetch, outcome);
}

void cache_fetch_finish(struct fetch *fetch, struct cache_lease *lease, cache_writer *writer, cache_status status,
                        uint64_t took_ns, bool storable, bool shareable)
{
    struct cache_outcome outcome = { .status = status };
    struct cache_lifetime lifetime;
    cache_fetch_time(fetch, TIMED_COMPUTE, took_ns);
    storable = cache_fetch_take_result(fetch, status, writer, took_ns, &outcome, &lifetime) && storable;
    /* The failure has no status that others could share, so they start over. */
    outcome.again = outcome.status != CACHE_OK || !shareable;
    outcome.again = !finish(fetch, lease, &outcome, &lifetime, storable) || outcome.again;
    cache_flight_complete(fetch->flight, &outcome);
    fetch->flight = NULL;
    cache_value_release(&outcome.value);
}

/* ---- one computation among all processes ------------------------------------------------------------------------- */

static void pause_ms(int64_t ms)
{
    const struct timespec pause = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&pause, NULL);
}

enum turn {
    TURN_OVER,                         /* the outcome is the result of another process; or says that it did not come in
                                        * time, or that an old value should be served meanwhile */
    TURN_HELD,                         /* this process computes, and has the lease */
    TURN_FAILED,                       /* the store fails, so every process computes, and nothing is stored */
    TURN_BESIDE                        /* with `no_wait`: another process computes, and so does this one */
};

/* Tries to take the lease, and while another process has it, looks for its result. */
static enum turn wait_for_lease(struct fetch *fetch, struct cache_lease *lease, bool *held,
                                struct cache_outcome *outcome)
{
    const uint64_t deadline_ns = cache_now_ns() + (uint64_t)fetch->wait_ms * 1000000;
    for (int64_t ms = 2;; ms = ms < 50 ? ms * 2 : ms) {
        const cache_status status = cache_lease_take(fetch->cache, fetch->key, &fetch->present, fetch->lock_ms, lease);
        *held = status == CACHE_OK;
        if (*held && lease->kind == LEASE_CLAIM)    /* nothing is stored */
            return TURN_HELD;
        struct reading reading;
        cache_fetch_read(fetch, &reading);    /* the last holder may have stored its result since our read */
        if (cache_fetch_is_new(fetch, &reading) && !fetch->options.force) {
            *outcome = cache_fetch_outcome(&reading);
            return TURN_OVER;
        }
        cache_value_release(&reading.value);
        if (*held && !cache_lease_expect(lease, &fetch->present)) {
            *held = false;    /* the old value is gone: take a claim instead */
            (void)cache_lease_drop(fetch->cache, fetch->key, lease);
            continue;
        }
        if (status != CACHE_NOT_STORED)
            return *held ? TURN_HELD : TURN_FAILED;
        if (fetch->old == FOUND_EARLY || fetch->old == FOUND_STALE) {
            outcome->again = true;
            return TURN_OVER;
        }
        if (fetch->options.no_wait)
            return TURN_BESIDE;
        if (cache_now_ns() >= deadline_ns) {
            outcome->status = cache_fail(CACHE_ERR_TIMEOUT, "fetch: another process still computes after %lld ms",
                                         (long long)fetch->wait_ms);
            return TURN_OVER;
        }
        pause_ms(ms);
    }
}

/* What must be ended if the computation does not return, because it throws or its thread ends. */
struct leading {
    struct fetch *fetch;               /* NULL: it returned */
    struct cache_lease lease;
    bool held;                         /* the lease is held */
    struct cache_outcome *outcome;
};

static void end_leading(struct leading *leading)
{
    struct fetch *fetch = leading->fetch;
    if (fetch == NULL)
        return;
    if (fetch->flight != NULL)
        cache_flight_abandon(fetch->flight);
    fetch->flight = NULL;
    cache_value_release(&leading->outcome->value);
    if (leading->held)
        (void)cache_lease_drop(fetch->cache, fetch->key, &leading->lease);
}

cache_source cache_fetch_lead(struct fetch *fetch, struct cache_outcome *outcome)
{
    cache_t *cache = fetch->cache;
    CACHE_AT_EXIT(end_leading) struct leading leading = { .fetch = fetch, .outcome = outcome };
    cache_source source = CACHE_SOURCE_COMPUTED;
    *outcome = (struct cache_outcome){ .status = CACHE_ERR_COMPUTE };
    const bool is_local = (cache->store->ops.flags & CACHE_BACKEND_LOCAL) != 0;
    const bool leased = !is_local && fetch->options.lock && fetch->flight != NULL;
    bool shared = true;
    switch (leased ? wait_for_lease(fetch, &leading.lease, &leading.held, outcome) : TURN_HELD) {
    case TURN_OVER:
        source = CACHE_SOURCE_SHARED;
        if (leading.held)
            (void)cache_lease_drop(cache, fetch->key, &leading.lease);
        /* Followers read the result of another process themselves, since a delete that began before this flight may
         * be done by now. */
        shared = outcome->status < 0;
        break;
    case TURN_HELD:
        shared = compute_and_store(fetch, leading.held ? &leading.lease : NULL, outcome);
        break;
    case TURN_FAILED:
        compute_only(fetch, outcome);
        break;
    case TURN_BESIDE:
        compute_only(fetch, outcome);
        shared = outcome->status < 0;    /* another process may have changed the key meanwhile */
        break;
    }
    if (fetch->flight != NULL && !shared)
        cache_flight_abandon(fetch->flight);
    else if (fetch->flight != NULL)
        cache_flight_complete(fetch->flight, outcome);
    fetch->flight = NULL;
    leading.fetch = NULL;
    return source;
}
