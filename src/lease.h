/* lease.h - who computes among all processes that share a store.
 *
 * Where nothing is stored, a claim stands under the value's own key: an envelope without a value. It is replaced by the
 * result in one atomic step, only if it is still there: whoever set or deleted the key meanwhile, by whatever program,
 * took it away. A claim has a time after which others may compute, too; then the first to end stores its result.
 *
 * Where an old value is stored, which others are to see meanwhile, a key of the core's own says who computes its
 * successor, and the result replaces that old value alone.
 *
 * A store without compare_and_set has that key alone, for as long as the lease lasts. Its holder looks for it before it
 * stores and after, and whoever deletes the value deletes it, too. */
#ifndef LEASE_H
#define LEASE_H

#include "stored.h"
#include "unique.h"

#define CACHE_PRESENT_SIZE 256

/* What a read found under a key, as far as a lease needs it. Zeroed: nothing. */
struct cache_present {
    bool is_there;
    bool is_dead;                      /* an envelope that nobody is shown any more */
    bool is_claim;
    uint64_t id;                       /* of a claim, which stays the same when another process takes it over */
    int64_t created_ms, expires_ms, held_ms;
    size_t size;                       /* of the first bytes, which tell it from all other values */
    char bytes[CACHE_PRESENT_SIZE];
};

/* `value` is as it is stored. What a fetch has found of no use is dead. */
void cache_present_set(struct cache_present *present, cache_bytes key, const cache_value *value);

enum cache_lease_kind {
    LEASE_CLAIM,                       /* under the value's key */
    LEASE_BESIDE,                      /* under a key of the core's own; the value there is compared */
    LEASE_PLAIN,                       /* the same, and nothing is compared: the store cannot */
    LEASE_SPENT                        /* the claim became a value */
};

struct cache_lease {
    enum cache_lease_kind kind;
    struct cache_full_key key;         /* of the core's own */
    char token[UNIQUE_SIZE];
    size_t expected_size, claim_size;
    char expected[CACHE_PRESENT_SIZE]; /* what the value's key begins with if the result may be stored */
    char claim[ENVELOPE_HEADER_SIZE];  /* the whole header, with the time of this holder */
};

/* Take the lease for `ttl_ms`. CACHE_OK: it is ours. CACHE_NOT_STORED: another's, or what is there has changed since it
 * was read. Else the store failed, and nobody has it. */
cache_status cache_lease_take(cache_t *cache, cache_bytes key, const struct cache_present *present, int64_t ttl_ms,
                              struct cache_lease *lease);

/* For a lease beside a value, which was read again under it. Returns false if the value has gone. */
bool cache_lease_expect(struct cache_lease *lease, const struct cache_present *present);

/* Store the result, or with data NULL remove what is there, if the lease still allows it. CACHE_NOT_STORED: the key was
 * changed since, or (LEASE_PLAIN) the lease ran out. */
cache_status cache_lease_store(const cache_t *cache, cache_bytes key, struct cache_lease *lease, cache_bytes value,
                               int64_t ttl_ms);

/* Give it back. Returns false if it was not ours any more. */
bool cache_lease_drop(const cache_t *cache, cache_bytes key, const struct cache_lease *lease);

/* A key is about to be set or deleted: with LEASE_PLAIN, a computation of it in another process is not to be stored.
 * Asks a store that cannot compare and that others see. A failure is the caller's: it is not counted here. */
cache_status cache_lease_revoke(const cache_t *cache, cache_bytes key);

/* The same for `n` keys, in one round trip. */
cache_status cache_lease_revoke_many(const cache_t *cache, const cache_bytes keys[], size_t n);

#endif
