/* wire.c - sends and receives bytes on one connection, before a deadline. */
#include "wire.h"

#include "tls.h"
#include "wait.h"

#include "../../hooks.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { MAX_PARTS = 512 };              /* of one sendmsg; IOV_MAX is 1024 */

/* ---- connecting -------------------------------------------------------------------------------------------------- */

/* The longest wait of a read with `wait`. Without it such a read could wait for ever. */
static cache_status set_timeout(const struct cache_wire *wire)
{
    const struct timeval whole = { (time_t)(wire->timeout_ms / 1000), (suseconds_t)(wire->timeout_ms % 1000 * 1000) };
    if (setsockopt(wire->fd, SOL_SOCKET, SO_RCVTIMEO, &whole, sizeof whole) != 0)
        return cache_wait_fail(CACHE_ERR_IO, wire->where, "SO_RCVTIMEO", errno);
    return CACHE_OK;
}

cache_status cache_wire_connect(struct cache_wire *wire, struct cache_resolver *resolver, struct cache_tls *tls,
                                const char *host, const char *where, int64_t timeout_ms, uint64_t deadline, bool *ours)
{
    struct cache_addresses addresses;
    size_t which = 0;
    *ours = false;
    *wire = (struct cache_wire){ .fd = -1, .where = where, .timeout_ms = timeout_ms };
    cache_status status = cache_resolver_get(resolver, &addresses, &wire->version);
    if (status == CACHE_ERR_NOMEM || status == CACHE_ERR_IO)
        *ours = true;
    if (status != CACHE_OK)
        return status;
    status = cache_addresses_dial(&addresses, where, deadline, &wire->fd, &which, ours);
    if (status != CACHE_OK)
        return status;
    const uint64_t now = cache_now_ns();
    wire->ready_by = now < deadline ? now + (deadline - now) / (addresses.n - which) : deadline;
    wire->address = addresses.at[which];
    status = set_timeout(wire);
    if (status == CACHE_OK && tls != NULL)
        status = cache_tls_begin(tls, wire, host, wire->ready_by);
    if (status == CACHE_OK)
        cache_resolver_connected(resolver, &wire->address);
    else
        cache_wire_close(wire);
    return status;
}

void cache_wire_close(struct cache_wire *wire)
{
    cache_tls_end(wire);
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static cache_status lost(const struct cache_wire *wire, int error)
{
    return cache_wait_fail(CACHE_ERR_CONNECT, wire->where, NULL, error);
}

static bool is_for_later(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

cache_status cache_wire_send_some(struct cache_wire *wire, const struct iovec parts[], int n, size_t *sent)
{
    *sent = 0;
    if (wire->ssl != NULL)
        return cache_tls_send_some(wire, parts, n, sent);
    const struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)parts,
                                    .msg_iovlen = (size_t)(n < MAX_PARTS ? n : MAX_PARTS) };
    const ssize_t size = sendmsg(wire->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0)
        return is_for_later(errno) ? CACHE_OK : lost(wire, errno);
    *sent = (size_t)size;
    return CACHE_OK;
}

cache_status cache_wire_read_some(struct cache_wire *wire, char *out, size_t capacity, bool wait, size_t *size)
{
    *size = 0;
    if (wire->ssl != NULL)
        return cache_tls_read_some(wire, out, capacity, wait, size);
    const ssize_t n = recv(wire->fd, out, capacity, wait ? 0 : MSG_DONTWAIT);
    if (n == 0)
        return cache_fail(CACHE_ERR_CONNECT, "%s: the server closed the connection", wire->where);
    if (n < 0)
        return is_for_later(errno) ? CACHE_OK : lost(wire, errno);
    *size = (size_t)n;
    return CACHE_OK;
}

cache_status cache_wire_timed_out(const struct cache_wire *wire)
{
    return cache_fail(CACHE_ERR_TIMEOUT, "%s: no answer within %lld ms", wire->where, (long long)wire->timeout_ms);
}

cache_status cache_wire_wait(struct cache_wire *wire, bool to_send, uint64_t deadline, bool *readable)
{
    short ready = 0;
    *readable = true;
    if (!to_send && cache_tls_has_bytes(wire))
        return CACHE_OK;
    const short events = (short)(to_send ? POLLIN | POLLOUT : cache_tls_events(wire, POLLIN));
    if (cache_wait_ready(wire->fd, events, deadline, &ready) != CACHE_OK)
        return cache_wire_timed_out(wire);
    *readable = (ready & ~POLLOUT) != 0;
    return CACHE_OK;
}

bool cache_wire_is_quiet(struct cache_wire *wire)
{
    char byte;
    return !cache_tls_has_bytes(wire) && recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}
