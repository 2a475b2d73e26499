/* fork.c - a forked child has a copy of each store, and may use it at once. So during the fork no lock is held, and
 * nothing is half changed. Readers hold no lock, and in the child their records are dropped. */
#include "memory.h"

#include "epoch.h"

#include <pthread.h>

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct memory *stores;

static void before_fork(void)
{
    pthread_mutex_lock(&stores_lock);
    for (struct memory *memory = stores; memory != NULL; memory = memory->next) {
        for (size_t i = 0; i < memory->n_shards; i++)
            lock_take(&memory->shards[i].lock);
        for (int i = 0; i < LIMBOS; i++)
            lock_take(&memory->limbos[i].lock);
    }
    cache_mem_epoch_before_fork();
}

static void after_fork_in_parent(void)
{
    cache_mem_epoch_after_fork(false);
    for (struct memory *memory = stores; memory != NULL; memory = memory->next) {
        for (int i = 0; i < LIMBOS; i++)
            lock_give(&memory->limbos[i].lock);
        for (size_t i = 0; i < memory->n_shards; i++)
            lock_give(&memory->shards[i].lock);
    }
    pthread_mutex_unlock(&stores_lock);
}

static void after_fork_in_child(void)
{
    cache_mem_epoch_after_fork(true);
    for (struct memory *memory = stores; memory != NULL; memory = memory->next) {
        for (int i = 0; i < LIMBOS; i++) {
            lock_reset(&memory->limbos[i].lock);
            memory->limbos[i].asking = false;    /* the thread that asked is in the parent */
        }
        for (size_t i = 0; i < memory->n_shards; i++)
            lock_reset(&memory->shards[i].lock);
    }
    pthread_mutex_unlock(&stores_lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void cache_mem_enlist(struct memory *memory)
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

void cache_mem_delist(struct memory *memory)
{
    pthread_mutex_lock(&stores_lock);
    *memory->at = memory->next;
    if (memory->next != NULL)
        memory->next->at = memory->at;
    pthread_mutex_unlock(&stores_lock);
}
