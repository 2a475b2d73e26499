/* lab.c - two hundred threads that read one value, and a line for each of what it got, and when. */
#include "lab.h"

#include "form.h"
#include "html.h"
#include "respond.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READERS = 200, STACK_BYTES = 128 * 1024 };

/* ---- the experiments --------------------------------------------------------------------------------------------- */

static const struct experiment {
    const char *name, *title, *button, *text;
    const char *url;                   /* of a store of its own; NULL: the blog's */
    int spread_ms;                     /* over which the readers come; 0: all at once */
    int compute_ms;                    /* what the slow database takes */
    double ttl, stale;
    bool warm;                         /* there is a value before the first comes */
    int forget_ms;                     /* after the first reader, the tag is invalidated; 0: never */
} experiments[] = {
    { "stampede", "A cold page", "Send 200 readers at once",
      "200 readers ask at once for what nobody has computed. One of them computes, the others wait "
      "for the result.",
      NULL, 0, 300, 60, 0, false, 0 },
    { "stale", "A slow database", "Make the database slow",
      "The value is past its time, and the database takes 1.5 seconds. Every reader gets the old "
      "value at once, while one computation makes a new one.",
      NULL, 2500, 1500, 0.05, 60, true, 0 },
    { "forget", "An invalidation", "Invalidate while they read",
      "After one second the tag is invalidated. Who asks later waits for a new value, and never "
      "gets the old one.",
      NULL, 2000, 200, 60, 0, true, 1000 },
    { "away", "The store is away", "Take the store away",
      "A Redis that does not answer. Each reader computes; none waits for the store, since it is "
      "known to be away.",
      "redis://127.0.0.1:1/?on_error=miss&timeout=0.25&connect_timeout=0.25", 2000, 20, 60, 0, false, 0 },
};

enum { EXPERIMENTS = sizeof experiments / sizeof experiments[0] };

struct reading {
    double begun, ended;               /* milliseconds since the experiment began */
    int source, version;               /* version: which computation made the value; 0: none */
    cache_status status;
};

struct lab {
    struct blog *blog;
    pthread_mutex_t lock;
    pthread_cond_t all_done;
    int n_in_background;               /* computations that workers have, or will have */
    bool is_running, has_thread;
    pthread_t thread;
    const struct experiment *experiment;
    cache_t *cache;
    struct timespec start;
    atomic_int computations;
    double forgotten_at;               /* 0: not yet */
    struct reading readings[READERS];  /* complete when it no longer runs */
};

static double elapsed_ms(const struct lab *lab)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - lab->start.tv_sec) * 1e3 + (double)(now.tv_nsec - lab->start.tv_nsec) / 1e6;
}

static void sleep_until(const struct lab *lab, double ms)
{
    for (double left; (left = ms - elapsed_ms(lab)) > 0;) {
        const struct timespec pause = { (time_t)(left / 1e3),
                                        (long)((left - (double)(time_t)(left / 1e3) * 1e3) * 1e6) };
        (void)nanosleep(&pause, NULL);
    }
}

/* The value is the number of its computation. */
static cache_status compute(void *ctx, cache_writer *out)
{
    struct lab *lab = ctx;
    struct post post;
    size_t n = 0;
    (void)db_newest(lab->blog->db, 0, &post, 1, &n);
    sleep_until(lab, elapsed_ms(lab) + lab->experiment->compute_ms);
    const int version = atomic_fetch_add(&lab->computations, 1) + 1;
    if (version > 1)    /* only the first is to be past its time soon */
        (void)cache_writer_set_ttl(out, 60);
    return cache_writer_printf(out, "%d", version);
}

/* A computation in the background begins to need the lab, and no longer does: the experiment's end waits for it. */
static void *hold(void *ctx)
{
    struct lab *lab = ctx;
    pthread_mutex_lock(&lab->lock);
    lab->n_in_background++;
    pthread_mutex_unlock(&lab->lock);
    return lab;
}

static void let_go(void *ctx)
{
    struct lab *lab = ctx;
    pthread_mutex_lock(&lab->lock);
    if (--lab->n_in_background == 0)
        pthread_cond_signal(&lab->all_done);
    pthread_mutex_unlock(&lab->lock);
}

