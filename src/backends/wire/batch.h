/* batch.h - requests that go out together on one connection, and their replies. */
#ifndef WIRE_BATCH_H
#define WIRE_BATCH_H

#include "server.h"

struct cache_batch {
    struct cache_connection *connection;
    struct cache_exchange *first;      /* linked by `next`, in the order in which they go out */
    uint64_t deadline;                 /* the earliest of theirs */
    bool marked;                       /* a mark goes out behind them */
    /* the outcome */
    bool lost;                         /* the connection is not good for another batch */
    bool unsure;                       /* the mark's answer is another's, or did not come: no reply counts */
    struct cache_exchange *culprit;    /* whose reply failed; NULL: none did */
    cache_status status;               /* of the connection, with this thread's last error */
    /* under way */
    struct cache_exchange *sending, *taking;
    int part;
    size_t offset;
    size_t mark_size;
    bool mark_taken;
    char mark[CACHE_MAX_MARK];
};

/* Prepare the batch; its first three members are set. */
void cache_batch_begin(struct cache_batch *batch);

/* Send as much as the connection takes without a wait. */
cache_status cache_batch_send_some(struct cache_batch *batch);

/* Send the rest and take all replies. */
void cache_batch_run(struct cache_batch *batch);

#endif
