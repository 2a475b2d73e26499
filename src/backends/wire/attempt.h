/* attempt.h - one batch on one connection: the connection made ready, and what the outcome means for each request. */
#ifndef WIRE_ATTEMPT_H
#define WIRE_ATTEMPT_H

#include "batch.h"

struct cache_attempt {
    struct cache_server *server;
    struct cache_connection *connection;
    struct cache_exchange *own;        /* the request of the thread that leads */
    struct cache_batch batch;
    bool trying;                       /* to reach a server that is away */
    bool was_idle;                     /* the connection was there already */
};

/* Lead on the connection of `slot`: the own request, and those that go with it. Returns true if the own one goes out
 * again. */
bool cache_attempt_lead(struct cache_server *server, struct cache_exchange *own, int slot, bool trying);

/* The second half of an attempt whose batch has begun: take the replies, and judge. Returns true if the own request
 * goes out again. */
bool cache_attempt_run(struct cache_attempt *attempt, int slot);

/* The connection may be used again: it leads where it should, and is quiet. */
bool cache_connection_is_good(struct cache_connection *connection);

#endif
