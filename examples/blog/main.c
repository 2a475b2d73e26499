/* main.c - the blog: its parts start, serve, and stop in reverse order. */
#include "accounts.h"
#include "dashboard.h"
#include "db.h"
#include "history.h"
#include "lab.h"
#include "log.h"
#include "routes.h"
#include "settings.h"
#include "view_counter.h"
#include "weather.h"
#include "weather_client.h"
#include "weather_service.h"
#include "workers.h"

#include <libcache/template.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORDS_AT_ONCE = 2, PASSWORDS_QUEUED = 16, OUTSIDE_AT_ONCE = 8, OUTSIDE_QUEUED = 64,
       BACKGROUND_AT_ONCE = 2, BACKGROUND_QUEUED = 100 };

/* Until SIGTERM or SIGINT, which all threads leave to this one. SIGHUP: the logs were moved away. */
static void wait_for_the_end(struct http_server *server, const sigset_t *signals)
{
    for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
        sigwait(signals, &signal);
        if (signal != SIGHUP)
            continue;
        log_reopen();
        http_reopen_log(server);
    }
}

static int run(struct blog *blog, const struct settings *settings, const char *told, const sigset_t *signals)
{
    const struct http_handlers handlers = { routes_serve, routes_workers_for, routes_busy, blog };
    struct http_server *server = http_start(&settings->http, &handlers);
    if (server == NULL)
        return EXIT_FAILURE;
    const bool is_v6 = strchr(settings->http.bind, ':') != NULL;
    printf(is_v6 ? "The blog is on http://[%s]:%d/\n" : "The blog is on http://%s:%d/\n", settings->http.bind,
           http_port(server));
    fputs(told, stdout);
    fflush(stdout);
    wait_for_the_end(server, signals);
    db_hurry(blog->db);
    http_stop(server);
    return EXIT_SUCCESS;
}

static bool open_cache(struct blog *blog, const struct settings *settings)
{
    cache_config config = CACHE_CONFIG_INIT;
    config.url = settings->cache_url;
    config.log = log_from_cache;
    config.spawn = workers_add;
    config.spawn_ctx = blog->background;
    if (cache_open_config(&config, &blog->cache) == CACHE_OK)
        return true;
    fprintf(stderr, "blog: %s\n", cache_last_error());
    return false;
}

static bool start_workers(struct blog *blog)
{
    if ((blog->logins = workers_start(PASSWORDS_AT_ONCE, PASSWORDS_QUEUED)) != NULL &&
        (blog->outside = workers_start(OUTSIDE_AT_ONCE, OUTSIDE_QUEUED)) != NULL &&
        (blog->background = workers_start(BACKGROUND_AT_ONCE, BACKGROUND_QUEUED)) != NULL)
        return true;
    fputs("blog: there is no memory for its threads\n", stderr);
    return false;
}

static bool start_threads(struct blog *blog)
{
    if ((blog->views = view_counter_start(blog->db)) != NULL && (blog->history = history_start(blog)) != NULL &&
        (blog->lab = lab_new(blog)) != NULL)
        return true;
    fputs("blog: there is no memory for its threads\n", stderr);
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

/* The workers first: what they still do needs all the rest. */
static void stop(struct blog *blog, struct weather_service *service)
{
    lab_free(blog->lab);
    workers_stop(blog->logins);
    workers_stop(blog->outside);
    workers_stop(blog->background);
    history_stop(blog->history);
    view_counter_stop(blog->views);
    weather_client_free(blog->weather);
    weather_service_stop(service);
    cache_template_free(blog->dashboard);
    db_close(blog->db);
    cache_close(blog->cache);
    log_close();
}

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .http = { .bind = "127.0.0.1", .port = 8080, .threads = 2, .time_limit = 30, .per_address = 500 },
        .cache_url = "memory://?max_bytes=64mb", .db_file = "blog.db", .weather_ttl = 300, .post_limit = 300,
    };
    const int done = settings_read(argc, argv, &settings);
    if (done >= 0)
        return done;
    if (settings.log_file != NULL && !log_open(settings.log_file))
        return EXIT_FAILURE;
    sigset_t signals;
    block_signals(&signals);

    char store[32];
    struct blog blog = { .store = store, .behind_proxy = settings.behind_proxy, .post_limit = settings.post_limit };
    struct weather_service *service = NULL;
    int status = EXIT_FAILURE;
    (void)snprintf(store, sizeof store, "%.*s", (int)strcspn(settings.cache_url, ":"), settings.cache_url);
    cache_writer *told = cache_writer_new();
    if (told == NULL)
        fputs("blog: there is no memory\n", stderr);
    else if (start_workers(&blog) && open_cache(&blog, &settings) && (blog.db = db_open(settings.db_file)) != NULL &&
             accounts_prepare(blog.db, told) && dashboard_prepare(&blog) && start_weather(&blog, &settings, &service) &&
             start_threads(&blog))
        status = run(&blog, &settings, cache_writer_data(told, NULL), &signals);
    cache_writer_free(told);
    stop(&blog, service);
    return status;
}
