/* inner.h - the store's operations for the core's own keys (leases, tags): neither counted nor reported as the
 * user's. */
#ifndef INNER_H
#define INNER_H

#include "cache_internal.h"

cache_status cache_internal_read(const cache_t *cache, cache_bytes key, cache_writer *out);
cache_status cache_internal_get(const cache_t *cache, cache_bytes key, cache_value *out);
cache_status cache_internal_set(const cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms,
                                unsigned flags);
cache_status cache_internal_remove(const cache_t *cache, cache_bytes key);

#endif
