/* fork_guard.c - counts forks, and compares the count before each use of a connection. Comparing the pid instead would
 * cost a system call per operation. */
#include "fork_guard.h"

#include <pthread.h>
#include <sched.h>

atomic_uint cache_fork_guard_forks;
static pthread_once_t watching = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add(&cache_fork_guard_forks, 1);
}

static void watch(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork);
}

void cache_fork_guard_init(struct cache_fork_guard *forked)
{
    (void)pthread_once(&watching, watch);
    const unsigned self = atomic_load(&cache_fork_guard_forks);
    atomic_init(&forked->owner, self);
    atomic_init(&forked->cleaning, self);
}

void cache_fork_guard_take_over(struct cache_fork_guard *forked, void (*clean_up)(void *ctx), void *ctx)
{
    const unsigned self = atomic_load_explicit(&cache_fork_guard_forks, memory_order_relaxed);
    while (atomic_load_explicit(&forked->owner, memory_order_acquire) != self) {
        /* If a process forks while it cleans up, its number is still here, and the child starts over. */
        unsigned cleaning = atomic_load(&forked->cleaning);
        if (cleaning != self && atomic_compare_exchange_strong(&forked->cleaning, &cleaning, self)) {
            clean_up(ctx);
            atomic_store_explicit(&forked->owner, self, memory_order_release);
            return;
        }
        sched_yield();    /* another thread of this child cleans up */
    }
}
