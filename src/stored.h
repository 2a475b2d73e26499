/* stored.h - how plain operations such as get and inc handle values in envelopes, and by which clock those expire. */
#ifndef STORED_H
#define STORED_H

#include "cache_internal.h"
#include "envelope.h"

/* Returns the time by which stored values expire: of the wall clock if other processes share the store, else of the
 * monotonic clock. */
int64_t cache_stored_now_ms(const cache_t *cache);
int64_t cache_stored_recent_ms(const cache_t *cache);    /* the same, up to 10 ms late, and cheaper */

/* Returns true if the ttl of the envelope is over. */
bool cache_stored_is_stale(const cache_t *cache, const struct cache_envelope *envelope);

/* Turns a stored value that begins with the magic into the value that cache_get returns: `*value` then points to the
 * payload, and still owns the stored bytes. Returns CACHE_MISS and releases `*value` if its ttl is over, if it belongs
 * to another key, if one of its tags was invalidated, or if it only remembers that there is no value. */
cache_status cache_stored_unwrap(const cache_t *cache, cache_bytes key, cache_value *value);

/* Called after an operation found that the key exists. If no reader is shown the stored entry, it is removed. Returns
 * true if the key may be free now, so that the operation should be tried again. */
bool cache_stored_remove_dead(const cache_t *cache, cache_bytes key);

/* Adds to a number that cache_fetch stored in an envelope, which the store cannot do. Returns CACHE_OK;
 * CACHE_NOT_STORED if the key has changed or is free now, so that the store should be asked again; CACHE_ERR_TYPE; or
 * CACHE_ERR_RANGE. */
cache_status cache_stored_inc(const cache_t *cache, cache_bytes key, int64_t delta, int64_t *result);

/* Stores a user's value as it is, or in an envelope if it begins like one. */
cache_status cache_stored_set(cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags);

#endif
