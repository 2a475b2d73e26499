/* http.c - the adapter between libmicrohttpd and the cache's pages.
 *
 * A few threads share all connections by epoll, so that a slow client holds none of them. */
#include "http.h"

#include "access_log.h"
#include "clients.h"
#include "responses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_URI = 4096,
    MAX_HEADERS = 16 * 1024,           /* the URI among them: the memory of a connection, all cleared for each
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
    http_serve_fn *serve;
    void *ctx;
};

/* One request and its answer, from the request line to the last byte. */
struct exchange {
    struct client *client;
    bool begun;                        /* the headers are here */
    char *body;                        /* NULL: none yet */
    size_t size, capacity;
    unsigned status;                   /* what was answered; 0: nothing yet. From here on, for the log */
    size_t sent;
    struct timespec start;
    char verdict[8], method[16];
    char uri[];                        /* as it came, with the query */
};

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
    if (is_stopping(server))
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
    return responses_send(responses, connection, page, is_stopping(server));
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

static const char *find_header(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(ctx, MHD_HEADER_KIND, name);
}

/* Proxies are asked for http://host/path, and some ask on like that. */
static const char *without_authority(const char *url)
{
    if (strncasecmp(url, "http://", 7) != 0)
        return url;
    const char *path = strchr(url + 7, '/');
    return path != NULL ? path : "/";
}

static enum MHD_Result answer(struct http_server *server, struct MHD_Connection *connection, const char *url,
                              const char *method, struct exchange *exchange)
{
    const char *query = strchr(exchange->uri, '?');
    const cache_request request = {
        .method = method, .path = without_authority(url), .query = query != NULL ? query + 1 : NULL,
        .header = find_header, .lookup_ctx = connection,
        .body = exchange->body != NULL ? exchange->body : "", .body_size = exchange->size,
    };
    cache_page page;
    if (exchange->body != NULL)
        client_begins(exchange->client, true);
    const cache_status status = server->serve(server->ctx, &request, &page);
    if (status != CACHE_OK) {
        fprintf(stderr, "blog: %s %s: %s: %s\n", method, url, cache_strerror(status), cache_last_error());
        return send_text(server, exchange, connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                         "Something went wrong. Try again in a moment.\n");
    }
    const enum MHD_Result result = send_page(server, exchange, connection, &page);
    if (result != MHD_YES)
        fprintf(stderr, "blog: %s %s: the page could not be sent\n", method, url);
    return result;
}

/* When the headers are here: the answer to what need not be read further, or NULL. The connection is closed behind
 * it. */
static const char *refuse(const struct exchange *exchange, struct MHD_Connection *connection, unsigned *status)
{
    const char *length = find_header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *uri_end = exchange->uri + strcspn(exchange->uri, "?");
    const char *nul = strstr(exchange->uri, "%00");
    *status = MHD_HTTP_BAD_REQUEST;
    if (nul != NULL && nul < uri_end)    /* the path would end there */
        return "The address has a NUL byte in it.\n";
    if (length != NULL && find_header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
        return "A request has one length.\n";    /* two servers may read it as two different requests */
    if (strlen(exchange->uri) > MAX_URI) {
        *status = MHD_HTTP_URI_TOO_LONG;
        return "The address is too long.\n";
    }
    if (length != NULL && strtoull(length, NULL, 10) > MAX_BODY) {
        *status = MHD_HTTP_CONTENT_TOO_LARGE;
        return "The request is too large.\n";
    }
    return NULL;
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
    (void)version;
    if (exchange == NULL)
        return MHD_NO;
    if (!exchange->begun) {
        unsigned status = 0;
        exchange->begun = true;
        if (server->log != NULL)
            (void)snprintf(exchange->method, sizeof exchange->method, "%s", method);
        const char *refusal = refuse(exchange, connection, &status);
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
    const size_t size = strlen(uri) + 1;
    struct exchange *exchange = malloc(sizeof *exchange + size);
    if (exchange == NULL)
        return NULL;
    *exchange = (struct exchange){ 0 };
    memcpy(exchange->uri, uri, size);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->client = info != NULL ? info->socket_context : NULL;
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
    (void)why;
    *request = NULL;
    if (exchange == NULL)
        return;
    if (server->log != NULL)
        log_exchange(server->log, exchange, connection);
    client_begins(exchange->client, false);
    free(exchange->body);
    free(exchange);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **client,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = ctx;
    const union MHD_ConnectionInfo *info = NULL;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        clients_remove(server->clients, *client);
    else if ((info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)) != NULL)
        *client = clients_add(server->clients, info->connect_fd);
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
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO | (is_v4 ? 0u : (unsigned)MHD_USE_DUAL_STACK),
        (uint16_t)options->port, NULL, NULL, on_request, server,
        MHD_OPTION_SOCK_ADDR, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
        MHD_OPTION_THREAD_POOL_SIZE, options->threads,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MAX_HEADERS, MHD_OPTION_STRICT_FOR_CLIENT, 1,
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
    free(server);
}

struct http_server *http_start(const struct http_options *options, http_serve_fn *serve, void *ctx)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL || pthread_key_create(&server->responses, free_responses) != 0) {
        free(server);
        return NULL;
    }
    server->serve = serve;
    server->ctx = ctx;
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
    MHD_stop_daemon(server->daemon);
    release(server);
}
