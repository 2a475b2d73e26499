/* http.c - the adapter between libmicrohttpd and the cache's pages.
 *
 * A few threads share all connections by epoll, so that a slow client holds none of them. A page's body is sent from where the
 * cache keeps it: the page is released when the last byte is out. */
#include "http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BODY = 64 * 1024, MAX_URI = 4096, MAX_CONNECTIONS = 1000, IDLE_SECONDS = 15, STOP_SECONDS = 5 };

struct http_server {
    struct MHD_Daemon *daemon;
    http_serve_fn *serve;
    void *ctx;
};

/* One request while it arrives. */
struct arriving {
    char *uri;                         /* as it came, with the query */
    bool begun, too_large;
    size_t size;
    char body[MAX_BODY + 1];
};

/* ---- out --------------------------------------------------------------------------------------------------------- */

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void release_page(void *arg)
{
    cache_page_release(arg);
    free(arg);
}

static enum MHD_Result send_page(struct MHD_Connection *connection, const cache_page *page)
{
    cache_page *sent = malloc(sizeof *sent);
    if (sent == NULL)
        return MHD_NO;
    *sent = *page;
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        page->body_size, (void *)(uintptr_t)page->body, release_page, sent);
    if (response == NULL) {
        free(sent);
        return MHD_NO;
    }
    for (size_t i = 0; i < page->n_headers; i++)
        MHD_add_response_header(response, page->headers[i].name, page->headers[i].value);
    const enum MHD_Result result = MHD_queue_response(connection, (unsigned)page->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

static const char *find_header(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(ctx, MHD_HEADER_KIND, name);
}

static enum MHD_Result answer(struct http_server *server, struct MHD_Connection *connection, const char *path,
                              const char *method, const struct arriving *arriving)
{
    if (arriving->too_large)
        return send_text(connection, MHD_HTTP_CONTENT_TOO_LARGE, "The request is too large.\n");
    if (strlen(arriving->uri) > MAX_URI)
        return send_text(connection, MHD_HTTP_URI_TOO_LONG, "The address is too long.\n");
    const char *query = strchr(arriving->uri, '?');
    const cache_request request = {
        .method = method, .path = path, .query = query != NULL ? query + 1 : NULL,
        .header = find_header, .lookup_ctx = connection, .body = arriving->body, .body_size = arriving->size,
    };
    cache_page page;
    const cache_status status = server->serve(server->ctx, &request, &page);
    if (status != CACHE_OK) {
        fprintf(stderr, "blog: %s %s: %s: %s\n", method, path, cache_strerror(status), cache_last_error());
        return send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "Something went wrong. Try again in a moment.\n");
    }
    const enum MHD_Result result = send_page(connection, &page);
    if (result != MHD_YES)
        fprintf(stderr, "blog: %s %s: the page could not be sent\n", method, path);
    return result;
}

/* libmicrohttpd calls this once for the headers, for each piece of the body, and once at the end. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **request)
{
    struct arriving *arriving = *request;
    (void)version;
    if (arriving == NULL || arriving->uri == NULL)
        return MHD_NO;
    if (!arriving->begun) {
        arriving->begun = true;
        return MHD_YES;
    }
    if (*size == 0)
        return answer(ctx, connection, path, method, arriving);
    if (*size > MAX_BODY - arriving->size)
        arriving->too_large = true;
    else {
        memcpy(arriving->body + arriving->size, data, *size);
        arriving->size += *size;
    }
    *size = 0;
    return MHD_YES;
}

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    (void)ctx, (void)connection;
    struct arriving *arriving = malloc(sizeof *arriving);
    if (arriving != NULL) {
        arriving->begun = arriving->too_large = false;
        arriving->size = 0;
        arriving->uri = strdup(uri);
    }
    return arriving;
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why)
{
    struct arriving *arriving = *request;
    (void)ctx, (void)connection, (void)why;
    if (arriving != NULL)
        free(arriving->uri);
    free(arriving);
    *request = NULL;
}

/* ---- starting and stopping ------------------------------------------------------------------------------------- */

struct http_server *http_start(const struct http_options *options, http_serve_fn *serve, void *ctx)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options->port) };
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->serve = serve;
    server->ctx = ctx;
    if (inet_pton(AF_INET, options->bind, &address.sin_addr) == 1)
        server->daemon = MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)options->port, NULL, NULL, on_request, server,
            MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_THREAD_POOL_SIZE, options->threads,
            MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
            MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
            MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
    if (server->daemon == NULL) {
        fprintf(stderr, "blog: cannot listen on %s port %d\n", options->bind, options->port);
        free(server);
        return NULL;
    }
    return server;
}

void http_stop(struct http_server *server)
{
    const struct timespec pause = { 0, 10 * 1000 * 1000 };
    const MHD_socket listening = MHD_quiesce_daemon(server->daemon);
    if (listening != MHD_INVALID_SOCKET)
        close(listening);
    for (int i = 0; i < STOP_SECONDS * 100; i++) {
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        if (info == NULL || info->num_connections == 0)
            break;
        nanosleep(&pause, NULL);
    }
    MHD_stop_daemon(server->daemon);
    free(server);
}
