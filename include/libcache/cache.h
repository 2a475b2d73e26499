/* libcache/cache.h - the everyday API: open a cache by URL, get, set, delete and count in it, compute on a miss.
 *
 *     cache_t *cache;
 *     if (cache_open("memory://?max_bytes=64mb", &cache) != CACHE_OK)
 *         die("%s", cache_last_error());
 *     cache_set_string(cache, "greeting", "hello", 60);
 *
 * A NULL cache is a cache that holds nothing, so that a program whose cache cannot be opened goes on: reads miss, writes
 * are dropped, counters begin anew, and what is fetched or served is computed. Only cache_ping says that it is no cache.
 *
 * Threads: every function here may be called from any thread at once on one handle, except cache_close, which must be
 * the last. Nothing here aborts, or writes to stderr. No lock is held while a function of yours or the network runs,
 * but for the clock and the allocator, which must not call the library. */
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

/* 0 is success, positive values are ordinary outcomes, negative ones are errors. The numbers never change. */
typedef enum cache_status {
    CACHE_OK = 0,
    CACHE_MISS = 1,                /* the key is not there, or has expired */
    CACHE_NOT_STORED = 2,          /* cache_add: the key is there already */
    CACHE_ERR_INVALID = -1,        /* an argument is wrong; cache_last_error() names it */
    CACHE_ERR_NOMEM = -2,          /* no memory */
    CACHE_ERR_CONFIG = -3,         /* the URL or an option is wrong, or names what this build lacks */
    CACHE_ERR_IO = -4,             /* a file or socket failed */
    CACHE_ERR_CONNECT = -5,        /* the server cannot be reached */
    CACHE_ERR_TIMEOUT = -6,        /* no answer within `timeout` */
    CACHE_ERR_PROTOCOL = -7,       /* the server answered what it should not */
    CACHE_ERR_AUTH = -8,           /* the server wants another user or password */
    CACHE_ERR_TYPE = -9,           /* the value is not a number, or of another type */
    CACHE_ERR_RANGE = -10,         /* the counter would leave int64 */
    CACHE_ERR_TOO_LARGE = -11,     /* the value is larger than the store or the buffer takes */
    CACHE_ERR_UNSUPPORTED = -12,   /* this store cannot do that */
    CACHE_ERR_COMPUTE = -13        /* the function that computes the value failed */
} cache_status;

/* The status in words: "miss", "out of memory". Static, never NULL, also for a number that is no status. */
const char *cache_strerror(cache_status status);

/* What this thread's last failure was, in full: "redis 127.0.0.1:6379: connection refused". "" before any; valid until
 * this thread's next failure. Never holds a password. CACHE_MISS and CACHE_NOT_STORED are no failures. */
const char *cache_last_error(void);

/* ---- opening ------------------------------------------------------------------------------------------------- */

typedef struct cache cache_t;

#define CACHE_TTL_DEFAULT (0.0)    /* the handle's default_ttl: 300 seconds unless the URL says otherwise */
#define CACHE_TTL_FOREVER (-1.0)

#define CACHE_MAX_KEY    4096      /* bytes of a key, without the prefix */
#define CACHE_MAX_PREFIX 200       /* bytes of the prefix, or of all prefixes of a handle together */

typedef enum cache_log_level { CACHE_LOG_ERROR, CACHE_LOG_WARN, CACHE_LOG_INFO } cache_log_level;

/* Receives what an operator should know: a server that went away or came back. One line, no newline at its end. */
typedef void cache_log_fn(void *ctx, cache_log_level level, const char *message);

/* Replaces the monotonic and the wall clock: milliseconds from any start, never going back. For tests. This struct stays
 * as it is, since it stands inside cache_config: what a clock may need later goes to the end of cache_config. */
typedef struct cache_clock {
    int64_t (*now_ms)(void *ctx);
    void *ctx;
} cache_clock;

