/* many.h - the keys of a call for many, by host. */
#ifndef MEMCACHED_MANY_H
#define MEMCACHED_MANY_H

#include "store.h"

struct mc_wanted {
    struct mc_place place;
    size_t index;                      /* in the caller's array */
    bool found;
};

/* One host's share of the call, and how far it is. */
struct mc_share {
    struct mc_server *server;
    struct mc_wanted *wanted;
    size_t n, sent;                    /* sent: the end of the batch that is under way */
    struct mc_handle *handle;          /* NULL: nothing is under way */
    cache_status status;
};

struct mc_many {
    struct mc_store *store;
    const cache_bytes *keys;
    uint64_t deadline;                 /* of the whole call */
    struct mc_wanted *wanted;          /* ordered by host */
    const char **texts;
    size_t *sizes;
    struct mc_share *shares;
    size_t n, n_shares;
    cache_status first;                /* failure */
    void *memory;
};

enum mc_repeats { MC_REPEATS_KEPT, MC_REPEATS_DROPPED };

cache_status cache_mc_many_init(struct mc_many *many, struct mc_store *store, const cache_bytes keys[], size_t n,
                                enum mc_repeats repeats);
void cache_mc_many_release(struct mc_many *many);
void cache_mc_keep_first(cache_status *first, cache_status status);

/* Read them all, one round trip a host. `out` may be NULL: then `found` alone is told. */
void cache_mc_many_read(struct mc_many *many, cache_results *out);

#endif
