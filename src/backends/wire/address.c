/* address.c - resolves names to addresses, and connects sockets to them. */
#include "address.h"

#include "wait.h"

#include "../../hooks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- names ------------------------------------------------------------------------------------------------------- */

bool cache_address_is_equal(const struct cache_address *a, const struct cache_address *b)
{
    return a->size == b->size && memcmp(&a->name, &b->name, a->size) == 0;
}

static cache_status path_address(const struct cache_place *place, const char *where, struct cache_addresses *out)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    if (strlen(place->host) >= sizeof name.sun_path)
        return cache_fail(CACHE_ERR_CONFIG, "%s: a socket's path has at most %zu bytes", where,
                          sizeof name.sun_path - 1);
    memcpy(name.sun_path, place->host, strlen(place->host) + 1);
    memset(out, 0, sizeof *out);
    memcpy(&out->at[0].name, &name, sizeof name);
    out->at[0].size = sizeof name;
    out->n = 1;
    return CACHE_OK;
}

static void add_address(struct cache_addresses *out, const struct addrinfo *info)
{
    struct cache_address *address = &out->at[out->n];
    memset(address, 0, sizeof *address);
    memcpy(&address->name, info->ai_addr, info->ai_addrlen);
    address->size = info->ai_addrlen;
    for (size_t i = 0; i < out->n; i++)
        if (cache_address_is_equal(&out->at[i], address))
            return;
    out->n++;
}

/* Returns the next entry, from `info` on, that is of `family`, or is not if `is` is false. */
static const struct addrinfo *next_of(const struct addrinfo *info, int family, bool is)
{
    while (info != NULL && (info->ai_family == family) != is)
        info = info->ai_next;
    return info;
}

/* Sorts the addresses so that the families alternate. Within each family the system's order stays. */
static void interleave(const struct addrinfo *list, struct cache_addresses *out)
{
    const int family = list->ai_family;
    const struct addrinfo *same = list, *other = next_of(list, family, false);
    out->n = 0;
    while ((same != NULL || other != NULL) && out->n < CACHE_MAX_ADDRESSES) {
        if (same != NULL) {
            add_address(out, same);
            same = next_of(same->ai_next, family, true);
        }
        if (other != NULL && out->n < CACHE_MAX_ADDRESSES) {
            add_address(out, other);
            other = next_of(other->ai_next, family, false);
        }
    }
}

cache_status cache_addresses_find(const struct cache_place *place, const char *where, struct cache_addresses *out)
{
    if (place->port == 0)
        return path_address(place, where, out);
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    char port[16];
    (void)snprintf(port, sizeof port, "%d", place->port);
    const int error = getaddrinfo(place->host, port, &hints, &list);
    if (error == EAI_MEMORY)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", where);
    if (error == EAI_SYSTEM && cache_wait_is_ours(errno))
        return cache_wait_fail(CACHE_ERR_IO, where, "no look-up of the name", errno);
    if (error != 0)
        return cache_fail(CACHE_ERR_CONNECT, "%s: the name was not found: %s", where, gai_strerror(error));
    interleave(list, out);
    freeaddrinfo(list);
    return CACHE_OK;
}

/* ---- one socket -------------------------------------------------------------------------------------------------- */

/* Moves a descriptor of 0 to 2 to a higher number, or text that the program prints would go to the server. */
static int above_the_standard_ones(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    close(fd);
    errno = error;
    return moved;
}

static int make_socket(int family)
{
    const int fd = above_the_standard_ones(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd < 0 || family == AF_UNIX)
        return fd;
    const int on = 1, idle = 15, interval = 5, probes = 3;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    return fd;
}

static void set_blocking(int fd, bool blocking)
{
    const int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/* If the server of a Unix socket is slow to accept, its queue is full. A blocking connect then waits for space in it,
 * and only SO_SNDTIMEO ends that wait. */
static int connect_path(int fd, const struct cache_address *address, uint64_t deadline)
{
    for (;;) {
        const uint64_t left_ms = cache_wait_left_ms(deadline);
        const struct timeval left = { (time_t)(left_ms / 1000), (suseconds_t)(left_ms % 1000 * 1000) };
        if (left_ms == 0)
            return ETIMEDOUT;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left) != 0)
            return errno;
        if (connect(fd, (const struct sockaddr *)&address->name, address->size) == 0)
            return 0;
        if (errno != EINTR && errno != EAGAIN)
            return errno;
    }
}

/* Begins to connect. Returns 0, EINPROGRESS, or an error. */
static int begin(const struct cache_address *address, uint64_t deadline, int *fd)
{
    *fd = make_socket(address->name.ss_family);
    if (*fd < 0)
        return errno;
    if (address->name.ss_family == AF_UNIX)
        return connect_path(*fd, address, deadline);
    set_blocking(*fd, false);
    if (connect(*fd, (const struct sockaddr *)&address->name, address->size) == 0)
        return 0;
    return errno == EINTR ? EINPROGRESS : errno;    /* after a signal the kernel goes on connecting */
}

