/* fetch_internal.h - the parts of one call of cache_fetch: reading, computing, and returning the value. */
#ifndef FETCH_INTERNAL_H
#define FETCH_INTERNAL_H

#include "flight.h"
#include "lease.h"
#include "named_counters.h"
#include "stored.h"

enum found {
    FOUND_NOTHING,
    FOUND_FRESH,
    FOUND_EARLY,                       /* fresh, but due for recomputation by XFetch or refresh_after */
    FOUND_STALE,                       /* within `stale` */
    FOUND_FALLBACK                     /* within `stale_if_error` */
};

/* One call. It is on the stack of the caller, or on the heap if it may outlive the caller. */
struct fetch {
    cache_t *cache;
    cache_bytes key;                   /* with the prefix; valid until the end of the call or job */
    cache_fetch_options options;
    int64_t ttl_ms, stale_ms, stale_if_error_ms, negative_ms, wait_ms, lock_ms, soft_ms, error_ms;
    cache_compute_fn *compute;
    void *ctx;
    struct cache_tags tags;
    struct cache_live_counters *named; /* of options.name; NULL: none */
    struct cache_flight *flight;       /* the flight that this call leads; NULL: compute, do not store */
    unsigned n_completed;              /* flights that had ended before the value was read */
    bool is_present;                   /* the last read found an entry */
    struct cache_present present;      /* that entry, for the lease; only with `lock` */
    bool was_late;                     /* another thread's result came after its ttl */
    enum found old;                    /* what the first read found, and when that was computed */
    int64_t old_created_ms;
    uint64_t deadline_ns;              /* for waits for other threads; 0: has not waited yet */
    uint64_t soft_deadline_ns;         /* the same with an old value; 0: soft_ms from each wait on */
};

/* The result of a read. `value` is the payload. */
struct reading {
    enum found found;
    cache_value value;
    int64_t created_ms, expires_ms;
    bool negative;
};

static inline void cache_fetch_count(const struct fetch *fetch, enum counter counter)
{
    cache_counters_add(fetch->cache->store->counters, counter, 1);
    if (fetch->named != NULL)
        cache_counters_add(fetch->named, counter, 1);
}

static inline void cache_fetch_time(const struct fetch *fetch, enum timed what, uint64_t nanoseconds)
{
    cache_counters_time(fetch->cache->store->counters, what, nanoseconds);
    if (fetch->named != NULL)
        cache_counters_time(fetch->named, what, nanoseconds);
}

static inline void cache_fetch_count_hit(const struct fetch *fetch)
{
    CACHE_PROBE_KEY(hit, fetch->key);
    cache_fetch_count(fetch, COUNT_HIT);
}

static inline void cache_fetch_count_miss(const struct fetch *fetch)
{
    CACHE_PROBE_KEY(miss, fetch->key);
    cache_fetch_count(fetch, COUNT_MISS);
}

/* Counts an operation of the store once more, under the name. If `begun` is 0, it was not timed. */
static inline void cache_fetch_count_store(const struct fetch *fetch, enum timed what, uint64_t begun,
                                           cache_status status)
{
    if (fetch->named == NULL)
        return;
    if (begun != 0)
        cache_counters_time(fetch->named, what, cache_now_ns() - begun);
    if (what == TIMED_SET && status == CACHE_OK)
        cache_counters_add(fetch->named, COUNT_SET, 1);
    if (status == CACHE_ERR_NOMEM || cache_is_store_failure(status))
        cache_counters_add(fetch->named, COUNT_ERROR, 1);
}

/* How long a result is kept, and how long it took to compute. */
struct cache_lifetime {
    int64_t ttl_ms;                    /* 0: for ever */
    int64_t whole_ttl_ms;              /* the same without jitter */
    int64_t stale_ms, stale_if_error_ms;
    bool is_own;                       /* the computation set the last two, overriding the options */
    uint64_t cost_us;
};

/* fetch_hit.c */

/* Returns the usual kind of hit: a fresh value in a store of this process, with no options except a name and tags.
 * Returns false and leaves `*out` unchanged if there is no value or anything is unusual. The full call must then be
 * made from the start. A hit does not check options that only a miss uses. */
bool cache_fetch_hit(cache_t *cache, const char *key, const cache_fetch_options *options, cache_value *out);

/* fetch.c */

/* Copies options that may be NULL, or older and shorter than ours. Missing fields are as in CACHE_FETCH_OPTIONS_INIT.
 * Returns CACHE_ERR_INVALID if their size is wrong. */
cache_status cache_fetch_copy_options(cache_fetch_options *known, const cache_fetch_options *options);

/* Checks the arguments. Writes the key to `full` and the tags to `room` (NULL: to the heap); both must stay valid. If
 * it returns CACHE_OK, the caller releases fetch->tags. */
cache_status cache_fetch_init(struct fetch *fetch, cache_t *cache, const char *key, const cache_fetch_options *options,
                              struct cache_full_key *full, union cache_tags_room *room);

/* Does the same without the key and its tags. */
cache_status cache_fetch_begin(struct fetch *fetch, cache_t *cache, const cache_fetch_options *options);

/* Makes the tags of the options. If a tag is wrong, the log hook is called, and the fetch neither reads nor stores. */
cache_status cache_fetch_init_tags(struct fetch *fetch, union cache_tags_room *room, struct cache_tags *tags);

/* Reads the value, unless the options say not to. */
void cache_fetch_lookup(struct fetch *fetch, struct reading *reading);

/* Takes the lead of the computation, or joins the leader. `has_value` says that there is an old value to serve. */
enum cache_flight_role cache_fetch_join(struct fetch *fetch, bool has_value, struct cache_flight **flight);

