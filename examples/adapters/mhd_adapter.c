/* mhd_adapter.c - libcache in a server that is made with libmicrohttpd. */
#include "mhd_adapter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool mhd_must_close(struct MHD_Connection *connection)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding") != NULL;
}

static const char *find_header(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(ctx, MHD_HEADER_KIND, name);
}

void mhd_request(struct MHD_Connection *connection, const char *method, const char *url, const char *uri,
                 cache_request *request)
{
    const char *query = strchr(uri, '?'), *path = url;
    if (strncasecmp(url, "http://", 7) == 0 && (path = strchr(url + 7, '/')) == NULL)    /* as a proxy is asked */
        path = "/";
    *request = (cache_request){
        .method = method, .path = path, .query = query != NULL ? query + 1 : NULL,
        .header = find_header, .lookup_ctx = connection, .body = "", .host = find_header(connection, "Host"),
        .scheme = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_PROTOCOL) != NULL ? "https" : "http",
    };
}

static void release_page(void *arg)
{
    cache_page_release(arg);
    free(arg);
}

struct MHD_Response *mhd_response(cache_page *page)
{
    cache_page *sent = malloc(sizeof *sent);
    struct MHD_Response *response = NULL;
    if (sent != NULL) {
        *sent = *page;
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            page->content_size, (void *)(uintptr_t)page->body, release_page, sent);    /* of a 304 the size alone */
    }
    if (response == NULL) {
        cache_page_release(page);
        free(sent);
        return NULL;
    }
    for (size_t i = 0; i < page->n_headers; i++)
        (void)MHD_add_response_header(response, page->headers[i].name, page->headers[i].value);
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    return response;
}
