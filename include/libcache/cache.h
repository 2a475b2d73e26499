/* libcache/cache.h - the everyday API: open a cache by URL; get, set, delete and count; compute a value on a miss.
 *
 *     cache_t *cache;
 *     if (cache_open("memory://?max_bytes=64mb", &cache) != CACHE_OK)
 *         die("%s", cache_last_error());
 *     cache_set_string(cache, "greeting", "hello", 60);
 *
 * Every function takes a NULL cache as a cache that holds nothing, so that a program goes on if its cache cannot be
 * opened: reads miss, writes are dropped, counters start over, and fetched values and pages are computed each time.
 * Only cache_ping fails.
 *
 * Any thread may call any function at any time, with one exception: cache_close must be the last call on its handle.
 * The library never aborts and never writes to stderr. It holds no lock while the network or one of your functions
 * runs. The clock and the allocator are exceptions: they may be called under a lock, and must not call the library. */
#ifndef LIBCACHE_CACHE_H
#define LIBCACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libcache/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- outcomes ------------------------------------------------------------------------------------------------ */

/* 0 means success, positive values are ordinary outcomes, and negative values are errors. The numbers never change. */
typedef enum cache_status {
    CACHE_OK = 0,
    CACHE_MISS = 1,                /* the key does not exist or has expired */
    CACHE_NOT_STORED = 2,          /* cache_add: the key exists already */
    CACHE_ERR_INVALID = -1,        /* an argument is wrong; cache_last_error() names it */
    CACHE_ERR_NOMEM = -2,          /* out of memory */
    CACHE_ERR_CONFIG = -3,         /* the URL or an option is wrong, or this build lacks what it names */
    CACHE_ERR_IO = -4,             /* a file or socket operation failed */
    CACHE_ERR_CONNECT = -5,        /* the server cannot be reached */
    CACHE_ERR_TIMEOUT = -6,        /* the server did not answer within `timeout` */
    CACHE_ERR_PROTOCOL = -7,       /* the server sent an unexpected reply */
    CACHE_ERR_AUTH = -8,           /* the server rejected the user or password */
    CACHE_ERR_TYPE = -9,           /* the value is not a number, or has another type */
    CACHE_ERR_RANGE = -10,         /* the counter would overflow int64 */
    CACHE_ERR_TOO_LARGE = -11,     /* the value is too large for the store or the buffer */
    CACHE_ERR_UNSUPPORTED = -12,   /* this store does not support the operation */
    CACHE_ERR_COMPUTE = -13        /* the function that computes the value failed */
} cache_status;

/* Returns the status in words, such as "miss" or "out of memory". The text is static, and never NULL, even for a number
 * that is not a status. */
const char *cache_strerror(cache_status status);

/* Describes this thread's last failure in full: "redis 127.0.0.1:6379: connection refused". Returns "" before the first
 * failure. The text stays valid until this thread's next failure. It never contains a password. CACHE_MISS and
 * CACHE_NOT_STORED are not failures. */
const char *cache_last_error(void);

/* ---- opening ------------------------------------------------------------------------------------------------- */

/* A handle on a store, made by cache_open. */
typedef struct cache cache_t;

#define CACHE_TTL_DEFAULT (0.0)    /* the handle's default_ttl: 300 seconds unless the URL says otherwise */
#define CACHE_TTL_FOREVER (-1.0)   /* no end: until it is deleted or evicted */

#define CACHE_MAX_KEY    4096      /* bytes of a key, without the prefix */
#define CACHE_MAX_PREFIX 200       /* bytes of the prefix, or of all prefixes of a handle together */

/* How serious a message of the log hook is. */
typedef enum cache_log_level { CACHE_LOG_ERROR, CACHE_LOG_WARN, CACHE_LOG_INFO } cache_log_level;

/* Receives what an operator should know, such as a server that went away or came back: one line, without a newline. */
typedef void cache_log_fn(void *ctx, cache_log_level level, const char *message);

/* Replaces both the monotonic and the wall clock, for tests. `now_ms` returns milliseconds since any moment and never
 * goes back. This struct never changes, since cache_config contains it: new clock fields go to the end of
 * cache_config. */
typedef struct cache_clock {
    int64_t (*now_ms)(void *ctx);
    void *ctx;
} cache_clock;

/* Replaces malloc, realloc and free, and must behave as they do. `alloc` and `resize` may return NULL. The struct must
 * stay valid until the last handle is closed and the last value is released. It never changes: new fields go to the end
 * of cache_config. */
