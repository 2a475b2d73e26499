/* libcache/backend.h - for authors of stores: the vtable, and the functions that a store may call.
 *
 * A store is one const cache_backend_ops table. docs/writing-a-backend.md goes from an empty file to one that passes
 * the conformance suite. examples/custom_backend.c is a store outside the library; src/backends/null.c is the smallest
 * one inside. */
#ifndef LIBCACHE_BACKEND_H
#define LIBCACHE_BACKEND_H

#include <libcache/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most bytes of a prefix as it is stored. Escapes make it longer, so that no two prefixes share a key. */
#define CACHE_MAX_STORED_PREFIX (3 * CACHE_MAX_PREFIX + 2)

/* Bytes that belong to somebody else. A key that reaches a store is prefix + key: 1 to CACHE_MAX_STORED_PREFIX +
 * CACHE_MAX_INTERNAL_KEY bytes. None of them is a NUL, and a NUL follows them. */
typedef struct cache_bytes {
    const char *data;
    size_t size;
} cache_bytes;

/* The core's internal keys (leases, tag versions) put up to 32 bytes before the user's key. */
#define CACHE_MAX_INTERNAL_KEY (CACHE_MAX_KEY + 32)

/* ---- failures ------------------------------------------------------------------------------------------------ */

/* Sets this thread's cache_last_error() to the formatted text and returns `status`. The text must not contain a
 * password. */
cache_status cache_fail(cache_status status, const char *format, ...);

/* ---- the environment a store lives in ------------------------------------------------------------------------ */

/* The clock, allocator, log and hooks of the handle that opened the store. Valid until `close` has returned. */
typedef struct cache_env cache_env;

/* Return milliseconds of a clock that never goes back and goes on while the machine is suspended, and of the wall clock
 * (since 1970). Tests replace both. */
int64_t cache_env_monotonic_ms(const cache_env *env);
int64_t cache_env_wall_ms(const cache_env *env);

/* Returns true if the monotonic clock has reached `deadline_ms`. This is as exact as cache_env_monotonic_ms, and
 * cheaper if the deadline is more than some milliseconds away in either direction. In the first second after a
 * suspended machine wakes up, the time of the suspension may not count yet. */
bool cache_env_monotonic_reached(const cache_env *env, int64_t deadline_ms);

/* Returns the allocator of the handle. It is never NULL, and stays valid after `close` until the last value is
 * released. */
const cache_allocator *cache_env_allocator(const cache_env *env);
void *cache_env_alloc(const cache_env *env, size_t size);
void cache_env_free(const cache_env *env, void *block);

/* Sends a message to the log hook, if there is one. */
void cache_env_log(const cache_env *env, cache_log_level level, const char *format, ...);

/* Returns true if there is an event hook. Only then must a store keep the keys that it evicts, to report them. */
bool cache_env_wants_events(const cache_env *env);

/* Reports the eviction of `key`, which includes the prefix. Must not be called under a lock. */
void cache_env_evicted(const cache_env *env, cache_bytes key);

/* ---- options ------------------------------------------------------------------------------------------------- */

typedef enum cache_option_type {
    CACHE_OPTION_INT,              /* "12" */
    CACHE_OPTION_BYTES,            /* "64mb": an integer, then b, k, kb, m, mb, g or gb (powers of 1024) */
    CACHE_OPTION_SECONDS,          /* "1.5" */
    CACHE_OPTION_BOOL,             /* on, off, true, false, 1, 0 */
    CACHE_OPTION_CHOICE,           /* one word of `choices`, such as "fail|miss"; its value is the index */
    CACHE_OPTION_OCTAL,            /* "0600" */
    CACHE_OPTION_TEXT
} cache_option_type;

/* One option of a store's URL. A table of options ends with a zeroed one. */
typedef struct cache_option {
    const char *name;
    cache_option_type type;
    const char *def;               /* the default, written as in a URL. NULL: unset, which reads as 0 or NULL */
    double min, max;               /* inclusive limits: of a number, of seconds, or of a text's bytes */
    const char *choices;
    const char *help;
    const void *reserved[2];       /* zero */
} cache_option;