static void read_once(struct lab *lab, struct reading *reading)
{
    static const char *const tags[] = { "lab" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_fetch_info info = { .source = CACHE_SOURCE_NONE };
    cache_value value;
    options.ttl = lab->experiment->ttl;
    options.stale = lab->experiment->stale;
    options.tags = tags;
    options.n_tags = 1;
    options.name = "lab";
    options.info = &info;
    options.ctx_copy = hold;
    options.ctx_free = let_go;
    reading->begun = elapsed_ms(lab);
    reading->status = cache_fetch(lab->cache, "lab", &options, compute, lab, &value);
    reading->ended = elapsed_ms(lab);
    reading->source = (int)info.source;
    reading->version = reading->status == CACHE_OK ? atoi(value.data) : 0;
    cache_value_release(&value);
}

struct reader {
    struct lab *lab;
    struct reading *reading;
    double comes_at;
};

static void *be_a_reader(void *arg)
{
    const struct reader *reader = arg;
    sleep_until(reader->lab, reader->comes_at);
    read_once(reader->lab, reader->reading);
    return NULL;
}

static void forget(struct lab *lab, double first)
{
    sleep_until(lab, first + lab->experiment->forget_ms);
    (void)cache_invalidate_tag(lab->cache, "lab");
    lab->forgotten_at = elapsed_ms(lab);
}

/* All readers come, and go. Those for whom there is no thread stay away. */
static void let_them_read(struct lab *lab)
{
    static struct reader readers[READERS];    /* one experiment runs at a time */
    pthread_t threads[READERS];
    pthread_attr_t small;
    size_t n = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    const double first = elapsed_ms(lab) + 50;    /* so that all are there when it begins */
    for (; n < READERS; n++) {
        const double after = lab->experiment->spread_ms * (double)n / READERS;
        readers[n] = (struct reader){ lab, &lab->readings[n], first + after };
        if (pthread_create(&threads[n], &small, be_a_reader, &readers[n]) != 0)
            break;
    }
    if (lab->experiment->forget_ms > 0)
        forget(lab, first);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&small);
}

static void *run(void *arg)
{
    struct lab *lab = arg;
    struct reading warming;
    const char *url = lab->experiment->url;
    clock_gettime(CLOCK_MONOTONIC, &lab->start);
    if (url != NULL ? cache_open(url, &lab->cache) == CACHE_OK : (lab->cache = lab->blog->cache) != NULL) {
        (void)cache_invalidate_tag(lab->cache, "lab");
        (void)cache_delete(lab->cache, "lab");
        if (lab->experiment->warm)
            read_once(lab, &warming);
        if (lab->experiment->stale > 0)    /* until it is past its time */
            sleep_until(lab, elapsed_ms(lab) + lab->experiment->ttl * 1e3);
        clock_gettime(CLOCK_MONOTONIC, &lab->start);
        let_them_read(lab);
        (void)cache_invalidate_tag(lab->cache, "lab");
    }
    pthread_mutex_lock(&lab->lock);
    while (lab->n_in_background > 0)
        pthread_cond_wait(&lab->all_done, &lab->lock);
    pthread_mutex_unlock(&lab->lock);
    if (url != NULL)
        cache_close(lab->cache);
    pthread_mutex_lock(&lab->lock);
    lab->is_running = false;
    pthread_mutex_unlock(&lab->lock);
    return NULL;
}

struct lab *lab_new(struct blog *blog)
{
    struct lab *lab = calloc(1, sizeof *lab);
    if (lab == NULL)
        return NULL;
    lab->blog = blog;
    pthread_mutex_init(&lab->lock, NULL);
    pthread_cond_init(&lab->all_done, NULL);
    return lab;
}

void lab_free(struct lab *lab)
{
    if (lab == NULL)
        return;
    if (lab->has_thread)
        pthread_join(lab->thread, NULL);
    pthread_cond_destroy(&lab->all_done);
    pthread_mutex_destroy(&lab->lock);
    free(lab);
}

/* Returns false if one runs already, or there is no thread. */
static bool begin(struct lab *lab, const struct experiment *experiment)
{
    pthread_mutex_lock(&lab->lock);
    const bool is_free = !lab->is_running;
    if (is_free) {
        if (lab->has_thread)
            pthread_join(lab->thread, NULL);
        lab->experiment = experiment;
        lab->forgotten_at = 0;
        memset(lab->readings, 0, sizeof lab->readings);
        atomic_store(&lab->computations, 0);
        lab->is_running = lab->has_thread = pthread_create(&lab->thread, NULL, run, lab) == 0;
    }
    const bool has_begun = is_free && lab->has_thread;
    pthread_mutex_unlock(&lab->lock);
    return has_begun;
}

