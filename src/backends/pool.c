/* pool.c - slots of connections, taken and given back without a lock while there are enough. */
#include "pool.h"

#include "../env.h"

#include <time.h>

static void locks_init(struct cache_pool *pool)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->handed_over, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&pool->waiting, 0);
    pool->n_handed = 0;
}

cache_status cache_pool_init(struct cache_pool *pool, const cache_env *env, int n, const char *where)
{
    const size_t size = (size_t)n * (sizeof *pool->busy + sizeof *pool->handed);
    pool->handed = cache_env_alloc(env, size);
    if (pool->handed == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", where);
    pool->busy = (atomic_bool *)(void *)(pool->handed + n);
    pool->env = env;
    pool->n = n;
    for (int i = 0; i < n; i++)
        atomic_init(&pool->busy[i], false);
    locks_init(pool);
    return CACHE_OK;
}

void cache_pool_release(struct cache_pool *pool)
{
    if (pool->handed == NULL)
        return;
    pthread_cond_destroy(&pool->handed_over);
    pthread_mutex_destroy(&pool->lock);
    cache_env_free(pool->env, pool->handed);
    pool->handed = NULL;
}

static int take(struct cache_pool *pool)
{
    for (int i = 0; i < pool->n; i++)
        if (!atomic_load_explicit(&pool->busy[i], memory_order_relaxed) && !atomic_exchange(&pool->busy[i], true))
            return i;
    return -1;
}

static int wait_for_one(struct cache_pool *pool, uint64_t deadline)
{
    const struct timespec until = { (time_t)(deadline / 1000000000), (long)(deadline % 1000000000) };
    int waited = 0;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->waiting, 1);    /* before the look: who gives back after it hands over */
    int slot = take(pool);
    while (slot < 0 && pool->n_handed == 0 && waited == 0)
        waited = pthread_cond_timedwait(&pool->handed_over, &pool->lock, &until);
    if (slot < 0 && pool->n_handed > 0)
        slot = pool->handed[--pool->n_handed];    /* who handed it over no longer counts one who waits */
    else
        atomic_fetch_sub(&pool->waiting, 1);
    pthread_mutex_unlock(&pool->lock);
    return slot;
}

int cache_pool_take(struct cache_pool *pool, uint64_t deadline)
{
    const int slot = take(pool);
    return slot >= 0 ? slot : wait_for_one(pool, deadline);
}

/* A slot that is handed over stays busy: else whoever gave it back would take it again, long before one who waits is awake. */
static bool hand_over(struct cache_pool *pool, int slot)
{
    pthread_mutex_lock(&pool->lock);
    const bool wanted = atomic_load(&pool->waiting) > 0;
    if (wanted) {
        atomic_fetch_sub(&pool->waiting, 1);
        pool->handed[pool->n_handed++] = slot;
        pthread_cond_signal(&pool->handed_over);
    }
    pthread_mutex_unlock(&pool->lock);
    return wanted;
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
    locks_init(pool);    /* whoever held the old ones is not in this process */
}
