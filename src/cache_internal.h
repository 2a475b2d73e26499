/* cache_internal.h - what a cache_t is, and the operations that the layers above the store are made of. */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include "hooks.h"
#include "hot_keys.h"
#include "recent_keys.h"
#include "counters.h"
#include "time_to_live.h"
#include "writer.h"

#include <stdatomic.h>
#include <string.h>

struct cache_flights;                  /* flight_invalidate.h */
struct cache_named_counters;           /* named_counters.h */

enum { CACHE_TAG_COUNTERS = 4096 };

/* A store and what all handles on it share. */
struct cache_store {
    cache_env env;
    cache_backend_ops ops;             /* a full-sized copy: operations that the store's own table lacks are NULL */
    void *self;
    bool sampled;                      /* only one of some operations is timed: see cache_store_begin */
    atomic_uint_fast64_t *tag_versions;    /* CACHE_TAG_COUNTERS; NULL: versions are keys of the store (tag.c) */
    char *url;                         /* for cache_url */
    struct cache_live_counters *counters;
    struct cache_named_counters *named_counters;
    struct cache_flights *flights;
    cache_recent_keys_ref hit_for_miss;    /* page/hit_for_miss.h */
    struct cache_hot_keys *hot_keys;
    cache_recent_keys_ref failed;      /* keys whose computation failed lately, while an old value was there */
    atomic_uint handles;
    atomic_uint n_untaggable;          /* fetches whose tags could not be */
    char prefix[CACHE_MAX_STORED_PREFIX + 1]; /* of the first handle */
};

struct cache {
    struct cache_store *store;
    int64_t default_ttl_ms;
    bool miss_on_error;
    uint64_t tag_seed;                 /* so that one tag of two prefixes is two tags */
    size_t given_size;                 /* of all its prefixes as they were given */
    size_t prefix_size;
    char prefix[CACHE_MAX_STORED_PREFIX + 1]; /* as it is stored: prefix.h */
};

/* Prefix and key, as the store sees it. It lives on the stack: a get allocates nothing. */
struct cache_full_key {
    cache_bytes bytes;                 /* points into `text`, or at the user's key if there is no prefix */
    char text[CACHE_MAX_STORED_PREFIX + CACHE_MAX_INTERNAL_KEY + 1];
};

/* The config as this library knows it: what an older, shorter struct lacks is at its default. CACHE_ERR_INVALID. */
cache_status cache_config_copy(const cache_config *config, cache_config *known);

/* What a NULL cache is: a handle on a store that holds nothing, so that a program whose cache cannot be opened goes
 * on. It is made at its first use and never closed. cache_none returns NULL for lack of memory. It is defined in
 * open.c. */
cache_t *cache_none(void);

static inline cache_t *cache_or_none(cache_t *cache)
{
    return cache != NULL ? cache : cache_none();
}

/* Another handle on the same store, for what may outlive the caller's. Returns NULL for lack of memory. */
cache_t *cache_handle_copy(const cache_t *cache);

/* Check a user's key and put the prefix before it. CACHE_ERR_INVALID. */
cache_status cache_key_make_slowly(const cache_t *cache, const char *key, struct cache_full_key *out);

/* The same. Where no prefix stands in a store's keys, a key is its own whole key, unless it is empty or begins with
 * CACHE_INTERNAL_MARK. */
static inline cache_status cache_key_make(const cache_t *cache, const char *key, struct cache_full_key *out)
{
    if (cache != NULL && key != NULL && cache->prefix_size == 0 && (unsigned char)key[0] > CACHE_INTERNAL_MARK[0]) {
        const size_t size = strnlen(key, CACHE_MAX_KEY + 1);
        if (size <= CACHE_MAX_KEY) {
            out->bytes = (cache_bytes){ key, size };
            return CACHE_OK;
        }
    }
    return cache_key_make_slowly(cache, key, out);
}

/* The same for a key of the core's own: first handle's prefix, `kind` (CACHE_INTERNAL_MARK "lease/", at most 32 bytes),
 * further prefix, `key`. */
void cache_key_make_internal(const cache_t *cache, const char *kind, const char *key, struct cache_full_key *out);

/* The store's operations with their fallbacks, failures counted and events sent; values as they are stored, envelopes
 * and all. Arguments are right already, and on_error is left to the caller. Defined in store.c. */
cache_status cache_store_get(const cache_t *cache, cache_bytes key, cache_value *out);
cache_status cache_store_get_many(const cache_t *cache, const cache_bytes keys[], size_t n, cache_value out[]);
cache_status cache_store_set(const cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags);
cache_status cache_store_set_many(const cache_t *cache, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                  int64_t ttl_ms);
cache_status cache_store_remove(const cache_t *cache, cache_bytes key);

/* For a store that has it. With value.data NULL it removes. */
cache_status cache_store_compare_and_set(const cache_t *cache, cache_bytes key, cache_bytes expected, cache_bytes value,
                                         int64_t ttl_ms);

/* Remove a value that must not be served any more, as far as the store can: neither counted nor reported. */
void cache_store_drop(const cache_t *cache, cache_bytes key);
cache_status cache_store_remove_many(const cache_t *cache, const cache_bytes keys[], size_t n, size_t *removed);