/* Where the library gets its memory. The three behave as malloc, realloc and free; `alloc` may return NULL. The struct
 * itself must stay where it is until the last handle is closed and the last value released. It never changes: what memory
 * may need later goes to the end of cache_config. */
typedef struct cache_allocator {
    void *(*alloc)(void *ctx, size_t size);
    void *(*resize)(void *ctx, void *block, size_t size);
    void (*free)(void *ctx, void *block);
    void *ctx;
} cache_allocator;

typedef enum cache_event_type {
    CACHE_EVENT_HIT, CACHE_EVENT_MISS, CACHE_EVENT_STALE, CACHE_EVENT_SET, CACHE_EVENT_DELETE,
    CACHE_EVENT_EVICT, CACHE_EVENT_ERROR, CACHE_EVENT_COMPUTE
} cache_event_type;

typedef struct cache_event {
    cache_event_type type;
    cache_status status;
    const char *key;               /* without the prefix; of a handle of cache_with_prefix with its further prefix */
    uint64_t nanoseconds;          /* how long the operation took; 0 where nothing was timed */
    const char *prefix;            /* of the URL, as it is stored; both texts are valid during the call */
} cache_event;

/* Sees each operation as it ends; called outside all locks, from the thread that asked. It must not block for long. */
typedef void cache_event_fn(void *ctx, const cache_event *event);

/* Runs task(arg) soon, on a thread of the application's: a pool, a queue. True: it will run exactly once. False: it
 * will not, and the caller does the work itself. */
typedef bool cache_spawn_fn(void *ctx, void (*task)(void *arg), void *arg);

/* How to open a cache, when a URL is not enough. Begin with CACHE_CONFIG_INIT; what stays zero keeps its default. */
typedef struct cache_config {
    size_t size;                   /* sizeof(cache_config) */
    const char *url;
    cache_log_fn *log;
    void *log_ctx;
    cache_clock clock;
    const cache_allocator *allocator;
    cache_event_fn *event;
    void *event_ctx;
    cache_spawn_fn *spawn;         /* computes stale values' successors in the background */
    void *spawn_ctx;
} cache_config;

#define CACHE_CONFIG_INIT { sizeof(cache_config), NULL, NULL, NULL, { NULL, NULL }, NULL, NULL, NULL, NULL, NULL }

/* Open the cache that `url` names:
 *
 *     memory://?max_bytes=64mb&prefix=v1:       null://       file:///var/cache/app?max_items=100000
 *     redis://user:password@host:6379/0         redis+unix:///run/redis.sock?db=2       memcached://10.0.0.1,10.0.0.2
 *
 * Options of every store: default_ttl (seconds, 300; 0 or "forever": for ever), prefix (text, "libcache:"), timeout and
 * connect_timeout (seconds), retry_after (seconds), on_error (fail or miss). docs/backends.md lists each store's own.
 * CACHE_OK: `*out` is the handle, to be closed with cache_close. CACHE_ERR_CONFIG: the message names the part of the
 * URL that is wrong. CACHE_ERR_NOMEM, or what the store met when it began. On any error `*out` is NULL. A server that
 * is away is no error here, since it may come back: cache_ping tells whether it answers. */
cache_status cache_open(const char *url, cache_t **out);

/* The same, with hooks. What `config` points to may go after the call, except the allocator and the hooks' contexts. */
cache_status cache_open_config(const cache_config *config, cache_t **out);

/* The same, from the environment: CACHE_URL, or else Flask-Caching's names: CACHE_TYPE (SimpleCache, FileSystemCache,
 * RedisCache, MemcachedCache, NullCache), CACHE_DEFAULT_TIMEOUT, CACHE_KEY_PREFIX, CACHE_THRESHOLD, CACHE_DIR,
 * CACHE_REDIS_HOST, _PORT, _PASSWORD, _DB, _URL, CACHE_MEMCACHED_SERVERS, CACHE_IGNORE_ERRORS. memory:// without any.
 * Those of Flask-Caching's settings that would be lost (CACHE_OPTIONS, SASL, Sentinel, …) are CACHE_ERR_CONFIG, by
 * their name. */
