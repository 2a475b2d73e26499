/* batch.h - requests that are sent together on one connection, and their replies.
 *
 * A batch, its connection and its requests are used by one thread at a time. If one thread begins a batch for another,
 * it hands all of them over when it wakes that thread. */
#ifndef WIRE_BATCH_H
#define WIRE_BATCH_H

#include "server.h"

struct cache_batch {
    struct cache_connection *connection;
    struct cache_exchange *first;      /* linked by `next`, in the order in which they are sent */
    uint64_t deadline;                 /* the earliest of their deadlines */
    bool marked;                       /* a mark is sent after them */
    /* the outcome */
    bool lost;                         /* the connection must not be used for another batch */
    bool unsure;                       /* the mark's answer is wrong or missing, so no reply is valid */
    struct cache_exchange *culprit;    /* the request whose reply failed; NULL: none */
    cache_status status;               /* of the connection; this thread's last error describes it */
    /* the state */
    struct cache_exchange *sending, *taking;
    int part;
    size_t offset;
    size_t mark_size;
    bool mark_taken;
    char mark[CACHE_MAX_MARK];
};

/* Prepares the batch. The caller has set its first three members. */
void cache_batch_begin(struct cache_batch *batch);

/* Sends as much as the connection accepts without waiting. */
cache_status cache_batch_send_some(struct cache_batch *batch);

/* Sends the rest and takes all replies. */
void cache_batch_run(struct cache_batch *batch);

#endif