typedef struct cache_allocator {
    void *(*alloc)(void *ctx, size_t size);
    void *(*resize)(void *ctx, void *block, size_t size);
    void (*free)(void *ctx, void *block);
    void *ctx;
} cache_allocator;

/* Where the result of a fetch came from. */
typedef enum cache_source {
    CACHE_SOURCE_NONE,             /* nothing was found or computed */
    CACHE_SOURCE_HIT,
    CACHE_SOURCE_STALE,            /* an old value: recomputation is running, or has failed */
    CACHE_SOURCE_COMPUTED,         /* this call computed it */
    CACHE_SOURCE_SHARED            /* another call computed it while this one waited */
} cache_source;

/* What an operation did, for the event hook. A fetch is several operations; CACHE_EVENT_FETCH follows the last one. */
typedef enum cache_event_type {
    CACHE_EVENT_HIT, CACHE_EVENT_MISS, CACHE_EVENT_STALE, CACHE_EVENT_SET, CACHE_EVENT_DELETE,
    CACHE_EVENT_EVICT, CACHE_EVENT_ERROR, CACHE_EVENT_COMPUTE, CACHE_EVENT_FETCH
} cache_event_type;

/* The library makes it; fields are added at its end. The texts are valid during the call. */
typedef struct cache_event {
    cache_event_type type;
    cache_status status;
    const char *key;               /* without the URL's prefix, but with any prefix of cache_with_prefix */
    uint64_t nanoseconds;          /* how long the operation took; 0 where nothing was timed */
    const char *prefix;            /* the URL's prefix, as it is stored */
    size_t size;                   /* bytes of the value that was read, written, computed or fetched; 0: none */
    cache_source source;           /* of CACHE_EVENT_FETCH */
    void *context;                 /* set by cache_set_event_context in this thread */
} cache_event;

/* Called when an operation ends, outside all locks, in the thread that ran the operation. It must not block for
 * long. */
typedef void cache_event_fn(void *ctx, const cache_event *event);

/* Sets the pointer that all further events of this thread carry, on every cache: for example the request that the
 * thread serves. It is NULL until it is set, and in background tasks of `spawn`. The library only passes it on. */
void cache_set_event_context(void *context);

/* Runs task(arg) soon on another thread of the application, such as a thread pool's. Returns true if the task will run
 * exactly once. If it returns false, the task must not run: the caller then does the work itself. */
typedef bool cache_spawn_fn(void *ctx, void (*task)(void *arg), void *arg);

/* Settings that do not fit into a URL. Start from CACHE_CONFIG_INIT; fields left zero keep their defaults. */
typedef struct cache_config {
    size_t size;                   /* sizeof(cache_config) */
    const char *url;
    cache_log_fn *log;
    void *log_ctx;
    cache_clock clock;
    const cache_allocator *allocator;
    cache_event_fn *event;
    void *event_ctx;
    cache_spawn_fn *spawn;         /* runs background recomputation of stale values */
    void *spawn_ctx;
} cache_config;

/* Every cache_config begins with this. */
#define CACHE_CONFIG_INIT { sizeof(cache_config), NULL, NULL, NULL, { NULL, NULL }, NULL, NULL, NULL, NULL, NULL }

/* Opens the cache that `url` names:
 *
 *     memory://?max_bytes=64mb&prefix=v1:       null://       file:///var/cache/app?max_items=100000
 *     redis://user:password@host:6379/0         redis+unix:///run/redis.sock?db=2       memcached://10.0.0.1,10.0.0.2
 *
 * Options of every store: default_ttl (seconds, 300; 0 or "forever": for ever), prefix (text, "libcache:"), timeout and
 * connect_timeout (seconds), retry_after (seconds), on_error (fail or miss). docs/backends.md lists each store's own.
 * Returns CACHE_OK and sets `*out` to a handle, which cache_close closes; or CACHE_ERR_CONFIG, whose message names the
 * part of the URL that is wrong; or CACHE_ERR_NOMEM; or the store's own error. On any error `*out` is NULL. A server
 * that is down is not an error, since it may come back: call cache_ping to see whether it answers. */
cache_status cache_open(const char *url, cache_t **out);

/* Like cache_open, with hooks. After the call only the allocator and the contexts of the hooks must stay valid. */
cache_status cache_open_config(const cache_config *config, cache_t **out);