cache_status cache_open_env(cache_t **out);

/* The same, with hooks. config->url must be NULL. */
cache_status cache_open_env_config(const cache_config *config, cache_t **out);

/* The URL that the handle's store was opened with, for a log or a page of settings: without the password, and without
 * the options that may hold a secret. It stays valid until the handle is closed. "" for a NULL cache. */
const char *cache_url(const cache_t *cache);

/* Percent-encode `text`, to be put into a URL: all of its bytes but letters, digits, -._~ and those of `keep` (NULL or
 * "": none). For a path `keep` is "/"; for a user, a password or an option's value it is "". CACHE_ERR_TOO_LARGE: the
 * result and its NUL need more than `cap` bytes, and the message tells how many; `buf` is as it was. */
cache_status cache_url_escape(const char *text, const char *keep, char *buf, size_t cap);

/* A second handle on the same store, with the same connections and settings, whose keys have `prefix` behind this
 * handle's own prefix; cache_clear on it clears only them. It may outlive `cache`. No two prefixes share a key: "user1"
 * and "user10" are two caches, as are "app" and "app:". A prefix whose only ':' is at its end is stored as it is, for
 * other programs to read; docs/backends.md says how all others are stored. The keys are a part of `cache`,
 * which clears them along with its own. CACHE_ERR_INVALID: a prefix that is empty, or would pass CACHE_MAX_PREFIX
 * together with the others. With a NULL cache `*out` is NULL too. */
cache_status cache_with_prefix(cache_t *cache, const char *prefix, cache_t **out);

/* Close the handle; no call on it may be under way. Values already handed out stay valid. NULL is fine. */
void cache_close(cache_t *cache);

/* ---- values -------------------------------------------------------------------------------------------------- */

/* A read-only view of `size` bytes, any bytes, with a NUL behind the last one that is not counted. It stays valid until
 * cache_value_release, whatever happens to the key meanwhile. `owner` is the library's. */
typedef struct cache_value {
    const void *data;
    size_t size;
    void *owner;
} cache_value;

/* Let go of the view and zero it. A miss, or a zeroed cache_value, is fine. */
void cache_value_release(cache_value *value);

/* An item of cache_set_many. Other languages make arrays of it, so that it never changes: what an item may need beside
 * this goes to cache_timed_item. */
typedef struct cache_item {
    const char *key;
    const void *data;
    size_t size;
} cache_item;

/* An item with a ttl of its own. What is reserved must be zero: make it with the names of its fields. */
typedef struct cache_timed_item {
    const char *key;
    const void *data;
    size_t size;
    double ttl;                    /* CACHE_TTL_DEFAULT, CACHE_TTL_FOREVER, or seconds above 0 */
    void *reserved[4];
} cache_timed_item;

/* ---- get, set, delete, count --------------------------------------------------------------------------------- *
 *
 * A key is 1 to CACHE_MAX_KEY bytes and a NUL. A ttl is seconds, with at least millisecond resolution:
 * CACHE_TTL_DEFAULT, CACHE_TTL_FOREVER, or above 0. Anything else is CACHE_ERR_INVALID. Where it is not said otherwise,
 * a function also returns CACHE_ERR_NOMEM and the store's errors: _IO, _CONNECT, _TIMEOUT, _PROTOCOL, _AUTH. With
 * on_error=miss the store's errors look like a store that holds nothing: reads miss, writes are dropped and succeed. */

/* CACHE_OK: `*out` is the value, to be released. CACHE_MISS and errors: `*out` is zeroed. */
cache_status cache_get(cache_t *cache, const char *key, cache_value *out);

