/* fetch_many.c - fetches many keys at once: one read, one computation of the missing values, one write.
 *
 * Each key has its own flight, so calls for overlapping keys share their computations. A call first takes the lead of
 * all flights that it can, and computes and completes those. Only then does it wait for keys that other calls lead. So
 * two calls never wait for each other (no deadlock). If a value has an old version, a thread of the application
 * recomputes it, if there is one. */
#include "fetch_many_internal.h"

#include <string.h>

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Read the keys of `many->indices`, and the versions of the tags with them. readings[k] belongs to the k-th of them. */
static void read_some(struct many *many, size_t n, struct reading readings[])
{
    const cache_t *cache = many->cache;
    const struct fetch *any = &many->entries[0].fetch;
    for (size_t k = 0; k < n; k++)
        many->asked[k] = many->keys[many->indices[k]];
    const size_t n_tags = cache_tags_n_asked(cache, &many->tags);
    for (size_t t = 1; t <= n_tags; t++)
        many->asked[n + t - 1] = many->tags.keys[t];
    const uint64_t begun = any->named != NULL ? cache_now_ns() : 0;
    const cache_status status = cache_store_get_many(cache, many->asked, n + n_tags, many->read);
    cache_fetch_count_store(any, TIMED_GET, begun, status);
    cache_tags_take(cache, &many->tags, many->read + n);
    for (size_t k = 0; k < n; k++) {
        readings[k] = (struct reading){ .value = many->read[k] };
        many->entries[many->indices[k]].fetch.is_present = many->read[k].data != NULL;
        if (many->read[k].data != NULL)
            cache_fetch_classify(&many->entries[many->indices[k]].fetch, &readings[k]);
    }
}

static cache_status read_all(struct many *many)
{
    const cache_env *env = &many->cache->store->env;
    struct reading *readings = cache_env_alloc(env, many->n * sizeof *readings);
    if (readings == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "fetch_many: out of memory for %zu keys", many->n);
    const unsigned n_completed = cache_flights_n_completed(many->cache->store->flights);
    for (size_t i = 0; i < many->n; i++)
        many->indices[i] = i;
    read_some(many, many->n, readings);
    for (size_t i = 0; i < many->n; i++) {
        struct entry *entry = &many->entries[i];
        if (entry->fetch.options.force && readings[i].found != FOUND_NOTHING) {
            cache_value_release(&readings[i].value);
            readings[i].found = FOUND_NOTHING;
        }
        entry->reading = readings[i];
        entry->fetch.n_completed = n_completed;
        entry->fetch.old = readings[i].found;
        entry->fetch.old_created_ms = readings[i].created_ms;
    }
    cache_env_free(env, readings);
    return CACHE_OK;
}

/* If another flight has ended between our read and our taking the lead, it has stored a value that we missed. */
static void read_again(struct many *many)
{
    const cache_env *env = &many->cache->store->env;
    size_t n = 0;
    for (size_t i = 0; i < many->n; i++)
        if (many->entries[i].role == ROLE_COMPUTES && many->entries[i].fetch.flight != NULL)
            many->indices[n++] = i;
    const struct fetch *any = &many->entries[0].fetch;
    if (n == 0 || any->options.force || cache_flights_n_completed(many->cache->store->flights) == any->n_completed)
        return;
    struct reading *seconds = cache_env_alloc(env, n * sizeof *seconds);
    if (seconds == NULL)
        return;    /* this only costs a computation */
    read_some(many, n, seconds);
    for (size_t k = 0; k < n; k++) {
        struct entry *entry = &many->entries[many->indices[k]];
        if (!cache_fetch_is_new(&entry->fetch, &seconds[k])) {
            cache_value_release(&seconds[k].value);
            continue;
        }
        cache_value_release(&entry->reading.value);
        entry->reading = seconds[k];
        entry->role = ROLE_FOUND;
        cache_flight_abandon(entry->fetch.flight);    /* for the same reason as in cache_fetch */
        entry->fetch.flight = NULL;
    }
    cache_env_free(env, seconds);
}

