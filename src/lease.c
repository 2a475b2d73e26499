/* lease.c - who computes among all processes that share a store. */
#include "lease.h"

#include <string.h>

static const char kind[] = CACHE_LEASE_KIND;

cache_status cache_lease_take(const cache_t *cache, cache_bytes key, int64_t ttl_ms, struct cache_lease *lease)
{
    cache_key_make_internal(cache, kind, cache_user_key(cache, key), &lease->key);
    lease->key.bytes.data = lease->key.text;
    cache_unique_make(lease->token);
    return cache_internal_set(cache, lease->key.bytes, (cache_bytes){ lease->token, sizeof lease->token }, ttl_ms,
                              CACHE_SET_IF_ABSENT);
}

bool cache_lease_holds(const cache_t *cache, const struct cache_lease *lease)
{
    /* Into a buffer here: for lack of memory the lease would stay, and hold others up. */
    char token[sizeof lease->token];
    cache_writer writer;
    cache_writer_init_buffer(&writer, cache->store->env.allocator, token, sizeof token);
    const cache_status status = cache_internal_read(cache, lease->key.bytes, &writer);
    const bool ours = status == CACHE_OK && writer.size == sizeof lease->token &&
                      memcmp(writer.data, lease->token, sizeof lease->token) == 0;
    cache_writer_release(&writer);
    return ours;
}

/* The lease may run out, and be another's, between the question and the removal: then that one's result is not stored,
 * which costs a computation. No store of all has a removal that compares. */
bool cache_lease_drop(const cache_t *cache, const struct cache_lease *lease)
{
    const bool ours = cache_lease_holds(cache, lease);
    if (ours)
        (void)cache_internal_remove(cache, lease->key.bytes);
    return ours;
}

cache_status cache_lease_revoke(const cache_t *cache, cache_bytes key)
{
    struct cache_full_key full;
    if (cache->store->ops.flags & CACHE_BACKEND_LOCAL)
        return CACHE_OK;
    cache_key_make_internal(cache, kind, cache_user_key(cache, key), &full);
    return cache->store->ops.remove(cache->store->self, full.bytes);
}

static cache_status remove_all(const struct cache_store *store, const cache_bytes keys[], size_t n)
{
    size_t removed = 0;
    cache_status first = CACHE_OK;
    if (store->ops.remove_many != NULL)
        return store->ops.remove_many(store->self, keys, n, &removed);
    for (size_t i = 0; i < n; i++)
        cache_keep_first(&first, store->ops.remove(store->self, keys[i]));
    return first;
}

cache_status cache_lease_revoke_many(const cache_t *cache, const cache_bytes keys[], size_t n)
{
    if (n == 0 || (cache->store->ops.flags & CACHE_BACKEND_LOCAL))
        return CACHE_OK;
    size_t total = 0;
    struct cache_full_key full;
    for (size_t i = 0; i < n; i++)
        total += keys[i].size + sizeof kind;
    cache_bytes *leases = cache_env_alloc(&cache->store->env, n * sizeof *leases + total);
    if (leases == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "out of memory for %zu keys", n);
    char *text = (char *)&leases[n];
    for (size_t i = 0; i < n; i++) {
        cache_key_make_internal(cache, kind, cache_user_key(cache, keys[i]), &full);
        leases[i] = (cache_bytes){ memcpy(text, full.text, full.bytes.size + 1), full.bytes.size };
        text += full.bytes.size + 1;
    }
    const cache_status status = remove_all(cache->store, leases, n);
    cache_env_free(&cache->store->env, leases);
    return status;
}