/* cache_store_get, and in `*left_ms` how long the store still keeps the value: 0 is for ever, -1 not known. */
cache_status cache_store_get_left(const cache_t *cache, cache_bytes key, cache_value *out, int64_t *left_ms);

/* Hand some keys with this prefix to `each`; the core's own are among them. CACHE_ERR_UNSUPPORTED. */
cache_status cache_store_list(const cache_t *cache, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each,
                              void *ctx);

cache_status cache_store_ping(const cache_t *cache);

/* The clock of what is stored: the wall clock if others share the store, the monotonic one if nobody does. */
int64_t cache_store_now_ms(const cache_t *cache);

/* For an operation that is called by its table: when to begin the clock (0: do not time it), how long it took, and its
 * end, which counts a failure and sends the event. Returns `status`. A store in this process answers in less time than
 * it takes to read the clock twice, so most of its operations go untimed. */
static inline uint64_t cache_store_begin(const struct cache_store *store)
{
    return !store->sampled || cache_counters_sample() ? cache_now_ns() : 0;
}

static inline uint64_t cache_store_elapsed(uint64_t begun)
{
    return begun != 0 ? cache_now_ns() - begun : 0;
}

cache_status cache_store_end(const cache_t *cache, cache_status status, cache_event_type event, cache_bytes key,
                             size_t size, uint64_t nanoseconds);

/* What follows a read of `size` bytes. */
cache_status cache_store_end_read(const cache_t *cache, cache_status status, cache_bytes key, size_t size,
                                  uint64_t begun);

/* cache_store_get into a writer of the caller's: the way that allocates nothing. */
static inline cache_status cache_store_read(const cache_t *cache, cache_bytes key, cache_writer *writer)
{
    const struct cache_store *store = cache->store;
    const uint64_t begun = cache_store_begin(store);
    const cache_status status = store->ops.get(store->self, key, writer);
    /* What goes untimed sends no event either. */
    if (__builtin_expect(begun == 0 && status >= 0, 1))
        return status;
    return cache_store_end_read(cache, status, key, writer->size, begun);
}

/* The store's operations for the core's own keys (leases, tags): neither counted nor reported as the user's. */
cache_status cache_internal_read(const cache_t *cache, cache_bytes key, cache_writer *out);
cache_status cache_internal_get(const cache_t *cache, cache_bytes key, cache_value *out);
cache_status cache_internal_set(const cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms,
                                unsigned flags);
cache_status cache_internal_remove(const cache_t *cache, cache_bytes key);
cache_status cache_internal_compare_and_set(const cache_t *cache, cache_bytes key, cache_bytes expected,
                                            cache_bytes value, int64_t ttl_ms);

/* Checked and prefixed keys in one block, to be freed with cache_env_free. CACHE_ERR_INVALID, CACHE_ERR_NOMEM. Defined
 * in many.c. */
cache_status cache_keys_make(const cache_t *cache, const char *const keys[], size_t n, cache_bytes **out);

/* Count a hit or a miss. */
static inline void cache_count_read(const cache_t *cache, cache_status status)
{
    if (status == CACHE_OK)
        cache_counters_add(cache->store->counters, COUNT_HIT, 1);
    else if (status == CACHE_MISS)
        cache_counters_add(cache->store->counters, COUNT_MISS, 1);
}

/* Several operations, one status: the first failure stays. */
void cache_keep_first(cache_status *first, cache_status status);

/* How often this thread failed: if it changed, cache_last_error() is another failure's. */
unsigned cache_n_failures(void);

/* Returns true for what happens to a store, rather than to what it was asked: on_error and cache_fetch overlook it. */
bool cache_is_store_failure(cache_status status);

/* on_error=miss: `instead`, what an empty store would have answered, in place of a store's failure. */
static inline cache_status cache_apply_on_error(const cache_t *cache, cache_status status, cache_status instead)
{
    return status < 0 && cache->miss_on_error && cache_is_store_failure(status) ? instead : status;
}

/* A block that is left by an exception, pthread_exit or cancellation calls `function` with a pointer to the variable;
 * so does one that ends. The library is compiled with -fexceptions for this. */
#define CACHE_AT_EXIT(function) __attribute__((cleanup(function)))

/* Returns true for a handle of cache_with_prefix. */
static inline bool cache_has_further_prefix(const cache_t *cache)
{
    return cache->prefix_size > cache->store->env.prefix_size;
}

/* The key as an event shows it: without the prefix of the first handle. NULL: it is one of the core's own. */
static inline const char *cache_event_key(const cache_t *cache, cache_bytes key)
{
    return cache_key_of_user(key.data + cache->store->env.prefix_size);
}

/* The key as the user said it: without the handle's prefix. NULL: it is one of the core's own. */
static inline const char *cache_user_key(const cache_t *cache, cache_bytes key)
{
    const char *user = key.data + cache->prefix_size;
    return cache_has_further_prefix(cache) ? user : cache_key_of_user(user);
}

#endif
