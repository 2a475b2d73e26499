/* fetch_internal.h - one call of cache_fetch, as its parts see it: reading, computing, handing out. */
#ifndef FETCH_INTERNAL_H
#define FETCH_INTERNAL_H

#include "flight.h"
#include "lease.h"
#include "named_counters.h"
#include "stored.h"

enum found {
    FOUND_NOTHING,
    FOUND_FRESH,
    FOUND_EARLY,                       /* fresh, but XFetch or refresh_after wants a successor by now */
    FOUND_STALE,                       /* within `stale` */
    FOUND_FALLBACK                     /* within `stale_if_error` */
};

/* One call. It stands on the caller's stack, or, if it ends after that, on the heap. */
struct fetch {
    cache_t *cache;
    cache_bytes key;                   /* whole; it stays where it is until the end of the call, or of the job */
    cache_fetch_options options;
    int64_t ttl_ms, stale_ms, stale_if_error_ms, negative_ms, wait_ms, lock_ms, soft_ms, error_ms;
    cache_compute_fn *compute;
    void *ctx;
    struct cache_tags tags;
    struct cache_live_counters *named; /* of options.name; NULL: none */
    struct cache_flight *flight;       /* led by this call; NULL: compute and do not store */
    unsigned n_completed;              /* flights that had, before the value was read */
    bool is_present;                   /* the store held something under the key when it was last asked */
    struct cache_present present;      /* the same with `lock`, for the lease */
    bool was_late;                     /* another's result was past its TTL when this call got it */
    enum found old;                    /* what was found at first, and when that was computed */
    int64_t old_created_ms;
    uint64_t deadline_ns;              /* of waiting for another thread; 0: did not wait yet */
};

/* What was read: `value` is the payload. */
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

/* What the store's operations count of themselves already, again for the name. `begun` 0: it was not timed. */
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

/* How long a result is kept, and what it cost. */
struct cache_lifetime {
    int64_t ttl_ms;                    /* 0: for ever */
    int64_t whole_ttl_ms;              /* the same without jitter */
    int64_t stale_ms, stale_if_error_ms;
    bool is_own;                       /* the last two are the computation's word, not the options' */
    uint64_t cost_us;
};

/* fetch_hit.c */

/* Hand out a hit as most are: fresh, in a store of this process, with nothing asked of it but its name and its tags.
 * Returns false, and leaves `*out`, if the value is not there or anything is unusual: then the call has to be made in
 * full, from its start. A hit does not check the options that only a miss uses. */
bool cache_fetch_hit(cache_t *cache, const char *key, const cache_fetch_options *options, cache_value *out);

/* fetch.c */

/* The options as this library knows them: what an older, shorter struct lacks, or NULL, is as CACHE_FETCH_OPTIONS_INIT
 * has it. CACHE_ERR_INVALID: its size cannot be. */
cache_status cache_fetch_copy_options(cache_fetch_options *known, const cache_fetch_options *options);

/* Check the arguments; the key is written to `full` and the tags to `room` (NULL: to the heap), both of which stay.
 * CACHE_OK: `tags` are to be released. */
cache_status cache_fetch_init(struct fetch *fetch, cache_t *cache, const char *key, const cache_fetch_options *options,
                              struct cache_full_key *full, union cache_tags_room *room);

/* The part of it that is without the key and its tags. */
cache_status cache_fetch_begin(struct fetch *fetch, cache_t *cache, const cache_fetch_options *options);

/* Make the options' tags. Some that cannot be are told to the operator, and the fetch then neither reads nor stores. */
cache_status cache_fetch_init_tags(struct fetch *fetch, union cache_tags_room *room, struct cache_tags *tags);

/* What is there, as far as the options want to see it. */
void cache_fetch_lookup(struct fetch *fetch, struct reading *reading);

/* Take the lead, or join who has it. `has_value`: there is an old value to show. */
enum cache_flight_role cache_fetch_join(struct fetch *fetch, bool has_value, struct cache_flight **flight);

/* Wait for another thread's result, which becomes the caller's, or the reading if it failed. `*again`: it had none to
 * share, or one that is past its TTL already; the reading is released. */
cache_status cache_fetch_follow(struct fetch *fetch, struct cache_flight *flight, struct reading *reading,
                                cache_value *out, bool *again);

/* Hand out what was read: it becomes the caller's. CACHE_MISS: a remembered nothing. */
cache_status cache_fetch_return_value(const struct fetch *fetch, struct reading *reading, cache_value *out);

