/* fork.c - in the child of a fork: the lock of the cluster's map may be held by a thread that is not here. The nodes'
 * connections are the transport's to close. */
#include "store.h"

static void forked(void *ctx)
{
    struct redis_cluster *cluster = ctx;
    pthread_mutex_init(&cluster->lock, NULL);
    atomic_store(&cluster->read_at, 0);
}

void cache_redis_check_fork(struct redis_cluster *cluster)
{
    cache_fork_guard_check(&cluster->fork_guard, forked, cluster);
}
