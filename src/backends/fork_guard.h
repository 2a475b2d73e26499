/* fork_guard.h - notices that this process was forked from the one that opened the store. */
#ifndef FORK_GUARD_H
#define FORK_GUARD_H

#include "../api.h"

#include <stdatomic.h>

/* The process to which the connections of a store belong. */
struct cache_fork_guard {
    atomic_uint owner;                 /* counted in forks since the program began */
    atomic_uint cleaning;              /* the process whose child cleans up, or has done so */
};

void cache_fork_guard_init(struct cache_fork_guard *forked);

/* How often the program has forked on the way to this process. */
extern atomic_uint cache_fork_guard_forks;

void cache_fork_guard_take_over(struct cache_fork_guard *forked, void (*clean_up)(void *ctx), void *ctx);

/* In a forked child, runs `clean_up(ctx)` in one thread while the others wait, and makes the child the owner. Costs no
 * system call. */
static inline void cache_fork_guard_check(struct cache_fork_guard *forked, void (*clean_up)(void *ctx), void *ctx)
{
    if (__builtin_expect(atomic_load_explicit(&forked->owner, memory_order_acquire) !=
                         atomic_load_explicit(&cache_fork_guard_forks, memory_order_relaxed), 0))
        cache_fork_guard_take_over(forked, clean_up, ctx);
}

#endif
