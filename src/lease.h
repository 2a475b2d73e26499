/* lease.h - decides which of the processes that share a store computes a value.
 *
 * If nothing is stored, the process stores a claim under the value's own key: an envelope without a value. The result
 * replaces the claim in one atomic step, and only if the claim is still there. Any program that sets or deletes the key
 * removes the claim by doing so. After the time of the claim other processes may compute too; then the first one that
 * is done stores its result.
 *
 * If an old value is stored, other processes must still see it. Then an internal key says which process recomputes it,
 * and the result replaces only that old value.
 *
 * In a store without compare_and_set, there is only the internal key, which expires with the lease. The process that
 * holds the lease reads the key before and after it stores the result. Whoever deletes the value deletes the key
 * too. */
#ifndef LEASE_H
#define LEASE_H

#include "stored.h"
#include "unique.h"

#define CACHE_PRESENT_SIZE 256

/* What a lease must know of the entry that was read under a key. If it is zeroed, there was none. */
struct cache_present {
    bool is_there;
    bool is_dead;                      /* an envelope that no reader is shown any more */
    bool is_claim;
    uint64_t id;                       /* of a claim; it stays the same when another process takes it over */
    int64_t created_ms, expires_ms, held_ms;
    size_t size;                       /* the number of first bytes; another value differs in them */
    char bytes[CACHE_PRESENT_SIZE];
};

/* Fills `present` from `value`, which is as it is stored. The caller sets is_dead if a fetch cannot use the entry. */
void cache_present_set(struct cache_present *present, cache_bytes key, const cache_value *value);

enum cache_lease_kind {
    LEASE_CLAIM,                       /* a claim under the value's key */
    LEASE_BESIDE,                      /* an internal key; the old value is compared before it is replaced */
    LEASE_PLAIN,                       /* an internal key; the store cannot compare */
    LEASE_SPENT                        /* the result has replaced the claim */
};

struct cache_lease {
    enum cache_lease_kind kind;
    struct cache_full_key key;         /* the internal key */
    char token[UNIQUE_SIZE];
    size_t expected_size, claim_size;
    char expected[CACHE_PRESENT_SIZE]; /* if the entry begins with this, the result may be stored */
    char claim[ENVELOPE_HEADER_SIZE];  /* the whole header, with the time of this holder */
};

/* Takes the lease for `ttl_ms`. Returns CACHE_OK if this process has it, and CACHE_NOT_STORED if another one has it or
 * the entry has changed since it was read. Any other status means that the store failed, and nobody has the lease. */
cache_status cache_lease_take(cache_t *cache, cache_bytes key, const struct cache_present *present, int64_t ttl_ms,
                              struct cache_lease *lease);

/* For LEASE_BESIDE: `present` is the old value, read again while the lease is held. Returns false if it is gone. */
bool cache_lease_expect(struct cache_lease *lease, const struct cache_present *present);

/* If the lease still allows it, stores the result, or removes the entry if value.data is NULL. Returns CACHE_NOT_STORED
 * if the key has changed, or, with LEASE_PLAIN, if the lease ran out. */
cache_status cache_lease_store(const cache_t *cache, cache_bytes key, struct cache_lease *lease, cache_bytes value,
                               int64_t ttl_ms);

/* For a result that is not stored: returns true if the key has not changed since the lease was taken. Asks the store
 * only for LEASE_BESIDE, since cache_lease_drop answers this for the others. */
bool cache_lease_covers(const cache_t *cache, cache_bytes key, const struct cache_lease *lease);

/* Gives the lease back. Returns false if this process did not have it any more. */
bool cache_lease_drop(const cache_t *cache, cache_bytes key, const struct cache_lease *lease);

/* Call this before a key is set or deleted. With LEASE_PLAIN, it prevents that a computation in another process stores
 * its result. It costs a request only if the store is shared and has no compare_and_set. The caller counts failures. */
cache_status cache_lease_revoke(const cache_t *cache, cache_bytes key);

/* The same for `n` keys, in one round trip. */
cache_status cache_lease_revoke_many(const cache_t *cache, const cache_bytes keys[], size_t n);

#endif
