/* stored.h - what the core does with an envelope: its clock, and what the plain operations show of it. */
#ifndef STORED_H
#define STORED_H

#include "cache_internal.h"
#include "envelope.h"

/* The clock of expiry: the wall clock where others share the store, the monotonic one where nobody does. */
int64_t cache_stored_now_ms(const cache_t *cache);
int64_t cache_stored_recent_ms(const cache_t *cache);    /* up to 10 ms ago, and cheap */

/* Returns true if the envelope's TTL is over. */
bool cache_stored_is_stale(const cache_t *cache, const struct cache_envelope *envelope);

/* What cache_get shows of a value with the magic: the payload alone, in place of the stored bytes, which stay owned by
 * `*value`. CACHE_MISS: past its TTL, of another key, its tag invalidated, or a remembered nothing; `*value` is
 * released. */
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
