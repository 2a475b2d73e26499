/* fake_server.c - a listening socket, and a thread a connection. */
#include "test.h"

#include "fake_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct fake_server *server;
    int number, fd;
};

static void *serve_connection(void *arg)
{
    struct connection connection = *(struct connection *)arg;
    free(arg);
    struct fake_server *server = connection.server;
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);    /* the writes of OpenSSL raise it if the client is gone */
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    server->serve(server, connection.fd, connection.number);
    pthread_mutex_lock(&server->lock);
    close(connection.fd);
    server->descriptors[connection.number] = -1;
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* The next connection; -1: the server is stopped. Where a test takes all descriptors away, accept fails before there is
 * anything to accept. */
static int next_connection(const struct fake_server *server)
{
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) < 0 && (errno == EMFILE || errno == EINTR))
        sched_yield();
    return fd;
}

static void *accept_connections(void *arg)
{
    struct fake_server *server = arg;
    for (int fd; (fd = next_connection(server)) >= 0;) {
        const int number = atomic_load(&server->accepted), on = 1;
        struct connection *connection = malloc(sizeof *connection);
        if (number == FAKE_MAX_CONNECTIONS || connection == NULL)
            abort();
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);    /* for answers in two pieces */
        *connection = (struct connection){ server, number, fd };
        pthread_mutex_lock(&server->lock);
        server->descriptors[number] = fd;
        atomic_store(&server->accepted, number + 1);    /* before the client can see an answer */
        if (pthread_create(&server->threads[number], NULL, serve_connection, connection) != 0)
            abort();
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

void fake_server_start(struct fake_server *server, fake_serve_fn *serve, void *ctx)
{
    fake_server_start_at(server, "127.0.0.1", 0, serve, ctx);
}

void fake_server_start_at(struct fake_server *server, const char *host, int port, fake_serve_fn *serve, void *ctx)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    socklen_t size = sizeof address;
    const int on = 1;
    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    *server = (struct fake_server){ .serve = serve, .ctx = ctx, .listener = socket(AF_INET, SOCK_STREAM, 0) };
    pthread_mutex_init(&server->lock, NULL);
    (void)setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, accept_connections, server), 0);
}

void fake_server_stop(struct fake_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (int i = 0; i < atomic_load(&server->accepted); i++) {
        pthread_mutex_lock(&server->lock);
        if (server->descriptors[i] >= 0)
            shutdown(server->descriptors[i], SHUT_RDWR);
        pthread_mutex_unlock(&server->lock);
        pthread_join(server->threads[i], NULL);
    }
    pthread_mutex_destroy(&server->lock);
}

bool fake_server_read(int fd, char *out, size_t size)
{
    const ssize_t n = recv(fd, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

void fake_redis_cut_mark(char *request, char answer[32])
{
    static const char begins[] = "*2\r\n$4\r\nPING\r\n";
    char *mark = strstr(request, begins);
    answer[0] = '\0';
    if (mark == NULL)
        return;
    (void)snprintf(answer, 32, "%s", mark + sizeof begins - 1);
    *mark = '\0';
}

bool fake_server_send(int fd, const char *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

bool fake_server_puts(int fd, const char *text)
{
    return fake_server_send(fd, text, strlen(text));
}
