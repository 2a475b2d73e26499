/* many.c - the public calls for many keys: one round trip per server, if the store supports it. */
#include "flight_invalidate.h"
#include "lease.h"
#include "stored.h"

#include <string.h>

/* The keys of a call. They are in one of these three arrays. */
struct key_list {
    const char *const *keys;
    const cache_item *items;
    const cache_timed_item *timed;
};

static const char *key_at(const struct key_list *list, size_t i)
{
    if (list->keys != NULL)
        return list->keys[i];
    return list->items != NULL ? list->items[i].key : list->timed[i].key;
}

/* Make the keys with their prefix, in one block that begins with their array. */
static cache_status make_keys(const cache_t *cache, const struct key_list *list, size_t n, cache_bytes **out)
{
    *out = NULL;
    if (cache == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "out of memory: a NULL cache could not be replaced by null://");
    if (n > 0 && list->keys == NULL && list->items == NULL && list->timed == NULL)
        return cache_fail(CACHE_ERR_INVALID, "many: the array of keys or items is NULL");
    size_t total = 0;
    struct cache_full_key full;
    for (size_t i = 0; i < n; i++) {
        const cache_status status = cache_key_make(cache, key_at(list, i), &full);
        if (status != CACHE_OK)
            return cache_fail(status, "key %zu: %s", i, cache_last_error());
        total += full.bytes.size + 1;
    }
    cache_bytes *made = cache_env_alloc(&cache->store->env, n * sizeof *made + total + 1);
    if (made == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "many: out of memory for %zu keys", n);
    char *text = (char *)&made[n];
    for (size_t i = 0; i < n; i++) {
        (void)cache_key_make(cache, key_at(list, i), &full);
        memcpy(text, full.bytes.data, full.bytes.size + 1);
        made[i] = (cache_bytes){ text, full.bytes.size };
        text += full.bytes.size + 1;
    }
    *out = made;
    return CACHE_OK;
}

cache_status cache_keys_make(const cache_t *cache, const char *const keys[], size_t n, cache_bytes **out)
{
    const struct key_list list = { keys, NULL, NULL };
    return make_keys(cache, &list, n, out);
}

cache_status cache_get_many(cache_t *cache, const char *const keys[], size_t n, cache_value out[])
{
    if (out == NULL && n > 0)
        return cache_fail(CACHE_ERR_INVALID, "get_many: out is NULL");
    if (n > 0)
        memset(out, 0, n * sizeof *out);
    cache = cache_or_none(cache);
    cache_bytes *full = NULL;
    cache_status status = cache_keys_make(cache, keys, n, &full);
    if (status != CACHE_OK)
        return status;
    status = cache_store_get_many(cache, full, n, out);
    for (size_t i = 0; i < n; i++) {
        if (out[i].data != NULL && cache_envelope_is(out[i].data, out[i].size))
            (void)cache_stored_unwrap(cache, full[i], &out[i]);
        cache_count_read(cache, out[i].data != NULL ? CACHE_OK : CACHE_MISS, full[i]);
    }
    cache_env_free(&cache->store->env, full);
    return cache_apply_on_error(cache, status, CACHE_OK);
}

/* Set all values with one call of the store, unless one of them needs an envelope. */
static cache_status set_values(cache_t *cache, const cache_bytes keys[], const cache_bytes values[], size_t n,
                               int64_t ttl_ms)
{
    bool plain = true;
    for (size_t i = 0; i < n; i++)
        plain = plain && !cache_envelope_is(values[i].data, values[i].size);
    if (plain)
        return cache_store_set_many(cache, keys, values, n, ttl_ms);
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < n; i++)
        cache_keep_first(&first, cache_stored_set(cache, keys[i], values[i], ttl_ms, 0));
    return first;
}

/* As in cache_set, a caller that does not learn of the failure must not read an old value. It is unknown which keys
 * failed, so all are dropped. */
static void drop_unseen(const cache_t *cache, const cache_bytes keys[], size_t n)
{
    for (size_t i = 0; cache->miss_on_error && i < n; i++)
        cache_store_drop(cache, keys[i]);
}

cache_status cache_set_many(cache_t *cache, const cache_item items[], size_t n, double ttl)
{
    cache = cache_or_none(cache);
    cache_bytes *keys = NULL;
    const struct key_list list = { NULL, items, NULL };
    cache_status status = make_keys(cache, &list, n, &keys);
    if (status != CACHE_OK)
        return status;
    const cache_env *env = &cache->store->env;
    cache_bytes *values = NULL;
    int64_t ttl_ms = 0;
    for (size_t i = 0; status == CACHE_OK && i < n; i++)
        if (items[i].data == NULL && items[i].size > 0)
            status = cache_fail(CACHE_ERR_INVALID, "set_many: item %zu: data is NULL and size is %zu", i,
                                items[i].size);
    if (status == CACHE_OK)
        status = cache_ttl_ms(ttl, cache->default_ttl_ms, &ttl_ms);
    if (status == CACHE_OK && (values = cache_env_alloc(env, n * sizeof *values + 1)) == NULL)
        status = cache_fail(CACHE_ERR_NOMEM, "many: out of memory for %zu items", n);
    if (status == CACHE_OK) {
        for (size_t i = 0; i < n; i++) {
            values[i] = (cache_bytes){ items[i].size > 0 ? items[i].data : "", items[i].size };
            cache_flights_invalidate(cache->store->flights, keys[i]);
        }
        status = set_values(cache, keys, values, n, ttl_ms);
        if (status < 0)
            drop_unseen(cache, keys, n);
        status = cache_apply_on_error(cache, status, CACHE_OK);
    }
    cache_env_free(env, values);
    cache_env_free(env, keys);
    return status;
}