/* Like cache_open, with settings from the environment: CACHE_URL, or else the names of Flask-Caching: CACHE_TYPE
 * (SimpleCache, FileSystemCache, RedisCache, MemcachedCache, NullCache), CACHE_DEFAULT_TIMEOUT, CACHE_KEY_PREFIX,
 * CACHE_THRESHOLD, CACHE_DIR, CACHE_REDIS_HOST, _PORT, _PASSWORD, _DB, _URL, CACHE_MEMCACHED_SERVERS, _USERNAME,
 * _PASSWORD, CACHE_IGNORE_ERRORS. Opens memory:// if none is set. Settings of Flask-Caching that libcache cannot honour
 * (CACHE_OPTIONS, the types with SASL, Sentinel or Cluster, …) are refused by name with CACHE_ERR_CONFIG. */
cache_status cache_open_env(cache_t **out);

/* Like cache_open_env, with hooks. config->url must be NULL. */
cache_status cache_open_env_config(const cache_config *config, cache_t **out);

/* Returns the URL that the handle's store was opened with, for a log or a settings page: without the password, and
 * without options that may contain a secret. The text stays valid until the handle is closed. Returns "" for a NULL
 * cache. */
const char *cache_url(const cache_t *cache);

/* Percent-encodes `text` for use in a URL: every byte except letters, digits, -._~ and the bytes of `keep` (NULL or ""
 * for none). Pass "/" as `keep` for a path, and "" for a user, a password or an option's value. Returns
 * CACHE_ERR_TOO_LARGE if the result and its NUL need more than `cap` bytes: the message says how many, and `buf` is
 * unchanged. */
cache_status cache_url_escape(const char *text, const char *keep, char *buf, size_t cap);

/* Opens a second handle on the same store, with the same connections and settings. Its keys have `prefix` after the
 * prefix of `cache`. cache_clear on it clears only those keys; cache_clear on `cache` clears them too. It may outlive
 * `cache`. No two prefixes share a key: "user1" and "user10" are two caches, as are "app" and "app:". If the only ':'
 * of a prefix is at its end, other programs find it unchanged in the store; docs/backends.md says how all others are
 * stored. Returns CACHE_ERR_INVALID if `prefix` is empty, or if all prefixes together would exceed CACHE_MAX_PREFIX.
 * With a NULL cache `*out` is NULL. */
cache_status cache_with_prefix(cache_t *cache, const char *prefix, cache_t **out);

/* Closes the handle. No other call on it may be running. Values that it returned stay valid. NULL is allowed. */
void cache_close(cache_t *cache);

/* ---- values -------------------------------------------------------------------------------------------------- */

/* A read-only view of `size` bytes of any kind. A NUL follows the last byte and is not counted. The view stays valid
 * until cache_value_release, whatever happens to the key. `owner` belongs to the library. */
typedef struct cache_value {
    const void *data;
    size_t size;
    void *owner;
} cache_value;

/* Releases the view and zeroes it. A miss or a zeroed cache_value is allowed. */
void cache_value_release(cache_value *value);

/* An item of cache_set_many. Bindings build arrays of it, so this struct never changes; cache_timed_item may grow. */
typedef struct cache_item {
    const char *key;
    const void *data;
    size_t size;
} cache_item;

/* An item with its own ttl. Reserved fields must be zero, so initialise it by field names. */
typedef struct cache_timed_item {
    const char *key;
    const void *data;
    size_t size;
    double ttl;                    /* CACHE_TTL_DEFAULT, CACHE_TTL_FOREVER, or seconds above 0 */
    void *reserved[4];
} cache_timed_item;

/* ---- get, set, delete, count --------------------------------------------------------------------------------- *
 *
 * A key has 1 to CACHE_MAX_KEY bytes, followed by a NUL. A ttl (time to live) is CACHE_TTL_DEFAULT, CACHE_TTL_FOREVER,
 * or a number of seconds above 0 with at least millisecond resolution. Any other key or ttl is CACHE_ERR_INVALID.
 * Unless its comment says otherwise, a function may also return CACHE_ERR_NOMEM and the store's errors: _IO, _CONNECT,
 * _TIMEOUT, _PROTOCOL, _AUTH. With on_error=miss, a store that fails looks like an empty one: reads miss, and writes
 * are dropped and return CACHE_OK. */

/* Returns CACHE_OK and sets `*out` to the value, which the caller releases. On CACHE_MISS and on errors `*out` is
 * zeroed. */
cache_status cache_get(cache_t *cache, const char *key, cache_value *out);

/* Copies the value to `buf` without allocating and sets `*size` to its size; `size` may be NULL. No NUL is added.
 * Returns CACHE_ERR_TOO_LARGE if the value has more than `cap` bytes: `*size` is then its size, and `buf` is
 * unchanged. */
cache_status cache_get_copy(cache_t *cache, const char *key, void *buf, size_t cap, size_t *size);

