/* http.c - a server of libmicrohttpd that answers with the cache's pages.
 *
 * A few threads share all connections by epoll, so that a slow client holds none of them. What takes long on this side
 * is handed to workers, and its connection waits without a thread. */
#include "http.h"

#include "access_log.h"
#include "clients.h"
#include "responses.h"
#include "workers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_HEADERS = 32 * 1024,           /* the URI among them: the memory of a connection, all cleared for each
                                        * request */
    MAX_BODY = 64 * 1024,
    MAX_REFUSED_BODY = 1024 * 1024,    /* of a body that is too large so much is read, so that the client hears of it */
    MAX_CONNECTIONS = 1000,
    IDLE_SECONDS = 15,
    STOP_SECONDS = 5
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct clients *clients;
    struct access_log *log;            /* NULL: none */
    pthread_key_t responses;           /* each thread's own */
    atomic_bool stopping;
    struct http_handlers handlers;
    pthread_mutex_t lock;              /* over the next two */
    pthread_cond_t all_back;
    size_t n_handed_over;              /* exchanges that workers have */
};

/* Who is connected. */
struct peer {
    struct client *client;
    struct exchange *unasked;          /* its request line is read, and nobody was asked for an answer yet */
};

/* One request and its answer, from the request line to the last byte. */
struct exchange {
    struct client *client;
    struct http_server *server;
    bool begun;                        /* the headers are here */
    enum { NOT_ASKED, HANDED_OVER, BUSY, MADE } made;    /* how far its page is, where workers make it */
    cache_request request;             /* for them, and what came of it */
    struct MHD_Connection *connection;
    cache_page page;
    cache_status outcome;
    char *body;                        /* NULL: none yet */
    size_t size, capacity;
    unsigned status;                   /* what was answered; 0: nothing yet. From here on, for the log */
    size_t sent;
    struct timespec start;
    char verdict[8], method[16];
    char uri[];                        /* as it came, with the query */
};

static struct peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

static bool is_stopping(struct http_server *server)
{
    return atomic_load_explicit(&server->stopping, memory_order_relaxed);
}

static enum MHD_Result send_text(struct http_server *server, struct exchange *exchange,
                                 struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (is_stopping(server) || (status >= 400 && status < 500))    /* what was refused was not read to its end */
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    exchange->status = status;
    exchange->sent = strlen(text);
    return result;
}

