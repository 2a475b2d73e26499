/* wire.h - one connection to a server, plain or TLS: bytes under a deadline.
 *
 * Every wait is this file's: it ends at the deadline (of cache_now_ns) whatever pieces the bytes come in and whatever
 * signals come meanwhile, raises no SIGPIPE, and is no cancellation point as long as the caller has cancellation
 * switched off. */
#ifndef WIRE_H
#define WIRE_H

#include "address.h"

#include <sys/uio.h>

struct cache_tls;

struct cache_wire {
    int fd;                            /* -1: not connected */
    void *ssl;                         /* NULL: plain */
    const char *where;                 /* "redis 127.0.0.1:6379", for messages */
    int64_t timeout_ms;                /* of an operation: what the socket itself waits at most */
    struct cache_address address;
    unsigned version;                  /* the resolver's when it connected */
    uint64_t ready_by;                 /* when it must be of use: the server's other addresses want a turn, too */
};

/* Connect, and shake hands where `tls` is not NULL (then `host` is whom the certificate must name). `*ours`: this
 * process lacked something, nothing is known of the server. On a failure wire->fd is -1, and wire->address has a size if
 * it was connected. */
cache_status cache_wire_connect(struct cache_wire *wire, struct cache_resolver *resolver, struct cache_tls *tls,
                                const char *host, const char *where, int64_t timeout_ms, uint64_t deadline, bool *ours);

/* Without a byte to the peer, so that a child may close what is its parent's. */
void cache_wire_close(struct cache_wire *wire);

/* Send what the socket takes now of the parts: `*sent` bytes of them, be it 0. Never waits. */
cache_status cache_wire_send_some(struct cache_wire *wire, const struct iovec parts[], int n, size_t *sent);

/* Read what is there: `*size` bytes, be it 0. With `wait`, for `timeout_ms` at most, unless a signal comes.
 * CACHE_ERR_CONNECT: the server closed the connection. */
cache_status cache_wire_read_some(struct cache_wire *wire, char *out, size_t capacity, bool wait, size_t *size);

/* Wait for bytes to read; with `to_send`, for room to send too. CACHE_ERR_TIMEOUT with its message. */
cache_status cache_wire_wait(struct cache_wire *wire, bool to_send, uint64_t deadline, bool *readable);

/* The peer has neither closed the idle connection nor sent what nobody asked for. */
bool cache_wire_is_quiet(struct cache_wire *wire);

/* The failure of an operation that got no answer within `timeout_ms`. */
cache_status cache_wire_timed_out(const struct cache_wire *wire);

#endif
