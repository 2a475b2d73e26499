/* server.h - the servers that a benchmark starts. They, and what they leave behind, go when the program ends. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <sys/types.h>

/* Prints what went wrong and ends the program. Any thread may call this. */
_Noreturn void bench_die(const char *what);

/* A Redis on a Unix socket in a directory of its own. `more` has its further arguments, up to a NULL, or is NULL.
 * Returns once it accepts connections. */
struct bench_redis {
    pid_t pid;
    char path[64];                     /* of the socket */
};
struct bench_redis bench_redis_start(const char *const more[]);

/* A cluster of three masters on free loopback ports, the slots in equal parts and in the order of the nodes. */
enum { BENCH_NODES = 3 };
struct bench_cluster {
    pid_t pids[BENCH_NODES];
    int ports[BENCH_NODES];
};
struct bench_cluster bench_cluster_start(void);

/* A port of the loopback that nobody uses, low enough for the bus of a cluster's node above it. */
int bench_free_port(void);

/* A Memcached on a free loopback port, with one worker: else it is all luck to which of several a connection falls, and
 * on which core that one runs. */
struct bench_memcached {
    pid_t pid;
    int port;
};
struct bench_memcached bench_memcached_start(void);

#endif
