/* attempt.h - sends one batch on one connection, and decides what its outcome means for the server and each request.
 *
 * An attempt stands on the stack of the caller of its own request, and is used like its batch (batch.h). */
#ifndef WIRE_ATTEMPT_H
#define WIRE_ATTEMPT_H

#include "batch.h"

struct cache_attempt {
    struct cache_server *server;
    struct cache_connection *connection;
    struct cache_exchange *own;        /* the request of the thread that leads */
    struct cache_batch batch;
    uint64_t begun;                    /* when the batch was sent, of cache_now_ns */
    bool trying;                       /* probes a server that is down */
    bool was_idle;                     /* the connection existed already */
};

/* Leads on the connection of `slot`, which it gives back: sends the own request and those that go with it. The caller
 * has set `server`, `connection`, `own` and `trying`. Returns true if the own request must be sent again; else its
 * outcome is set. */
bool cache_attempt_lead(struct cache_attempt *attempt, int slot);

/* The second half of an attempt whose batch has begun: takes the replies, applies the outcome, and gives the slot back
 * or begins the next batch on it. Returns true if the own request must be sent again. */
bool cache_attempt_run(struct cache_attempt *attempt, int slot);

/* Returns true if the connection may be used again: its address is still right, and the server sent nothing. */
bool cache_connection_is_good(struct cache_connection *connection);

#endif
