/* workers.c - a few threads and a queue. */
#include "workers.h"

#include <pthread.h>
#include <stdlib.h>

struct task {
    void (*run)(void *arg);
    void *arg;
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    size_t n_threads, first, n, max;   /* the queue is a ring of `max` tasks, `n` of them from `first` on */
    pthread_t *threads;
    struct task tasks[];
};

static void *work(void *arg)
{
    struct workers *workers = arg;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->n == 0 && !workers->stop)
            pthread_cond_wait(&workers->changed, &workers->lock);
        if (workers->n == 0)
            break;
        const struct task task = workers->tasks[workers->first];
        workers->first = (workers->first + 1) % workers->max;
        workers->n--;
        pthread_mutex_unlock(&workers->lock);
        task.run(task.arg);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

struct workers *workers_start(size_t threads, size_t max_queued)
{
    struct workers *workers = calloc(1, sizeof *workers + max_queued * sizeof workers->tasks[0]);
    if (workers == NULL || (workers->threads = calloc(threads, sizeof *workers->threads)) == NULL) {
        free(workers);
        return NULL;
    }
    workers->max = max_queued;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->changed, NULL);
    while (workers->n_threads < threads &&
           pthread_create(&workers->threads[workers->n_threads], NULL, work, workers) == 0)
        workers->n_threads++;
    if (workers->n_threads == threads)
        return workers;
    workers_stop(workers);
    return NULL;
}

bool workers_add(void *ctx, void (*task)(void *arg), void *arg)
{
    struct workers *workers = ctx;
    pthread_mutex_lock(&workers->lock);
    const bool has_room = workers->n < workers->max && !workers->stop;
    if (has_room) {
        workers->tasks[(workers->first + workers->n++) % workers->max] = (struct task){ task, arg };
        pthread_cond_signal(&workers->changed);
    }
    pthread_mutex_unlock(&workers->lock);
    return has_room;
}

void workers_stop(struct workers *workers)
{
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->stop = true;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->n_threads; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->changed);
    pthread_mutex_destroy(&workers->lock);
    free(workers->threads);
    free(workers);
}
