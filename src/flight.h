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
    bool explained;                    /* cache_last_error() of this thread says why it failed */
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
    const struct cache_tags *tags;     /* NULL, or the tags with the versions that were read; copied */
    bool anew;                         /* take the lead, and invalidate the flight that is there */
    bool has_value;                    /* there is an old value to show: a queued computation is left to its task */
};

/* How many flights are complete. If this changed between a read of the store and join, another read may find the
 * value. */
unsigned cache_flights_n_completed(const struct cache_flights *flights);

/* Take the lead of the key's computation, or join the one under way. A flight that began under another version of one
 * of the request's tags is not joined: it is invalidated. `*out` is NULL for the last two roles. */
enum cache_flight_role cache_flight_join(struct cache_flights *flights, const struct cache_flight_request *request,
                                         struct cache_flight **out);

/* Wait for the leader, at most until `deadline_ns` of cache_now_ns, and leave. Returns false if no outcome came in
 * time, or (with `*cycle`) if the leader waits for this thread. If the outcome is a failure that the leader explained,
 * the explanation becomes this thread's cache_last_error(). */
bool cache_flight_wait(struct cache_flight *flight, uint64_t deadline_ns, struct cache_outcome *out, bool *cycle);
void cache_flight_leave(struct cache_flight *flight);

/* Follow a flight that this thread leads for now, before it is handed on. */
void cache_flight_retain(struct cache_flight *flight);

/* The flight's leader is no thread any more: whoever calls cache_flight_complete ends it. */
void cache_flight_hand_over(struct cache_flight *flight);

/* The computation waits for a thread to begin it. Until then a caller that has no value to show may take it over.
 * cache_flight_begin_queued makes this thread the leader; it returns false, and leaves the flight, if another took it
 * over. */
void cache_flight_queue(struct cache_flight *flight);
bool cache_flight_begin_queued(struct cache_flight *flight);

/* The versions that the computation begins under, as cache_tags_ensure made them. */
void cache_flight_note_tags(struct cache_flight *flight, const struct cache_tags *tags);

/* Returns true once the key was set, deleted, cleared, or its tag invalidated: the result is not to be stored. */
bool cache_flight_is_invalidated(const struct cache_flight *flight);

/* Hand the outcome to those who wait, and to those who come, before it is stored. It stays the caller's. */
void cache_flight_share(struct cache_flight *flight, const struct cache_outcome *outcome);

/* Around the store of the result. begin_store returns false if it must not be stored. While it is stored, whoever sets
 * or deletes the key waits. end_store returns false if somebody who could not wait did: the value is to be removed. */
bool cache_flight_begin_store(struct cache_flight *flight);
bool cache_flight_end_store(struct cache_flight *flight);

/* The end: those who wait get the outcome, unless one was shared before. It stays the caller's. */
void cache_flight_complete(struct cache_flight *flight, const struct cache_outcome *outcome);

/* The end without an outcome: those who wait begin anew. Also in the middle of a store. */
void cache_flight_abandon(struct cache_flight *flight);

#endif
