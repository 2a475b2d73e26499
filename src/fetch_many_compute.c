/* fetch_many_compute.c - the memory of a cache_fetch_many, the computation of its missing keys, and their store. */
#include "fetch_many_internal.h"

#include <string.h>

/* ---- the call's memory ----------------------------------------------------------------------------------------- */

cache_status cache_many_init(struct many *many, const cache_fetch_options *options)
{
    const cache_env *env = &many->cache->store->env;
    const size_t n = many->n;
    struct fetch first;
    cache_status status = cache_fetch_begin(&first, many->cache, options);
    first.key = many->keys[0];
    if (status == CACHE_OK && first.options.lock)
        status = cache_fail(CACHE_ERR_INVALID, "fetch_many: the option lock is not supported");
    if (status == CACHE_OK)
        status = cache_fetch_init_tags(&first, NULL, &many->tags);
    if (status != CACHE_OK)
        return status;
    const size_t asked = n + many->tags.n;
    many->entries = cache_env_alloc(env, n * sizeof *many->entries);
    if (many->entries != NULL)    /* cache_many_abandon reads them even if the next allocations fail */
        memset(many->entries, 0, n * sizeof *many->entries);
    many->asked = cache_env_alloc(env, asked * sizeof *many->asked);
    many->values = cache_env_alloc(env, n * sizeof *many->values);
    many->read = cache_env_alloc(env, asked * sizeof *many->read);
    many->indices = cache_env_alloc(env, n * sizeof *many->indices);
    many->missing = cache_env_alloc(env, n * sizeof *many->missing);
    if (many->entries == NULL || many->asked == NULL || many->values == NULL || many->read == NULL ||
        many->indices == NULL || many->missing == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "fetch_many: out of memory for %zu keys", n);
    for (size_t i = 0; i < n; i++) {
        struct fetch *fetch = &many->entries[i].fetch;
        *fetch = first;
        fetch->key = many->keys[i];
        fetch->tags = many->tags;
        if (first.options.info != NULL) {
            fetch->options.info = &first.options.info[i];
            *fetch->options.info = (cache_fetch_info){ .source = CACHE_SOURCE_NONE };
        }
    }
    return CACHE_OK;
}

void cache_many_release(struct many *many)
{
    const cache_env *env = &many->cache->store->env;
    cache_tags_release(many->cache, &many->tags);
    void *const blocks[] = { many->missing, many->indices, many->read, many->values, many->asked, many->entries,
                             many->keys };
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        cache_env_free(env, blocks[i]);
}

void cache_many_abandon(struct many *many)
{
    for (size_t i = 0; many->entries != NULL && i < many->n; i++) {
        struct entry *entry = &many->entries[i];
        if (entry->fetch.flight != NULL)
            cache_flight_abandon(entry->fetch.flight);
        if (entry->follows != NULL)
            cache_flight_leave(entry->follows);
        cache_value_release(&entry->reading.value);
        cache_value_release(&entry->outcome.value);
        cache_writer_release(&entry->writer);
        cache_writer_release(&entry->whole);
    }
}

/* ---- computing and storing ------------------------------------------------------------------------------------- */

/* Call the caller's function once, for all of `many->indices`. */
static void compute(struct many *many, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        const size_t i = many->indices[k];
        cache_writer_init(&many->entries[i].writer, many->cache->store->env.allocator);
        many->missing[k] = (cache_missing){ .index = i, .key = many->names[i], .out = &many->entries[i].writer };
    }
    const unsigned failures = cache_n_failures();
    const uint64_t begun = cache_now_ns();
    const cache_status status = many->compute(many->ctx, many->missing, n);
    const uint64_t took = cache_now_ns() - begun;
    const bool is_explained = cache_n_failures() != failures;
    cache_fetch_time(&many->entries[0].fetch, TIMED_COMPUTE, took);
    for (size_t k = 0; k < n; k++) {
        struct entry *entry = &many->entries[many->indices[k]];
        cache_status its = status != CACHE_OK ? status : many->missing[k].status;
        if (its == CACHE_OK && !entry->writer.begun && entry->writer.status == CACHE_OK)
            its = CACHE_MISS;
        entry->outcome.explained = its < 0 && is_explained;
        entry->storable = cache_fetch_take_result(&entry->fetch, its, &entry->writer, took, &entry->outcome,
                                                  &entry->lifetime);
        cache_fetch_note_failure(&entry->fetch, &entry->outcome);
    }
}

/* Returns how long the store keeps the value. Values with the same time are stored by one call; jitter changes only the
 * time in the envelope. */