/* Stores `size` bytes under `key` and replaces any value there. `data` may be NULL if `size` is 0. After an error the
 * key holds the old value or nothing, never a part of the new one. With on_error=miss the caller does not see the
 * error, so the old value is removed too, as far as the store can be reached. Returns CACHE_ERR_TOO_LARGE if the value
 * exceeds the limit of the store, which the message names. */
cache_status cache_set(cache_t *cache, const char *key, const void *data, size_t size, double ttl);

/* Like cache_set, for a string. Its NUL is not stored. */
cache_status cache_set_string(cache_t *cache, const char *key, const char *text, double ttl);

/* Like cache_set, but returns CACHE_NOT_STORED and changes nothing if the key exists. This is atomic for all threads,
 * processes and machines that share the store. */
cache_status cache_add(cache_t *cache, const char *key, const void *data, size_t size, double ttl);

/* Deletes the key. Returns CACHE_OK if anything was stored under it, even something that cache_get does not show, and
 * CACHE_MISS if not. The result of a computation of this key that is running in this process is not stored. With
 * cache_fetch_options.lock this holds for computations in other processes too. */
cache_status cache_delete(cache_t *cache, const char *key);

/* Returns CACHE_OK if cache_get would return a value, and CACHE_MISS if it would not. If the key exists, the value is
 * read from the store too, since only the value itself shows whether it is stale or its tag was invalidated. */
cache_status cache_has(cache_t *cache, const char *key);

/* Gives an existing value a new time to live. Returns CACHE_MISS if there is none. For a value of cache_fetch this
 * changes only when the store drops the value, and not when it becomes stale. */
cache_status cache_touch(cache_t *cache, const char *key, double ttl);

/* Adds `delta` to a counter and sets `*result` to the new number; `result` may be NULL. This is atomic for all threads,
 * processes and machines that share the store. A missing counter starts at 0 and gets the default ttl. An existing one
 * keeps its ttl; if cache_fetch stored it, it keeps its tags too. Returns CACHE_ERR_TYPE if the value is not a number
 * (an optional '-', then digits without a leading zero), and CACHE_ERR_RANGE if the sum would overflow int64. Both
 * change nothing. */
cache_status cache_inc(cache_t *cache, const char *key, int64_t delta, int64_t *result);

/* Same as cache_inc by -delta. INT64_MIN is CACHE_ERR_RANGE. */
cache_status cache_dec(cache_t *cache, const char *key, int64_t delta, int64_t *result);

/* Gets `n` keys in one round trip per server. `n` may be 0, and a key may appear more than once. Sets out[i] to the
 * value of keys[i], which the caller releases, or zeroes it on a miss. Returns CACHE_OK even if keys are missing. After
 * a failure the other keys are still tried, and the first failure is returned; every out[i] is then a value or zeroed.
 * If a key is wrong, returns CACHE_ERR_INVALID and reads nothing. */
cache_status cache_get_many(cache_t *cache, const char *const keys[], size_t n, cache_value out[]);

/* Sets `n` items, all with `ttl`. The call as a whole is not atomic. After a failure the other items are still tried,
 * and the first failure is returned. If a key, a value or the ttl is wrong, returns CACHE_ERR_INVALID and sets
 * nothing. */
cache_status cache_set_many(cache_t *cache, const cache_item items[], size_t n, double ttl);

/* Like cache_set_many, with a ttl per item. Costs one round trip per server for each different ttl. If a key, a value
 * or a ttl is wrong, returns CACHE_ERR_INVALID, names the item in the message, and sets nothing. */
cache_status cache_set_many_timed(cache_t *cache, const cache_timed_item items[], size_t n);

/* Deletes `n` keys and sets `*deleted` to how many of them existed; `deleted` may be NULL. After a failure the other
 * keys are still tried, and the first failure is returned. Running computations of these keys are not stored, as with
 * cache_delete. If a key is wrong, returns CACHE_ERR_INVALID and deletes nothing. */
cache_status cache_delete_many(cache_t *cache, const char *const keys[], size_t n, size_t *deleted);

/* Deletes every key with this handle's prefix, and no others. Returns CACHE_ERR_UNSUPPORTED if the store cannot tell
 * these keys apart. */
cache_status cache_clear(cache_t *cache);

/* ---- looking at a store -------------------------------------------------------------------------------------- */

/* Asks whether the store can be used now, for a readiness check. Returns CACHE_OK if the store answered, or else the
 * error, even with on_error=miss. A store in this process always answers. */
cache_status cache_ping(cache_t *cache);

