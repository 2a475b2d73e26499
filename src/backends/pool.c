/* pool.c - slots of connections, taken and given back without a lock while there are enough. */
#include "pool.h"

#include "../hooks.h"

#include <time.h>

struct cache_pool_waiter {
    pthread_cond_t handed_over;
    int slot;                          /* -1: none yet */
    struct cache_pool_waiter *next;
};

static void queue_init(struct cache_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    atomic_init(&pool->waiting, 0);
    pool->first = NULL;
    pool->last = &pool->first;
}

cache_status cache_pool_init(struct cache_pool *pool, const cache_env *env, int n, const char *where)
{
    pool->busy = cache_env_alloc(env, (size_t)n * sizeof *pool->busy);
    if (pool->busy == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", where);
    pool->env = env;
    pool->n = n;
    for (int i = 0; i < n; i++)
        atomic_init(&pool->busy[i], false);
    queue_init(pool);
    return CACHE_OK;
}

void cache_pool_release(struct cache_pool *pool)
{
    if (pool->busy == NULL)
        return;
    pthread_mutex_destroy(&pool->lock);
    cache_env_free(pool->env, pool->busy);
    pool->busy = NULL;
}

static int take(struct cache_pool *pool)
{
    for (int i = 0; i < pool->n; i++)
        if (!atomic_load_explicit(&pool->busy[i], memory_order_relaxed) && !atomic_exchange(&pool->busy[i], true))
            return i;
    return -1;
}

static void enqueue(struct cache_pool *pool, struct cache_pool_waiter *waiter)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->handed_over, &attributes);
    pthread_condattr_destroy(&attributes);
    waiter->slot = -1;
    waiter->next = NULL;
    *pool->last = waiter;
    pool->last = &waiter->next;
    atomic_fetch_add(&pool->waiting, 1);
}

static void dequeue(struct cache_pool *pool, struct cache_pool_waiter *waiter)
{
    struct cache_pool_waiter **at = &pool->first;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    if (*at == NULL)
        pool->last = at;
    atomic_fetch_sub(&pool->waiting, 1);
}

static int wait_for_one(struct cache_pool *pool, uint64_t deadline)
{
    const struct timespec until = { (time_t)(deadline / 1000000000), (long)(deadline % 1000000000) };
    struct cache_pool_waiter self;
    int waited = 0;
    pthread_mutex_lock(&pool->lock);
    enqueue(pool, &self);    /* before the look: who gives back after it hands over */
    int slot = take(pool);
    while (slot < 0 && self.slot < 0 && waited == 0)
        waited = pthread_cond_timedwait(&self.handed_over, &pool->lock, &until);
    if (self.slot < 0)
        dequeue(pool, &self);
    else
        slot = self.slot;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&self.handed_over);
    return slot;
}

int cache_pool_take(struct cache_pool *pool, uint64_t deadline)
{
    const int slot = take(pool);
    return slot >= 0 ? slot : wait_for_one(pool, deadline);
}

/* A slot that is handed over stays busy: else whoever gave it back would take it again, long before one who waits is
 * awake. */
static bool hand_over(struct cache_pool *pool, int slot)
{
    pthread_mutex_lock(&pool->lock);
    struct cache_pool_waiter *waiter = pool->first;
    if (waiter != NULL) {
        dequeue(pool, waiter);
        waiter->slot = slot;
        /* Under the lock: the waiter's stack is there until it is released. */
        pthread_cond_signal(&waiter->handed_over);
    }
    pthread_mutex_unlock(&pool->lock);
    return waiter != NULL;
}

void cache_pool_give_back(struct cache_pool *pool, int slot)
{
    do {
        if (atomic_load(&pool->waiting) > 0 && hand_over(pool, slot))
            return;
        atomic_store(&pool->busy[slot], false);
    } while (atomic_load(&pool->waiting) > 0 && !atomic_exchange(&pool->busy[slot], true));
}

bool cache_pool_is_busy(const struct cache_pool *pool, int slot)
{
    return atomic_load(&pool->busy[slot]);
}

void cache_pool_forked(struct cache_pool *pool)
{
    for (int i = 0; i < pool->n; i++)
        atomic_store(&pool->busy[i], false);
    queue_init(pool);    /* who waits, or holds the lock, is not in this process */
}
