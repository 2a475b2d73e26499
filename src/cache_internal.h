/* cache_internal.h - the structs behind a cache_t, and the operations of the store that everything above it calls. */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include "hooks.h"
#include "hot_keys.h"
#include "recent_keys.h"
#include "counters.h"
#include "probes.h"
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
    cache_backend_ops ops;             /* a full-sized copy; an operation that the store's own table lacks is NULL */
    void *self;
    bool sampled;                      /* most operations are not timed: see cache_store_begin */
    atomic_uint_fast64_t *tag_versions;    /* CACHE_TAG_COUNTERS; NULL: versions are keys of the store (tag.c) */
    char *url;                         /* for cache_url */
    struct cache_live_counters *counters;
    struct cache_named_counters *named_counters;
    struct cache_flights *flights;
    cache_recent_keys_ref hit_for_miss;    /* page/hit_for_miss.h */
    struct cache_hot_keys *hot_keys;
    cache_recent_keys_ref failed;      /* keys with an old value whose recomputation failed lately */
    atomic_uint handles;
    atomic_uint n_untaggable;          /* fetches that were not stored, since a tag was wrong */
    char prefix[CACHE_MAX_STORED_PREFIX + 1]; /* of the first handle */
};

struct cache {
    struct cache_store *store;
    int64_t default_ttl_ms;
    bool miss_on_error;
    uint64_t tag_seed;                 /* makes a tag of one prefix differ from the same tag of another */
    size_t given_size;                 /* of all its prefixes, as the program wrote them */
    size_t prefix_size;
    char prefix[CACHE_MAX_STORED_PREFIX + 1]; /* as it is stored: prefix.h */
};

/* Prefix and key, as the store sees them. This is on the stack, so a get allocates nothing. */
struct cache_full_key {
    cache_bytes bytes;                 /* points into `text`, or at the user's key if there is no prefix */
    char text[CACHE_MAX_STORED_PREFIX + CACHE_MAX_INTERNAL_KEY + 1];
};

/* Copies a config that may be older and shorter than ours. Fields that it lacks get their defaults. Returns
 * CACHE_ERR_INVALID if its size is wrong. */
cache_status cache_config_copy(const cache_config *config, cache_config *known);

/* Returns the handle that replaces a NULL cache: its store holds nothing, so a program whose cache cannot be opened
 * goes on. The handle is made when it is first needed, and never closed. Returns NULL if there is no memory. Defined in
 * open.c. */
cache_t *cache_none(void);

static inline cache_t *cache_or_none(cache_t *cache)
{
    return cache != NULL ? cache : cache_none();
}

/* Returns another handle on the same store, for work that may outlive the caller's handle; or NULL if there is no
 * memory. */
cache_t *cache_handle_copy(const cache_t *cache);

/* Checks a user's key and puts the prefix before it. Returns CACHE_ERR_INVALID if the key is wrong. */
cache_status cache_key_make_slowly(const cache_t *cache, const char *key, struct cache_full_key *out);

/* The same. If the keys of the store have no prefix, most keys can be used without a copy: all except an empty one and
 * those that begin with CACHE_INTERNAL_MARK. */
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

/* Makes an internal key: the first handle's prefix, `kind` (such as CACHE_INTERNAL_MARK "lease/", at most 32 bytes),
 * the further prefix, `key`. */
void cache_key_make_internal(const cache_t *cache, const char *kind, const char *key, struct cache_full_key *out);

/* The operations of the store, with their fallbacks. They count failures and send events. Values are as they are
 * stored, with their envelopes. The caller has checked the arguments, and applies on_error. Defined in store.c. */
cache_status cache_store_get(const cache_t *cache, cache_bytes key, cache_value *out);
cache_status cache_store_get_many(const cache_t *cache, const cache_bytes keys[], size_t n, cache_value out[]);
cache_status cache_store_set(const cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags);
cache_status cache_store_set_many(const cache_t *cache, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                  int64_t ttl_ms);
cache_status cache_store_remove(const cache_t *cache, cache_bytes key);

/* Must only be called if the store has compare_and_set. If value.data is NULL, the key is removed. */
cache_status cache_store_compare_and_set(const cache_t *cache, cache_bytes key, cache_bytes expected, cache_bytes value,
                                         int64_t ttl_ms);

/* Tries to remove a value that must not be served any more. This is neither counted nor reported. */
void cache_store_drop(const cache_t *cache, cache_bytes key);
cache_status cache_store_remove_many(const cache_t *cache, const cache_bytes keys[], size_t n, size_t *removed);

/* Like cache_store_get, and sets `*left_ms` to how long the store still keeps the value: 0 means for ever, -1 not
 * known. */
cache_status cache_store_get_left(const cache_t *cache, cache_bytes key, cache_value *out, int64_t *left_ms);

