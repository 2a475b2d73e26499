/* flight.h - single flight: the running computations of this process, and the callers that wait for them. */
#ifndef FLIGHT_H
#define FLIGHT_H

#include "flight_invalidate.h"
#include "tag.h"

struct cache_flight;

/* The result of a computation. */
struct cache_outcome {
    cache_status status;
    cache_value value;                 /* owned; set only with CACHE_OK */
    int64_t created_ms, expires_ms;    /* as in an envelope */
    bool negative;
    bool stored;                       /* other callers find it in the store */
    bool again;                        /* there is no result and no failure: the callers that waited start over */
    bool explained;                    /* cache_last_error() of this thread describes the failure */
};

enum cache_flight_role {
    FLIGHT_LEAD,                       /* compute, then cache_flight_complete */
    FLIGHT_FOLLOW,                     /* another computes: cache_flight_wait or cache_flight_leave */
    FLIGHT_ALONE,                      /* compute, and do not store: there is no memory, or the running computation has
                                        * another result type */
    FLIGHT_CYCLE                       /* waiting would be a deadlock: this thread is computing the key already */
};

struct cache_flight_request {
    cache_bytes key;
    const char *type;                  /* NULL: none */
    const struct cache_tags *tags;     /* NULL, or the tags with the versions that were read; they are copied */
    bool anew;                         /* take the lead, and invalidate a running flight */
    bool has_value;                    /* there is an old value to serve, so a queued computation is left to its task */
};

/* Returns how many flights have ended. If this changed between reading the store and joining, read the store again: the
 * value may be there. */
unsigned cache_flights_n_completed(const struct cache_flights *flights);

/* Takes the lead of the key's computation, or joins the running one. If a flight began under another version of one of
 * the request's tags, it is invalidated instead. `*out` is NULL for the last two roles. */
enum cache_flight_role cache_flight_join(struct cache_flights *flights, const struct cache_flight_request *request,
                                         struct cache_flight **out);

/* Waits for the leader, at most until `deadline_ns` of cache_now_ns, and leaves the flight. Returns false if no outcome
 * came in time, or if the leader waits for this thread, which sets `*cycle`. If the outcome is a failure that the
 * leader explained, its message becomes this thread's cache_last_error(). */
bool cache_flight_wait(struct cache_flight *flight, uint64_t deadline_ns, struct cache_outcome *out, bool *cycle);
void cache_flight_leave(struct cache_flight *flight);

/* Makes this thread, which leads the flight for now, follow it too. Call this before the flight is handed on. */
void cache_flight_retain(struct cache_flight *flight);

/* Releases the flight from its thread. Any thread may then end it with cache_flight_complete. While this thread lives,
 * a wait for the flight still counts as a wait for it. */
void cache_flight_hand_over(struct cache_flight *flight);

/* cache_flight_queue lets the computation wait for a thread to begin it. Until then a caller without an old value may
 * take it over. cache_flight_begin_queued makes this thread the leader. If another caller took the flight over, it
 * returns false and leaves the flight. */
void cache_flight_queue(struct cache_flight *flight);
bool cache_flight_begin_queued(struct cache_flight *flight);

/* Stores the versions of the tags at the start of the computation, as cache_tags_ensure made them. */
void cache_flight_note_tags(struct cache_flight *flight, const struct cache_tags *tags);

/* Returns true if the key was set, deleted or cleared, or its tag invalidated. The result must not be stored then. */
bool cache_flight_is_invalidated(const struct cache_flight *flight);

/* Passes the outcome to the callers that wait, now or later, before it is stored. The caller still owns it. */
void cache_flight_share(struct cache_flight *flight, const struct cache_outcome *outcome);

/* Call these before and after the result is stored. begin_store returns false if it must not be stored. In between, a
 * caller that sets or deletes the key waits. If one could not wait, end_store returns false: the value must be
 * removed. */
bool cache_flight_begin_store(struct cache_flight *flight);
bool cache_flight_end_store(struct cache_flight *flight);

/* Lets no other caller join the flight. Later ones read the store, and compute if nothing is there. */
void cache_flight_close(struct cache_flight *flight);

/* Ends the flight. The callers that wait get the outcome, unless one was shared before. The caller still owns it. */
void cache_flight_complete(struct cache_flight *flight, const struct cache_outcome *outcome);

/* Ends the flight without an outcome: the callers that wait start over. May be called in the middle of a store. */
void cache_flight_abandon(struct cache_flight *flight);

#endif
