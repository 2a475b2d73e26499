/* lease.c - decides which of the processes that share a store computes a value. */
#include "lease.h"

#include "invariant.h"

#include <string.h>

static const char kind[] = CACHE_LEASE_KIND;

/* How long a claim is kept after its time, for a computation that takes longer. */
#define CLAIM_KEPT_MS (INT64_C(3600) * 1000)

/* The clocks of two machines may differ by this much. If the time of a claim is further off, its clock was wrong. */
#define CLOCK_SKEW_MS 5000

/* The first bytes of a claim's header, up to its time. They stay the same when another process takes the claim over. */
#define CLAIM_SAME_SIZE 36

static bool can_compare(const cache_t *cache)
{
    return cache->store->ops.compare_and_set != NULL;
}

void cache_present_set(struct cache_present *present, cache_bytes key, const cache_value *value)
{
    struct cache_envelope envelope = { .flags = 0 };
    const bool is_envelope = cache_envelope_is(value->data, value->size);
    const size_t most = is_envelope ? ENVELOPE_HEADER_SIZE : CACHE_PRESENT_SIZE;
    present->is_there = true;
    present->is_dead = false;
    present->size = value->size < most ? value->size : most;
    memcpy(present->bytes, value->data, present->size);
    present->is_claim = is_envelope &&
                        cache_envelope_decode((cache_bytes){ value->data, value->size }, key, &envelope) &&
                        (envelope.flags & ENVELOPE_CLAIM);
    present->id = envelope.id;
    present->created_ms = envelope.created_ms;
    present->expires_ms = envelope.expires_ms;
    present->held_ms = (int64_t)(envelope.cost_us / 1000);
}

/* ---- claims ----------------------------------------------------------------------------------------------------- */

static bool is_over(const cache_t *cache, const struct cache_present *claim)
{
    const int64_t left_ms = claim->expires_ms - cache_stored_now_ms(cache);
    return left_ms <= 0 || left_ms > claim->held_ms + CLOCK_SKEW_MS;
}

/* Stores a claim if nothing is stored, or to replace a dead entry, or to continue a claim whose time is over. */
static cache_status put_claim(cache_t *cache, cache_bytes key, const struct cache_present *present, int64_t ttl_ms,
                              struct cache_lease *lease)
{
    const int64_t now_ms = cache_stored_now_ms(cache);
    const struct cache_envelope claim = {
        .flags = ENVELOPE_CLAIM, .id = present->is_claim ? present->id : 0,
        .created_ms = present->is_claim ? present->created_ms : now_ms, .expires_ms = now_ms + ttl_ms,
        .cost_us = (uint64_t)ttl_ms * 1000,
    };
    const int64_t kept_ms = ttl_ms + CLAIM_KEPT_MS;
    cache_writer writer;
    cache_writer_init(&writer, cache->store->env.allocator);
    cache_status status = cache_envelope_encode(&claim, key, &writer);
    const cache_bytes value = { writer.data, writer.size };
    if (status == CACHE_OK && present->is_there)
        status = cache_internal_compare_and_set(cache, key, (cache_bytes){ present->bytes, present->size }, value,
                                                kept_ms);
    else if (status == CACHE_OK)
        status = cache_internal_set(cache, key, value, kept_ms, CACHE_SET_IF_ABSENT);
    if (status == CACHE_OK) {
        lease->kind = LEASE_CLAIM;
        lease->expected_size = CLAIM_SAME_SIZE;
        lease->claim_size = ENVELOPE_HEADER_SIZE;
        memcpy(lease->expected, value.data, CLAIM_SAME_SIZE);
        memcpy(lease->claim, value.data, ENVELOPE_HEADER_SIZE);
    }
    cache_writer_release(&writer);
    return status;
}

/* ---- taking ----------------------------------------------------------------------------------------------------- */

bool cache_lease_expect(struct cache_lease *lease, const struct cache_present *present)
{
    if (lease->kind != LEASE_BESIDE)
        return true;
    lease->expected_size = present->size;
    memcpy(lease->expected, present->bytes, present->size);
    return present->is_there && !present->is_claim;
}

static cache_status take_beside(const cache_t *cache, cache_bytes key, int64_t ttl_ms, struct cache_lease *lease)
{
    cache_key_make_internal(cache, kind, cache_user_key(cache, key), &lease->key);
    lease->key.bytes.data = lease->key.text;
    cache_unique_make(lease->token);
    return cache_internal_set(cache, lease->key.bytes, (cache_bytes){ lease->token, sizeof lease->token }, ttl_ms,
                              CACHE_SET_IF_ABSENT);
}

