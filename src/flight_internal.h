/* flight_internal.h - the structs of a flight. flight.c decides who computes and who waits; flight_order.c decides in
 * which order results are stored and keys change. */
#ifndef FLIGHT_INTERNAL_H
#define FLIGHT_INTERNAL_H

#include "flight.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* uthash allocates the bucket array with these. `flights` is in scope wherever a flight is added or deleted. */
#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) cache_env_alloc(flights->env, size)
#define uthash_free(block, size) cache_env_free(flights->env, block)
#include <uthash.h>

/* What a thread is doing. */
struct cache_flight_thread {
    struct cache_flight *waits_for;
    struct cache_flight *computes;     /* the innermost of its flights */
    struct cache_flight *runs;         /* flights that it handed over, whose computations it probably still runs */
    unsigned n_storing;                /* flights whose results this thread is storing */
};

/* A tag of the flight, and its version when the flight began. */
struct cache_flight_tag {
    cache_bytes key;                   /* with the prefix */
    char version[TAG_VERSION_SIZE];
    bool known;
};

struct cache_flight {
    UT_hash_handle hh;
    struct cache_flights *flights;
    struct cache_flight_thread *leader;    /* NULL while the flight is queued or handed over */
    struct cache_flight_thread *runner;    /* the thread that handed it over, while it lives; else NULL */
    struct cache_flight *outer;        /* the flight that its leader was computing before */
    struct cache_flight *next_run;
    struct cache_flight *next, *previous;    /* in the list of the store's running flights */
    struct cache_flight *next_storing;
    uint64_t store_number;             /* counts stores of this process; 0: not being stored */
    struct cache_flight_tag *tags;     /* in the same block, as are their keys */
    size_t n_tags;
    const char *type;                  /* NULL: none */
    char *message;                     /* why it failed; NULL if the leader did not say */
    pthread_cond_t completed;
    unsigned references, epoch;
    bool in_table, is_queued, has_outcome;
    bool is_orphan;                    /* its store was closed */
    bool take_back;                    /* a caller that could not wait changed the key during the store */
    atomic_bool invalidated;
    struct cache_outcome outcome;
    size_t key_size;
    char key[];                        /* and a NUL, the type and a NUL */
};

struct cache_flights {
    const cache_env *env;
    struct cache_flight *table;
    struct cache_flight *all;          /* all running flights, even those that have left the table */
    atomic_uint n;                     /* running flights */
    atomic_uint n_completed;
    unsigned epoch;                    /* of the table; the flights of another process are forgotten */
};

/* Guards all flights of the process. */
extern pthread_mutex_t cache_flight_lock;
extern _Thread_local struct cache_flight_thread cache_flight_me;

/* Locks, and after a fork forgets the flights of the parent. */
void cache_flights_lock(struct cache_flights *flights);

static inline bool cache_flight_has_key(const struct cache_flight *flight, cache_bytes key)
{
    return flight->key_size == key.size && memcmp(flight->key, key.data, key.size) == 0;
}

static inline struct timespec cache_flight_time(uint64_t ns)
{
    return (struct timespec){ (time_t)(ns / UINT64_C(1000000000)), (long)(ns % UINT64_C(1000000000)) };
}

/* All functions below are called with the lock held. */

/* Returns the tag of the flight with this key, or NULL. */
struct cache_flight_tag *cache_flight_find_tag(const struct cache_flight *flight, cache_bytes key);

/* Makes sure that the result is not stored and that later callers start a new computation. */
void cache_flight_invalidate(struct cache_flights *flights, struct cache_flight *flight);

/* Removes the flight from the table, so that later callers do not join it. */
void cache_flight_take_out(struct cache_flights *flights, struct cache_flight *flight);

/* Notes that the result is not being stored any more, if it was. */
void cache_flight_stop_storing(struct cache_flight *flight);

/* cache_flight_init_order is called once per process, and in a forked child. cache_flight_init_condition returns false
 * if no condition on the monotonic clock can be made. */
void cache_flight_init_order(void);
bool cache_flight_init_condition(pthread_cond_t *condition);

#endif