/* This struct never changes, since it is used in arrays: new fields go to the end of cache_backend_config. */
typedef struct cache_host {
    const char *name;              /* a host name, IPv4 or IPv6 address without its brackets */
    int port;                      /* 0: the URL names none */
} cache_host;

/* The URL, parsed and checked. All texts are percent-decoded, and valid until `open` has returned. */
typedef struct cache_backend_config {
    const char *scheme;            /* as in the URL: "redis", "redis+unix" */
    const char *user;              /* NULL: none */
    const char *password;          /* NULL: none. It must not appear in any message */
    const cache_host *hosts;
    size_t n_hosts;
    const char *path;              /* "/var/cache/app"; "" if there is none */
    const char *prefix;            /* the beginning of every key */
    const cache_env *env;
    const struct cache_options *options;    /* read with the functions below */
} cache_backend_config;

/* Return the value of an option. `name` must be in the store's table, or be an option of every store (timeout,
 * connect_timeout, retry_after). A wrong name is a bug in the store: the result is 0, NULL or false. Seconds are
 * returned in milliseconds. */
int64_t cache_option_int(const cache_backend_config *config, const char *name);
int64_t cache_option_ms(const cache_backend_config *config, const char *name);
const char *cache_option_text(const cache_backend_config *config, const char *name);
bool cache_option_is_set(const cache_backend_config *config, const char *name);    /* by the URL, and not by default */

/* ---- handing out values -------------------------------------------------------------------------------------- */

/* Keeps the bytes of a value alive by counting references. A store that can return its own memory puts this at the
 * beginning of its refcounted block. Any thread may call the functions, even after the store was closed. */
typedef struct cache_owner {
    const struct cache_owner_ops *ops;
} cache_owner;

/* This struct never changes. */
typedef struct cache_owner_ops {
    void (*retain)(cache_owner *owner);
    void (*release)(cache_owner *owner);
} cache_owner_ops;

/* Returns `size` bytes at `data` without a copy; a NUL must follow them. Takes over one reference of `owner`, even if
 * it fails. The writer must be empty, and nothing can be appended afterwards. */
cache_status cache_writer_pin(cache_writer *writer, const void *data, size_t size, cache_owner *owner);

/* Returns space for `size` more bytes, to be filled in place, as by read(2). They count as written. Returns NULL on
 * failure, which cache_writer_status describes. */
void *cache_writer_reserve(cache_writer *writer, size_t size);

/* Removes the last `size` bytes that were written, for a read that turned out wrong. */
void cache_writer_undo(cache_writer *writer, size_t size);

/* Pass on what get_many found: one call for each key that exists, in any order, at most once per index. */
typedef struct cache_results cache_results;
cache_status cache_results_put(cache_results *results, size_t index, const void *data, size_t size);
cache_status cache_results_pin(cache_results *results, size_t index, const void *data, size_t size, cache_owner *owner);

/* ---- the operations ------------------------------------------------------------------------------------------ *
 *
 * The core calls them from many threads at once; open and close never overlap another call. Times are milliseconds, and
 * 0 means for ever. An operation reports a failure with cache_fail; the text begins with the store and its address. A
 * key is valid only during the operation. */

/* Creates the store and sets `*self`. On an error it must leave nothing behind. It need not reach its server: a store
 * may connect on first use, as those of the library do. Required. */
typedef cache_status cache_open_fn(const cache_backend_config *config, void **self);

/* Frees everything. Values that were returned by pin stay alive through their owners. Required. */
typedef void cache_close_fn(void *self);

/* Appends the value of `key` to `out`, in one append, pin or reserve. Returns CACHE_OK, CACHE_MISS (absent or expired)
 * or an error. On anything but CACHE_OK, `out` is unchanged. A failure of the writer is returned unchanged.
 * Required. */