/* Copy the value to `buf` without allocating; `*size` (may be NULL) is its size, no NUL is added.
 * CACHE_ERR_TOO_LARGE: it has more than `cap` bytes, `*size` tells how many, `buf` is as it was. */
cache_status cache_get_copy(cache_t *cache, const char *key, void *buf, size_t cap, size_t *size);

/* Store `size` bytes, replacing what is there. On an error the key holds the old value or nothing, never a part; with
 * on_error=miss, where the caller is told of no error, it does not hold the old value unless the store is away.
 * CACHE_ERR_TOO_LARGE: more than the store takes; the message names the limit. `data` may be NULL if `size` is 0. */
cache_status cache_set(cache_t *cache, const char *key, const void *data, size_t size, double ttl);

/* The same for a text without its NUL. */
cache_status cache_set_string(cache_t *cache, const char *key, const char *text, double ttl);

/* Store only if the key is not there, atomically among all that share the store. CACHE_NOT_STORED: it is there. */
cache_status cache_add(cache_t *cache, const char *key, const void *data, size_t size, double ttl);

/* CACHE_MISS: nothing was there. CACHE_OK: something was, be it what cache_get does not show. A computation of this key
 * that is under way in this process will not be stored, nor one in another process under cache_fetch_options.lock. */
cache_status cache_delete(cache_t *cache, const char *key);

/* CACHE_OK: cache_get would show a value. CACHE_MISS: it would not. If something is there, it is read from the
 * store too, since only the value itself tells whether it is stale or its tag was invalidated. */
cache_status cache_has(cache_t *cache, const char *key);

/* Give the value that is there a new time to live. CACHE_MISS: there is none. A value of cache_fetch becomes stale
 * when it would have all the same: this only moves when the store drops it. */
cache_status cache_touch(cache_t *cache, const char *key, double ttl);

/* Add `delta` to a counter, atomically among all that share the store; `*result` (may be NULL) is the new number.
 * A missing counter begins at 0 and gets the default TTL; an existing one keeps its own. A number that cache_fetch
 * stored as digits counts, too, and keeps its time and its tags. CACHE_ERR_TYPE: the value is
 * not a number (an optional '-', digits without a leading zero). CACHE_ERR_RANGE: the sum leaves int64. Both change
 * nothing. */
cache_status cache_inc(cache_t *cache, const char *key, int64_t delta, int64_t *result);

/* cache_inc by -delta; INT64_MIN is CACHE_ERR_RANGE. */
cache_status cache_dec(cache_t *cache, const char *key, int64_t delta, int64_t *result);

/* Get `n` keys (0 and repeats are fine) in one round trip a server. out[i] is key i's value, or zeroed where it missed;
 * each is to be released. CACHE_OK whether or not all were there; after a failure the rest is still tried and the first
 * failure is returned, with every out[i] a value or zeroed. CACHE_ERR_INVALID: one of the keys is wrong; none was
 * asked. */
cache_status cache_get_many(cache_t *cache, const char *const keys[], size_t n, cache_value out[]);

/* Set `n` items, all with `ttl`. Not atomic as a whole. After a failure the rest is still tried. */
cache_status cache_set_many(cache_t *cache, const cache_item items[], size_t n, double ttl);

/* Set `n` items, each with its own ttl, in one round trip a server for each ttl among them. CACHE_ERR_INVALID: a key, a
 * value or a ttl is wrong, and the message tells which item's; none was set. Else as cache_set_many. */
cache_status cache_set_many_timed(cache_t *cache, const cache_timed_item items[], size_t n);

/* Delete `n` keys; `*deleted` (may be NULL) tells how many were there. After a failure the rest is still tried.
 * Computations of them that are under way are not stored, as with cache_delete. */
cache_status cache_delete_many(cache_t *cache, const char *const keys[], size_t n, size_t *deleted);

/* Delete every key with this handle's prefix, and nobody else's. CACHE_ERR_UNSUPPORTED: the store cannot tell them. */
cache_status cache_clear(cache_t *cache);

