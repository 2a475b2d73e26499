/* fake_server.h - a server whose replies the test decides byte by byte, as real ones reply only when they break. */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct fake_server;

/* Serves one connection in a thread of its own. `number` counts connections from 0. When it returns, the connection is
 * closed. */
typedef void fake_serve_fn(struct fake_server *server, int fd, int number);

enum { FAKE_MAX_CONNECTIONS = 256 };

struct fake_server {
    int port;
    void *ctx;                         /* belongs to the test */
    atomic_int accepted;               /* connections so far */
    /* private */
    fake_serve_fn *serve;
    int listener;
    pthread_t thread;
    pthread_t threads[FAKE_MAX_CONNECTIONS];
    int descriptors[FAKE_MAX_CONNECTIONS];
    pthread_mutex_t lock;              /* guards `descriptors`, where -1 is a closed one */
};

/* Start it on a free port of 127.0.0.1; or on any address of the loopback, and on `port` if that is not 0. */
void fake_server_start(struct fake_server *server, fake_serve_fn *serve, void *ctx);
void fake_server_start_at(struct fake_server *server, const char *host, int port, fake_serve_fn *serve, void *ctx);

/* Ends all connections, and waits for their threads. */
void fake_server_stop(struct fake_server *server);

/* Reads what came in one piece, as a text. Returns false if the client is gone. */
bool fake_server_read(int fd, char *out, size_t size);

/* Removes the mark that the Redis store puts behind its requests, and writes what Redis answers to it, or "" if there
 * is none. */
void fake_redis_cut_mark(char *request, char answer[32]);

/* Return false if the client is gone. */
bool fake_server_send(int fd, const char *bytes, size_t size);
bool fake_server_puts(int fd, const char *text);

#endif