/* ---- who computes ---------------------------------------------------------------------------------------------- */

/* Returns the index of an earlier entry with the same key that this call leads, or `i` if there is none. */
static size_t first_of(const struct many *many, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const struct entry *entry = &many->entries[k];
        if (entry->fetch.flight != NULL && entry->fetch.key.size == many->keys[i].size &&
            memcmp(entry->fetch.key.data, many->keys[i].data, many->keys[i].size) == 0)
            return k;
    }
    return i;
}

/* There is an old value to return. It is recomputed only if this call leads; and `soft_timeout` may wait for the
 * successor of a stale one. */
static enum role role_with_old(const struct many *many, struct entry *entry, enum cache_flight_role role)
{
    if (role == FLIGHT_LEAD)
        return ROLE_COMPUTES;
    if (role != FLIGHT_FOLLOW)
        return ROLE_FOUND;
    struct cache_flight *flight = entry->fetch.flight;
    entry->fetch.flight = NULL;
    if (many->soft_deadline_ns != 0 && entry->reading.found == FOUND_STALE) {
        entry->follows = flight;
        return ROLE_FOLLOWS;
    }
    cache_flight_leave(flight);
    return ROLE_FOUND;
}

static enum role role_of(struct many *many, size_t i)
{
    struct entry *entry = &many->entries[i];
    struct fetch *fetch = &entry->fetch;
    if (fetch->options.unless)
        return ROLE_COMPUTES;
    if (entry->reading.found == FOUND_FRESH || cache_fetch_rests(fetch, &entry->reading))
        return ROLE_FOUND;
    const bool has_value = entry->reading.found == FOUND_EARLY || entry->reading.found == FOUND_STALE;
    const enum cache_flight_role role = cache_fetch_join(fetch, has_value, &fetch->flight);
    if (has_value)
        return role_with_old(many, entry, role);
    switch (role) {
    case FLIGHT_FOLLOW:
        entry->follows = fetch->flight;
        fetch->flight = NULL;
        if (!fetch->options.no_wait)
            return ROLE_FOLLOWS;
        cache_flight_leave(entry->follows);
        return ROLE_COMPUTES;
    case FLIGHT_CYCLE:
        entry->first = first_of(many, i);
        if (entry->first < i)
            return ROLE_REPEATS;
        entry->outcome.status = cache_fail(CACHE_ERR_INVALID,
                                           "fetch_many '%.100s': its computation fetches its own key", many->names[i]);
        return ROLE_FAILED;
    default:
        return ROLE_COMPUTES;
    }
}

/* ---- handing out ----------------------------------------------------------------------------------------------- */

struct one {
    struct many *many;
    size_t index;
};

/* Call the caller's function for one key. */
static cache_status compute_one(void *ctx, cache_writer *out)
{
    const struct one *one = ctx;
    const struct many *many = one->many;
    cache_missing missing = { .index = one->index, .key = many->names[one->index], .out = out };
    const cache_status status = many->compute(many->ctx, &missing, 1);
    if (status == CACHE_OK && missing.status == CACHE_OK && !out->begun)
        return CACHE_MISS;
    return status != CACHE_OK ? status : missing.status;
}

static cache_status follow(struct many *many, size_t i)
{
    struct entry *entry = &many->entries[i];
    struct cache_flight *flight = entry->follows;
    bool again = false;
    entry->follows = NULL;
    const cache_status status = cache_fetch_follow(&entry->fetch, flight, &entry->reading, &many->out[i], &again);
    if (!again)
        return status;
    struct one one = { many, i };
    cache_fetch_options options = entry->fetch.options;
    options.ctx_copy = NULL;    /* it copies the caller's context, and `one` is another */
    options.ctx_free = NULL;
    return cache_fetch(many->cache, many->names[i], &options, compute_one, &one, &many->out[i]);
}