/* Sets `*left` to the number of seconds for which cache_get will still return the value of `key`, or to
 * CACHE_TTL_FOREVER if it stays until it is changed or evicted. Returns CACHE_MISS if there is no value, and
 * CACHE_ERR_UNSUPPORTED if the store does not know how long it keeps this value. On anything but CACHE_OK `*left` is
 * 0. */
cache_status cache_ttl_left(cache_t *cache, const char *key, double *left);

/* The position of a listing of keys. Zero it to start a listing. */
typedef struct cache_cursor {
    bool done;                     /* set by the last step */
    uint64_t at[7];                /* used by the store */
} cache_cursor;

/* Receives one key, as cache_get takes it. The key is valid only during the call. */
typedef void cache_key_fn(void *ctx, const char *key);

/* Lists this handle's keys that begin with `prefix` (NULL or "" for all of them), one step per call:
 *
 *     cache_cursor cursor = { 0 };
 *     while (!cursor.done && cache_keys(cache, "user:", &cursor, print_key, NULL) == CACHE_OK)
 *         continue;
 *
 * A step takes a short time and passes some keys, or none, to `each`, outside all locks. A key that exists during the
 * whole listing is listed at least once, and may be listed twice. A key that is added, removed or expires meanwhile may
 * or may not be listed. This is for tools and tests: listing a large store takes long, and no application should need
 * it to answer a request. Returns CACHE_ERR_UNSUPPORTED if this store cannot list its keys. */
cache_status cache_keys(cache_t *cache, const char *prefix, cache_cursor *cursor, cache_key_fn *each, void *ctx);

/* Who stored an entry. */
typedef enum cache_entry_kind {
    CACHE_ENTRY_PLAIN,             /* cache_set, cache_inc or another program */
    CACHE_ENTRY_COMPUTED,          /* cache_fetch, a memoized function, a fragment or a view */
    CACHE_ENTRY_NOTHING,           /* cache_fetch, which remembers that there is no value (negative_ttl) */
    CACHE_ENTRY_UNREADABLE         /* unknown: the entry is damaged, written by a later version of the library, or moved
                                    * here from another key */
} cache_entry_kind;

/* What is stored under a key. The struct may grow into `reserved`. */
typedef struct cache_entry {
    cache_entry_kind kind;
    bool shown;                    /* cache_get returns it: it is a value, is not stale, and has no invalidated tag */
    bool invalidated;              /* one of its tags was invalidated */
    bool has_stale;                /* `stale` and `stale_if_error` are stored with it (cache_writer_set_stale) */
    double age;                    /* seconds since it was computed; 0 if it is plain. Negative: it was computed by a
                                    * clock that is ahead of this machine's */
    double ttl_left;               /* until it becomes stale, as in cache_fetch_info; if it is plain, same as `kept` */
    double kept;                   /* seconds until the store drops it, or CACHE_TTL_FOREVER. 0: not known */
    double stale, stale_if_error;
    const char *type;              /* "": none */
    const char *const *tags;
    size_t n_tags;
    const void *data;              /* the value, without what the library stores before it; empty if it is unreadable */
    size_t size;
    const void *raw;               /* all bytes that the library stores, before `compress` and `seal` */
    size_t raw_size;
    uint64_t reserved[8];
} cache_entry;

/* Receives the entry. The entry and everything that it points to are valid only during the call. */
typedef void cache_inspect_fn(void *ctx, const cache_entry *entry);

/* Calls `show`, outside all locks, with the entry that is stored under `key`, even if cache_get would not return it.
 * This is for tools and tests: it counts neither as a hit nor as a miss. Returns CACHE_OK if `show` was called, and
 * CACHE_MISS if nothing is stored. */
cache_status cache_inspect(cache_t *cache, const char *key, cache_inspect_fn *show, void *ctx);

/* ---- the writer ---------------------------------------------------------------------------------------------- *
 *
 * After a failure every later call does nothing and returns that first failure, so a run of appends needs one check at
 * its end. Only one thread at a time may use a writer. */

/* A buffer that grows. */
typedef struct cache_writer cache_writer;

/* Returns a new writer, which cache_writer_free frees; or NULL if there is no memory. */
cache_writer *cache_writer_new(void);
void cache_writer_free(cache_writer *writer);

/* Append bytes, a text without its NUL, or a text formatted as by printf. Return CACHE_ERR_NOMEM, or CACHE_ERR_INVALID
 * for a wrong argument. */
cache_status cache_writer_append(cache_writer *writer, const void *data, size_t size);
cache_status cache_writer_puts(cache_writer *writer, const char *text);
cache_status cache_writer_printf(cache_writer *writer, const char *format, ...);

