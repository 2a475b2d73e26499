/* civetweb_adapter.c - libcache in a server that is made with CivetWeb. */
#include "civetweb_adapter.h"

#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BODY = 64 * 1024 };

static const char *find_header(void *ctx, const char *name)
{
    return mg_get_header(ctx, name);
}

/* The body, to be freed; NULL: there is no memory, it is too large, or it was not sent to its end. */
static char *read_body(struct mg_connection *connection, size_t *size)
{
    char *body = malloc(MAX_BODY + 1);
    *size = 0;
    for (int n; body != NULL && (n = mg_read(connection, body + *size, MAX_BODY + 1 - *size)) != 0; *size += (size_t)n)
        if (n < 0 || *size + (size_t)n > MAX_BODY) {
            free(body);
            return NULL;
        }
    return body;
}

static void send_page(struct mg_connection *connection, const cache_page *page, bool is_head)
{
    char length[32];
    const bool has_length = page->status >= 200 && page->status != 204;
    mg_response_header_start(connection, page->status);
    for (size_t i = 0; i < page->n_headers; i++)
        mg_response_header_add(connection, page->headers[i].name, page->headers[i].value, -1);
    (void)snprintf(length, sizeof length, "%zu", page->content_size);
    if (has_length)
        mg_response_header_add(connection, "Content-Length", length, -1);
    mg_response_header_send(connection);
    if (!is_head && page->body_size > 0)
        (void)mg_write(connection, page->body, page->body_size);
}

int civetweb_serve(struct mg_connection *connection, cache_t *cache, const cache_view *view, cache_handler_fn *handler,
                   void *ctx)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    cache_request request = {
        .method = info->request_method, .path = info->local_uri_raw != NULL ? info->local_uri_raw : "/",
        .query = info->query_string, .header = find_header, .lookup_ctx = connection,
        .host = mg_get_header(connection, "Host"), .scheme = info->is_ssl ? "https" : "http",
    };
    cache_page page;
    char *body = read_body(connection, &request.body_size);
    if (body == NULL) {
        mg_send_http_error(connection, 413, "%s", "The request is too large.");
        return 413;
    }
    request.body = body;
    const cache_status status = cache_view_serve(cache, view, &request, handler, ctx, &page);
    free(body);
    if (status != CACHE_OK) {
        mg_send_http_error(connection, 500, "%s", "Something went wrong.");
        return 500;
    }
    const int sent = page.status;
    send_page(connection, &page, strcmp(request.method, "HEAD") == 0);
    cache_page_release(&page);
    return sent;
}
