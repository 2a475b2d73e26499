/* mhd_example.c - a page that is cached for a minute, served by libmicrohttpd: mhd_example PORT */
#include "mhd_adapter.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static cache_status make_page(void *ctx, const cache_request *request, cache_response *response)
{
    static int n;
    (void)ctx;
    return cache_writer_printf(cache_response_body(response), "<p>%s %s, made %d times</p>\n", request->method,
                               request->query != NULL ? request->query : "-", ++n);
}

static void *keep_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    (void)ctx, (void)connection;
    return strdup(uri);
}

static void free_uri(void *ctx, struct MHD_Connection *connection, void **uri, enum MHD_RequestTerminationCode why)
{
    (void)ctx, (void)connection, (void)why;
    free(*uri);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **uri)
{
    static const cache_view view = CACHE_VIEW("page", 60, .query_string = true);
    unsigned status = 0;
    cache_request request;
    cache_page page;
    (void)data;
    const char *refusal = *size > 0 ? "This server takes no bodies.\n"
                                    : mhd_refuse(connection, method, version, *uri, &status);
    struct MHD_Response *response = NULL;
    if (refusal != NULL) {
        status = *size > 0 ? MHD_HTTP_CONTENT_TOO_LARGE : status;
        response = MHD_create_response_from_buffer(strlen(refusal), (void *)(uintptr_t)refusal, MHD_RESPMEM_PERSISTENT);
    } else {
        mhd_request(connection, method, url, *uri, &request);
        if (cache_view_serve(ctx, &view, &request, make_page, NULL, &page) == CACHE_OK) {
            status = (unsigned)page.status;
            response = mhd_response(&page);
        }
    }
    if (response == NULL)
        return MHD_NO;
    if (refusal != NULL)
        (void)MHD_add_response_header(response, "Connection", "close");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
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
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)atoi(argv[1]), NULL, NULL, on_request, cache,
        MHD_OPTION_URI_LOG_CALLBACK, keep_uri, NULL, MHD_OPTION_NOTIFY_COMPLETED, free_uri, NULL, MHD_OPTION_END);
    if (daemon == NULL)
        return EXIT_FAILURE;
    sigwait(&signals, &signal);
    MHD_stop_daemon(daemon);
    cache_close(cache);
    return EXIT_SUCCESS;
}