/* Returns what was written so far, followed by a NUL, or "" before the first append. It stays valid until the next
 * append. Sets `*size` to its size; `size` may be NULL. */
const char *cache_writer_data(const cache_writer *writer, size_t *size);

/* Returns the first failure, or CACHE_OK. */
cache_status cache_writer_status(const cache_writer *writer);

/* For a function that computes a value: overrides the caller's ttl for this result. If the function returns CACHE_MISS,
 * the absence is remembered that long. CACHE_TTL_DEFAULT, or a ttl that is CACHE_ERR_INVALID, leaves the caller's ttl
 * in force. */
cache_status cache_writer_set_ttl(cache_writer *writer, double ttl);

/* For a function that computes a value: overrides the callers' `stale` and `stale_if_error` for this result. After its
 * ttl it may be served for `stale` seconds while one caller recomputes it, and for `stale_if_error` seconds if
 * recomputing fails. 0 means not at all. */
cache_status cache_writer_set_stale(cache_writer *writer, double stale, double stale_if_error);

/* For a function that computes a value: returns this result to the callers that wait for it, but does not store it. */
void cache_writer_no_store(cache_writer *writer);

/* ---- compute on a miss --------------------------------------------------------------------------------------- */

/* Computes a value and appends its bytes to `out`. Returns CACHE_OK; or CACHE_MISS if there is no value (a 404), which
 * negative_ttl remembers; or an error of your choice, which cache_fetch returns unchanged. If the function calls
 * cache_fail, the callers that wait for this computation get the text as their cache_last_error too. If it is left by a
 * C++ exception, by pthread_exit or by cancellation, the computation ends, and another caller starts a new one. It must
 * not be left by longjmp: the computation would count as running until the thread ends, and other callers would wait
 * for it. */
typedef cache_status cache_compute_fn(void *ctx, cache_writer *out);

/* Returns true if a stored value is still valid. False makes it a miss. */
typedef bool cache_validate_fn(void *ctx, const cache_value *value);

/* Describes the result of a fetch. The library fills all of it; new fields will use the reserved space. */
typedef struct cache_fetch_info {
    cache_source source;
    double age;                    /* seconds since it was computed */
    double ttl_left;               /* seconds until it becomes stale, stored or not. CACHE_TTL_FOREVER: never. Any other
                                    * negative number: it became stale that many seconds ago */
    bool negative;                 /* it is remembered that there is no value */
    bool stored;                   /* other callers find it, or will in a moment. False if the computation failed, was
                                    * not to be stored, or was invalidated while it ran */
    uint64_t reserved[4];
} cache_fetch_info;

/* How to fetch. A wrong option is CACHE_ERR_INVALID. Options that only a computation uses may go unchecked on a hit in
 * a store of this process. */
typedef struct cache_fetch_options {
    size_t size;                   /* sizeof(cache_fetch_options) */
    double ttl;                    /* seconds the value is fresh */
    double stale;                  /* seconds past ttl in which it is still served while one caller recomputes */
    double stale_if_error;         /* seconds past ttl in which it is served when recomputing fails */
    double negative_ttl;           /* seconds to remember CACHE_MISS of compute; 0: not at all, unless it set its own
                                    * ttl */
    double jitter;                 /* 0 to 1: take up to this part off each ttl at random, so that expiries spread */
    double beta;                   /* XFetch: recompute before expiry with growing probability; 1 is usual, 0 is off */
    double wait;                   /* longest wait for another's computation, seconds; 0: 30 */
    double lock_ttl;               /* how long other processes wait for one that computes, or that died; 0: as wait */
    bool lock;                     /* one computation at a time among all processes that share the store */
    bool force;                    /* recompute even if there is a value, and store the new one. A computation that
                                    * began earlier is neither joined nor stored, since it may have read old data */
    bool unless;                   /* bypass the cache: compute, and neither read nor store */
    const char *type;              /* NULL, or the result's type: a stored value of another type is a miss */
    cache_validate_fn *validate;   /* NULL, or called on each hit */
    void *validate_ctx;
    const char *const *tags;       /* NULL, or the n_tags tags the value is stored under: cache_invalidate_tag */
    size_t n_tags;                 /* with more than 256 tags, or one that is too long, the value is computed and not
                                    * stored, and the log hook is called */
    const char *name;              /* NULL, or the function's or view's name: cache_stats_names counts under it */
    cache_fetch_info *info;        /* NULL, or filled with a description of the result */
    void *(*ctx_copy)(void *ctx);  /* NULL, or returns a copy of ctx for a computation on another thread, or NULL if
                                    * there is no memory */
    void (*ctx_free)(void *ctx);   /* frees the copy. Without both, cache_config.spawn is used only if ctx is NULL */
    bool no_wait;                  /* if another thread computes, or another process with `lock`, do not wait: compute
                                    * too, and do not store */
    double soft_timeout;           /* if there is an old value (`stale`, `stale_if_error`): longest wait for the new one
                                    * in seconds, before the old one is served. The computation goes on, in
                                    * cache_config.spawn or in the caller that began it. 0: a stale value is served at
                                    * once, and one that only stale_if_error allows is served after `wait` */
    double refresh_after;          /* 0 to 1: the first read after this part of the ttl recomputes the value, in the way
                                    * of a stale one; 0: no read does before the ttl is over */
    double error_ttl;              /* if a computation fails while there is an old value, the old one is served for this
                                    * many seconds in this process before the next attempt; 0: 1 second. Failures with
                                    * CACHE_ERR_INVALID and _UNSUPPORTED are the caller's own, and do not count */
} cache_fetch_options;