/* ---- looking at a store -------------------------------------------------------------------------------------- */

/* Ask whether the store can be used now, for a readiness check. CACHE_OK: it answered. An error, whatever on_error
 * says: why it cannot be used. A store in this process always answers. */
cache_status cache_ping(cache_t *cache);

/* How many seconds cache_get still shows the value of `key`; CACHE_TTL_FOREVER: until it is changed or evicted.
 * CACHE_MISS: there is none. CACHE_ERR_UNSUPPORTED: the store does not know how long it keeps this value. On anything
 * but CACHE_OK `*left` is 0. */
cache_status cache_ttl_left(cache_t *cache, const char *key, double *left);

/* Where a listing of keys has come to. Zero it to begin one. */
typedef struct cache_cursor {
    bool done;                     /* set by the last step */
    uint64_t at[7];                /* the store's */
} cache_cursor;

/* Receives one key, as cache_get takes it; valid during the call. */
typedef void cache_key_fn(void *ctx, const char *key);

/* List this handle's keys that begin with `prefix` (NULL or "": all of them), one step a call:
 *
 *     cache_cursor cursor = { 0 };
 *     while (!cursor.done && cache_keys(cache, "user:", &cursor, print_key, NULL) == CACHE_OK)
 *         continue;
 *
 * A step takes a short time and hands some keys to `each`, or none, outside all locks. A key that is there during the
 * whole listing is listed at least once, maybe twice; one that comes or goes meanwhile, or has just expired, may be
 * listed or not. For tools and tests: a listing of a large store takes long, and no application should need it to
 * answer a request. CACHE_ERR_UNSUPPORTED: this store cannot list its keys. */
cache_status cache_keys(cache_t *cache, const char *prefix, cache_cursor *cursor, cache_key_fn *each, void *ctx);

typedef enum cache_entry_kind {
    CACHE_ENTRY_PLAIN,             /* of cache_set, cache_inc or another program */
    CACHE_ENTRY_COMPUTED,          /* of cache_fetch, a memoized function, a fragment or a view */
    CACHE_ENTRY_NOTHING,           /* what cache_fetch remembers: that there is nothing (negative_ttl) */
    CACHE_ENTRY_UNREADABLE         /* damaged, of a later version of the library, or moved here from another key */
} cache_entry_kind;

/* What is stored under a key. The struct may grow into `reserved`. */
typedef struct cache_entry {
    cache_entry_kind kind;
    bool shown;                    /* cache_get shows it: it is a value, not stale, and no tag of it was invalidated */
    bool invalidated;              /* one of its tags was */
    bool has_stale;                /* the value itself says `stale` and `stale_if_error` (cache_writer_set_stale) */
    double age;                    /* seconds since it was computed; 0 if it is plain. Negative: it was computed by a
                                    * clock that is ahead of this machine's */
    double ttl_left;               /* until it becomes stale, as in cache_fetch_info; of a plain one: as `kept` */
    double kept;                   /* seconds until the store drops it, or CACHE_TTL_FOREVER. 0: it does not know */
    double stale, stale_if_error;
    const char *type;              /* "": none */
    const char *const *tags;
    size_t n_tags;
    const void *data;              /* the value, without what the library stores before it; empty if it is unreadable */
    size_t size;
    const void *raw;               /* all bytes, as they are stored behind `compress` and `seal` */
    size_t raw_size;
    uint64_t reserved[8];
} cache_entry;

/* Receives the entry; it and all that it points to are valid during the call. */
typedef void cache_inspect_fn(void *ctx, const cache_entry *entry);

/* Hand what is stored under `key` to `show`, outside all locks, whether cache_get would show it or not. For tools and
 * tests: it counts neither as a hit nor as a miss. CACHE_OK: `show` was called once. CACHE_MISS: nothing is stored. */