/* ---- items with ttls of their own -------------------------------------------------------------------------------- */

/* The arrays for cache_store_set_many, in one block. */
struct timed_set {
    cache_bytes *keys, *values;
    int64_t *ttls_ms;
    cache_bytes *some_keys, *some_values;    /* the items of one ttl */
};

static cache_status read_items(const cache_t *cache, const cache_timed_item items[], size_t n, struct timed_set *set)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].data == NULL && items[i].size > 0)
            return cache_fail(CACHE_ERR_INVALID, "set_many_timed: item %zu: data is NULL and size is %zu", i,
                              items[i].size);
        const cache_status status = cache_ttl_ms(items[i].ttl, cache->default_ttl_ms, &set->ttls_ms[i]);
        if (status != CACHE_OK)
            return cache_fail(status, "set_many_timed: item %zu: %s", i, cache_last_error());
        set->values[i] = (cache_bytes){ items[i].size > 0 ? items[i].data : "", items[i].size };
    }
    return CACHE_OK;
}

/* Set all items with the same ttl as item `first`. Items that are done get the ttl -1. */
static cache_status set_one_ttl(cache_t *cache, struct timed_set *set, size_t first, size_t n)
{
    const int64_t ttl_ms = set->ttls_ms[first];
    size_t some = 0;
    for (size_t i = first; i < n; i++) {
        if (set->ttls_ms[i] != ttl_ms)
            continue;
        set->some_keys[some] = set->keys[i];
        set->some_values[some++] = set->values[i];
        set->ttls_ms[i] = -1;
    }
    return set_values(cache, set->some_keys, set->some_values, some, ttl_ms);
}

cache_status cache_set_many_timed(cache_t *cache, const cache_timed_item items[], size_t n)
{
    cache = cache_or_none(cache);
    struct timed_set set = { NULL, NULL, NULL, NULL, NULL };
    const struct key_list list = { NULL, NULL, items };
    cache_status status = make_keys(cache, &list, n, &set.keys);
    if (status != CACHE_OK)
        return status;
    const cache_env *env = &cache->store->env;
    set.values = cache_env_alloc(env, n * (3 * sizeof *set.values + sizeof *set.ttls_ms) + 1);
    if (set.values == NULL)
        status = cache_fail(CACHE_ERR_NOMEM, "set_many_timed: out of memory for %zu items", n);
    else {
        set.some_keys = set.values + n;
        set.some_values = set.some_keys + n;
        set.ttls_ms = (int64_t *)(void *)(set.some_values + n);
        status = read_items(cache, items, n, &set);
    }
    for (size_t i = 0; status == CACHE_OK && i < n; i++)
        cache_flights_invalidate(cache->store->flights, set.keys[i]);
    cache_status first = status;
    for (size_t i = 0; status == CACHE_OK && i < n; i++)
        if (set.ttls_ms[i] >= 0)
            cache_keep_first(&first, set_one_ttl(cache, &set, i, n));
    if (status == CACHE_OK && first < 0)
        drop_unseen(cache, set.keys, n);
    cache_env_free(env, set.values);
    cache_env_free(env, set.keys);
    return cache_apply_on_error(cache, first, CACHE_OK);
}

cache_status cache_delete_many(cache_t *cache, const char *const keys[], size_t n, size_t *deleted)
{
    size_t removed = 0;
    if (deleted != NULL)
        *deleted = 0;
    cache = cache_or_none(cache);
    cache_bytes *full = NULL;
    cache_status status = cache_keys_make(cache, keys, n, &full);
    if (status != CACHE_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        cache_flights_invalidate(cache->store->flights, full[i]);
    /* The leases come first, as in cache_delete. A failure that also hits the values is counted once. */
    const cache_status revoked = cache_lease_revoke_many(cache, full, n);
    status = cache_store_remove_many(cache, full, n, &removed);
    if (status == CACHE_OK && revoked < 0) {
        cache_counters_add(cache->store->counters, COUNT_ERROR, 1);
        status = revoked;
    }
    if (deleted != NULL)
        *deleted = removed;
    cache_env_free(&cache->store->env, full);
    return cache_apply_on_error(cache, status, CACHE_OK);
}