/* Passes some keys with this prefix, including internal ones, to `each`. Returns CACHE_ERR_UNSUPPORTED if the store
 * cannot list its keys. */
cache_status cache_store_list(const cache_t *cache, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each,
                              void *ctx);

cache_status cache_store_ping(const cache_t *cache);

/* Returns the time by which stored values expire: of the wall clock if other processes share the store, else of the
 * monotonic clock. */
int64_t cache_store_now_ms(const cache_t *cache);

/* For code that calls an operation of the store itself. cache_store_begin returns the time at its start, or 0 if it is
 * not timed: a store in this process answers faster than the clock can be read twice, so most of its operations are
 * not. cache_store_elapsed returns how long it took. cache_store_end counts a failure, sends the event and returns
 * `status`. */
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

/* The same as cache_store_end, for a read of `size` bytes. */
cache_status cache_store_end_read(const cache_t *cache, cache_status status, cache_bytes key, size_t size,
                                  uint64_t begun);

/* Like cache_store_get, but appends to a writer of the caller, so that a read allocates nothing. */
static inline cache_status cache_store_read(const cache_t *cache, cache_bytes key, cache_writer *writer)
{
    const struct cache_store *store = cache->store;
    const uint64_t begun = cache_store_begin(store);
    const cache_status status = store->ops.get(store->self, key, writer);
    /* If there is an event hook, every operation is timed, so an untimed one sends no event. */
    if (__builtin_expect(begun == 0 && status >= 0, 1))
        return status;
    return cache_store_end_read(cache, status, key, writer->size, begun);
}

/* The same operations for internal keys (leases, tags). They are not counted or reported as the user's. */
cache_status cache_internal_read(const cache_t *cache, cache_bytes key, cache_writer *out);
cache_status cache_internal_get(const cache_t *cache, cache_bytes key, cache_value *out);
cache_status cache_internal_set(const cache_t *cache, cache_bytes key, cache_bytes value, int64_t ttl_ms,
                                unsigned flags);
cache_status cache_internal_remove(const cache_t *cache, cache_bytes key);
cache_status cache_internal_compare_and_set(const cache_t *cache, cache_bytes key, cache_bytes expected,
                                            cache_bytes value, int64_t ttl_ms);

/* Checks keys and copies them with their prefix into one block, which the caller frees with cache_env_free. Returns
 * CACHE_ERR_INVALID or CACHE_ERR_NOMEM. Defined in many.c. */
cache_status cache_keys_make(const cache_t *cache, const char *const keys[], size_t n, cache_bytes **out);

/* Counts a hit or a miss of `key`. */
static inline void cache_count_read(const cache_t *cache, cache_status status, cache_bytes key)
{
    if (status == CACHE_OK) {
        CACHE_PROBE_KEY(hit, key);
        cache_counters_add(cache->store->counters, COUNT_HIT, 1);
    } else if (status == CACHE_MISS) {
        CACHE_PROBE_KEY(miss, key);
        cache_counters_add(cache->store->counters, COUNT_MISS, 1);
    }
}

/* Sets `*first` to `status` if that is the first failure of several operations. */
void cache_keep_first(cache_status *first, cache_status status);

/* Returns the number of failures in this thread. If it has changed, so has cache_last_error(). */
unsigned cache_n_failures(void);

/* Returns true if the status means that the store failed, and not that the request was wrong. on_error=miss and
 * cache_fetch ignore failures of the store. */
bool cache_is_store_failure(cache_status status);

/* With on_error=miss, turns a failure of the store into `instead`, which is the answer of an empty store. */
static inline cache_status cache_apply_on_error(const cache_t *cache, cache_status status, cache_status instead)
{
    return status < 0 && cache->miss_on_error && cache_is_store_failure(status) ? instead : status;
}

/* Calls `function` with a pointer to the variable when its block ends, even if it is left by an exception, pthread_exit
 * or cancellation. The library is compiled with -fexceptions for this. */
#define CACHE_AT_EXIT(function) __attribute__((cleanup(function)))

/* Returns true for a handle of cache_with_prefix. */
static inline bool cache_has_further_prefix(const cache_t *cache)
{
    return cache->prefix_size > cache->store->env.prefix_size;
}

/* Returns the key as an event shows it, without the prefix of the first handle; or NULL if it is an internal key. */
static inline const char *cache_event_key(const cache_t *cache, cache_bytes key)
{
    return cache_key_of_user(key.data + cache->store->env.prefix_size);
}

/* Returns the key as the user wrote it, without the prefix of the handle; or NULL if it is an internal key. */
static inline const char *cache_user_key(const cache_t *cache, cache_bytes key)
{
    const char *user = key.data + cache->prefix_size;
    return cache_has_further_prefix(cache) ? user : cache_key_of_user(user);
}

#endif
