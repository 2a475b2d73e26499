/* flight_internal.h - a flight as its own files see it: who computes and who waits (flight.c), and in which order
 * results are stored and keys change (flight_order.c). */
#ifndef FLIGHT_INTERNAL_H
#define FLIGHT_INTERNAL_H

#include "flight.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* uthash asks for the bucket array through these; `flights` is in scope wherever a flight is added or deleted. */
#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) cache_env_alloc(flights->env, size)
#define uthash_free(block, size) cache_env_free(flights->env, block)
#include <uthash.h>

/* What a thread is doing. */
struct cache_flight_thread {
    struct cache_flight *waits_for;
    struct cache_flight *computes;     /* the innermost */
    unsigned n_storing;                /* flights whose results this thread is storing */
};

/* A tag of the flight and the version it began under. */
struct cache_flight_tag {
    cache_bytes key;                   /* whole */
    char version[TAG_VERSION_SIZE];
    bool known;
};

struct cache_flight {
    UT_hash_handle hh;
    struct cache_flights *flights;
    struct cache_flight_thread *leader;    /* NULL while it is queued or handed over */
    struct cache_flight *outer;        /* what the leader was computing when it began this one */
    struct cache_flight *next, *previous;    /* of the store's flights that are not complete */
    struct cache_flight *next_storing;
    uint64_t store_number;             /* which store of the process this is; 0: it is not being stored */
    struct cache_flight_tag *tags;     /* with their keys behind this struct */
    size_t n_tags;
    const char *type;                  /* NULL: none */
    char *message;                     /* why it failed; NULL: not told */
    pthread_cond_t completed;
    unsigned references, epoch;
    bool in_table, is_queued, has_outcome;
    bool is_orphan;                    /* its store was closed */
    bool take_back;                    /* somebody changed the key during the store, and could not wait */
    atomic_bool invalidated;
    struct cache_outcome outcome;
    size_t key_size;
    char key[];                        /* a NUL; the type and a NUL */
};

struct cache_flights {
    const cache_env *env;
    struct cache_flight *table;
    struct cache_flight *all;          /* those that are not complete, also those that are in the table no more */
    atomic_uint n;                     /* flights that are not complete */
    atomic_uint n_completed;
    unsigned epoch;                    /* of the table: that of another process is forgotten */
};

/* For all flights of the process. */
extern pthread_mutex_t cache_flight_lock;
extern _Thread_local struct cache_flight_thread cache_flight_me;

/* Lock, and forget the flights of the process that forked this one. */
void cache_flights_lock(struct cache_flights *flights);

static inline bool cache_flight_has_key(const struct cache_flight *flight, cache_bytes key)
{
    return flight->key_size == key.size && memcmp(flight->key, key.data, key.size) == 0;
}

static inline struct timespec cache_flight_time(uint64_t ns)
{
    return (struct timespec){ (time_t)(ns / UINT64_C(1000000000)), (long)(ns % UINT64_C(1000000000)) };
}

/* All below: with the lock held. */

struct cache_flight_tag *cache_flight_find_tag(const struct cache_flight *flight, cache_bytes key);

/* The result is not to be stored, and whoever comes now begins anew. */
void cache_flight_invalidate(struct cache_flights *flights, struct cache_flight *flight);
void cache_flight_take_out(struct cache_flights *flights, struct cache_flight *flight);

/* The flight's result is not being stored any more, if it was. */
void cache_flight_stop_storing(struct cache_flight *flight);

/* Called once a process, and in a forked child. Returns false if a condition on the monotonic clock cannot be made. */
void cache_flight_init_order(void);
bool cache_flight_init_condition(pthread_cond_t *condition);

#endif
