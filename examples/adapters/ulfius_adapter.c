/* ulfius_adapter.c - libcache in a server that is made with Ulfius. */
#include "ulfius_adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *find_header(void *ctx, const char *name)
{
    const struct _u_request *request = ctx;
    return u_map_get_case(request->map_header, name);
}

/* Ulfius keeps one value a name, and adds a second value of a cookie as a cookie of its own. */
static void add_header(struct _u_response *response, const char *name, const char *value)
{
    const char *before = u_map_get_case(response->map_header, name);
    const size_t size = before != NULL ? strlen(before) + strlen(value) + 3 : 0;
    char *both = before != NULL ? malloc(size) : NULL;
    if (both != NULL)
        (void)snprintf(both, size, "%s, %s", before, value);
    (void)u_map_put(response->map_header, name, both != NULL ? both : value);
    free(both);
}

int ulfius_serve(const struct _u_request *asked, struct _u_response *response, cache_t *cache, const cache_view *view,
                 cache_handler_fn *handler, void *ctx)
{
    const char *query = strchr(asked->http_url, '?');
    const cache_request request = {
        .method = asked->http_verb, .path = asked->url_path, .query = query != NULL ? query + 1 : NULL,
        .header = find_header, .lookup_ctx = (void *)(uintptr_t)asked,
        .body = asked->binary_body, .body_size = asked->binary_body_length,
        .host = u_map_get_case(asked->map_header, "Host"),    /* Ulfius does not say whether it speaks TLS */
    };
    cache_page page;
    if (cache_view_serve(cache, view, &request, handler, ctx, &page) != CACHE_OK)
        return U_CALLBACK_ERROR;    /* which Ulfius answers with 500 */
    for (size_t i = 0; i < page.n_headers; i++)
        add_header(response, page.headers[i].name, page.headers[i].value);
    /* To HEAD libmicrohttpd sends the length of the body, and not the body. */
    const unsigned code = (unsigned)page.status;
    const int set = page.body_size > 0 ? ulfius_set_binary_body_response(response, code, page.body, page.body_size)
                                       : ulfius_set_empty_body_response(response, code);
    cache_page_release(&page);
    return set == U_OK ? U_CALLBACK_COMPLETE : U_CALLBACK_ERROR;
}
