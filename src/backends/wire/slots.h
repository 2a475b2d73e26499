/* slots.h - assigns the connections of a server to requests, which else wait in a queue.
 *
 * The functions take the server's lock themselves. A slot and its connection belong to the thread that took it, until
 * that thread gives the slot back or passes it on. While a caller waits in cache_slots_take, its request belongs to the
 * queue, and then to the thread that removed it from there. That thread must end the wait, by cache_slots_finish or
 * cache_slots_pass_on, or put the request back by cache_slots_return. It must not touch the request afterwards. */
#ifndef WIRE_SLOTS_H
#define WIRE_SLOTS_H

#include "server.h"

/* Takes a slot, or waits for one. Returns -1 if another thread has done the request meanwhile, or if its time is over;
 * its outcome is set. Sets exchange->begun to true if another thread has begun a batch with it on the slot's
 * connection, in exchange->attempt. */
int cache_slots_take(struct cache_server *server, struct cache_exchange *exchange);

/* The same without waiting. Returns -1 if there is none now. */
int cache_slots_take_idle(struct cache_server *server, const struct cache_exchange *exchange);

/* Gives the slot to the request that waits longest, or frees it. `exchange` is the request for which it was taken. */
void cache_slots_give_back(struct cache_server *server, int slot, const struct cache_exchange *exchange);

/* Links to `own` the waiting requests that may be sent with it. Returns the earliest deadline of all. Requests whose
 * time is over at `now` are ended. */
uint64_t cache_slots_gather(struct cache_server *server, struct cache_exchange *own, uint64_t now);

/* Returns true if cache_slots_next would now return a request. */
bool cache_slots_has_next(struct cache_server *server);

/* For a leader whose batch is done, and whose connection is to send the next batch at once: removes from the queue the
 * request that waits longest, and links to it those that may be sent with it. Sets `*deadline` to the earliest of all.
 * Requests whose time is over at `now` are ended. Returns NULL if there is none. The slot stays taken;
 * cache_slots_pass_on gives it to the caller of `next`. */
struct cache_exchange *cache_slots_next(struct cache_server *server, uint64_t now, uint64_t *deadline);
void cache_slots_pass_on(struct cache_exchange *next, int slot);

/* Puts requests of a batch that must be sent again at the front of the queue, since they have waited already. Requests
 * whose time is over are ended. */
void cache_slots_return(struct cache_server *server, struct cache_exchange *list);

/* Wakes the thread whose request is done. Its outcome must be set before. */
void cache_slots_finish(struct cache_exchange *exchange);

#endif
