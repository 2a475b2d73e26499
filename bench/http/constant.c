/* constant.c - libmicrohttpd at its fastest: one response, made once, is the answer to every request.
 *
 *     constant PORT THREADS FILE
 *
 * FILE is an answer as it came over the wire: a status line, headers, an empty line, and the body. The daemon has the
 * flags and limits of examples/blog/http.c, and nothing is looked at, allocated or logged for a request. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char answer[1024 * 1024];

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **request)
{
    static char seen;
    (void)url, (void)method, (void)version, (void)data;
    if (*request == NULL) {
        *request = &seen;
        return MHD_YES;
    }
    *size = 0;
    return MHD_queue_response(connection, MHD_HTTP_OK, ctx);
}

/* The headers but for those that libmicrohttpd adds by itself. */
static struct MHD_Response *make_response(char *bytes, size_t size)
{
    char *body = strstr(bytes, "\r\n\r\n");
    if (body == NULL)
        return NULL;
    body += 4;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size - (size_t)(body - bytes), body, MHD_RESPMEM_PERSISTENT);
    body[-2] = '\0';
    for (char *line = strstr(bytes, "\r\n") + 2, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
        char *value = strstr(line, ": ");
        *end = '\0';
        if (value == NULL || value > end)
            continue;
        *value = '\0';
        if (strcasecmp(line, "Date") != 0 && strcasecmp(line, "Content-Length") != 0 &&
            strcasecmp(line, "Connection") != 0)
            (void)MHD_add_response_header(response, line, value + 2);
    }
    return response;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 4 ? fopen(argv[3], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: constant PORT THREADS FILE\n");
        return EXIT_FAILURE;
    }
    const size_t size = fread(answer, 1, sizeof answer - 1, file);
    fclose(file);
    struct MHD_Response *response = make_response(answer, size);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, on_request, response, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&address, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)atoi(argv[2]),
        MHD_OPTION_CONNECTION_LIMIT, 1000u, MHD_OPTION_CONNECTION_TIMEOUT, 15u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16 * 1024, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (response == NULL || daemon == NULL) {
        fprintf(stderr, "constant: cannot serve %s on port %s\n", argv[3], argv[1]);
        return EXIT_FAILURE;
    }
    int signal = 0;
    sigwait(&signals, &signal);
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return EXIT_SUCCESS;
}
