/* lease.h - who computes among all processes that share a store: a key that says so, for a while. */
#ifndef LEASE_H
#define LEASE_H

#include "cache_internal.h"
#include "unique.h"

struct cache_lease {
    struct cache_full_key key;
    char token[UNIQUE_SIZE];
};

/* CACHE_OK: it is ours for `ttl_ms`. CACHE_NOT_STORED: another's. Else the store failed, and nobody has it. */
cache_status cache_lease_take(const cache_t *cache, cache_bytes key, int64_t ttl_ms, struct cache_lease *lease);

/* False: it ran out, or was revoked by a delete of its key. Then what was computed under it is not to be stored. */
bool cache_lease_holds(const cache_t *cache, const struct cache_lease *lease);

/* Give it back. False: it was not ours any more, and what was stored under it is to be removed again. */
bool cache_lease_drop(const cache_t *cache, const struct cache_lease *lease);

/* A key is about to be deleted: a computation of it in another process is not to be stored. Asks the store, unless no
 * other process sees it. A failure is the delete's: it is not counted here. */
cache_status cache_lease_revoke(const cache_t *cache, cache_bytes key);

/* The same for `n` keys, in one round trip. */
cache_status cache_lease_revoke_many(const cache_t *cache, const cache_bytes keys[], size_t n);

#endif
