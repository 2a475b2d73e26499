/* flight.h - single flight: the computations that are under way in this process, and those who wait for them. */
#ifndef FLIGHT_H
#define FLIGHT_H

#include "flight_invalidate.h"
#include "tag.h"

struct cache_flight;

/* What came of a computation. */
struct cache_outcome {
    cache_status status;
    cache_value value;                 /* owned; with CACHE_OK alone */
    int64_t created_ms, expires_ms;    /* as in an envelope */
    bool negative;
    bool stored;                       /* others may find it */
    bool again;                        /* nothing came, and nothing failed: those who waited begin anew */
};

enum cache_flight_role {
    FLIGHT_LEAD,                       /* compute, then cache_flight_complete */
    FLIGHT_FOLLOW,                     /* another computes: cache_flight_wait or cache_flight_leave */
    FLIGHT_ALONE,                      /* compute and do not store: no memory, or the other one's result is of another
                                        * type */
    FLIGHT_CYCLE                       /* waiting would be for ever: this thread's own computation is waited for */
};

struct cache_flight_request {
    cache_bytes key;
    const char *type;                  /* NULL: none */
    const struct cache_tags *tags;     /* stay where they are until the flight is complete */
    bool anew;                         /* take the lead, and invalidate the flight that is there */
};

/* How many flights are complete. Where this changed between a read of the store and join, another read may find the
 * value. */
unsigned cache_flights_n_completed(const struct cache_flights *flights);

/* Take the lead of the key's computation, or join the one under way. `*out` is NULL for the last two roles. */
enum cache_flight_role cache_flight_join(struct cache_flights *flights, const struct cache_flight_request *request,
                                         struct cache_flight **out);

/* Wait for the leader, at most until `deadline_ns` of cache_now_ns, and leave. False: it did not come in time, or (with
 * `*cycle`) waits for this thread. */
bool cache_flight_wait(struct cache_flight *flight, uint64_t deadline_ns, struct cache_outcome *out, bool *cycle);
void cache_flight_leave(struct cache_flight *flight);

/* Who computes changes its thread: nobody does for now; this thread does. */
void cache_flight_hand_over(struct cache_flight *flight);
void cache_flight_take_over(struct cache_flight *flight);

/* True once the key was set, deleted, cleared, or its tag invalidated: the result is not to be stored. */
bool cache_flight_is_invalidated(const struct cache_flight *flight);

/* The end: those who wait get the outcome, which stays the caller's. */
void cache_flight_complete(struct cache_flight *flight, const struct cache_outcome *outcome);

#endif
