/* fetching.h - one call of cache_fetch, as its parts see it: reading, computing, handing out. */
#ifndef FETCHING_H
#define FETCHING_H

#include "envelope.h"
#include "flight.h"
#include "names.h"

enum found {
    FOUND_NOTHING,
    FOUND_FRESH,
    FOUND_EARLY,                       /* fresh, but XFetch wants a successor by now */
    FOUND_STALE,                       /* within `stale` */
    FOUND_FALLBACK                     /* within `stale_if_error` */
};

/* One call. It stands on the caller's stack, or, if it ends after that, on the heap. */
struct fetch {
    cache_t *cache;
    struct cache_full_key key;
    cache_fetch_options options;
    int64_t ttl_ms, stale_ms, stale_if_error_ms, negative_ms, wait_ms, lock_ms;
    cache_compute_fn *compute;
    void *ctx;
    struct cache_tags tags;
    struct cache_tally *named;         /* of options.name; NULL: none */
    struct cache_flight *flight;       /* led by this call; NULL: compute and do not store */
    unsigned landed;                   /* how many flights had, before the value was read */
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
    cache_tally_add(fetch->cache->store->tally, counter, 1);
    if (fetch->named != NULL)
        cache_tally_add(fetch->named, counter, 1);
}

/* What the store's operations count of themselves already, again for the name. `begun` 0: it was not timed. */
static inline void cache_fetch_count_store(const struct fetch *fetch, enum timed what, uint64_t begun, cache_status status)
{
    if (fetch->named == NULL)
        return;
    if (begun != 0)
        cache_tally_time(fetch->named, what, cache_now_ns() - begun);
    if (what == TIMED_SET && status == CACHE_OK)
        cache_tally_add(fetch->named, COUNT_SET, 1);
    if (status == CACHE_ERR_NOMEM || cache_is_store_failure(status))
        cache_tally_add(fetch->named, COUNT_ERROR, 1);
}

/* fetch.c */

/* Check the arguments. CACHE_OK: `tags` are to be released. */
cache_status cache_fetch_init(struct fetch *fetch, cache_t *cache, const char *key, const cache_fetch_options *options);

/* What is there, as far as the options want to see it. */
void cache_fetch_look(struct fetch *fetch, struct reading *reading);

/* Hand out what was read: it becomes the caller's. CACHE_MISS: a remembered nothing. */
cache_status cache_fetch_give(const struct fetch *fetch, struct reading *reading, cache_value *out);

/* For a computation that is no function, when what was read is not fresh: wait for another's, or take the turn. True: `*out`
 * is the value, and the reading is spent. False: compute; if `flight` is not NULL now, end with cache_fetch_conclude. */
bool cache_fetch_turn(struct fetch *fetch, struct reading *reading, cache_value *out);

/* fetch_read.c */

/* Read the value and judge it by the options. A store that fails holds nothing, as far as a fetch is concerned. */
void cache_fetch_read(struct fetch *fetch, struct reading *reading);

/* What a second read found, when another computation has ended since the first: is it that one's result? */
bool cache_fetch_is_new(const struct fetch *fetch, const struct reading *reading);

/* The reading as a flight's outcome; the value stays the reading's. */
struct cache_outcome cache_fetch_outcome(const struct reading *reading);

/* fetch_compute.c */

/* Compute as the leader of the flight (or alone, without one), store, and land it. The outcome is the caller's. */
cache_source cache_fetch_lead(struct fetch *fetch, struct cache_outcome *outcome);

/* The two halves of it, for a computation that is no function. Before: note the tags' versions; false: nothing can be
 * stored under them. After: store what `writer` holds, and land; CACHE_OK if `status` was, and there was memory. */
bool cache_fetch_prepare(struct fetch *fetch);
void cache_fetch_conclude(struct fetch *fetch, cache_writer *writer, cache_status status, uint64_t took_ns, bool storable);

/* fetch_background.c */

/* A fetch that outlives the caller: with a handle, a context and texts of its own. NULL: it cannot be had. */
struct fetch *cache_fetch_job_new(const struct fetch *fetch);
void cache_fetch_job_free(struct fetch *job);

/* Compute on a thread of the application's; or on this one, if it has none to spare. The job leads its flight, and is
 * freed. */
void cache_fetch_job_start(struct fetch *job);

#endif
