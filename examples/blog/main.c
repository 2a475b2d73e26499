/* main.c - the blog: its parts start, serve, and stop in reverse order. */
#include "accounts.h"
#include "dashboard.h"
#include "db.h"
#include "history.h"
#include "routes.h"
#include "settings.h"
#include "view_counter.h"
#include "weather.h"
#include "weather_client.h"
#include "weather_service.h"

#include <libcache/template.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool open_cache(struct blog *blog, const struct settings *settings)
{
    if (cache_open(settings->cache_url, &blog->cache) == CACHE_OK)
        return true;
    fprintf(stderr, "blog: %s\n", cache_last_error());
    return false;
}

static bool start_threads(struct blog *blog)
{
    if ((blog->views = view_counter_start(blog->db)) != NULL && (blog->history = history_start(blog)) != NULL)
        return true;
    fputs("blog: out of memory or threads\n", stderr);
    return false;
}

/* `*service` is started unless the settings name another. */
static bool start_weather(struct blog *blog, const struct settings *settings, struct weather_service **service)
{
    const char *url = settings->weather_url;
    if (url == NULL && (*service = weather_service_start()) != NULL)
        url = weather_service_url(*service);
    if (url == NULL)
        return false;
    weather_set_ttl(settings->weather_ttl);
    if ((blog->weather = weather_client_new(url)) != NULL)
        return true;
    fputs("blog: the weather client cannot start\n", stderr);
    return false;
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .http = { .bind = "127.0.0.1", .port = 8080, .threads = 2, .time_limit = 30 },
        .cache_url = "memory://?max_bytes=64mb", .db_file = "blog.db", .weather_ttl = 300,
    };
    const int done = settings_read(argc, argv, &settings);
    if (done >= 0)
        return done;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    char store[32];
    struct blog blog = { .store = store };
    struct weather_service *service = NULL;
    int status = EXIT_FAILURE;
    (void)snprintf(store, sizeof store, "%.*s", (int)strcspn(settings.cache_url, ":"), settings.cache_url);
    cache_writer *told = cache_writer_new();
    if (told == NULL)
        fputs("blog: out of memory\n", stderr);
    else if (open_cache(&blog, &settings) && (blog.db = db_open(settings.db_file)) != NULL &&
             accounts_prepare(blog.db, told) && dashboard_prepare(&blog) && start_weather(&blog, &settings, &service) &&
             start_threads(&blog))
        status = run(&blog, &settings, cache_writer_data(told, NULL), &signals);
    cache_writer_free(told);
    history_stop(blog.history);
    view_counter_stop(blog.views);
    weather_client_free(blog.weather);
    weather_service_stop(service);
    cache_template_free(blog.dashboard);
    db_close(blog.db);
    cache_close(blog.cache);
    return status;
}
