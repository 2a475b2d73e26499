/* flight.c - single flight: the computations that are under way in this process, and those who wait for them.
 *
 * One lock for all stores: it is held for some instructions at the beginning and end of a computation, never during
 * one, and a cycle of threads that wait for each other can be seen under it, whatever stores it passes through. */
#include "flight.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* uthash asks for the bucket array through these; `flights` is in scope wherever a flight is added or deleted. */
#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) cache_env_alloc(flights->env, size)
#define uthash_free(block, size) cache_env_free(flights->env, block)
#include <uthash.h>

struct thread_state {                     /* a thread */
    struct cache_flight *waits_for;
    struct cache_flight *computes;     /* the innermost */
};

struct cache_flight {
    UT_hash_handle hh;
    struct cache_flights *flights;
    struct thread_state *leader;          /* NULL while it is being handed over */
    struct cache_flight *outer;        /* what the leader was computing when it began this one */
    const struct cache_tags *tags;
    const char *type;
    pthread_cond_t completed;
    unsigned references, epoch;
    bool in_table, is_complete;
    atomic_bool invalidated;
    struct cache_outcome outcome;
    size_t key_size;
    char key[];                        /* a NUL, the type and a NUL behind it */
};

struct cache_flights {
    const cache_env *env;
    struct cache_flight *table;
    atomic_uint n, n_completed;
    unsigned epoch;                    /* of the table: that of another process is forgotten */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned current_epoch;         /* one more in each forked child */
static _Thread_local struct thread_state me;

/* ---- fork ------------------------------------------------------------------------------------------------------ */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* The threads that compute and wait are not in the child: their flights would never land. */
static void after_fork_in_child(void)
{
    current_epoch++;
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

struct cache_flights *cache_flights_new(const cache_env *env)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    struct cache_flights *flights = cache_env_alloc(env, sizeof *flights);
    if (flights != NULL) {
        *flights = (struct cache_flights){ .env = env };
        pthread_mutex_lock(&lock);
        flights->epoch = current_epoch;
        pthread_mutex_unlock(&lock);
    }
    return flights;
}

void cache_flights_free(struct cache_flights *flights)
{
    if (flights != NULL)
        cache_env_free(flights->env, flights);
}

unsigned cache_flights_n_completed(const struct cache_flights *flights)
{
    return atomic_load(&flights->n_completed);
}

static void lock_table(struct cache_flights *flights)
{
    pthread_mutex_lock(&lock);
    if (flights->epoch != current_epoch) {
        flights->epoch = current_epoch;
        HASH_CLEAR(hh, flights->table);    /* its flights are of threads that this process has not */
        atomic_store(&flights->n, 0);
    }
}

static void take_out(struct cache_flights *flights, struct cache_flight *flight)
{
    if (flight->in_table && flight->epoch == flights->epoch) {
        HASH_DELETE(hh, flights->table, flight);
        atomic_fetch_sub(&flights->n, 1);
    }
    flight->in_table = false;
}

static void free_flight(struct cache_flight *flight)
{
    cache_value_release(&flight->outcome.value);
    pthread_cond_destroy(&flight->completed);
    cache_env_free(flight->flights->env, flight);
}

/* Unlocks, so that a value's owner is not called under the lock. */
static void drop_and_unlock(struct cache_flight *flight)
{
    const bool last = --flight->references == 0;
    pthread_mutex_unlock(&lock);
    if (last)
        free_flight(flight);
}

/* ---- invalidation ---------------------------------------------------------------------------------------------- */

static void invalidate(struct cache_flights *flights, struct cache_flight *flight)
{
    atomic_store(&flight->invalidated, true);
    take_out(flights, flight);    /* who comes now begins anew */
}

void cache_flights_invalidate(struct cache_flights *flights, cache_bytes key)
{
    if (atomic_load(&flights->n) == 0)
        return;
    lock_table(flights);
    struct cache_flight *flight = NULL;
    HASH_FIND(hh, flights->table, key.data, key.size, flight);
    if (flight != NULL)
        invalidate(flights, flight);
    pthread_mutex_unlock(&lock);
}

static bool begins_with(const struct cache_flight *flight, cache_bytes prefix)
{
    return flight->key_size >= prefix.size && memcmp(flight->key, prefix.data, prefix.size) == 0;
}

static bool is_tagged(const struct cache_flight *flight, cache_bytes tag_key)
{
    const struct cache_tags *tags = flight->tags;
    for (size_t i = 1; tags != NULL && i <= tags->n; i++)
        if (tags->keys[i].size == tag_key.size && memcmp(tags->keys[i].data, tag_key.data, tag_key.size) == 0)
            return true;
    return false;
}

static void invalidate_each(struct cache_flights *flights, bool (*concerns)(const struct cache_flight *, cache_bytes),
                            cache_bytes what)
{
    if (atomic_load(&flights->n) == 0)
        return;
    lock_table(flights);
    struct cache_flight *flight = NULL, *next = NULL;
    HASH_ITER(hh, flights->table, flight, next)
        if (concerns(flight, what))
            invalidate(flights, flight);
    pthread_mutex_unlock(&lock);
}

void cache_flights_invalidate_prefix(struct cache_flights *flights, cache_bytes prefix)
{
    invalidate_each(flights, begins_with, prefix);
}

void cache_flights_invalidate_tag(struct cache_flights *flights, cache_bytes tag_key)
{
    invalidate_each(flights, is_tagged, tag_key);
}

bool cache_flight_is_invalidated(const struct cache_flight *flight)
{
    return atomic_load(&flight->invalidated);
}

/* ---- joining --------------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool has_key(const struct cache_flight *flight, const struct cache_flights *flights, cache_bytes key)
{
    return flight->flights == flights && flight->key_size == key.size && memcmp(flight->key, key.data, key.size) == 0;
}

/* True if this thread is computing the key already, further out: also when that flight is invalidated by now. */
static bool computes_already(const struct cache_flights *flights, cache_bytes key)
{
    for (const struct cache_flight *flight = me.computes; flight != NULL; flight = flight->outer)
        if (has_key(flight, flights, key))
            return true;
    return false;
}

static bool init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    const bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                      pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

static struct cache_flight *new_flight(struct cache_flights *flights, const struct cache_flight_request *request)
{
    const size_t type_size = request->type != NULL ? strlen(request->type) + 1 : 0;
    struct cache_flight *flight = cache_env_alloc(flights->env, sizeof *flight + request->key.size + 1 + type_size);
    if (flight == NULL)
        return NULL;
    memset(flight, 0, sizeof *flight);
    flight->flights = flights;
    flight->tags = request->tags;
    flight->references = 1;
    flight->key_size = request->key.size;
    memcpy(flight->key, request->key.data, request->key.size);
    flight->key[request->key.size] = '\0';
    if (type_size > 0)
        flight->type = memcpy(flight->key + request->key.size + 1, request->type, type_size);
    if (!init_condition(&flight->completed)) {
        cache_env_free(flights->env, flight);
        return NULL;
    }
    return flight;
}

static void set_leader(struct cache_flight *flight)
{
    flight->leader = &me;
    flight->outer = me.computes;
    me.computes = flight;
}

/* With the lock held. False: no memory for the table. */
static bool put_in(struct cache_flights *flights, struct cache_flight *flight)
{
    HASH_ADD_KEYPTR(hh, flights->table, flight->key, flight->key_size, flight);
    if (flight->hh.tbl == NULL)
        return false;
    atomic_fetch_add(&flights->n, 1);
    flight->in_table = true;
    flight->epoch = flights->epoch;
    set_leader(flight);
    return true;
}

/* With the lock held. */
static enum cache_flight_role follow(const struct cache_flight_request *request, struct cache_flight *there,
                                     struct cache_flight **out)
{
    if (!same_text(there->type, request->type))
        return FLIGHT_ALONE;
    there->references++;
    *out = there;
    return FLIGHT_FOLLOW;
}

enum cache_flight_role cache_flight_join(struct cache_flights *flights, const struct cache_flight_request *request,
                                         struct cache_flight **out)
{
    *out = NULL;
    if (computes_already(flights, request->key))
        return FLIGHT_CYCLE;
    struct cache_flight *mine = new_flight(flights, request);    /* before the lock: most who come here lead */
    struct cache_flight *there = NULL;
    enum cache_flight_role role = FLIGHT_ALONE;
    lock_table(flights);
    HASH_FIND(hh, flights->table, request->key.data, request->key.size, there);
    if (there != NULL && request->anew)
        invalidate(flights, there);
    else if (there != NULL)
        role = follow(request, there, out);
    if (role == FLIGHT_ALONE && (there == NULL || request->anew) && mine != NULL && put_in(flights, mine)) {
        *out = mine;
        mine = NULL;
        role = FLIGHT_LEAD;
    }
    pthread_mutex_unlock(&lock);
    if (mine != NULL)
        free_flight(mine);
    return role;
}

/* ---- waiting --------------------------------------------------------------------------------------------------- */

/* With the lock held: does the leader of `flight`, or whom it waits for, and so on, wait for this thread? */
static bool waits_for_me(const struct cache_flight *flight)
{
    while (flight != NULL && flight->leader != NULL) {
        if (flight->leader == &me)
            return true;
        flight = flight->leader->waits_for;
    }
    return false;
}

static struct timespec at(uint64_t ns)
{
    return (struct timespec){ (time_t)(ns / UINT64_C(1000000000)), (long)(ns % UINT64_C(1000000000)) };
}

bool cache_flight_wait(struct cache_flight *flight, uint64_t deadline_ns, struct cache_outcome *out, bool *cycle)
{
    const struct timespec deadline = at(deadline_ns);
    int waited = 0;
    pthread_mutex_lock(&lock);
    *cycle = !flight->is_complete && waits_for_me(flight);
    me.waits_for = flight;
    while (!*cycle && !flight->is_complete && waited == 0)
        waited = pthread_cond_timedwait(&flight->completed, &lock, &deadline);
    me.waits_for = NULL;
    const bool complete = flight->is_complete;
    pthread_mutex_unlock(&lock);
    if (complete) {    /* a complete flight changes no more; its owner, who may be a store's, is not called under the
                      * lock */
        *out = flight->outcome;
        out->value = cache_value_retain(&flight->outcome.value);
    }
    cache_flight_leave(flight);
    return complete;
}

void cache_flight_leave(struct cache_flight *flight)
{
    pthread_mutex_lock(&lock);
    drop_and_unlock(flight);
}

/* ---- leading --------------------------------------------------------------------------------------------------- */

/* With the lock held. A flight ends before those around it; the flights of one cache_fetch_many end in any order. */
static void unset_leader(struct cache_flight *flight)
{
    struct cache_flight **at = &me.computes;
    while (flight->leader == &me && *at != NULL && *at != flight)
        at = &(*at)->outer;
    if (flight->leader == &me && *at == flight)
        *at = flight->outer;
    flight->leader = NULL;
}

void cache_flight_hand_over(struct cache_flight *flight)
{
    pthread_mutex_lock(&lock);
    unset_leader(flight);
    pthread_mutex_unlock(&lock);
}

void cache_flight_take_over(struct cache_flight *flight)
{
    pthread_mutex_lock(&lock);
    set_leader(flight);
    pthread_mutex_unlock(&lock);
}

void cache_flight_complete(struct cache_flight *flight, const struct cache_outcome *outcome)
{
    struct cache_flights *flights = flight->flights;
    /* Its owner may be a store's: not under the lock. */
    const cache_value value = cache_value_retain(&outcome->value);
    lock_table(flights);
    take_out(flights, flight);
    unset_leader(flight);
    flight->outcome = *outcome;
    flight->outcome.value = value;
    flight->is_complete = true;
    flight->tags = NULL;
    atomic_fetch_add(&flights->n_completed, 1);
    pthread_cond_broadcast(&flight->completed);
    drop_and_unlock(flight);
}
