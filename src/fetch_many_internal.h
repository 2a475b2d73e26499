/* fetch_many_internal.h - the parts of one call of cache_fetch_many. */
#ifndef FETCH_MANY_INTERNAL_H
#define FETCH_MANY_INTERNAL_H

#include "fetch_internal.h"

enum role {
    ROLE_FOUND,                        /* the value that was read is the answer */
    ROLE_COMPUTES,                     /* this call computes, as the leader of a flight or alone */
    ROLE_FOLLOWS,                      /* another call computes */
    ROLE_REPEATS,                      /* the key equals an earlier one, which this call computes */
    ROLE_FAILED
};

struct entry {
    struct fetch fetch;
    struct reading reading;
    enum role role;
    struct cache_flight *follows;
    size_t first;                      /* the index of the first entry with the same key */
    cache_writer writer, whole;        /* the computed value; the same with its envelope */
    struct cache_outcome outcome;
    struct cache_lifetime lifetime;
    bool storable;
};

struct many {
    cache_t *cache;
    size_t n;
    const char *const *names;          /* the keys as the caller wrote them */
    struct entry *entries;
    cache_bytes *keys;
    struct cache_tags tags;            /* of the whole call; the entries share these arrays */
    uint64_t soft_deadline_ns;         /* how long it waits for successors of old values; 0: not at all */
    cache_compute_many_fn *compute;
    void *ctx;
    cache_value *out;

    /* Arrays for the calls of the store and of the caller's function. */
    cache_bytes *asked, *values;
    cache_value *read;
    size_t *indices;
    cache_missing *missing;
};

/* fetch_many_compute.c */

/* Checks the options and allocates the entries. `many` must have its cache, names and keys. cache_many_release frees
 * all of it, also after a failure. */
cache_status cache_many_init(struct many *many, const cache_fetch_options *options);
void cache_many_release(struct many *many);

/* Computes and stores the keys with ROLE_COMPUTES, and ends their flights. The outcomes are those of the entries. */
void cache_many_lead(struct many *many);

/* Releases what the entries hold. Flights that have not ended are abandoned. For a call that does not return. */
void cache_many_abandon(struct many *many);

/* fetch_many_background.c */

/* If the application has threads for it, lets one of them compute the successors of the old values that this call would
 * compute. */
void cache_many_start_background(struct many *many);

#endif
