/* stored.h - uses envelopes: tells whether a value is stale, and gives plain operations the payload. */
#ifndef STORED_H
#define STORED_H

#include "cache_internal.h"
#include "envelope.h"

/* Return the clock that expiry uses: the wall clock if other processes share the store, else the monotonic clock. */
int64_t cache_stored_now_ms(const cache_t *cache);
int64_t cache_stored_recent_ms(const cache_t *cache);    /* up to 10 ms ago, and cheap */

/* Returns true if the value is past its ttl. */
bool cache_stored_is_stale(const cache_t *cache, const struct cache_envelope *envelope);

/* Replaces a stored value that has an envelope by its payload, as cache_get returns it; `*value` still owns the stored
 * bytes. Returns CACHE_MISS and releases `*value` if it is past its ttl, belongs to another key, has an invalidated
 * tag, or is negative. */
cache_status cache_stored_unwrap(const cache_t *cache, cache_bytes key, cache_value *value);

/* For an operation that found the key taken: if what is there is shown to nobody, remove it. Returns true if the key
 * may be free now, so that the operation is to be tried again. */
bool cache_stored_remove_dead(const cache_t *cache, cache_bytes key);

/* Add to a number that cache_fetch stored, which the store itself takes for no number. CACHE_OK; CACHE_NOT_STORED: the
 * key has changed or is free now, so that the store can be asked again; CACHE_ERR_TYPE, CACHE_ERR_RANGE. */
cache_status cache_stored_inc(const cache_t *cache, cache_bytes key, int64_t delta, int64_t *result);

/* Store a user's value: as it is, or wrapped if it begins like an envelope. */
cache_status cache_stored_set(cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags);

#endif
