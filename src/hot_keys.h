/* hot_keys.h - the keys that are read most often.
 *
 * Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams"
 * (Space-Saving, ICDT 2005): a bounded number of keys is counted; a new one takes the place of the one with the fewest
 * reads, and what that had counts as its possible error. Fed by the reads that are timed anyway. */
#ifndef HOT_KEYS_H
#define HOT_KEYS_H

#include "hooks.h"

struct cache_hot_keys;

/* Returns NULL if there is no memory. A read allocates nothing. */
struct cache_hot_keys *cache_hot_keys_new(const cache_env *env);

/* Counts `reads` reads of `key`, a user's key with its NUL. If another thread is counting, they are dropped, so no
 * thread waits here. */
void cache_hot_keys_add(struct cache_hot_keys *hot, const char *key, uint64_t reads);

/* Copies the keys with most reads, most first, to `out`. Returns how many there are. Any thread may call this. */
size_t cache_hot_keys_read(struct cache_hot_keys *hot, cache_hot_key out[CACHE_HOT_KEYS]);

void cache_hot_keys_free(struct cache_hot_keys *hot, const cache_env *env);

#endif