typedef cache_status cache_get_fn(void *self, cache_bytes key, cache_writer *out);

#define CACHE_SET_IF_ABSENT 1u     /* return CACHE_NOT_STORED if a live value exists, in one atomic step */

/* Stores `value` under `key` for `ttl_ms`. Returns CACHE_OK, CACHE_NOT_STORED or an error. After an error the key holds
 * the old value or nothing. Required. */
typedef cache_status cache_set_fn(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags);

/* Removes the key. Returns CACHE_OK if it existed, and CACHE_MISS if it did not. Required. */
typedef cache_status cache_remove_fn(void *self, cache_bytes key);

/* Adds `delta` to the decimal number of `key` in one atomic step, and sets `*result`, which is never NULL, to the new
 * number. A missing key starts at 0 and gets `ttl_ms`; an existing key keeps its ttl. CACHE_ERR_TYPE and
 * CACHE_ERR_RANGE change nothing. Required. */
typedef cache_status cache_inc_fn(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result);

/* Removes every key that begins with `prefix`, which may be empty. Returns CACHE_ERR_UNSUPPORTED if the store cannot
 * tell these keys apart. Required. */
typedef cache_status cache_clear_fn(void *self, cache_bytes prefix);

/* Gets `n` keys, which may include repeats, in as few round trips as possible. A missing key is not a failure. After a
 * failure the other keys are still tried, and the first failure is returned. Optional: the core calls get for each. */
typedef cache_status cache_get_many_fn(void *self, const cache_bytes keys[], size_t n, cache_results *out);

/* Sets `n` keys. Treats failures as get_many does. Optional: the core calls set for each. */
typedef cache_status cache_set_many_fn(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                       int64_t ttl_ms);

/* Removes `n` keys and adds to `*removed` how many existed. Treats failures as get_many does. Optional: the core calls
 * remove for each. */
typedef cache_status cache_remove_many_fn(void *self, const cache_bytes keys[], size_t n, size_t *removed);

/* Gives an existing key a new ttl. Returns CACHE_MISS if it does not exist. Optional: else cache_touch returns
 * CACHE_ERR_UNSUPPORTED, since a get and a set are not atomic. */
typedef cache_status cache_touch_fn(void *self, cache_bytes key, int64_t ttl_ms);

/* Returns CACHE_OK if a live value exists, else CACHE_MISS. The core calls this only through a front, which would answer
 * a get by itself. Else it calls get, since only the value shows whether cache_get would return it. Optional: the core
 * calls get. */
typedef cache_status cache_has_fn(void *self, cache_bytes key);

/* Adds what the store knows (timeouts, reconnects, rejections, evictions, expirations, items, bytes and the limits) to
 * `*out`, which holds the core's counts. Must not use the network. Optional: nothing is added. */
typedef cache_status cache_stats_fn(void *self, cache_counters *out);

/* Like get, and sets `*left_ms` to how long the value still lives: 0 means for ever, and -1 that the store does not
 * know. Optional: the core calls get and assumes -1. */
typedef cache_status cache_get_left_fn(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms);

/* Receives one key, including the prefix and followed by a NUL. It is valid only during the call. */
typedef void cache_list_key_fn(void *ctx, cache_bytes key);

/* Lists keys that begin with `prefix`, one step per call. A step examines about 1000 keys at most, passes the matching
 * ones to `each` outside all locks, and advances the cursor. A zeroed cursor starts a listing. The store keeps its
 * position in cursor->at, and sets cursor->done with the last step. A key that exists from the first step to the last
 * is listed at least once. A key that is added or removed meanwhile may or may not be listed, and any key may be listed
 * twice. Expired keys may be listed. Optional: else cache_keys returns CACHE_ERR_UNSUPPORTED. */
typedef cache_status cache_list_fn(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each,
                                   void *ctx);

