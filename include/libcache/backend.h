/* libcache/backend.h - for people who write a store: the vtable, and what the core gives a store to work with.
 *
 * A store is one const cache_backend_ops table. docs/writing-a-backend.md goes from an empty file to one that passes
 * the conformance suite; examples/custom_backend.c is one outside the library, src/backends/null.c the smallest
 * inside. */
#ifndef LIBCACHE_BACKEND_H
#define LIBCACHE_BACKEND_H

#include <libcache/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A prefix may be longer where it is stored: cache_with_prefix says why. */
#define CACHE_MAX_STORED_PREFIX (3 * CACHE_MAX_PREFIX + 2)

/* Bytes that belong to somebody else. A key that reaches a store is prefix + key: 1 to CACHE_MAX_STORED_PREFIX +
 * CACHE_MAX_INTERNAL_KEY bytes without a NUL among them, and with a NUL behind them. */
typedef struct cache_bytes {
    const char *data;
    size_t size;
} cache_bytes;

/* Keys of the core's own (leases, versions) put up to 32 bytes before the user's key. */
#define CACHE_MAX_INTERNAL_KEY (CACHE_MAX_KEY + 32)

/* ---- failures ------------------------------------------------------------------------------------------------ */

/* Set this thread's cache_last_error() to the formatted text and return `status`. No password may be in it. */
cache_status cache_fail(cache_status status, const char *format, ...);

/* ---- the environment a store lives in ------------------------------------------------------------------------ */

/* Clock, memory, log and hooks of the handle that opened the store; valid until `close` returned. */
typedef struct cache_env cache_env;

/* Milliseconds of a clock that never goes back; of the wall clock (since 1970). Tests replace both. */
int64_t cache_env_monotonic_ms(const cache_env *env);
int64_t cache_env_wall_ms(const cache_env *env);

/* True once `deadline_ms`, of the monotonic clock, has come. As exact as cache_env_monotonic_ms, and cheaper while the
 * deadline is some milliseconds away on either side. */
bool cache_env_monotonic_reached(const cache_env *env, int64_t deadline_ms);

/* The allocator of the handle: never NULL, stays valid after `close` until the last value is released. */
const cache_allocator *cache_env_allocator(const cache_env *env);
void *cache_env_alloc(const cache_env *env, size_t size);
void cache_env_free(const cache_env *env, void *block);

/* Tell the operator, through the log hook, if there is one. */
void cache_env_log(const cache_env *env, cache_log_level level, const char *format, ...);

/* True if somebody listens to events: only then need a store keep evicted keys to report them. */
bool cache_env_wants_events(const cache_env *env);

/* Report the eviction of `key` (prefixed). Not under a lock. */
void cache_env_evicted(const cache_env *env, cache_bytes key);

/* ---- options ------------------------------------------------------------------------------------------------- */

typedef enum cache_option_type {
    CACHE_OPTION_INT,              /* "12" */
    CACHE_OPTION_BYTES,            /* "64mb": an integer with b, kb, mb, gb behind it (powers of 1024) */
    CACHE_OPTION_SECONDS,          /* "1.5" */
    CACHE_OPTION_BOOL,             /* on, off, true, false, 1, 0 */
    CACHE_OPTION_CHOICE,           /* one of the words of `choices`, "fail|miss"; its value is the word's index */
    CACHE_OPTION_OCTAL,            /* "0600" */
    CACHE_OPTION_TEXT
} cache_option_type;

/* One option of a store's URL. A table of them ends with a zeroed one. */
typedef struct cache_option {
    const char *name;
    cache_option_type type;
    const char *def;               /* what it is when the URL does not say: a text as in the URL; NULL: unset, reads as
                                    * 0 or NULL */
    double min, max;               /* of a number or of seconds, both included; of a text: its size in bytes */
    const char *choices;
    const char *help;
    const void *reserved[2];       /* zero */
} cache_option;

/* Stands in arrays, and never changes: what a host may need later goes to the end of cache_backend_config. */
typedef struct cache_host {
    const char *name;              /* a host name, IPv4 or IPv6 address without its brackets */
    int port;                      /* 0: the URL names none */
} cache_host;

/* The URL, parsed and checked. All texts are percent-decoded, and valid until `open` returned. */
typedef struct cache_backend_config {
    const char *scheme;            /* as in the URL: "redis", "redis+unix" */
    const char *user;              /* NULL: none */
    const char *password;          /* NULL: none. Must never appear in a message */
    const cache_host *hosts;
    size_t n_hosts;
    const char *path;              /* "/var/cache/app"; "" if there is none */
    const char *prefix;            /* what every key begins with */
    const cache_env *env;
    const struct cache_options *options;    /* read with the functions below */
} cache_backend_config;