static enum MHD_Result send_page(struct http_server *server, struct exchange *exchange,
                                 struct MHD_Connection *connection, cache_page *page)
{
    struct responses *responses = pthread_getspecific(server->responses);
    if (responses == NULL) {
        responses = responses_new();
        if (pthread_setspecific(server->responses, responses) != 0) {
            responses_free(responses);
            responses = NULL;
        }
    }
    exchange->status = (unsigned)page->status;
    exchange->sent = page->body_size;    /* HEAD aside */
    for (size_t i = 0; server->log != NULL && i < page->n_headers; i++)
        if (strcmp(page->headers[i].name, "X-Cache") == 0)
            (void)snprintf(exchange->verdict, sizeof exchange->verdict, "%s", page->headers[i].value);
    return responses_send(responses, connection, page, is_stopping(server) || mhd_must_close(connection));
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

static enum MHD_Result send_outcome(struct exchange *exchange, cache_status status, cache_page *page)
{
    struct http_server *server = exchange->server;
    if (status != CACHE_OK)
        return send_text(server, exchange, exchange->connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                         "Something went wrong. Try again in a moment.\n");
    return send_page(server, exchange, exchange->connection, page);
}

static void one_is_back(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    if (--server->n_handed_over == 0)
        pthread_cond_signal(&server->all_back);
    pthread_mutex_unlock(&server->lock);
}

/* On a worker's thread. The connection is suspended: nobody else touches the exchange. */
static void make_page(void *arg)
{
    struct exchange *exchange = arg;
    struct http_server *server = exchange->server;
    exchange->outcome = server->handlers.serve(server->handlers.ctx, &exchange->request, &exchange->page);
    exchange->made = MADE;
    MHD_resume_connection(exchange->connection);    /* from here on the exchange is another thread's */
    one_is_back(server);
}

/* libmicrohttpd comes back to this request once the connection is resumed. */
static void hand_over(struct http_server *server, struct exchange *exchange, struct workers *workers)
{
    pthread_mutex_lock(&server->lock);
    server->n_handed_over++;
    pthread_mutex_unlock(&server->lock);
    exchange->made = HANDED_OVER;
    MHD_suspend_connection(exchange->connection);
    if (workers_add(workers, make_page, exchange))
        return;
    exchange->made = BUSY;
    MHD_resume_connection(exchange->connection);
    one_is_back(server);
}

static enum MHD_Result answer(struct http_server *server, struct MHD_Connection *connection, const char *url,
                              const char *method, struct exchange *exchange)
{
    const struct http_handlers *handlers = &server->handlers;
    cache_page page;
    if (exchange->made == HANDED_OVER)
        return MHD_YES;
    if (exchange->made == MADE)
        return send_outcome(exchange, exchange->outcome, &exchange->page);
    if (exchange->made == BUSY)
        return send_outcome(exchange, handlers->busy(handlers->ctx, &exchange->request, &page), &page);
    exchange->connection = connection;
    mhd_request(connection, method, url, exchange->uri, &exchange->request);
    if (exchange->body != NULL) {
        exchange->request.body = exchange->body;
        exchange->request.body_size = exchange->size;
        client_begins(exchange->client, true);
    }
    struct workers *workers = handlers->workers_for(handlers->ctx, &exchange->request);
    if (workers != NULL) {
        hand_over(server, exchange, workers);
        return MHD_YES;
    }
    return send_outcome(exchange, handlers->serve(handlers->ctx, &exchange->request, &page), &page);
}

/* When the headers are here: the answer to what need not be read further, or NULL. */
static const char *refuse(const struct exchange *exchange, struct MHD_Connection *connection, const char *method,
                          const char *version, unsigned *status)
{
    const char *refusal = mhd_refuse(connection, method, version, exchange->uri, status);
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (refusal != NULL || length == NULL || strtoull(length, NULL, 10) <= MAX_BODY)
        return refusal;
    *status = MHD_HTTP_CONTENT_TOO_LARGE;
    return "The request is too large.\n";
}

/* False: there is no memory for more. Of a body that is too large the size alone is kept. */
static bool take_piece(struct exchange *exchange, const char *data, size_t size)
{
    const size_t whole = exchange->size + size;
    if (whole <= MAX_BODY && whole > exchange->capacity) {
        const size_t capacity = whole > exchange->capacity * 2 ? whole : exchange->capacity * 2;
        char *body = realloc(exchange->body, capacity);
        if (body == NULL)
            return false;
        exchange->body = body;
        exchange->capacity = capacity;
    }
    if (whole <= MAX_BODY)
        memcpy(exchange->body + exchange->size, data, size);
    exchange->size = whole;
    return whole <= MAX_REFUSED_BODY;
}

/* libmicrohttpd calls this once for the headers, for each piece of the body, and once at the end. MHD_NO: hang up. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **request)
{
    struct http_server *server = ctx;
    struct exchange *exchange = *request;
    if (exchange == NULL)
        return MHD_NO;
    if (!exchange->begun) {
        unsigned status = 0;
        exchange->begun = true;
        peer_of(connection)->unasked = NULL;
        if (server->log != NULL)
            (void)snprintf(exchange->method, sizeof exchange->method, "%s", method);
        const char *refusal = refuse(exchange, connection, method, version, &status);
        return refusal != NULL ? send_text(server, exchange, connection, status, refusal) : MHD_YES;
    }
    if (*size > 0) {
        const bool taken = take_piece(exchange, data, *size);
        *size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    if (exchange->size > MAX_BODY)
        return send_text(server, exchange, connection, MHD_HTTP_CONTENT_TOO_LARGE, "The request is too large.\n");
    return answer(server, connection, url, method, exchange);
}

/* ---- an exchange begins and ends --------------------------------------------------------------------------------- */

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = ctx;
    struct peer *peer = peer_of(connection);
    const size_t size = strlen(uri) + 1;
    struct exchange *exchange = peer != NULL ? malloc(sizeof *exchange + size) : NULL;
    if (exchange == NULL)
        return NULL;
    *exchange = (struct exchange){ .server = server };
    memcpy(exchange->uri, uri, size);
    /* The query is read from this copy. libmicrohttpd need not spend a connection's memory on its parameters: some
     * hundred, and there would be none left for an answer. */
    char *query = strchr((char *)(uintptr_t)uri, '?');
    if (query != NULL && query[1] != '\0')
        query[1] = '\0';
    free(peer->unasked);
    peer->unasked = exchange;
    exchange->client = peer->client;
    client_begins(exchange->client, true);
    if (server->log != NULL)
        clock_gettime(CLOCK_MONOTONIC, &exchange->start);
    return exchange;
}

