/* proxy.h - a proxy before a real server, which damages replies as broken networks do. It knows no protocol: it takes
 * what came in one piece for one reply. */
#ifndef PROXY_H
#define PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum proxy_fault {
    PROXY_NONE,
    PROXY_LATE_TWICE,                  /* the reply comes again, `delay_ms` later */
    PROXY_LATE_ONCE,                   /* it comes, `delay_ms` later than it should */
    PROXY_UNASKED,                     /* "abc" comes behind it, `delay_ms` later */
    PROXY_HALF,                        /* its first half comes, and the connection ends */
    PROXY_BYTES,                       /* it comes a byte at a time */
    PROXY_TRICKLE,                     /* the same, with `delay_ms` between two */
    PROXY_GARBAGE,                     /* something else comes in its place */
    PROXY_ABSURD,                      /* lengths that nobody has room for come in its place */
    PROXY_CUT                          /* the connection ends in its place */
};

struct test_proxy {
    int port;                          /* on 127.0.0.1: what the client connects to */
    int to_port;                       /* the server's, on 127.0.0.1 too */
    _Atomic enum proxy_fault fault;
    atomic_int every;                  /* one reply in so many; 1: each */
    atomic_int delay_ms;
    atomic_uint connections, requests, faults;    /* so far; a request is what came in one piece */
    /* private */
    int listener;
    atomic_bool stopping;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int n_open;
};

/* Starts it. It does no harm until `fault` is set. */
void test_proxy_start(struct test_proxy *proxy, int to_port);

/* Ends all connections. */
void test_proxy_stop(struct test_proxy *proxy);

#endif