/* Waits for another thread's result and returns it, or the reading if that thread failed. Sets `*again` and releases
 * the reading if that thread has no result to share, or one whose ttl is over. */
cache_status cache_fetch_follow(struct fetch *fetch, struct cache_flight *flight, struct reading *reading,
                                cache_value *out, bool *again);

/* Returns true if there is an old value whose recomputation failed a moment ago, so that it is not tried again yet. */
bool cache_fetch_rests(const struct fetch *fetch, const struct reading *reading);

/* Moves the value that was read to `*out`. Returns CACHE_MISS if the reading says that there is no value. */
cache_status cache_fetch_return_value(const struct fetch *fetch, struct reading *reading, cache_value *out);

/* Moves the result of a computation to `*out`, or the reading, if the computation failed and the reading may be
 * served. */
cache_status cache_fetch_return_outcome(const struct fetch *fetch, struct cache_outcome *outcome, cache_source source,
                                        struct reading *reading, cache_value *out);

/* For callers whose computation is inline code, not a callback. If the value read is not fresh, waits for another
 * thread's result, or makes this caller the one that computes. Returns true if `*out` is the value; the reading has
 * then been consumed. Returns false if the caller must compute. If fetch->flight is then not NULL, the caller counts
 * the miss and calls cache_fetch_finish. */
bool cache_fetch_wait_or_lead(struct fetch *fetch, struct reading *reading, cache_value *out);

/* fetch_read.c */

/* Returns the time at the start of a read, for the histogram of its name. Returns 0 if the read is not timed: without a
 * name, and for most reads in a store of this process (cache_counters_sample). */
uint64_t cache_fetch_begin_read(const cache_t *cache, const struct cache_live_counters *named);

/* Checks the stored `reading->value` against the options. Replaces it by its payload if it is usable, else releases
 * it. */
void cache_fetch_classify(struct fetch *fetch, struct reading *reading);

/* Reads the value and classifies it. If the store fails, nothing is found. */
void cache_fetch_read(struct fetch *fetch, struct reading *reading);

/* Called after a second read, when another computation has ended since the first. Returns true if this is its
 * result. */
bool cache_fetch_is_new(const struct fetch *fetch, const struct reading *reading);

/* Describes the result of a fetch. `info` may be NULL. */
void cache_fetch_fill_info(const cache_t *cache, cache_fetch_info *info, cache_source source,
                           const struct cache_outcome *what);

/* Returns the reading as the outcome of a flight. The reading still owns the value. */
struct cache_outcome cache_fetch_outcome(const struct reading *reading);

/* fetch_compute.c */

/* Turns the status and the writer of a computation into an outcome, and counts it. Returns true if it may be stored,
 * and sets `*lifetime` to how long. Empties the writer. */
bool cache_fetch_take_result(const struct fetch *fetch, cache_status status, cache_writer *writer, uint64_t took_ns,
                             struct cache_outcome *outcome, struct cache_lifetime *lifetime);

/* Appends the outcome in an envelope. Returns the writer's status. */
cache_status cache_fetch_encode(const struct fetch *fetch, const struct cache_outcome *outcome,
                                const struct cache_lifetime *lifetime, cache_writer *whole);

/* Returns how long the store keeps a value that is fresh for `ttl_ms`. */
int64_t cache_fetch_kept_ms(const struct cache_outcome *outcome, const struct cache_lifetime *lifetime, int64_t ttl_ms);

/* Notes a failure, so that later callers get the old value and do not try again at once. */
void cache_fetch_note_failure(const struct fetch *fetch, const struct cache_outcome *outcome);

/* Returns true if a result may be stored: this call leads a flight, and the key has not changed since. */
bool cache_fetch_may_store(const struct fetch *fetch);

/* Call this after cache_flight_begin_store and after storing the outcome, which returned `status`. Sets
 * outcome->stored, and removes a value that must not stay. */
void cache_fetch_end_store(const struct fetch *fetch, struct cache_outcome *outcome, cache_status status);

/* Returns the likely cache_fetch_kept_ms, before the computation. */
int64_t cache_fetch_likely_kept_ms(const struct fetch *fetch);

/* Returns true if the computation found that there is no value, and this is not remembered. An old value must then not
 * be served either. */
bool cache_fetch_is_absent(const struct fetch *fetch, const struct cache_outcome *outcome);

/* Computes and stores the value, as the leader of the flight or alone without one, and ends the flight. The caller owns
 * the outcome. */
cache_source cache_fetch_lead(struct fetch *fetch, struct cache_outcome *outcome);

/* The two halves of it, for a computation that is inline code. Before the computation, cache_fetch_prepare notes the
 * versions of the tags; it returns false if nothing may be stored under them. After it, cache_fetch_finish stores the
 * content of `writer` if that is allowed, gives the lease back (NULL: none), and ends the flight. If it is not
 * `shareable`, the callers that wait start over. */
bool cache_fetch_prepare(struct fetch *fetch);
void cache_fetch_finish(struct fetch *fetch, struct cache_lease *lease, cache_writer *writer, cache_status status,
                        uint64_t took_ns, bool storable, bool shareable);

/* fetch_background.c */

/* Makes a fetch that may outlive the caller: it has its own handle, context and texts. Returns NULL if it cannot. */
struct fetch *cache_fetch_job_new(const struct fetch *fetch);
void cache_fetch_job_free(struct fetch *job);

/* Computes the value in a thread of the application, or in this one if `spawn` refuses. The job leads its flight, and
 * is freed at the end. */
void cache_fetch_job_start(struct fetch *job);

/* Returns the hash of the whole key, for the table of failures. */
uint64_t cache_fetch_hash(const struct fetch *fetch);

#endif
