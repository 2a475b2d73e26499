/* clients.h - who is connected to the server, and since when each has kept it waiting. */
#ifndef CLIENTS_H
#define CLIENTS_H

#include <stdbool.h>

struct clients;
struct client;

/* A client may take `time_limit` seconds to send a request whole, and as long to take in the answer: then its
 * connection is shut down, however it dribbles. NULL: out of memory or threads. */
struct clients *clients_start(double time_limit);
void clients_stop(struct clients *clients);       /* when all are gone; NULL: does nothing */

/* A connection begins and ends. NULL: out of memory, and it goes unwatched; all calls take that. */
struct client *clients_add(struct clients *clients, int fd);
void clients_remove(struct clients *clients, struct client *client);

/* The client's time begins anew. `busy`: there is a request that is to be finished before the server stops. */
void client_begins(struct client *client, bool busy);

/* Hang up on the clients that have no request in flight, and wait until the others are gone, for at most `seconds`. */
void clients_finish(struct clients *clients, int seconds);

#endif
