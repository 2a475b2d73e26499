/* ulfius_example.c - a page that is cached for a minute, served by Ulfius: ulfius_example PORT */
#include "ulfius_adapter.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

static cache_status make_page(void *ctx, const cache_request *request, cache_response *response)
{
    static atomic_int n;
    (void)ctx;
    return cache_writer_printf(cache_response_body(response), "<p>%s %s, made %d times</p>\n", request->method,
                               request->query != NULL ? request->query : "-", atomic_fetch_add(&n, 1) + 1);
}

static int on_request(const struct _u_request *request, struct _u_response *response, void *cache)
{
    static const cache_view view = CACHE_VIEW("page", 60, .query_string = true);
    return ulfius_serve(request, response, cache, &view, make_page, NULL);
}

int main(int argc, char **argv)
{
    struct _u_instance server;
    cache_t *cache = NULL;
    sigset_t signals;
    int signal;
    if (argc != 2 || cache_open("memory://", &cache) != CACHE_OK ||
        ulfius_init_instance(&server, (unsigned)atoi(argv[1]), NULL, NULL) != U_OK)
        return EXIT_FAILURE;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    ulfius_add_endpoint_by_val(&server, "*", NULL, "*", 0, on_request, cache);
    if (ulfius_start_framework(&server) != U_OK)
        return EXIT_FAILURE;
    sigwait(&signals, &signal);
    ulfius_stop_framework(&server);
    ulfius_clean_instance(&server);
    cache_close(cache);
    return EXIT_SUCCESS;
}
