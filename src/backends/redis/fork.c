/* fork.c - makes the lock of the cluster's map usable in the child of a fork. A thread that does not exist in the child
 * may have held it. The transport closes the connections of the nodes. */
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
