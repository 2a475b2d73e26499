/* view_counter.c - a queue of views, and one thread that writes them, a batch a transaction. */
#include "view_counter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POSTS_PENDING = 1024 };         /* views of more posts than that at once are not counted: they are statistics */

struct view_counter {
    struct db *db;
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    size_t n;
    struct view_count pending[POSTS_PENDING], batch[POSTS_PENDING];
};

/* With the lock held. */
static size_t take_batch(struct view_counter *counter)
{
    const size_t n = counter->n;
    memcpy(counter->batch, counter->pending, n * sizeof counter->batch[0]);
    counter->n = 0;
    return n;
}

static void *write_batches(void *arg)
{
    struct view_counter *counter = arg;
    const struct timespec gather = { 0, 100 * 1000 * 1000 };    /* so that a busy second is ten transactions */
    pthread_mutex_lock(&counter->lock);
    while (!counter->stop || counter->n > 0) {
        while (!counter->stop && counter->n == 0)
            pthread_cond_wait(&counter->changed, &counter->lock);
        const size_t n = take_batch(counter);
        const bool stopping = counter->stop;
        pthread_mutex_unlock(&counter->lock);
        if (n > 0)
            (void)db_add_views(counter->db, counter->batch, n);
        if (!stopping)
            nanosleep(&gather, NULL);
        pthread_mutex_lock(&counter->lock);
    }
    pthread_mutex_unlock(&counter->lock);
    return NULL;
}

struct view_counter *view_counter_start(struct db *db)
{
    struct view_counter *counter = calloc(1, sizeof *counter);
    if (counter == NULL)
        return NULL;
    counter->db = db;
    pthread_mutex_init(&counter->lock, NULL);
    pthread_cond_init(&counter->changed, NULL);
    if (pthread_create(&counter->writer, NULL, write_batches, counter) != 0) {
        free(counter);
        return NULL;
    }
    return counter;
}

void view_counter_add(struct view_counter *counter, int64_t post)
{
    pthread_mutex_lock(&counter->lock);
    size_t i = 0;
    while (i < counter->n && counter->pending[i].post != post)
        i++;
    if (i < POSTS_PENDING) {
        if (i == counter->n)
            counter->pending[counter->n++] = (struct view_count){ post, 0 };
        counter->pending[i].n++;
        pthread_cond_signal(&counter->changed);
    }
    pthread_mutex_unlock(&counter->lock);
}

void view_counter_stop(struct view_counter *counter)
{
    if (counter == NULL)
        return;
    pthread_mutex_lock(&counter->lock);
    counter->stop = true;
    pthread_cond_signal(&counter->changed);
    pthread_mutex_unlock(&counter->lock);
    pthread_join(counter->writer, NULL);
    pthread_cond_destroy(&counter->changed);
    pthread_mutex_destroy(&counter->lock);
    free(counter);
}
