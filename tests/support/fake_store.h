/* fake_store.h - a store that tests look into: it counts calls, fails when told, and stops where a test wants to act.
 *
 *     fake_store_reset();
 *     cache_t *cache = test_open_with_clock("fake://", &now);      or "fakelocal://": one that has CACHE_BACKEND_LOCAL;
 *                                                                  or "fakemany://": one with every operation but
 *                                                                  touch, has, stats and changes
 *
 * There is one store for the whole program: all handles, of all schemes, share what it holds, as processes share a
 * server. */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "test.h"

enum fake_op { FAKE_GET, FAKE_SET, FAKE_REMOVE, FAKE_INC, FAKE_CLEAR, FAKE_GET_MANY, FAKE_SET_MANY, FAKE_REMOVE_MANY,
               FAKE_LIST, FAKE_PING, FAKE_COMPARE_AND_SET, FAKE_OPS };

/* Runs before an operation does anything, in the thread that asked, without the store's lock. `key` is the whole key.
 * It may call the cache; what it calls is not hooked again. */
typedef void fake_hook_fn(void *ctx, enum fake_op op, cache_bytes key);

/* Registers the schemes, empties the store, and forgets counts, failures and the hook. */
void fake_store_reset(void);

int fake_store_calls(enum fake_op op);

/* From now on every `op` returns this status. With CACHE_OK it works again. */
void fake_store_fail(enum fake_op op, cache_status status);

void fake_store_hook(fake_hook_fn *hook, void *ctx);

/* Copies to `buf` what is stored under a whole key, which includes the prefix, even if its TTL is over. Returns its
 * size, or -1 if there is nothing. `ttl_ms` may be NULL. */
long fake_store_peek(const char *key, void *buf, size_t cap, int64_t *ttl_ms);

/* Stores something for ever, without the library's knowledge. If `data` is NULL, it removes the entry. */
void fake_store_poke(const char *key, const void *data, size_t size);

/* Returns true if the key ends with `text`. */
bool fake_key_ends(cache_bytes key, const char *text);

#endif