cache_status cache_inspect(cache_t *cache, const char *key, cache_inspect_fn *show, void *ctx);

/* ---- the writer ---------------------------------------------------------------------------------------------- *
 *
 * A buffer that grows. The first failure stays: every later call returns it and does nothing, so that a run of appends
 * needs one check at its end. A writer belongs to one thread at a time. */

typedef struct cache_writer cache_writer;

/* A writer of your own; NULL: no memory. To be freed with cache_writer_free. */
cache_writer *cache_writer_new(void);
void cache_writer_free(cache_writer *writer);

cache_status cache_writer_append(cache_writer *writer, const void *data, size_t size);
cache_status cache_writer_puts(cache_writer *writer, const char *text);
cache_status cache_writer_printf(cache_writer *writer, const char *format, ...);

/* What was written so far, NUL-terminated, valid until the next append; "" before any. `*size` may be NULL. */
const char *cache_writer_data(const cache_writer *writer, size_t *size);
cache_status cache_writer_status(const cache_writer *writer);

/* For a function that computes a value: this result lives `ttl` seconds, whatever the caller asked for; with
 * CACHE_MISS, so long it is remembered that there is nothing. CACHE_TTL_DEFAULT, and a ttl that is
 * CACHE_ERR_INVALID: as the caller asked. */
cache_status cache_writer_set_ttl(cache_writer *writer, double ttl);

/* For a function that computes a value: past its TTL this result may be served for `stale` seconds while one caller
 * recomputes, and for `stale_if_error` seconds when recomputing fails, whatever the callers' options say; 0: not at
 * all. */
cache_status cache_writer_set_stale(cache_writer *writer, double stale, double stale_if_error);

/* For a function that computes a value: hand this result to those who wait, and do not store it. */
void cache_writer_no_store(cache_writer *writer);

/* ---- compute on a miss --------------------------------------------------------------------------------------- */

/* Append the value's bytes to `out`. CACHE_OK; CACHE_MISS: there is nothing (a 404), which negative_ttl remembers; an
 * error of your choice, which cache_fetch hands back as it is. If it calls cache_fail, those who wait for this
 * computation get its text as their cache_last_error, too. It may leave by a C++ exception, by pthread_exit, or be
 * cancelled: the computation then ends, and another caller begins anew. It must not leave by longjmp: the key would be
 * taken for one that is being computed until the thread ends. */
typedef cache_status cache_compute_fn(void *ctx, cache_writer *out);

/* Whether a stored value still holds. False makes it a miss. */
typedef bool cache_validate_fn(void *ctx, const cache_value *value);

typedef enum cache_source {
    CACHE_SOURCE_NONE,             /* nothing was found or computed */
    CACHE_SOURCE_HIT,
    CACHE_SOURCE_STALE,            /* past its TTL: a successor is being computed, or could not be */
    CACHE_SOURCE_COMPUTED,         /* by this call */
    CACHE_SOURCE_SHARED            /* by another thread's call, which this one waited for */
} cache_source;

