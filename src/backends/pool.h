/* pool.h - who uses which of a server's connections: a bounded number of slots, taken and given back by any thread.
 * Who waits longest gets the next slot that is given back.
 *
 * The pool knows nothing of what is in a slot: the store keeps an array of its connections beside it. */
#ifndef POOL_H
#define POOL_H

#include "../api.h"

#include <pthread.h>
#include <stdatomic.h>

struct cache_pool {
    const cache_env *env;
    atomic_bool *busy;                 /* one a slot */
    int n;
    atomic_int waiting;                /* callers in the queue */
    pthread_mutex_t lock;              /* of the queue alone */
    struct cache_pool_waiter *first, **last;
};

/* `where` is for the message of CACHE_ERR_NOMEM. */
cache_status cache_pool_init(struct cache_pool *pool, const cache_env *env, int n, const char *where);
void cache_pool_release(struct cache_pool *pool);

/* The lowest free slot, so that few callers share few connections. Waits until `deadline` (of cache_now_ns) for one: -1
 * if none came free. What was written to a slot before it was given back is seen by who takes it. */
int cache_pool_take(struct cache_pool *pool, uint64_t deadline);
void cache_pool_give_back(struct cache_pool *pool, int slot);

/* In the child of a fork: was the slot in another thread's hands, which does not exist here? And then: all are free. */
bool cache_pool_is_busy(const struct cache_pool *pool, int slot);
void cache_pool_forked(struct cache_pool *pool);

#endif