/* The option's value; `name` must stand in the store's table or among those of every store (timeout, connect_timeout,
 * retry_after). A wrong name is a bug in the store: 0, NULL, false. Seconds are given in milliseconds. */
int64_t cache_option_int(const cache_backend_config *config, const char *name);
int64_t cache_option_ms(const cache_backend_config *config, const char *name);
const char *cache_option_text(const cache_backend_config *config, const char *name);
bool cache_option_is_set(const cache_backend_config *config, const char *name);    /* by the URL, not by default */

/* ---- handing out values -------------------------------------------------------------------------------------- */

/* Who keeps a value's bytes alive. A store that can hand out its own memory puts this at the head of what it counts
 * references of; the functions may be called from any thread, also after the store was closed. */
typedef struct cache_owner {
    const struct cache_owner_ops *ops;
} cache_owner;

/* These two are all that an owner will ever need to do: the struct never changes. */
typedef struct cache_owner_ops {
    void (*retain)(cache_owner *owner);
    void (*release)(cache_owner *owner);
} cache_owner_ops;

/* Hand out `size` bytes at `data` without a copy, with a NUL behind them. Takes over one reference of `owner`, also
 * when it fails. Instead of appending, on an empty writer. */
cache_status cache_writer_pin(cache_writer *writer, const void *data, size_t size, cache_owner *owner);

/* Room for `size` more bytes, to be filled in place (a file read straight into the caller's memory); NULL: it failed,
 * as cache_writer_status tells. They count as written. */
void *cache_writer_reserve(cache_writer *writer, size_t size);

/* Take back the last `size` bytes written: for a read that turned out wrong. */
void cache_writer_undo(cache_writer *writer, size_t size);

/* What get_many found: one call per key that is there, in any order, at most once per index. */
typedef struct cache_results cache_results;
cache_status cache_results_put(cache_results *results, size_t index, const void *data, size_t size);
cache_status cache_results_pin(cache_results *results, size_t index, const void *data, size_t size, cache_owner *owner);

/* ---- the operations ------------------------------------------------------------------------------------------ *
 *
 * All are called from many threads at once; open and close never overlap another call. Times are milliseconds, 0 is for
 * ever. A failure is reported with cache_fail, whose text begins with the store and where it is. Keys of no operation
 * are to be kept beyond it. */

/* Make the store and give it in `*self`. Any error: nothing is left behind. A server need not be up: a store may
 * connect on first use, and those of the library do. Required. */
typedef cache_status cache_open_fn(const cache_backend_config *config, void **self);

/* Free everything. Values handed out by pin live on by their owners. Required. */
typedef void cache_close_fn(void *self);

/* Append the value at `key` to `out`, in one append, pin or reserve. CACHE_OK, CACHE_MISS (absent or expired) or an
 * error; on anything but CACHE_OK, `out` is as it was. A writer's own failure is returned as it is. Required. */
typedef cache_status cache_get_fn(void *self, cache_bytes key, cache_writer *out);

#define CACHE_SET_IF_ABSENT 1u     /* CACHE_NOT_STORED when a live value is there; one atomic step */

/* Store `value` under `key` for `ttl_ms`. CACHE_OK, CACHE_NOT_STORED or an error, after which the key holds the old
 * value or nothing. Required. */
typedef cache_status cache_set_fn(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags);

/* CACHE_OK: it was there and is gone. CACHE_MISS: it was not there. Required. */
typedef cache_status cache_remove_fn(void *self, cache_bytes key);

/* Add `delta` to the decimal number at `key` in one atomic step and give the new number in `*result` (never NULL). An
 * absent key begins at 0 and gets `ttl_ms`; one that is there keeps its time. CACHE_ERR_TYPE, CACHE_ERR_RANGE: nothing
 * changed. Required. */
typedef cache_status cache_inc_fn(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result);

/* Remove every key that begins with `prefix`, which may be empty. CACHE_ERR_UNSUPPORTED: cannot be told apart.
 * Required. */
typedef cache_status cache_clear_fn(void *self, cache_bytes prefix);

/* Get `n` keys, repeats among them, in as few round trips as can be. A missing key is no failure; after a failure the
 * rest is still tried, and the first failure is returned. Optional: get, one by one. */
typedef cache_status cache_get_many_fn(void *self, const cache_bytes keys[], size_t n, cache_results *out);

/* Set `n` keys. As get_many in its failures. Optional: set, one by one. */
typedef cache_status cache_set_many_fn(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                       int64_t ttl_ms);

/* Remove `n` keys and add to `*removed` how many were there. As get_many in its failures. Optional: remove, one by
 * one. */