/* What a fetch read. It is filled as a whole; later fields take the place of what is reserved. */
typedef struct cache_fetch_info {
    cache_source source;
    double age;                    /* seconds since it was computed */
    double ttl_left;               /* seconds until it becomes stale, stored or not. CACHE_TTL_FOREVER: it never does.
                                    * Any other negative number: so many seconds ago it did */
    bool negative;                 /* the remembered answer is that there is nothing */
    bool stored;                   /* others may find it, or will in a moment. Not: it failed, was not to be stored, or
                                    * was invalidated meanwhile */
    uint64_t reserved[4];
} cache_fetch_info;

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
    double lock_ttl;               /* how long a process that computes, or died, holds the others up; 0: as wait */
    bool lock;                     /* one computation at a time among all processes that share the store */
    bool force;                    /* recompute although there is a value, and store the new one. A computation that
                                    * began before is not joined, nor stored: it may have read what has changed since */
    bool unless;                   /* bypass the cache: compute, and neither read nor store */
    const char *type;              /* NULL, or the result's type: a stored value of another one is a miss */
    cache_validate_fn *validate;   /* NULL, or asked on each hit */
    void *validate_ctx;
    const char *const *tags;       /* NULL, or the n_tags tags the value is stored under: cache_invalidate_tag */
    size_t n_tags;                 /* If there are more than 256, or one is too long, the value is computed and not
                                    * stored, and the log hook hears of it */
    const char *name;              /* NULL, or the function's or view's name: cache_stats_names counts under it */
    cache_fetch_info *info;        /* NULL, or filled with what was read */
    void *(*ctx_copy)(void *ctx);  /* NULL, or a copy of ctx that a computation on another thread may use; NULL: no
                                    * memory. */
    void (*ctx_free)(void *ctx);   /* Without the pair, cache_config.spawn is used only where ctx is NULL */
    bool no_wait;                  /* while another thread computes: compute beside it and do not store, in place of
                                    * waiting */
    double soft_timeout;           /* with an old value at hand (`stale`, `stale_if_error`): longest wait for its
                                    * successor, seconds, before the old one is served. It is computed on, by cache_config.spawn or
                                    * by the caller who began it. 0: a stale value is served at once, and one that is
                                    * for stale_if_error alone after `wait` */
    double refresh_after;          /* 0 to 1: a read past this part of the ttl has the successor computed, once, as that
                                    * of a stale value; 0: not before the ttl is over */
} cache_fetch_options;

#define CACHE_FETCH_OPTIONS_INIT \
    { sizeof(cache_fetch_options), CACHE_TTL_DEFAULT, 0, 0, 0, 0, 0, 0, 0, false, false, false, NULL, NULL, NULL, \
      NULL, 0, NULL, NULL, NULL, NULL, false, 0, 0 }

/* Get `key`, or compute and store it. NULL `options` are the defaults. One computation a key runs at a time in this
 * process (with `lock`, among all): the others wait and share its result. A failure is not stored; its status is
 * returned. A store that fails costs a computation, not an error. CACHE_MISS: compute said there is nothing, now or
 * lately. CACHE_ERR_TIMEOUT: waited `wait` for another's computation. CACHE_ERR_INVALID: also when compute asks for its
 * own key. `*out` is to be released; anything but CACHE_OK zeroes it. */
cache_status cache_fetch(cache_t *cache, const char *key, const cache_fetch_options *options,
                         cache_compute_fn *compute, void *ctx, cache_value *out);

/* One key that cache_fetch_many did not find. */
typedef struct cache_missing {
    size_t index;                  /* of the key among those that were asked for */
    const char *key;
    cache_writer *out;             /* append the value's bytes; "" for an empty one. Untouched: there is nothing,
                                    * CACHE_MISS */
    cache_status status;           /* CACHE_OK; set it to CACHE_MISS, or to an error where this key alone failed */
    void *reserved[4];
} cache_missing;

/* Compute the values of the `n` keys that are missing, with one query for all. CACHE_OK: what came of each stands in
 * `missing`. Anything else holds for every one of them. */
typedef cache_status cache_compute_many_fn(void *ctx, cache_missing missing[], size_t n);

/* Get `n` keys (0 and repeats are fine) in one round trip a server, compute those that are missing in one call, and
 * store them in one round trip more for each TTL among them. Each key is fetched as by cache_fetch: one computation of
 * it at a time, whoever asks; keys that others compute are waited for after ours are done. out[i] is key i's value, to
 * be released, or zeroed where there is nothing or it failed. CACHE_OK, or the first failure; the other keys are there
 * all the same. The options hold for every key, with these differences: `info` is NULL or points to n; `lock` is
 * CACHE_ERR_INVALID; a stale value's successor is computed with the missing ones, not by cache_config.spawn, and
 * is not waited for. */
