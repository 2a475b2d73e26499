/* slots.h - assigns the connections of a server to requests, which else wait in a queue. */
#ifndef WIRE_SLOTS_H
#define WIRE_SLOTS_H

#include "server.h"

/* Takes a slot, or waits for one. Returns -1 if another thread has done the request meanwhile; its outcome is set. */
int cache_slots_take(struct cache_server *server, struct cache_exchange *exchange);

/* The same without waiting. Returns -1 if there is none now. */
int cache_slots_take_idle(struct cache_server *server, const struct cache_exchange *exchange);

/* Gives the slot to the request that waits longest, or frees it. `exchange` is the request for which it was taken. */
void cache_slots_give_back(struct cache_server *server, int slot, const struct cache_exchange *exchange);

/* Links to `own` the waiting requests that may be sent with it. Returns the earliest deadline of all. */
uint64_t cache_slots_gather(struct cache_server *server, struct cache_exchange *own);

/* Puts requests of a batch that must be sent again at the front of the queue, since they have waited already. */
void cache_slots_return(struct cache_server *server, struct cache_exchange *list);

/* Wakes the thread whose request is done. */
void cache_slots_finish(struct cache_exchange *exchange);

#endif