typedef cache_status cache_remove_many_fn(void *self, const cache_bytes keys[], size_t n, size_t *removed);

/* Give a live key a new time. CACHE_MISS: it is not there. Optional: CACHE_ERR_UNSUPPORTED, since get and set is not
 * atomic. */
typedef cache_status cache_touch_fn(void *self, cache_bytes key, int64_t ttl_ms);

/* CACHE_OK: a live value is there. CACHE_MISS. Optional: get, and drop what came. */
typedef cache_status cache_has_fn(void *self, cache_bytes key);

/* Add what the store knows (timeouts, reconnects, rejections, evictions, expirations, items, bytes and the limits) to
 * `*out`, which the core filled with the rest. No network. Optional: nothing is added. */
typedef cache_status cache_stats_fn(void *self, cache_counters *out);

/* As get, and give in `*left_ms` how long the value still lives: 0 is for ever, -1 says that the store does not know.
 * Optional: get, and -1. */
typedef cache_status cache_get_left_fn(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms);

/* Receives one key with its prefix, and with a NUL behind it; valid during the call. */
typedef void cache_list_key_fn(void *ctx, cache_bytes key);

/* List keys that begin with `prefix`, one step a call. A step looks at about 1000 keys at most, hands those that fit
 * to `each` outside all locks, and moves the cursor. A zeroed cursor begins; the store keeps what it needs in
 * cursor->at, and sets cursor->done with the last step. A key that is there from the first step to the last is listed
 * at least once; one that comes or goes meanwhile may be listed or not, and any may be listed twice. Keys that have
 * expired may be left out or listed. Optional: CACHE_ERR_UNSUPPORTED. */
typedef cache_status cache_list_fn(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each,
                                   void *ctx);

/* Ask whether the store can be used now: every server of it, in one exchange each. A server that is known to be away
 * fails at once, as it does for the other operations. Optional: get of a key that nobody has. */
typedef cache_status cache_ping_fn(void *self);

/* Where changes are handed to. The struct may grow at its end. */
typedef struct cache_changes {
    void (*one)(void *ctx, cache_bytes key);    /* this key has changed, or is gone */
    void (*all)(void *ctx);                     /* any key may have changed: a loss of the connection, a flush */
} cache_changes;

/* Hand over what has changed in the store since the last call, whoever changed it, without waiting for anything. Never
 * called twice at once. `*heard_ns` is a moment of the system's monotonic clock, in nanoseconds: every change that the
 * store acknowledged to anybody before it has been handed over; 0: nothing is known, such as without a connection. If
 * changes may have been lost, `all` is called. Optional: the store does not tell of changes. */
typedef void cache_changes_fn(void *self, const cache_changes *to, void *ctx, uint64_t *heard_ns);

/* A number that changes whenever what is stored for `key` may have changed, whichever process did it; 0: it is being
 * changed, or nothing is known. For a copy of a value in front of the store: take the number, then get the value; while
 * the number is the same, nobody has changed the value, though it may have expired. Costs no system call. Optional: the
 * store cannot tell. */
typedef uint64_t cache_version_fn(void *self, cache_bytes key);

/* Replace the value at `key` in one atomic step, if a live one is there that begins with the bytes of `expected`, by
 * `value` for `ttl_ms`; `value.data` NULL: remove it. CACHE_OK. CACHE_NOT_STORED: another value is there, or none.
 * After an error the key holds the old value, the new one or nothing. Optional: without it cache_fetch_options.lock
 * keeps processes apart less exactly (docs/invalidation.md), and what cache_get does not show keeps cache_add from
 * storing. */
typedef cache_status cache_compare_and_set_fn(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                              int64_t ttl_ms);

#define CACHE_BACKEND_LOCAL 1u     /* in this process alone: no other sees what it holds, and a fork ends the sharing.
                                    * Its URL has options alone: the core refuses a user, host or path */

typedef struct cache_backend_ops {
    size_t size;                   /* sizeof(cache_backend_ops): the table only ever grows at its end */
    const char *scheme;            /* lower case letters, digits, '+': "memory" */
    const char *const *aliases;    /* NULL, or further schemes, ending with NULL: "redis+unix" */
    unsigned flags;
    size_t max_value;              /* bytes of a value; 0: no limit of its own. The core refuses more */
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

/* Make `ops` known, so that cache_open takes its scheme. The table must stay for the life of the process. Any thread.
 * CACHE_ERR_INVALID: a required operation or the scheme is missing (the message names it), or the scheme is taken.
 * CACHE_ERR_NOMEM. */
cache_status cache_register_backend(const cache_backend_ops *ops);

#ifdef __cplusplus
}
#endif

#endif