/* ---- its pages --------------------------------------------------------------------------------------------------- */

cache_status lab_page(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    cache_writer *out = respond_html(response, 200, "The lab", NULL);
    (void)cache_writer_printf(out,
                              "<div class=\"lab\">\n<p>Each experiment sends %d readers to one value in the cache, "
                              "with a "
                              "database that is slow on purpose. The picture has a line for each reader, from when it "
                              "asked to when it was answered.</p>\n",
                              READERS);
    for (size_t i = 0; i < EXPERIMENTS; i++)
        (void)cache_writer_printf(out, "<section>\n<h2>%s</h2>\n<p>%s</p>\n<form method=\"post\" action=\"/lab/run\">"
                                       "<input type=\"hidden\" name=\"what\" value=\"%s\"><button>%s</button></form>\n"
                                       "</section>\n", experiments[i].title, experiments[i].text, experiments[i].name,
                                  experiments[i].button);
    (void)cache_writer_puts(out, "<section aria-labelledby=\"result\">\n<h2 id=\"result\">What happened</h2>\n"
                                 "<p id=\"lab-says\" role=\"status\">Nothing was run yet.</p>\n"
                                 "<div id=\"lab-picture\" class=\"picture\" tabindex=\"0\" role=\"region\" "
                                 "aria-label=\"Picture\" hidden></div>\n"
                                 "<p><a href=\"/lab/result\">The last result as JSON</a></p>\n</section>\n</div>\n"
                                 "<script src=\"/lab.js\" defer></script>\n");
    html_end(out);
    return cache_writer_status(out);
}

cache_status lab_run(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    const struct experiment *experiment = NULL;
    char *what = form_field(request->body, request->body_size, "what");
    for (size_t i = 0; what != NULL && i < EXPERIMENTS; i++)
        if (strcmp(experiments[i].name, what) == 0)
            experiment = &experiments[i];
    free(what);
    if (experiment == NULL)
        return respond_message(response, 400, "No such experiment", "The lab has no experiment of this name.");
    if (!begin(visit->blog->lab, experiment))
        return respond_message(response, 409, "One at a time",
                               "Another experiment is running. Try again in some seconds.");
    return respond_redirect(response, "/lab");
}

static cJSON *reading_json(const struct reading *reading)
{
    static const char *const sources[] = { "none", "hit", "stale", "computed", "shared" };
    const bool is_known = reading->source >= 0 && reading->source < (int)(sizeof sources / sizeof sources[0]);
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(object, "begun", reading->begun);
    (void)cJSON_AddNumberToObject(object, "ended", reading->ended);
    (void)cJSON_AddStringToObject(object, "source", reading->status != CACHE_OK ? "error"
                                                    : is_known                  ? sources[reading->source]
                                                                                : "none");
    (void)cJSON_AddNumberToObject(object, "version", reading->version);
    return object;
}

/* {"state": "none", "running" or "done", "what": …, "computations": n, "forgotten_at": ms, "readings": [ … ]} */
cache_status lab_result(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct lab *lab = visit->blog->lab;
    cJSON *object = cJSON_CreateObject();
    (void)request;
    pthread_mutex_lock(&lab->lock);
    const bool is_done = lab->experiment != NULL && !lab->is_running;
    (void)cJSON_AddStringToObject(object, "state", is_done ? "done" : lab->is_running ? "running" : "none");
    if (lab->experiment != NULL) {
        (void)cJSON_AddStringToObject(object, "what", lab->experiment->name);
        (void)cJSON_AddStringToObject(object, "title", lab->experiment->title);
    }
    if (is_done) {
        (void)cJSON_AddNumberToObject(object, "computations", atomic_load(&lab->computations));
        (void)cJSON_AddNumberToObject(object, "forgotten_at", lab->forgotten_at);
        cJSON *list = cJSON_AddArrayToObject(object, "readings");
        for (size_t i = 0; i < READERS; i++)
            (void)cJSON_AddItemToArray(list, reading_json(&lab->readings[i]));
    }
    pthread_mutex_unlock(&lab->lock);
    return respond_json(response, 200, object);
}
