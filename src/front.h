/* front.h - memory of this process in front of a shared store. The changes that the store reports keep it coherent.
 *
 * docs/backends.md, "A front", says what it promises. In short: after a write, this process never reads an older value.
 * A change by another process arrives within milliseconds. If the store was not heard for `front_lag` seconds, no value
 * is served. If the store does not report changes, values may be as old as `front_ttl`. */
#ifndef FRONT_H
#define FRONT_H

#include "counters.h"
#include "options.h"

/* If the options ask for a front, puts it before the open store: `*ops` and `*self` become those of the front, whose
 * `close` closes the store too. Returns CACHE_OK, CACHE_ERR_CONFIG or CACHE_ERR_NOMEM; after an error `*ops` and
 * `*self` are unchanged. */
cache_status cache_front_add(const struct cache_options *options, const cache_env *env,
                             struct cache_live_counters *counters, cache_backend_ops *ops, void **self);

#endif
