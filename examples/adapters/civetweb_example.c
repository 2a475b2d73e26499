/* civetweb_example.c - a page that is cached for a minute, served by CivetWeb: civetweb_example PORT */
#include "civetweb_adapter.h"

#include <civetweb.h>
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

static int on_request(struct mg_connection *connection, void *cache)
{
    static const cache_view view = CACHE_VIEW("page", 60, .query_string = true);
    return civetweb_serve(connection, cache, &view, make_page, NULL);
}

int main(int argc, char **argv)
{
    cache_t *cache = NULL;
    sigset_t signals;
    int signal;
    if (argc != 2 || cache_open("memory://", &cache) != CACHE_OK)
        return EXIT_FAILURE;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    const char *options[] = { "listening_ports", argv[1], "num_threads", "4", NULL };
    mg_init_library(0);
    struct mg_context *server = mg_start(NULL, NULL, options);
    if (server == NULL)
        return EXIT_FAILURE;
    mg_set_request_handler(server, "/", on_request, cache);
    sigwait(&signals, &signal);
    mg_stop(server);
    cache_close(cache);
    return EXIT_SUCCESS;
}
