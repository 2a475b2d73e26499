/* fcgi_example.c - a page that is cached for a minute, served by FastCGI: fcgi_example PORT. In nginx:
 *     location / { include fastcgi_params; fastcgi_pass 127.0.0.1:PORT; } */
#include "fcgi_adapter.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static cache_status make_page(void *ctx, const cache_request *request, cache_response *response)
{
    static atomic_int n;
    (void)ctx;
    return cache_writer_printf(cache_response_body(response), "<p>%s %s, made %d times</p>\n", request->method,
                               request->query != NULL ? request->query : "-", atomic_fetch_add(&n, 1) + 1);
}

int main(int argc, char **argv)
{
    static const cache_view view = CACHE_VIEW("page", 60, .query_string = true);
    char address[32];
    cache_t *cache = NULL;
    FCGX_Request request;
    if (argc != 2 || cache_open("memory://", &cache) != CACHE_OK || FCGX_Init() != 0)
        return EXIT_FAILURE;
    (void)snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
    const int listening = FCGX_OpenSocket(address, 100);
    if (listening < 0 || FCGX_InitRequest(&request, listening, 0) != 0)
        return EXIT_FAILURE;
    while (FCGX_Accept_r(&request) == 0) {    /* one such loop in each thread, if there are to be more */
        fcgi_serve(&request, cache, &view, make_page, NULL);
        FCGX_Finish_r(&request);
    }
    cache_close(cache);
    return EXIT_SUCCESS;
}