static void log_exchange(struct access_log *log, const struct exchange *exchange, struct MHD_Connection *connection)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct access access = {
        .address = info != NULL ? info->client_addr : NULL,
        .method = exchange->method[0] != '\0' ? exchange->method : "-",
        .path = exchange->uri, .status = exchange->status,
        .bytes = strcmp(exchange->method, "HEAD") != 0 ? exchange->sent : 0,
        .nanoseconds = (int64_t)(now.tv_sec - exchange->start.tv_sec) * 1000000000 +
                       now.tv_nsec - exchange->start.tv_nsec,
        .verdict = exchange->verdict[0] != '\0' ? exchange->verdict : NULL,
    };
    access_log_add(log, &access);
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why)
{
    struct http_server *server = ctx;
    struct exchange *exchange = *request;
    *request = NULL;
    if (exchange == NULL)
        return;
    (void)why;
    peer_of(connection)->unasked = NULL;
    if (server->log != NULL)
        log_exchange(server->log, exchange, connection);
    client_begins(exchange->client, false);
    free(exchange->body);
    free(exchange);
}

/* libmicrohttpd gives up without a word when its memory for a connection has no room for all cookies, nor for an answer
 * then. The client is told all the same, by hand, before the socket is closed. */
static void answer_what_was_given_up(int fd)
{
    static const char answer[] = "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
                                 "Content-Length: 0\r\nX-Content-Type-Options: nosniff\r\n\r\n";
    char unread[4096];
    for (int i = 0; i < 16 && recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0; i++)
        continue;    /* what is unread when it is closed could take the answer with it */
    (void)send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = ctx;
    struct peer *peer = *context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = peer = calloc(1, sizeof *peer);
        if (peer != NULL && info != NULL)
            peer->client = clients_add(server->clients, info->connect_fd);
    } else if (peer != NULL) {
        if (peer->unasked != NULL && info != NULL)
            answer_what_was_given_up(info->connect_fd);
        free(peer->unasked);
        clients_remove(server->clients, peer->client);
        free(peer);
    }
}

/* ---- starting and stopping ------------------------------------------------------------------------------------- */

static struct MHD_Daemon *listen_on(struct http_server *server, const struct http_options *options)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)options->port) };
    const bool is_v4 = inet_pton(AF_INET, options->bind, &v4.sin_addr) == 1;
    errno = EINVAL;
    if (!is_v4 && inet_pton(AF_INET6, options->bind, &v6.sin6_addr) != 1)
        return NULL;
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME |
                                (is_v4 ? 0u : (unsigned)MHD_USE_DUAL_STACK),
                            (uint16_t)options->port, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
                            is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, MHD_OPTION_THREAD_POOL_SIZE,
                            options->threads, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->per_address, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MAX_HEADERS,
#if MHD_VERSION >= 0x00097601
                            MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
                             MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
                            MHD_OPTION_URI_LOG_CALLBACK, on_uri, server, MHD_OPTION_NOTIFY_COMPLETED, on_end, server,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
}

static void free_responses(void *responses)
{
    responses_free(responses);
}

static void release(struct http_server *server)
{
    clients_stop(server->clients);
    access_log_close(server->log);
    pthread_key_delete(server->responses);
    pthread_cond_destroy(&server->all_back);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

struct http_server *http_start(const struct http_options *options, const struct http_handlers *handlers)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL || pthread_key_create(&server->responses, free_responses) != 0) {
        free(server);
        return NULL;
    }
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->all_back, NULL);
    server->handlers = *handlers;
    server->clients = clients_start(options->time_limit);
    if (options->access_log != NULL)
        server->log = access_log_open(options->access_log);
    if (server->clients != NULL && (options->access_log == NULL || server->log != NULL)) {
        server->daemon = listen_on(server, options);
        if (server->daemon != NULL)
            return server;
        fprintf(stderr, "blog: cannot listen on %s port %d: %s\n", options->bind, options->port, strerror(errno));
    }
    release(server);
    return NULL;
}

void http_reopen_log(struct http_server *server)
{
    if (server->log != NULL)
        access_log_reopen(server->log);
}

int http_port(const struct http_server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}

void http_stop(struct http_server *server)
{
    atomic_store(&server->stopping, true);
    const MHD_socket listening = MHD_quiesce_daemon(server->daemon);
    if (listening != MHD_INVALID_SOCKET)
        close(listening);
    clients_finish(server->clients, STOP_SECONDS);
    pthread_mutex_lock(&server->lock);
    while (server->n_handed_over > 0)    /* else libmicrohttpd would end the program */
        pthread_cond_wait(&server->all_back, &server->lock);
    pthread_mutex_unlock(&server->lock);
    MHD_stop_daemon(server->daemon);
    release(server);
}
