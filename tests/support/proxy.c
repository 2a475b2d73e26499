/* proxy.c - a thread accepts, and one a connection passes on what comes. */
#include "test.h"

#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, MAX_LATE = 16, LOOK_MS = 20 };

struct late {
    int64_t due_ms;
    size_t size;
    char *bytes;
};

struct pass {
    struct test_proxy *proxy;
    int client, server;
    struct late late[MAX_LATE];
    int n_late;
    unsigned replies;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0 && errno != EINTR)
            return false;
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void send_late(struct pass *pass, const char *bytes, size_t size)
{
    if (pass->n_late == MAX_LATE)
        return;
    struct late *late = &pass->late[pass->n_late++];
    *late = (struct late){ now_ms() + pass->proxy->delay_ms, size, malloc(size) };
    memcpy(late->bytes, bytes, size);
}

/* What is due, in its order. */
static bool send_due(struct pass *pass)
{
    bool good = true;
    while (good && pass->n_late > 0 && pass->late[0].due_ms <= now_ms()) {
        good = send_all(pass->client, pass->late[0].bytes, pass->late[0].size);
        free(pass->late[0].bytes);
        memmove(&pass->late[0], &pass->late[1], (size_t)--pass->n_late * sizeof pass->late[0]);
    }
    return good;
}

static bool send_bytes(int fd, const char *bytes, size_t size, int delay_ms)
{
    for (size_t i = 0; i < size; i++) {
        if (!send_all(fd, bytes + i, 1))
            return false;
        if (delay_ms > 0)
            nanosleep(&(const struct timespec){ delay_ms / 1000, delay_ms % 1000 * 1000000 }, NULL);
    }
    return true;
}

/* False: the connection ends. */
static bool answer(struct pass *pass, const char *bytes, size_t size)
{
    static const char garbage[] = "?!\r\nnonsense \r\n\r\n$x\r\n", absurd[] = "$9223372036854775807\r\n";
    struct test_proxy *proxy = pass->proxy;
    const int every = proxy->every > 0 ? proxy->every : 1;
    const enum proxy_fault fault = ++pass->replies % (unsigned)every == 0 ? proxy->fault : PROXY_NONE;
    if (fault != PROXY_NONE)
        atomic_fetch_add(&proxy->faults, 1);
    switch (fault) {
    case PROXY_LATE_TWICE:
        send_late(pass, bytes, size);
        return send_all(pass->client, bytes, size);
    case PROXY_LATE_ONCE:
        send_late(pass, bytes, size);
        return true;
    case PROXY_UNASKED:
        send_late(pass, "abc", 3);
        return send_all(pass->client, bytes, size);
    case PROXY_HALF:
        (void)send_all(pass->client, bytes, size / 2);
        return false;
    case PROXY_BYTES:
        return send_bytes(pass->client, bytes, size, 0);
    case PROXY_TRICKLE:
        return send_bytes(pass->client, bytes, size, proxy->delay_ms);
    case PROXY_GARBAGE:
        return send_all(pass->client, garbage, sizeof garbage - 1);
    case PROXY_ABSURD:
        return send_all(pass->client, absurd, sizeof absurd - 1);
    case PROXY_CUT:
        return false;
    default:
        return send_all(pass->client, bytes, size);
    }
}

static bool pass_on(struct pass *pass, char *piece)
{
    struct pollfd both[2] = { { .fd = pass->client, .events = POLLIN }, { .fd = pass->server, .events = POLLIN } };
    int64_t wait = pass->n_late > 0 ? pass->late[0].due_ms - now_ms() : LOOK_MS;
    wait = wait < 0 ? 0 : wait > LOOK_MS ? LOOK_MS : wait;
    (void)poll(both, 2, (int)wait);
    if (!send_due(pass))
        return false;
    if (both[0].revents != 0) {
        const ssize_t n = recv(pass->client, piece, PIECE, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
        atomic_fetch_add(&pass->proxy->requests, n > 0);
        if (n > 0 && !send_all(pass->server, piece, (size_t)n))
            return false;
    }
    if (both[1].revents == 0)
        return true;
    const ssize_t n = recv(pass->server, piece, PIECE, MSG_DONTWAIT);
    return n > 0 ? answer(pass, piece, (size_t)n) : n < 0 && errno == EAGAIN;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void *serve(void *arg)
{
    struct pass *pass = arg;
    struct test_proxy *proxy = pass->proxy;
    char *piece = malloc(PIECE);
    const struct sockaddr_in address = loopback(proxy->to_port);
    const int on = 1;
    pass->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(pass->server, (const struct sockaddr *)&address, sizeof address) == 0) {
        (void)setsockopt(pass->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(pass->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        while (!proxy->stopping && pass_on(pass, piece))
            continue;
    }
    close(pass->server);
    close(pass->client);
    for (int i = 0; i < pass->n_late; i++)
        free(pass->late[i].bytes);
    free(piece);
    free(pass);
    pthread_mutex_lock(&proxy->lock);
    proxy->n_open--;
    pthread_cond_signal(&proxy->ended);
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

static void *accept_connections(void *arg)
{
    struct test_proxy *proxy = arg;
    for (int fd; (fd = accept(proxy->listener, NULL, NULL)) >= 0;) {
        struct pass *pass = calloc(1, sizeof *pass);
        pthread_t thread;
        if (pass == NULL)
            abort();
        pass->proxy = proxy;
        pass->client = fd;
        atomic_fetch_add(&proxy->connections, 1);
        pthread_mutex_lock(&proxy->lock);
        proxy->n_open++;
        pthread_mutex_unlock(&proxy->lock);
        if (pthread_create(&thread, NULL, serve, pass) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

void test_proxy_start(struct test_proxy *proxy, int to_port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    *proxy = (struct test_proxy){ .to_port = to_port, .every = 1, .delay_ms = 30,
                                  .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->ended, NULL);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(proxy->listener, 64), 0);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)&address, &size), 0);
    proxy->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&proxy->thread, NULL, accept_connections, proxy), 0);
}

void test_proxy_stop(struct test_proxy *proxy)
{
    atomic_store(&proxy->stopping, true);
    shutdown(proxy->listener, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    pthread_mutex_lock(&proxy->lock);
    while (proxy->n_open > 0)
        pthread_cond_wait(&proxy->ended, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
    pthread_cond_destroy(&proxy->ended);
    pthread_mutex_destroy(&proxy->lock);
}
