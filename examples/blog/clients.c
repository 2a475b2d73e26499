/* clients.c - a list of connections, and one thread that looks through it for those which are late.
 *
 * The server's threads never wait for a client, but each client holds a connection, of which there are so many and no
 * more. The server's own limit is one of silence, which a client that sends a byte now and then never reaches. */
#define _GNU_SOURCE                    /* CLOCK_MONOTONIC_COARSE */
#include "clients.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct client {
    struct client *next, **link;       /* `link` is what points to this one */
    int fd;
    atomic_bool busy;
    atomic_int_fast64_t since;         /* milliseconds */
};

struct clients {
    pthread_t watcher;
    pthread_mutex_t lock;              /* over the list; what a client is doing changes without it */
    pthread_cond_t changed;
    struct client *first;
    int64_t limit, interval;           /* milliseconds */
    bool stop, finishing;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);    /* a few milliseconds behind, and free */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* With the lock held: until something changes, or for some time. */
static void wait_for(struct clients *clients, int64_t ms)
{
    const int64_t until = now_ms() + ms;
    const struct timespec at = { (time_t)(until / 1000), (long)(until % 1000) * 1000000 };
    (void)pthread_cond_timedwait(&clients->changed, &clients->lock, &at);
}

static void *watch(void *arg)
{
    struct clients *clients = arg;
    pthread_mutex_lock(&clients->lock);
    while (!clients->stop) {
        const int64_t late = now_ms() - clients->limit;
        for (struct client *client = clients->first; client != NULL; client = client->next)
            if (atomic_load(&client->since) < late)
                (void)shutdown(client->fd, SHUT_RDWR);
        wait_for(clients, clients->interval);
    }
    pthread_mutex_unlock(&clients->lock);
    return NULL;
}

struct clients *clients_start(double time_limit)
{
    pthread_condattr_t monotonic;
    struct clients *clients = calloc(1, sizeof *clients);
    if (clients == NULL)
        return NULL;
    clients->limit = (int64_t)(time_limit * 1000);
    clients->interval = clients->limit < 4000 ? clients->limit / 4 + 1 : 1000;
    pthread_mutex_init(&clients->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&clients->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&clients->watcher, NULL, watch, clients) != 0) {
        free(clients);
        return NULL;
    }
    return clients;
}

void clients_stop(struct clients *clients)
{
    if (clients == NULL)
        return;
    pthread_mutex_lock(&clients->lock);
    clients->stop = true;
    pthread_cond_broadcast(&clients->changed);
    pthread_mutex_unlock(&clients->lock);
    pthread_join(clients->watcher, NULL);
    pthread_cond_destroy(&clients->changed);
    pthread_mutex_destroy(&clients->lock);
    free(clients);
}

struct client *clients_add(struct clients *clients, int fd)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->fd = fd;
    client_begins(client, false);
    pthread_mutex_lock(&clients->lock);
    client->next = clients->first;
    client->link = &clients->first;
    if (client->next != NULL)
        client->next->link = &client->next;
    clients->first = client;
    pthread_mutex_unlock(&clients->lock);
    return client;
}

void clients_remove(struct clients *clients, struct client *client)
{
    if (client == NULL)
        return;
    pthread_mutex_lock(&clients->lock);
    *client->link = client->next;
    if (client->next != NULL)
        client->next->link = client->link;
    if (clients->finishing)
        pthread_cond_broadcast(&clients->changed);
    pthread_mutex_unlock(&clients->lock);
    free(client);
}

void client_begins(struct client *client, bool busy)
{
    if (client == NULL)
        return;
    atomic_store_explicit(&client->since, now_ms(), memory_order_relaxed);
    atomic_store_explicit(&client->busy, busy, memory_order_relaxed);
}

void clients_finish(struct clients *clients, int seconds)
{
    const int64_t until = now_ms() + (int64_t)seconds * 1000;
    pthread_mutex_lock(&clients->lock);
    clients->finishing = true;
    while (clients->first != NULL && now_ms() < until) {
        for (struct client *client = clients->first; client != NULL; client = client->next)
            if (!atomic_load(&client->busy))
                (void)shutdown(client->fd, SHUT_RD);    /* what it has sent meanwhile is still read */
        wait_for(clients, 20);                          /* one whose answer was on its way is idle then */
    }
    pthread_mutex_unlock(&clients->lock);
}