cache_status cache_fetch_many(cache_t *cache, const char *const keys[], size_t n, const cache_fetch_options *options,
                              cache_compute_many_fn *compute, void *ctx, cache_value out[]);

/* Make everything that was stored under `tag` a miss, on every process that shares the store, at the cost of one
 * write. */
cache_status cache_invalidate_tag(cache_t *cache, const char *tag);

/* ---- statistics ---------------------------------------------------------------------------------------------- */

#define CACHE_LATENCY_BUCKETS 28   /* bucket i counts those below 2^(i+8) ns, the last also all above: 256 ns to 34 s */

typedef struct cache_latency {
    uint64_t count;                /* how many were timed; a store in this process times one get in 61, and one set */
    uint64_t nanoseconds;          /* their sum */
    uint64_t buckets[CACHE_LATENCY_BUCKETS];
} cache_latency;

/* Since the store was opened, by all handles of this process on it. The struct may grow into `reserved`. */
typedef struct cache_counters {
    uint64_t hits, misses;         /* of get, get_copy, get_many, has and fetch */
    uint64_t stale_hits;           /* of the hits: served past their TTL */
    uint64_t sets, deletes, incs;
    uint64_t computations;         /* by fetch, memoized functions, views */
    uint64_t waits_saved;          /* fetches that shared another's computation */
    uint64_t errors;               /* of the store */
    uint64_t timeouts, reconnects; /* of the errors: no answer in time; connections made anew */
    uint64_t evictions, expirations;
    uint64_t items, bytes;         /* held now, where the store knows; else 0 */
    uint64_t max_items, max_bytes; /* its limits; 0: none */
    cache_latency get, set, compute;
    uint64_t compute_errors;       /* of the computations: failed, with a status below 0 */
    uint64_t rejections;           /* of the errors: failed at once, since the server was away (retry_after) */
    uint64_t undecodable;          /* of the misses: a value that is damaged, or that `seal` or `compress` cannot read */
    uint64_t front_hits;           /* of the hits: served by the front, without asking the store */
    uint64_t front_refused;        /* values that the front did not keep, since a change was heard meanwhile */
    uint64_t front_heard_ms;       /* how long ago the front heard from the store; 0 without a front */
    uint64_t reserved[10];
} cache_counters;

cache_status cache_stats(cache_t *cache, cache_counters *out);

#define CACHE_MAX_NAMES  1000      /* further ones are counted together, under CACHE_NAME_OTHER; so is */
#define CACHE_MAX_NAME   200       /* a name of more bytes, or one that is not UTF-8 */
#define CACHE_NAME_OTHER "other"

/* One name's part of the counters: hits, misses, stale_hits, sets, computations, compute_errors, waits_saved, errors
 * and the latencies are of the fetches with that cache_fetch_options.name; the rest is 0, since a store does not know
 * names. `name` and `counters` are valid during the call. */
typedef void cache_stats_name_fn(void *ctx, const char *name, const cache_counters *counters);

/* Call `each` for every memoized function, view and other name that was fetched under since the store was opened, in
 * the order of strcmp, outside all locks. CACHE_ERR_NOMEM: it was not called. */
cache_status cache_stats_names(cache_t *cache, cache_stats_name_fn *each, void *ctx);

/* All of it as JSON, appended to `out`: the counters, "hit_rate" ("93.1%" or "N/A"), "latency", and under "names" the
 * same for each name. docs/statistics.md shows it. */
cache_status cache_stats_json(cache_t *cache, cache_writer *out);

/* All of it in Prometheus' text format, version 0.0.4. One page takes the text of one store. */
cache_status cache_stats_prometheus(cache_t *cache, cache_writer *out);

#ifdef __cplusplus
}
#endif

#include <libcache/fragment.h>
#include <libcache/memoize.h>
#include <libcache/template.h>
#include <libcache/view.h>

#endif