/* Every cache_fetch_options begins with this. */
#define CACHE_FETCH_OPTIONS_INIT \
    { sizeof(cache_fetch_options), CACHE_TTL_DEFAULT, 0, 0, 0, 0, 0, 0, 0, false, false, false, NULL, NULL, NULL, \
      NULL, 0, NULL, NULL, NULL, NULL, false, 0, 0, 0 }

/* Gets the value of `key`, or computes and stores it. NULL `options` means the defaults. Only one computation of a key
 * runs at a time in this process, or in all processes with `lock`: the other callers wait and share its result (single
 * flight), so a missing key causes no stampede. A failed computation is not stored, and its status is returned. If the
 * store fails, the value is computed; that is not an error. Returns CACHE_OK and sets `*out`, which the caller
 * releases; CACHE_MISS if compute reported that there is no value, now or within negative_ttl; CACHE_ERR_TIMEOUT after
 * waiting `wait` for another caller; CACHE_ERR_INVALID for a wrong argument, and if compute fetches its own key, which
 * would be a deadlock. On anything but CACHE_OK `*out` is zeroed. */
cache_status cache_fetch(cache_t *cache, const char *key, const cache_fetch_options *options,
                         cache_compute_fn *compute, void *ctx, cache_value *out);

/* One key that cache_fetch_many did not find. */
typedef struct cache_missing {
    size_t index;                  /* the key's index in `keys` */
    const char *key;
    cache_writer *out;             /* append the value's bytes, or "" for an empty value. If nothing is appended, the
                                    * key counts as CACHE_MISS */
    cache_status status;           /* CACHE_OK; set it to CACHE_MISS, or to an error if this key alone failed */
    void *reserved[4];
} cache_missing;

/* Computes the values of the `n` missing keys, for example with one query. Returns CACHE_OK if `missing` holds the
 * outcome of each key. Any other status applies to all of them. */
typedef cache_status cache_compute_many_fn(void *ctx, cache_missing missing[], size_t n);

/* Gets `n` keys in one round trip per server, computes the missing ones in one call, and stores them in one more round
 * trip for each ttl among them. `n` may be 0, and a key may appear more than once. Each key is fetched as by
 * cache_fetch: only one computation of it runs at a time. The call first computes its own keys, and then waits for
 * those that other callers compute. Sets out[i] to the value of keys[i], which the caller releases, or zeroes it if
 * there is no value or the key failed. Returns CACHE_OK, or the first failure; the other keys are still fetched. The
 * options apply to every key, with these differences. `info` is NULL or points to `n` of them. `lock` is
 * CACHE_ERR_INVALID. With cache_config.spawn, one task computes the successors of all old values in one call of
 * `compute` (its context is copied by `ctx_copy`, or NULL). Without it, or if there is no memory, they are computed
 * along with the missing ones. However many successors there are, all waits for them end `soft_timeout` after the old
 * values were read, or when the missing ones are computed, if that takes longer. */
cache_status cache_fetch_many(cache_t *cache, const char *const keys[], size_t n, const cache_fetch_options *options,
                              cache_compute_many_fn *compute, void *ctx, cache_value out[]);

/* Invalidates every value that was stored under `tag`, for all processes that share the store, at the cost of one
 * write. */
cache_status cache_invalidate_tag(cache_t *cache, const char *tag);

/* ---- statistics ---------------------------------------------------------------------------------------------- */

#define CACHE_LATENCY_BUCKETS 28   /* bucket i counts times below 2^(i+8) ns, from 256 ns to 34 s; the last one also
                                    * counts all longer times */