static int64_t kept_ms(const struct entry *entry)
{
    return cache_fetch_kept_ms(&entry->outcome, &entry->lifetime, entry->lifetime.whole_ttl_ms);
}

/* Store all values that are kept for `ttl_ms`. Their `storable` becomes false, and their outcome notes whether they
 * were stored. */
static void store_some(struct many *many, size_t n, int64_t ttl_ms)
{
    size_t some = 0;
    for (size_t k = 0; k < n; k++) {
        const struct entry *entry = &many->entries[many->indices[k]];
        if (!entry->storable || kept_ms(entry) != ttl_ms)
            continue;
        many->asked[some] = entry->fetch.key;
        many->values[some++] = (cache_bytes){ entry->whole.data, entry->whole.size };
    }
    const struct fetch *any = &many->entries[0].fetch;
    const uint64_t begun = any->named != NULL ? cache_now_ns() : 0;
    const cache_status status = cache_store_set_many(many->cache, many->asked, many->values, some, ttl_ms);
    cache_fetch_count_store(any, TIMED_SET, begun, status);
    if (any->named != NULL && status == CACHE_OK)
        cache_counters_add(any->named, COUNT_SET, some - 1);    /* the call itself was counted as one */
    for (size_t k = 0; k < n; k++) {
        struct entry *entry = &many->entries[many->indices[k]];
        if (!entry->storable || kept_ms(entry) != ttl_ms)
            continue;
        entry->storable = false;
        cache_fetch_end_store(&entry->fetch, &entry->outcome, status);
    }
}

/* Pass the outcome to the callers that wait for this key. If it may be stored, that is noted first. */
static void share(struct entry *entry, bool tagged)
{
    entry->storable = entry->storable && tagged && cache_fetch_may_store(&entry->fetch);
    entry->outcome.stored = entry->storable;
    if (entry->fetch.flight != NULL)
        cache_flight_share(entry->fetch.flight, &entry->outcome);
    entry->outcome.stored = false;
}

/* Begin all stores before the first value is stored. Otherwise a store could wait for a key whose call waits for
 * another store. */
static void store(struct many *many, size_t n, bool tagged)
{
    for (size_t k = 0; k < n; k++)
        share(&many->entries[many->indices[k]], tagged);
    for (size_t k = 0; k < n; k++) {
        struct entry *entry = &many->entries[many->indices[k]];
        cache_writer_init(&entry->whole, many->cache->store->env.allocator);
        entry->storable = entry->storable && cache_fetch_encode(&entry->fetch, &entry->outcome, &entry->lifetime,
                                                                &entry->whole) == CACHE_OK;
        entry->storable = entry->storable && cache_flight_begin_store(entry->fetch.flight);
    }
    for (size_t k = 0; k < n; k++) {
        const struct entry *entry = &many->entries[many->indices[k]];
        if (entry->storable && many->tags.n > 0)
            cache_tags_extend(many->cache, &many->tags, kept_ms(entry));
        if (entry->storable)
            store_some(many, n, kept_ms(entry));
        if (cache_fetch_is_absent(&entry->fetch, &entry->outcome))
            cache_store_drop(many->cache, entry->fetch.key);
    }
    for (size_t k = 0; k < n; k++)
        cache_writer_release(&many->entries[many->indices[k]].whole);
}

void cache_many_lead(struct many *many)
{
    size_t n = 0;
    for (size_t i = 0; i < many->n; i++)
        if (many->entries[i].role == ROLE_COMPUTES)
            many->indices[n++] = i;
    if (n == 0)
        return;
    /* The versions of the tags are those from before the computation, so an invalidation during it turns the results
     * into misses. */
    const int64_t kept = cache_fetch_likely_kept_ms(&many->entries[0].fetch);
    const bool tagged = many->tags.n == 0 || cache_tags_ensure(many->cache, &many->tags, kept) == CACHE_OK;
    for (size_t k = 0; k < n && tagged && many->tags.n > 0; k++)
        if (many->entries[many->indices[k]].fetch.flight != NULL)
            cache_flight_note_tags(many->entries[many->indices[k]].fetch.flight, &many->tags);
    compute(many, n);
    store(many, n, tagged);
    for (size_t k = n; k-- > 0;) {    /* the flight that was taken last comes first */
        struct entry *entry = &many->entries[many->indices[k]];
        if (entry->fetch.flight != NULL)
            cache_flight_complete(entry->fetch.flight, &entry->outcome);
        entry->fetch.flight = NULL;
    }
}
