/* fork.c - a child has a copy of each store, and may use it at once: so no lock may be held, and no list half changed,
 * when the process forks. */
#include "memory.h"

#include <pthread.h>

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct memory *stores;

static void before_fork(void)
{
    pthread_mutex_lock(&stores_lock);
    for (struct memory *memory = stores; memory != NULL; memory = memory->next)
        for (size_t i = 0; i < memory->n_shards; i++)
            rwlock_write_lock(&memory->shards[i].lock);
}

static void after_fork_in_parent(void)
{
    for (struct memory *memory = stores; memory != NULL; memory = memory->next)
        for (size_t i = 0; i < memory->n_shards; i++)
            rwlock_write_unlock(&memory->shards[i].lock);
    pthread_mutex_unlock(&stores_lock);
}

static void after_fork_in_child(void)
{
    for (struct memory *memory = stores; memory != NULL; memory = memory->next)
        for (size_t i = 0; i < memory->n_shards; i++)
            rwlock_reset(&memory->shards[i].lock);
    pthread_mutex_unlock(&stores_lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void memory_enlist(struct memory *memory)
{
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&stores_lock);
    memory->next = stores;
    memory->at = &stores;
    if (stores != NULL)
        stores->at = &memory->next;
    stores = memory;
    pthread_mutex_unlock(&stores_lock);
}

void memory_delist(struct memory *memory)
{
    pthread_mutex_lock(&stores_lock);
    *memory->at = memory->next;
    if (memory->next != NULL)
        memory->next->at = memory->at;
    pthread_mutex_unlock(&stores_lock);
}
