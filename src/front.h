/* front.h - this process's memory in front of a store that others share, kept coherent by what the store tells.
 *
 * What it promises stands in docs/backends.md, "A front". In short: an own write is never followed by an older value; a
 * change by another process is heard within milliseconds, and no value is served if the store was not heard for
 * `front_lag` seconds. A store that tells no changes has a front whose values are as old as `front_ttl`. */
#ifndef FRONT_H
#define FRONT_H

#include "counters.h"
#include "options.h"

/* If the options ask for a front, put it before the store that was opened: `*ops` and `*self` become the front's, whose
 * `close` closes the store as well. CACHE_ERR_CONFIG, CACHE_ERR_NOMEM: `*ops` and `*self` are as they were. */
cache_status cache_front_add(const struct cache_options *options, const cache_env *env,
                             struct cache_live_counters *counters, cache_backend_ops *ops, void **self);

#endif