cache_status cache_lease_take(cache_t *cache, cache_bytes key, const struct cache_present *present, int64_t ttl_ms,
                              struct cache_lease *lease)
{
    lease->kind = LEASE_PLAIN;
    lease->expected_size = lease->claim_size = 0;
    if (!can_compare(cache))
        return take_beside(cache, key, ttl_ms, lease);
    if (present->is_claim && !is_over(cache, present))
        return CACHE_NOT_STORED;
    if (!present->is_there || present->is_claim || present->is_dead)
        return put_claim(cache, key, present, ttl_ms, lease);
    lease->kind = LEASE_BESIDE;
    (void)cache_lease_expect(lease, present);
    return take_beside(cache, key, ttl_ms, lease);
}

/* ---- holding ---------------------------------------------------------------------------------------------------- */

/* Returns CACHE_OK if this process still has the lease, and CACHE_NOT_STORED if not. */
static cache_status check_token(const cache_t *cache, const struct cache_lease *lease)
{
    /* A buffer is used, since without memory the lease would stay and block the others. */
    char token[sizeof lease->token];
    cache_writer writer;
    cache_writer_init_buffer(&writer, cache->store->env.allocator, token, sizeof token);
    cache_status status = cache_internal_read(cache, lease->key.bytes, &writer);
    if (status == CACHE_MISS || (status == CACHE_OK && (writer.size != sizeof lease->token ||
                                                        memcmp(writer.data, lease->token, writer.size) != 0)))
        status = CACHE_NOT_STORED;
    cache_writer_release(&writer);
    return status;
}

cache_status cache_lease_store(const cache_t *cache, cache_bytes key, struct cache_lease *lease, cache_bytes value,
                               int64_t ttl_ms)
{
    cache_status status = CACHE_OK;
    ASSERT(lease->kind != LEASE_SPENT);
    if (lease->kind != LEASE_PLAIN) {
        const cache_bytes expected = { lease->expected, lease->expected_size };
        status = cache_store_compare_and_set(cache, key, expected, value, ttl_ms);
        if (lease->kind == LEASE_CLAIM && status >= 0)
            lease->kind = LEASE_SPENT;
        return status;
    }
    status = check_token(cache, lease);
    if (status != CACHE_OK)
        return CACHE_NOT_STORED;
    if (value.data != NULL)
        return cache_store_set(cache, key, value, ttl_ms, 0);
    cache_store_drop(cache, key);
    return CACHE_OK;
}

bool cache_lease_covers(const cache_t *cache, cache_bytes key, const struct cache_lease *lease)
{
    cache_value value;
    if (lease->kind != LEASE_BESIDE)
        return true;
    const cache_status status = cache_internal_get(cache, key, &value);
    const bool covers = status == CACHE_OK && value.size >= lease->expected_size &&
                        memcmp(value.data, lease->expected, lease->expected_size) == 0;
    cache_value_release(&value);
    return covers;
}

bool cache_lease_drop(const cache_t *cache, cache_bytes key, const struct cache_lease *lease)
{
    const cache_bytes nothing = { NULL, 0 };
    switch (lease->kind) {
    case LEASE_SPENT:
        return true;
    case LEASE_CLAIM:
        return cache_internal_compare_and_set(cache, key, (cache_bytes){ lease->claim, lease->claim_size }, nothing,
                                              0) != CACHE_NOT_STORED;
    case LEASE_BESIDE:
        return cache_internal_compare_and_set(cache, lease->key.bytes,
                                              (cache_bytes){ lease->token, sizeof lease->token }, nothing,
                                              0) != CACHE_NOT_STORED;
    case LEASE_PLAIN:
        break;
    }
    /* Between this check and the removal the lease may run out, and another process may take it. Then that process
     * does not store its result, which costs one computation. */
    const cache_status status = check_token(cache, lease);
    if (status == CACHE_OK)
        (void)cache_internal_remove(cache, lease->key.bytes);
    return status == CACHE_OK;
}

/* ---- revoking --------------------------------------------------------------------------------------------------- */

cache_status cache_lease_revoke(const cache_t *cache, cache_bytes key)
{
    struct cache_full_key full;
    if ((cache->store->ops.flags & CACHE_BACKEND_LOCAL) || can_compare(cache))
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
    if (n == 0 || (cache->store->ops.flags & CACHE_BACKEND_LOCAL) || can_compare(cache))
        return CACHE_OK;
    size_t total = 0;
    struct cache_full_key full;
    for (size_t i = 0; i < n; i++)
        total += keys[i].size + sizeof kind;
    cache_bytes *leases = cache_env_alloc(&cache->store->env, n * sizeof *leases + total);
    if (leases == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "many: out of memory for %zu keys", n);
    char *text = (char *)&leases[n];
    for (size_t i = 0; i < n; i++) {
        cache_key_make_internal(cache, kind, cache_user_key(cache, keys[i]), &full);
        leases[i] = (cache_bytes){ memcpy(text, full.bytes.data, full.bytes.size + 1), full.bytes.size };
        text += full.bytes.size + 1;
    }
    const cache_status status = remove_all(cache->store, leases, n);
    cache_env_free(&cache->store->env, leases);
    return status;
}
