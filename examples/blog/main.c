/* main.c - the blog: options, start and stop. */
#include "accounts.h"
#include "db.h"
#include "http.h"
#include "routes.h"
#include "view_counter.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    struct http_options http;
    const char *cache_url, *db_file;
};

static const char usage[] =
    "usage: blog [OPTION]…\n"
    "  --port N       listen on this port (8080); 0: any that is free\n"
    "  --bind ADDR    listen on this address, IPv4 or IPv6 (127.0.0.1)\n"
    "  --cache URL    where pages are cached (memory://?max_bytes=64mb)\n"
    "  --db FILE      the SQLite database (blog.db)\n"
    "  --threads N    threads that serve requests (2)\n"
    "  --access-log F a line for each request to this file, - for stdout, or off (off)\n"
    "  --time-limit S seconds that a client may take to send a request, or to take its answer (30)\n"
    "  --help         show this\n";

static bool read_number(const char *text, long min, long max, long *out)
{
    char *end = NULL;
    *out = strtol(text, &end, 10);
    return end != text && *end == '\0' && *out >= min && *out <= max;
}

/* -1: go on; else the exit status. */
static int read_settings(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },  { "bind", required_argument, NULL, 'b' },
        { "cache", required_argument, NULL, 'c' }, { "db", required_argument, NULL, 'd' },
        { "threads", required_argument, NULL, 't' }, { "access-log", required_argument, NULL, 'a' },
        { "time-limit", required_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
    };
    long number = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'p':
            if (!read_number(optarg, 0, 65535, &number)) {
                fprintf(stderr, "blog: --port must be 0..65535, not '%s'\n", optarg);
                return 2;
            }
            settings->http.port = (int)number;
            break;
        case 't':
            if (!read_number(optarg, 1, 256, &number)) {
                fprintf(stderr, "blog: --threads must be 1..256, not '%s'\n", optarg);
                return 2;
            }
            settings->http.threads = (unsigned)number;
            break;
        case 'l':
            if (!read_number(optarg, 1, 3600, &number)) {
                fprintf(stderr, "blog: --time-limit must be 1..3600, not '%s'\n", optarg);
                return 2;
            }
            settings->http.time_limit = (double)number;
            break;
        case 'a': settings->http.access_log = strcmp(optarg, "off") != 0 ? optarg : NULL; break;
        case 'b': settings->http.bind = optarg; break;
        case 'c': settings->cache_url = optarg; break;
        case 'd': settings->db_file = optarg; break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    if (optind < argc) {
        fprintf(stderr, "blog: unexpected '%s'\n%s", argv[optind], usage);
        return 2;
    }
    return -1;
}

static cache_status serve(void *ctx, const cache_request *request, cache_page *page)
{
    return routes_serve(ctx, request, page);
}

/* Until SIGTERM or SIGINT, which all threads leave to this one. */
static int run(struct blog *blog, const struct settings *settings, const char *told, const sigset_t *signals)
{
    int signal = 0;
    struct http_server *server = http_start(&settings->http, serve, blog);
    if (server == NULL)
        return EXIT_FAILURE;
    const bool is_v6 = strchr(settings->http.bind, ':') != NULL;
    printf(is_v6 ? "The blog is on http://[%s]:%d/\n" : "The blog is on http://%s:%d/\n", settings->http.bind,
           http_port(server));
    fputs(told, stdout);
    fflush(stdout);
    sigwait(signals, &signal);
    http_stop(server);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct settings settings = { { "127.0.0.1", 8080, 2, NULL, 30 }, "memory://?max_bytes=64mb", "blog.db" };
    const int done = read_settings(argc, argv, &settings);
    if (done >= 0)
        return done;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct blog blog = { NULL, NULL, NULL };
    cache_writer *told = cache_writer_new();
    int status = EXIT_FAILURE;
    if (told == NULL)
        fputs("blog: out of memory\n", stderr);
    else if (cache_open(settings.cache_url, &blog.cache) != CACHE_OK)
        fprintf(stderr, "blog: %s\n", cache_last_error());
    else if ((blog.db = db_open(settings.db_file)) != NULL && accounts_prepare(blog.db, told) &&
             (blog.views = view_counter_start(blog.db)) != NULL)
        status = run(&blog, &settings, cache_writer_data(told, NULL), &signals);
    cache_writer_free(told);
    view_counter_stop(blog.views);
    db_close(blog.db);
    cache_close(blog.cache);
    return status;
}
