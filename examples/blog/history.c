/* history.c - what the cache did lately. */
#include "history.h"

#include "db.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { SAMPLES = 300, SECONDS = 2 };

enum { HITS, MISSES, ERRORS, EVICTIONS, QUERIES, COUNTS };    /* what is shown by its growth */

static const char *const names[COUNTS] = { "hits", "misses", "errors", "evictions", "db_queries" };

struct sample {
    uint64_t counts[COUNTS], bytes;
};

struct history {
    struct blog *blog;
    pthread_t sampler;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
    size_t n;                          /* samples taken; the last SAMPLES of them are kept */
    struct sample samples[SAMPLES];
};

static struct sample look(const struct blog *blog)
{
    cache_counters counters;
    if (cache_stats(blog->cache, &counters) != CACHE_OK)
        return (struct sample){ { 0 }, 0 };
    return (struct sample){
        { counters.hits, counters.misses, counters.errors, counters.evictions, db_queries(blog->db) }, counters.bytes,
    };
}

static void *sample_until_stopped(void *arg)
{
    struct history *history = arg;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&history->lock);
    while (!history->stop) {
        pthread_mutex_unlock(&history->lock);
        const struct sample sample = look(history->blog);    /* without the lock: a store may have to be asked */
        pthread_mutex_lock(&history->lock);
        history->samples[history->n++ % SAMPLES] = sample;
        next.tv_sec += SECONDS;
        while (!history->stop && pthread_cond_timedwait(&history->stopped, &history->lock, &next) == 0)
            continue;
    }
    pthread_mutex_unlock(&history->lock);
    return NULL;
}

struct history *history_start(struct blog *blog)
{
    pthread_condattr_t monotonic;
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL)
        return NULL;
    history->blog = blog;
    pthread_mutex_init(&history->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&history->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&history->sampler, NULL, sample_until_stopped, history) == 0)
        return history;
    free(history);
    return NULL;
}

void history_stop(struct history *history)
{
    if (history == NULL)
        return;
    pthread_mutex_lock(&history->lock);
    history->stop = true;
    pthread_cond_signal(&history->stopped);
    pthread_mutex_unlock(&history->lock);
    pthread_join(history->sampler, NULL);
    pthread_cond_destroy(&history->stopped);
    pthread_mutex_destroy(&history->lock);
    free(history);
}

/* ---- as JSON ----------------------------------------------------------------------------------------------------- */

static void add_number(cJSON *list, double number)
{
    (void)cJSON_AddItemToArray(list, cJSON_CreateNumber(number));
}

struct cJSON *history_json(struct history *history)
{
    cJSON *object = cJSON_CreateObject(), *lists[COUNTS];
    cJSON *ago = cJSON_AddArrayToObject(object, "seconds_ago"), *bytes = cJSON_AddArrayToObject(object, "bytes");
    for (size_t i = 0; i < COUNTS; i++)
        lists[i] = cJSON_AddArrayToObject(object, names[i]);
    pthread_mutex_lock(&history->lock);
    const size_t kept = history->n < SAMPLES ? history->n : SAMPLES;
    for (size_t at = history->n - kept + 1; kept > 0 && at < history->n; at++) {
        const struct sample *before = &history->samples[(at - 1) % SAMPLES], *sample = &history->samples[at % SAMPLES];
        add_number(ago, (double)((history->n - 1 - at) * SECONDS));
        add_number(bytes, (double)sample->bytes);
        for (size_t i = 0; i < COUNTS; i++)
            add_number(lists[i], (double)(sample->counts[i] - before->counts[i]));
    }
    pthread_mutex_unlock(&history->lock);
    return object;
}
