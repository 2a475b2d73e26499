/* flight_order.c - the order in which results are stored and keys change.
 *
 * If a key is set or deleted, the result of a computation that began earlier must not appear afterwards. So under one
 * lock, a computation checks that it is not invalidated and notes that it is storing its result. A caller that changes
 * the key invalidates the flight, and waits until a result that is being stored is there. Its own change then comes
 * last. */
#include "flight_internal.h"

/* The longest wait until another thread has stored its result. That thread's own timeout should be much shorter. */
#define STORE_WAIT_NS (UINT64_C(30) * 1000000000)

static pthread_cond_t store_ended;     /* signalled when any result was stored; its clock is the monotonic one */
static struct cache_flight *storing;   /* all flights whose results are being stored */
static uint64_t n_stores;

void cache_flight_init_order(void)
{
    storing = NULL;
    (void)cache_flight_init_condition(&store_ended);    /* the parent's may count waiters that do not exist here */
}

/* ---- stores that are under way, with the lock held --------------------------------------------------------------- */

static void unlock(void *unused)
{
    (void)unused;
    pthread_mutex_unlock(&cache_flight_lock);
}

/* Returns false if the deadline has passed. A thread that is cancelled here releases the lock. */
static bool wait_until(pthread_cond_t *condition, uint64_t deadline_ns)
{
    const struct timespec deadline = cache_flight_time(deadline_ns);
    int waited = 0;
    pthread_cleanup_push(unlock, NULL);
    waited = pthread_cond_timedwait(condition, &cache_flight_lock, &deadline);
    pthread_cleanup_pop(0);
    return waited == 0;
}

typedef bool concerns_fn(const struct cache_flight *flight, cache_bytes what);

static bool begins_with(const struct cache_flight *flight, cache_bytes prefix)
{
    return flight->key_size >= prefix.size && memcmp(flight->key, prefix.data, prefix.size) == 0;
}

static bool is_tagged(const struct cache_flight *flight, cache_bytes tag_key)
{
    return cache_flight_find_tag(flight, tag_key) != NULL;
}

/* Called with the lock held. Finds a flight that concerns `what` and whose number of storing is at most `last`. */
static struct cache_flight *find_storing(const struct cache_flights *flights, concerns_fn *concerns, cache_bytes what,
                                         uint64_t last)
{
    struct cache_flight *flight = storing;
    while (flight != NULL &&
           (flight->flights != flights || flight->store_number > last || !concerns(flight, what)))
        flight = flight->next_storing;
    return flight;
}

/* Called with the lock held. Waits until the results that are being stored now are there, so that the caller's own
 * change comes after them. If this thread is storing a result itself, and was called by a hook, it does not wait: two
 * such threads could wait for each other. Returns false if one of the results is still being stored. */
static bool wait_for_stores(const struct cache_flights *flights, concerns_fn *concerns, cache_bytes what)
{
    const uint64_t last = n_stores, deadline_ns = cache_now_ns() + STORE_WAIT_NS;
    bool in_time = cache_flight_me.n_storing == 0;
    while (in_time && find_storing(flights, concerns, what, last) != NULL)
        in_time = wait_until(&store_ended, deadline_ns);
    return in_time || find_storing(flights, concerns, what, last) == NULL;
}

/* Called with the lock held. The same for a caller that changes the key. Threads that it could not wait for remove
 * what they store. */
static void end_stores(const struct cache_flights *flights, concerns_fn *concerns, cache_bytes what)
{
    if (storing == NULL || wait_for_stores(flights, concerns, what))
        return;
    for (struct cache_flight *flight = storing; flight != NULL; flight = flight->next_storing)
        if (flight->flights == flights && concerns(flight, what))
            flight->take_back = true;
}

/* ---- invalidation ---------------------------------------------------------------------------------------------- */

void cache_flights_invalidate(struct cache_flights *flights, cache_bytes key)
{
    if (atomic_load(&flights->n) == 0)
        return;
    cache_flights_lock(flights);
    struct cache_flight *flight = NULL;
    HASH_FIND(hh, flights->table, key.data, key.size, flight);
    if (flight != NULL)
        cache_flight_invalidate(flights, flight);
    end_stores(flights, cache_flight_has_key, key);
    pthread_mutex_unlock(&cache_flight_lock);
}

static void invalidate_each(struct cache_flights *flights, concerns_fn *concerns, cache_bytes what)
{
    struct cache_flight *flight = NULL, *next = NULL;
    HASH_ITER(hh, flights->table, flight, next)
        if (concerns(flight, what))
            cache_flight_invalidate(flights, flight);
}

void cache_flights_invalidate_prefix(struct cache_flights *flights, cache_bytes prefix)
{
    if (atomic_load(&flights->n) == 0)
        return;
    cache_flights_lock(flights);
    invalidate_each(flights, begins_with, prefix);
    end_stores(flights, begins_with, prefix);
    pthread_mutex_unlock(&cache_flight_lock);
}

/* This does not wait for results that are being stored: under the old version of the tag they are misses. */
void cache_flights_invalidate_tag(struct cache_flights *flights, cache_bytes tag_key)
{
    if (atomic_load(&flights->n) == 0)
        return;
    cache_flights_lock(flights);
    invalidate_each(flights, is_tagged, tag_key);
    pthread_mutex_unlock(&cache_flight_lock);
}

bool cache_flight_is_invalidated(const struct cache_flight *flight)
{
    return atomic_load(&flight->invalidated);
}

/* ---- storing ---------------------------------------------------------------------------------------------------- */

bool cache_flight_begin_store(struct cache_flight *flight)
{
    struct cache_flights *flights = flight->flights;
    const cache_bytes key = { flight->key, flight->key_size };
    cache_flights_lock(flights);
    /* If another result of the key is being stored and is invalidated, it must not be stored after this one. */
    const bool may_store = wait_for_stores(flights, cache_flight_has_key, key) && !atomic_load(&flight->invalidated) &&
                           flight->epoch == flights->epoch;    /* a forked child does not see new changes */
    if (may_store) {
        flight->store_number = ++n_stores;
        flight->next_storing = storing;
        storing = flight;
        cache_flight_me.n_storing++;
    }
    pthread_mutex_unlock(&cache_flight_lock);
    return may_store;
}

void cache_flight_stop_storing(struct cache_flight *flight)
{
    struct cache_flight **at = &storing;
    if (flight->store_number == 0)
        return;
    while (*at != NULL && *at != flight)
        at = &(*at)->next_storing;
    if (*at == flight)
        *at = flight->next_storing;
    flight->store_number = 0;
    cache_flight_me.n_storing--;
    pthread_cond_broadcast(&store_ended);
}

bool cache_flight_end_store(struct cache_flight *flight)
{
    pthread_mutex_lock(&cache_flight_lock);
    cache_flight_stop_storing(flight);
    const bool stays = !flight->take_back;
    pthread_mutex_unlock(&cache_flight_lock);
    return stays;
}
