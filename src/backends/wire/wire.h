/* wire.h - one connection to a server, plain or TLS. Bytes are sent and received before a deadline.
 *
 * One thread at a time may use a wire. All waits happen here. A wait ends at the deadline (of cache_now_ns), whatever
 * signals come meanwhile. Nothing raises SIGPIPE. The caller must have disabled cancellation, since these functions are
 * cancellation points. */
#ifndef WIRE_H
#define WIRE_H

#include "address.h"

#include <sys/uio.h>

struct cache_tls;

struct cache_wire {
    int fd;                            /* -1: not connected */
    void *ssl;                         /* NULL: plain */
    const char *where;                 /* "redis 127.0.0.1:6379", for messages */
    int64_t timeout_ms;                /* of an operation; the socket itself waits no longer */
    struct cache_address address;
    unsigned version;                  /* the version of the resolver's addresses at the connect */
    uint64_t ready_by;                 /* when it must be of use, so that the server's other addresses have a turn */
};

/* Connects. If `tls` is not NULL, does the handshake too; the certificate must contain `host`. Sets `*ours` if this
 * process lacked something, so that the failure says nothing about the server. After a failure wire->fd is -1, and
 * wire->address has a size if the socket was connected. */
cache_status cache_wire_connect(struct cache_wire *wire, struct cache_resolver *resolver, struct cache_tls *tls,
                                const char *host, const char *where, int64_t timeout_ms, uint64_t deadline, bool *ours);

/* Sends nothing to the peer, so that a forked child may close its parent's connection. */
void cache_wire_close(struct cache_wire *wire);

/* Sends as much of the parts as the socket accepts now, and sets `*sent` to the number of bytes, which may be 0. Never
 * waits. */
cache_status cache_wire_send_some(struct cache_wire *wire, const struct iovec parts[], int n, size_t *sent);

/* Reads what has come, and sets `*size` to the number of bytes, which may be 0. With `wait`, it waits for `timeout_ms`
 * at most, or until a signal comes. Returns CACHE_ERR_CONNECT if the server closed the connection. */
cache_status cache_wire_read_some(struct cache_wire *wire, char *out, size_t capacity, bool wait, size_t *size);

/* Waits until bytes can be read or, with `to_send`, sent. Returns CACHE_ERR_TIMEOUT with a message. */
cache_status cache_wire_wait(struct cache_wire *wire, bool to_send, uint64_t deadline, bool *readable);

/* Returns true if the peer has neither closed the idle connection nor sent unexpected bytes. */
bool cache_wire_is_quiet(struct cache_wire *wire);

/* Fails for an operation that got no answer within `timeout_ms`, and returns the status. */
cache_status cache_wire_timed_out(const struct cache_wire *wire);

#endif