typedef struct cache_latency {
    uint64_t count;                /* operations that were timed; a store in this process times one get or set in 61 */
    uint64_t nanoseconds;          /* the sum of their times */
    uint64_t buckets[CACHE_LATENCY_BUCKETS];
} cache_latency;

/* Counts since the store was opened, for all handles of this process on it. New fields will use `reserved`. */
typedef struct cache_counters {
    uint64_t hits, misses;         /* of get, get_copy, get_many, has and fetch */
    uint64_t stale_hits;           /* hits that were served after their ttl */
    uint64_t sets, deletes, incs;
    uint64_t computations;         /* of fetch, memoized functions and views */
    uint64_t waits_saved;          /* fetches that shared another caller's computation */
    uint64_t errors;               /* failures of the store */
    uint64_t timeouts, reconnects; /* errors because no answer came in time; reconnections */
    uint64_t evictions, expirations;
    uint64_t items, bytes;         /* held now; 0 if the store does not know */
    uint64_t max_items, max_bytes; /* the limits; 0 if there is none */
    cache_latency get, set, compute;
    uint64_t compute_errors;       /* computations that returned an error */
    uint64_t rejections;           /* errors without an attempt, while the server is down (retry_after) */
    uint64_t undecodable;          /* misses because a value is damaged, or `seal` or `compress` cannot read it */
    uint64_t front_hits;           /* hits that the front served without asking the store */
    uint64_t front_refused;        /* values that the front did not keep, since the key changed meanwhile */
    uint64_t front_heard_ms;       /* milliseconds since the front last heard from the store; 0 without a front */
    uint64_t knows_items;          /* 1 if the store knows items, bytes and their limits; 0: ignore those four */
    uint64_t reserved[9];
} cache_counters;

/* Fills `*out` with the counts up to now. */
cache_status cache_stats(cache_t *cache, cache_counters *out);

#define CACHE_MAX_NAMES  1000      /* further names are counted together under CACHE_NAME_OTHER, as is a name */
#define CACHE_MAX_NAME   200       /* with more bytes than this, or that is not UTF-8 */
#define CACHE_NAME_OTHER "other"   /* the name under which further ones are counted together */

/* Receives the counters of one name. hits, misses, stale_hits, sets, computations, compute_errors, waits_saved, errors
 * and the latencies count the fetches with that cache_fetch_options.name. The other fields are 0, since stores do not
 * know names. `name` and `counters` are valid only during the call. */
typedef void cache_stats_name_fn(void *ctx, const char *name, const cache_counters *counters);

/* Calls `each`, outside all locks, for every name that was used since the store was opened: memoized functions, views
 * and others, sorted by strcmp. If it returns CACHE_ERR_NOMEM, `each` was not called. */
cache_status cache_stats_names(cache_t *cache, cache_stats_name_fn *each, void *ctx);

/* One of the keys that are read most often. */
typedef struct cache_hot_key {
    char key[240];                 /* without the URL's prefix; the head of a longer one */
    uint64_t reads;                /* since the store was opened; an estimate: a store in this process counts one read
                                    * in 61, cache_get_many counts one key in 8 */
    uint64_t error;                /* `reads` is too high by at most this number */
} cache_hot_key;

enum { CACHE_HOT_KEYS = 32 };

/* Finds the keys that are read most often in this process. They include every key that gets more than a 128th of all
 * reads. Fills `out` with up to CACHE_HOT_KEYS of them, most reads first, and sets `*n`. Keys may contain data of
 * users: show them only to operators. */
cache_status cache_stats_hot(cache_t *cache, cache_hot_key out[CACHE_HOT_KEYS], size_t *n);

/* Appends the same to `out` as JSON: [{"key":"product:7","reads":1220,"error":0}, …]. */
cache_status cache_stats_hot_json(cache_t *cache, cache_writer *out);

/* Appends all statistics to `out` as JSON: the counters, "hit_rate" ("93.1%" or "N/A"), "hit_ratio" (0.931 or null),
 * "latency", and the same for each name under "names". docs/statistics.md shows an example. */
cache_status cache_stats_json(cache_t *cache, cache_writer *out);

/* Appends all statistics to `out` in the text format of Prometheus, version 0.0.4. A page must not contain the text of
 * more than one store. */
cache_status cache_stats_prometheus(cache_t *cache, cache_writer *out);

#ifdef __cplusplus
}
#endif

#include <libcache/fragment.h>
#include <libcache/memoize.h>
#include <libcache/template.h>
#include <libcache/view.h>

#endif
