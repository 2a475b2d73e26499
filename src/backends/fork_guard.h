/* fork_guard.h - notice that this process is the child of the one that opened the store. */
#ifndef FORK_GUARD_H
#define FORK_GUARD_H

#include "../api.h"

#include <stdatomic.h>

/* Which process a store's connections belong to. */
struct cache_fork_guard {
    atomic_uint owner;                 /* in forks since the program began */
    atomic_uint cleaning;              /* the process whose child cleans up, or did */
};

void cache_fork_guard_init(struct cache_fork_guard *forked);

/* In a child: run `clean_up(ctx)` in one thread, while the others wait, and make the child the owner. Costs no system
 * call. */
void cache_fork_guard_check(struct cache_fork_guard *forked, void (*clean_up)(void *ctx), void *ctx);

#endif
