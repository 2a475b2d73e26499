/* fake_server.h - a server whose every byte the test decides: what real ones do only when they break. */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct fake_server;

/* One connection, the `number`th from 0, in a thread of its own; it is closed when this returns. */
typedef void fake_serve_fn(struct fake_server *server, int fd, int number);

enum { FAKE_MAX_CONNECTIONS = 256 };

struct fake_server {
    int port;
    void *ctx;                         /* the test's own */
    atomic_int accepted;               /* connections so far */
    /* its own */
    fake_serve_fn *serve;
    int listener;
    pthread_t thread;
    pthread_t threads[FAKE_MAX_CONNECTIONS];
    int descriptors[FAKE_MAX_CONNECTIONS];
    pthread_mutex_t lock;              /* of the descriptors: -1 once closed */
};

/* On a free port of 127.0.0.1; or on any address of the loopback, and if `port` is not 0, on that port. */
void fake_server_start(struct fake_server *server, fake_serve_fn *serve, void *ctx);
void fake_server_start_at(struct fake_server *server, const char *host, int port, fake_serve_fn *serve, void *ctx);

/* End all connections, and wait for their threads. */
void fake_server_stop(struct fake_server *server);

/* What came in one piece, as a text; false: the client is gone. */
bool fake_server_read(int fd, char *out, size_t size);

/* Cut off the mark that the Redis store puts behind its requests, and write what Redis answers to it; "" if there is
 * none. */
void fake_redis_cut_mark(char *request, char answer[32]);

/* False: the client is gone. */
bool fake_server_send(int fd, const char *bytes, size_t size);
bool fake_server_puts(int fd, const char *text);

#endif