/* Asks every server of the store whether it can be used now, in one exchange each. A server that is known to be down
 * fails at once, as in other operations. Optional: the core gets a key that does not exist. */
typedef cache_status cache_ping_fn(void *self);

/* Receives changes. The struct may grow at its end. */
typedef struct cache_changes {
    void (*one)(void *ctx, cache_bytes key);    /* this key was changed or removed */
    void (*all)(void *ctx);                     /* any key may have changed, as after a lost connection or a flush */
} cache_changes;

/* Passes on all changes in the store since the last call, made by any client, without waiting for anything. The core
 * never calls it twice at once. Sets `*heard_ns` to a time of the system's monotonic clock, in nanoseconds: every
 * change that the store acknowledged to any client before that time has been passed on. 0 means that nothing is known,
 * for example without a connection. If changes may have been lost, it calls `all`. Optional: the store does not report
 * changes. */
typedef void cache_changes_fn(void *self, const cache_changes *to, void *ctx, uint64_t *heard_ns);

/* Returns a number that changes whenever the stored value of `key` may have changed, by any process. Returns 0 while it
 * is being changed, or if nothing is known. This is for a copy of a value in front of the store: read the number, and
 * then get the value. While the number stays the same, the value has not been changed, though it may have expired.
 * Costs no system call. Optional: the store cannot tell. */
typedef uint64_t cache_version_fn(void *self, cache_bytes key);

/* If a live value exists at `key` and begins with the bytes of `expected`, replaces it by `value` for `ttl_ms`, or
 * removes it if `value.data` is NULL. This is one atomic step. Returns CACHE_OK, or CACHE_NOT_STORED if there is no
 * such value. After an error the key holds the old value, the new one or nothing. Optional: without it
 * cache_fetch_options.lock is less exact (docs/invalidation.md), cache_delete costs a second request, and cache_add
 * returns CACHE_NOT_STORED for an entry that cache_get does not return. */
typedef cache_status cache_compare_and_set_fn(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                              int64_t ttl_ms);

#define CACHE_BACKEND_LOCAL 1u     /* the store is in this process: no other process sees it, and after a fork the two
                                    * are separate. The core refuses a URL with a user, host or path */
#define CACHE_BACKEND_NO_PREFIX 2u /* each open is a separate store, so keys come without the URL's prefix, and
                                    * config.prefix is empty. A prefix of cache_with_prefix is still part of the keys */

/* The table of a store. */
typedef struct cache_backend_ops {
    size_t size;                   /* sizeof(cache_backend_ops); the table only grows at its end */
    const char *scheme;            /* lower case letters, digits, '+': "memory" */
    const char *const *aliases;    /* NULL, or further schemes, ending with NULL: "redis+unix" */
    unsigned flags;
    size_t max_value;              /* the largest value in bytes; 0: no limit. The core refuses larger ones */
    const cache_option *options;   /* NULL, or the store's own options */
    cache_open_fn *open;
    cache_close_fn *close;
    cache_get_fn *get;
    cache_set_fn *set;
    cache_remove_fn *remove;
    cache_inc_fn *inc;
    cache_clear_fn *clear;
    cache_get_many_fn *get_many;
    cache_set_many_fn *set_many;
    cache_remove_many_fn *remove_many;
    cache_touch_fn *touch;
    cache_has_fn *has;
    cache_stats_fn *stats;
    cache_get_left_fn *get_left;
    cache_list_fn *list;
    cache_ping_fn *ping;
    cache_changes_fn *changes;
    cache_version_fn *version;
    cache_compare_and_set_fn *compare_and_set;
} cache_backend_ops;

/* Registers `ops`, so that cache_open accepts its scheme. The table must stay valid until the process ends. Any thread
 * may call this. Returns CACHE_ERR_INVALID if the scheme is taken, or if it or a required operation is missing, which
 * the message names; or CACHE_ERR_NOMEM. */
cache_status cache_register_backend(const cache_backend_ops *ops);

#ifdef __cplusplus
}
#endif

#endif
