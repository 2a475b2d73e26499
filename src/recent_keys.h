/* recent_keys.h - keys of which something was noted a short while ago: a bounded table that is read without a lock.
 *
 * A note is a hint: it may be lost to another key's, or, once in four billion, be another key's. Times are of the
 * monotonic clock. */
#ifndef RECENT_KEYS_H
#define RECENT_KEYS_H

#include "hooks.h"

#include <stdatomic.h>

struct cache_recent_keys;

/* Where a table is kept; NULL until something is noted, since most stores never need one. */
typedef _Atomic(struct cache_recent_keys *) cache_recent_keys_ref;

/* Notes the key with this hash for `span_ms`, which is below a hundred days. It replaces what was noted of it before.
 * If there is no memory for a table, nothing is noted. Any thread may call this and the next two at any time. */
void cache_recent_keys_add(cache_recent_keys_ref *table, const cache_env *env, uint64_t hash, int64_t span_ms);

/* Returns true if the key was noted, and its time is not over. */
bool cache_recent_keys_has(cache_recent_keys_ref *table, const cache_env *env, uint64_t hash);

void cache_recent_keys_remove(cache_recent_keys_ref *table, const cache_env *env, uint64_t hash);
void cache_recent_keys_free(cache_recent_keys_ref *table, const cache_env *env);

#endif
