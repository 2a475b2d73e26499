/* slots.h - which request has which connection of a server, and which wait. */
#ifndef WIRE_SLOTS_H
#define WIRE_SLOTS_H

#include "server.h"

/* Take a slot, or wait until there is one or another thread has done the request: then -1, with its outcome. */
int cache_slots_take(struct cache_server *server, struct cache_exchange *exchange);

/* Without a wait; -1: not now. */
int cache_slots_take_idle(struct cache_server *server, const struct cache_exchange *exchange);

/* The slot goes to who waits longest, or is free. `exchange`: the one that it was taken for. */
void cache_slots_give_back(struct cache_server *server, int slot, const struct cache_exchange *exchange);

/* Link behind `own` the requests that wait and may go out with it. The earliest deadline of all. */
uint64_t cache_slots_gather(struct cache_server *server, struct cache_exchange *own);

/* Requests of a batch that go out again: they have waited, and are the first. */
void cache_slots_return(struct cache_server *server, struct cache_exchange *list);

/* A request of another thread is done: tell it. */
void cache_slots_finish(struct cache_exchange *exchange);

#endif
