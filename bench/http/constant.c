/* constant.c - the ceiling: libmicrohttpd answering each request with the same bytes from memory, no cache, no routes.
 *     constant PORT FILE [THREADS]     serves FILE's bytes as a page until SIGTERM */
#include <microhttpd.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct MHD_Response *page;

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **request)
{
    static int seen;
    (void)ctx, (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
    if (*request == NULL) {
        *request = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, page);
}

int main(int argc, char **argv)
{
    static char bytes[1 << 20];
    if (argc < 3)
        return 2;
    FILE *file = fopen(argv[2], "rb");
    const size_t size = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file != NULL)
        fclose(file);
    page = MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(page, MHD_HTTP_HEADER_CONTENT_TYPE, "text/html; charset=utf-8");

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    const unsigned threads = argc > 3 ? (unsigned)atoi(argv[3]) : 2;
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)atoi(argv[1]), NULL, NULL, answer, NULL,
                         MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_CONNECTION_LIMIT, 1000u, MHD_OPTION_END);
    if (daemon == NULL)
        return 1;
    int signal = 0;
    sigwait(&signals, &signal);
    MHD_stop_daemon(daemon);
    MHD_destroy_response(page);
    return 0;
}