/* ---- dialing ----------------------------------------------------------------------------------------------------- */

enum { NANOSECONDS_IN_MS = 1000000, HEAD_START_MS = 250 };

struct dial {
    const struct cache_addresses *addresses;
    struct pollfd pending[CACHE_MAX_ADDRESSES];
    size_t which[CACHE_MAX_ADDRESSES];
    nfds_t n_pending;
    size_t begun;                      /* the number of addresses tried so far */
    int error;                         /* the last failure, and its address */
    size_t error_of;
    bool ours;
};

static void note(struct dial *dial, int error, size_t which)
{
    dial->ours = dial->ours || cache_wait_is_ours(error);
    dial->error = error;
    dial->error_of = which;
}

static void drop(struct dial *dial, nfds_t i)
{
    close(dial->pending[i].fd);
    dial->n_pending--;
    dial->pending[i] = dial->pending[dial->n_pending];
    dial->which[i] = dial->which[dial->n_pending];
}

/* Begins with the next address. Returns true if it is connected already; it is then the last of the pending ones. */
static bool begin_next(struct dial *dial, uint64_t deadline)
{
    const size_t which = dial->begun++;
    int fd = -1;
    const int error = begin(&dial->addresses->at[which], deadline, &fd);
    if (error == 0 || error == EINPROGRESS) {
        dial->pending[dial->n_pending] = (struct pollfd){ .fd = fd, .events = POLLOUT };
        dial->which[dial->n_pending++] = which;
        return error == 0;
    }
    note(dial, error, which);
    if (fd >= 0)
        close(fd);
    return false;
}

/* Returns the index of a connected socket, or -1 if there is none yet. Closes those that failed. */
static int look_at_pending(struct dial *dial)
{
    for (nfds_t i = 0; i < dial->n_pending;) {
        int error = 0;
        socklen_t size = sizeof error;
        if (dial->pending[i].revents == 0) {
            i++;
            continue;
        }
        if (getsockopt(dial->pending[i].fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
            return (int)i;
        note(dial, error, dial->which[i]);
        drop(dial, i);
    }
    return -1;
}

static int connect_any(struct dial *dial, uint64_t deadline)
{
    uint64_t next_at = 0;
    for (;;) {
        const uint64_t now = cache_now_ns();
        const size_t left = dial->addresses->n - dial->begun;
        if (left > 0 && (dial->n_pending == 0 || now >= next_at)) {
            if (begin_next(dial, deadline))
                return (int)dial->n_pending - 1;
            const uint64_t share = now < deadline ? (deadline - now) / (left + 1) : 0;
            const uint64_t head_start = (uint64_t)HEAD_START_MS * NANOSECONDS_IN_MS;
            next_at = now + (share < head_start ? share : head_start);
            continue;
        }
        if (dial->n_pending == 0)
            return -1;
        if (now >= deadline) {
            note(dial, ETIMEDOUT, dial->which[0]);
            return -1;
        }
        (void)poll(dial->pending, dial->n_pending, (int)cache_wait_left_ms(left > 0 && next_at < deadline ? next_at
                                                                                                     : deadline));
        const int winner = look_at_pending(dial);
        if (winner >= 0)
            return winner;
    }
}

static void describe(const struct cache_address *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN + 16], port[8];    /* with a zone: fe80::1%eth0 */
    if (address->name.ss_family == AF_UNIX ||
        getnameinfo((const struct sockaddr *)&address->name, address->size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        out[0] = '\0';
    else
        (void)snprintf(out, size, strchr(host, ':') != NULL ? "[%.100s]:%.8s: " : "%.100s:%.8s: ", host, port);
}

static cache_status fail(const struct dial *dial, const char *where)
{
    char of[128] = "";
    if (dial->addresses->n > 1)
        describe(&dial->addresses->at[dial->error_of], of, sizeof of);
    if (dial->error == ETIMEDOUT)
        return cache_fail(CACHE_ERR_TIMEOUT, "%s: %sno connection in time", where, of);
    char text[256];
    (void)snprintf(text, sizeof text, "%.100s: %.100s", where, of);
    text[strlen(text) - 2] = '\0';
    return cache_wait_fail(dial->ours ? CACHE_ERR_IO : CACHE_ERR_CONNECT, text, NULL, dial->error);
}

cache_status cache_addresses_dial(const struct cache_addresses *addresses, const char *where, uint64_t deadline,
                                  int *fd, size_t *which, bool *ours)
{
    struct dial dial = { .addresses = addresses };
    const int winner = connect_any(&dial, deadline);
    *fd = -1;
    if (winner >= 0) {
        *fd = dial.pending[winner].fd;
        *which = dial.which[winner];
        dial.pending[winner] = dial.pending[--dial.n_pending];
        set_blocking(*fd, true);
    }
    while (dial.n_pending > 0)
        drop(&dial, 0);
    *ours = winner < 0 && dial.ours;
    return winner >= 0 ? CACHE_OK : fail(&dial, where);
}