static cache_status return_value(struct many *many, size_t i)
{
    struct entry *entry = &many->entries[i];
    const struct entry *first = &many->entries[entry->first];
    switch (entry->role) {
    case ROLE_FOUND:
        return cache_fetch_return_value(&entry->fetch, &entry->reading, &many->out[i]);
    case ROLE_FOLLOWS:
        return follow(many, i);
    case ROLE_REPEATS:
        entry->outcome = first->role == ROLE_FOUND ? cache_fetch_outcome(&first->reading) : first->outcome;
        entry->outcome.value = (cache_value){ NULL, 0, NULL };
        if (entry->outcome.status == CACHE_OK)
            entry->outcome.value = cache_value_retain(&many->out[entry->first]);
        break;
    default:
        break;
    }
    return cache_fetch_return_outcome(&entry->fetch, &entry->outcome, CACHE_SOURCE_COMPUTED, &entry->reading,
                                      &many->out[i]);
}

/* Return one value. It belongs to the caller from then on. */
static cache_status hand_out(struct many *many, size_t i)
{
    struct entry *entry = &many->entries[i];
    const cache_status status = return_value(many, i);
    entry->reading.value = entry->outcome.value = (cache_value){ NULL, 0, NULL };
    return status;
}

/* Return all values. Values that other calls compute come last, and their waits share one deadline. */
static cache_status return_values(struct many *many)
{
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < many->n; i++)
        if (many->entries[i].role != ROLE_FOLLOWS)
            cache_keep_first(&first, hand_out(many, i));
    const uint64_t deadline_ns = cache_now_ns() + (uint64_t)many->entries[0].fetch.wait_ms * 1000000;
    for (size_t i = 0; i < many->n; i++)
        if (many->entries[i].role == ROLE_FOLLOWS) {
            many->entries[i].fetch.deadline_ns = deadline_ns;
            many->entries[i].fetch.soft_deadline_ns = many->soft_deadline_ns;
            cache_keep_first(&first, hand_out(many, i));
        }
    return first;
}

static cache_status run(struct many *many, const cache_fetch_options *options)
{
    cache_status status = cache_many_init(many, options);
    if (status == CACHE_OK && !many->entries[0].fetch.options.unless)
        status = read_all(many);
    if (status != CACHE_OK)
        return status;
    if (many->entries[0].fetch.soft_ms > 0)
        many->soft_deadline_ns = cache_now_ns() + (uint64_t)many->entries[0].fetch.soft_ms * 1000000;
    for (size_t i = 0; i < many->n; i++)
        many->entries[i].role = role_of(many, i);
    read_again(many);
    cache_many_start_background(many);
    cache_many_lead(many);
    return return_values(many);
}

/* Clean up if a call does not return, because an exception passes through it or its thread ends. */
static void end_many(struct many **call)
{
    struct many *many = *call;
    if (many == NULL)
        return;
    cache_many_abandon(many);
    for (size_t i = 0; i < many->n; i++)
        cache_value_release(&many->out[i]);
    cache_many_release(many);
}

cache_status cache_fetch_many(cache_t *cache, const char *const keys[], size_t n, const cache_fetch_options *options,
                              cache_compute_many_fn *compute_fn, void *ctx, cache_value out[])
{
    if (out == NULL && n > 0)
        return cache_fail(CACHE_ERR_INVALID, "fetch_many: out is NULL");
    if (n > 0)
        memset(out, 0, n * sizeof *out);
    if (compute_fn == NULL)
        return cache_fail(CACHE_ERR_INVALID, "fetch_many: compute is NULL");
    cache = cache_or_none(cache);
    struct many many = { .cache = cache, .n = n, .names = keys, .compute = compute_fn, .ctx = ctx, .out = out };
    cache_status status = cache_keys_make(cache, keys, n, &many.keys);
    if (status != CACHE_OK)
        return status;
    CACHE_AT_EXIT(end_many) struct many *call = &many;
    if (n > 0)
        status = run(&many, options);
    call = NULL;
    cache_many_release(&many);
    return status;
}