/* Hand out what a computation came to, or the reading if that failed and the reading may stand in. */
cache_status cache_fetch_return_outcome(const struct fetch *fetch, struct cache_outcome *outcome, cache_source source,
                                        struct reading *reading, cache_value *out);

/* For a computation that is no function, when what was read is not fresh: wait for another's, or take the turn.
 * Returns true if `*out` is the value; then the reading is spent. Returns false if the caller has to compute; if
 * `flight` is not NULL then, it counts the miss, and ends with cache_fetch_finish. */
bool cache_fetch_wait_or_lead(struct fetch *fetch, struct reading *reading, cache_value *out);

/* fetch_read.c */

/* When a read under a name began, for the name's histogram. 0: it is not timed, as most are not in a store of this
 * process (cache_counters_sample), and none without a name. */
uint64_t cache_fetch_begin_read(const cache_t *cache, const struct cache_live_counters *named);

/* Judge `reading->value`, as it is stored, by the options: what is good becomes the payload, else it is released. */
void cache_fetch_classify(struct fetch *fetch, struct reading *reading);

/* Read the value and judge it by the options. A store that fails holds nothing, as far as a fetch is concerned. */
void cache_fetch_read(struct fetch *fetch, struct reading *reading);

/* What a second read found, when another computation has ended since the first: is it that one's result? */
bool cache_fetch_is_new(const struct fetch *fetch, const struct reading *reading);

/* Fill what a fetch says of its result. `info` may be NULL. */
void cache_fetch_fill_info(const cache_t *cache, cache_fetch_info *info, cache_source source,
                           const struct cache_outcome *what);

/* The reading as a flight's outcome; the value stays the reading's. */
struct cache_outcome cache_fetch_outcome(const struct reading *reading);

/* fetch_compute.c */

/* What a run of the caller's function that took so long came to, counted. Returns true if it may be stored, for as
 * long as `*lifetime` says. The writer is emptied. */
bool cache_fetch_take_result(const struct fetch *fetch, cache_status status, cache_writer *writer, uint64_t took_ns,
                             struct cache_outcome *outcome, struct cache_lifetime *lifetime);

/* Append the outcome in its envelope. The writer's status. */
cache_status cache_fetch_encode(const struct fetch *fetch, const struct cache_outcome *outcome,
                                const struct cache_lifetime *lifetime, cache_writer *whole);

/* How long the store keeps what is fresh for `ttl_ms`. */
int64_t cache_fetch_kept_ms(const struct cache_outcome *outcome, const struct cache_lifetime *lifetime, int64_t ttl_ms);

/* Returns true if a result may be stored: this call leads a flight, and the key has not changed since. */
bool cache_fetch_may_store(const struct fetch *fetch);

/* The end of what cache_flight_begin_store began, where storing the outcome gave `status`: sets `outcome->stored`, and
 * removes what must not stay. */
void cache_fetch_end_store(const struct fetch *fetch, struct cache_outcome *outcome, cache_status status);

/* The same before it is known what comes of the computation. */
int64_t cache_fetch_likely_kept_ms(const struct fetch *fetch);

/* There is nothing, and that is not remembered: then an old value must not be served stale either. */
bool cache_fetch_is_absent(const struct fetch *fetch, const struct cache_outcome *outcome);

/* Compute as the leader of the flight (or alone, without one), store, and land it. The outcome is the caller's. */
cache_source cache_fetch_lead(struct fetch *fetch, struct cache_outcome *outcome);

/* The two halves of it, for a computation that is no function. Before: note the tags' versions; false: nothing can be
 * stored under them. After: store what `writer` holds if it may be, give the lease back (NULL: none), and land. */
bool cache_fetch_prepare(struct fetch *fetch);
void cache_fetch_finish(struct fetch *fetch, struct cache_lease *lease, cache_writer *writer,
                        cache_status status, uint64_t took_ns, bool storable);

/* fetch_background.c */

/* A fetch that outlives the caller: with a handle, a context and texts of its own. NULL: it cannot be had. */
struct fetch *cache_fetch_job_new(const struct fetch *fetch);
void cache_fetch_job_free(struct fetch *job);

/* Compute on a thread of the application's; or on this one, if it has none to spare. The job leads its flight, and is
 * freed. */
void cache_fetch_job_start(struct fetch *job);

/* Of the key with its prefix, for the store's table of failures. */
uint64_t cache_fetch_hash(const struct fetch *fetch);

#endif
