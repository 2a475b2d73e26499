/* fcgi_adapter.c - libcache in a FastCGI program. */
#include "fcgi_adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BODY = 64 * 1024, MAX_NAME = 100 };

/* The web server gives the header "If-None-Match" as HTTP_IF_NONE_MATCH. */
static const char *find_header(void *ctx, const char *name)
{
    FCGX_Request *request = ctx;
    char variable[MAX_NAME + 6] = "HTTP_";
    if (strlen(name) >= MAX_NAME)
        return NULL;
    for (size_t i = 0; i <= strlen(name); i++) {
        const bool is_lower = name[i] >= 'a' && name[i] <= 'z';
        variable[i + 5] = (char)(name[i] == '-' ? '_' : is_lower ? name[i] - 'a' + 'A' : name[i]);
    }
    const bool is_bare = strcmp(variable, "HTTP_CONTENT_TYPE") == 0 || strcmp(variable, "HTTP_CONTENT_LENGTH") == 0;
    return FCGX_GetParam(is_bare ? variable + 5 : variable, request->envp);
}

static void send_page(FCGX_Request *request, const cache_page *page, bool is_head)
{
    FCGX_FPrintF(request->out, "Status: %d\r\n", page->status);
    for (size_t i = 0; i < page->n_headers; i++)
        FCGX_FPrintF(request->out, "%s: %s\r\n", page->headers[i].name, page->headers[i].value);
    if (page->status >= 200 && page->status != 204 && page->status != 304)
        FCGX_FPrintF(request->out, "Content-Length: %lu\r\n", (unsigned long)page->content_size);
    FCGX_PutS("\r\n", request->out);
    if (!is_head && page->body_size > 0)
        FCGX_PutStr(page->body, (int)page->body_size, request->out);
}

static void send_error(FCGX_Request *request, const char *status)
{
    FCGX_FPrintF(request->out, "Status: %s\r\nContent-Type: text/plain\r\n\r\n%s\n", status, status);
}

void fcgi_serve(FCGX_Request *asked, cache_t *cache, const cache_view *view, cache_handler_fn *handler, void *ctx)
{
    const char *method = FCGX_GetParam("REQUEST_METHOD", asked->envp);
    const char *path = FCGX_GetParam("DOCUMENT_URI", asked->envp), *query = FCGX_GetParam("QUERY_STRING", asked->envp);
    const char *length = FCGX_GetParam("CONTENT_LENGTH", asked->envp);
    const size_t size = length != NULL ? strtoul(length, NULL, 10) : 0;
    cache_page page;
    char *body = size <= MAX_BODY ? malloc(size + 1) : NULL;
    if (method == NULL || path == NULL || body == NULL || FCGX_GetStr(body, (int)size, asked->in) != (int)size) {
        send_error(asked, size > MAX_BODY ? "413 Content Too Large" : "400 Bad Request");
        free(body);
        return;
    }
    const cache_request request = {
        .method = method, .path = path, .query = query != NULL && query[0] != '\0' ? query : NULL,
        .header = find_header, .lookup_ctx = asked, .body = body, .body_size = size,
        .host = FCGX_GetParam("HTTP_HOST", asked->envp), .scheme = FCGX_GetParam("REQUEST_SCHEME", asked->envp),
    };
    if (cache_view_serve(cache, view, &request, handler, ctx, &page) == CACHE_OK) {
        send_page(asked, &page, strcmp(method, "HEAD") == 0);
        cache_page_release(&page);
    } else
        send_error(asked, "500 Internal Server Error");
    free(body);
}
