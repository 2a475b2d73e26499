/* cluster.c - a cluster of Redis whose nodes hang, are killed, and change places. */
#include "disturb.h"

#include "redis_cluster.h"


static struct test_cluster cluster;

static const char *hang(cache_t *cache)
{
    static unsigned n_hung;
    const struct test_server *node = &cluster.nodes[n_hung++ % CLUSTER_NODES];
    (void)cache;
    test_server_pause(node);
    soak_pause_ms(700);
    test_server_resume(node);
    return "a node hangs for 0.7 s";
}

static const char *failover(cache_t *cache)
{
    (void)cache;
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (strstr(test_cluster_ask(&cluster, i, "INFO replication"), "master_link_status:up") != NULL) {
            (void)test_cluster_ask(&cluster, i, "CLUSTER FAILOVER");
            soak_pause_ms(300);
            break;
        }
    return "a replica is made a master";
}

static long long number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at != NULL ? strtoll(at + strlen(name), NULL, 10) : -1;
}

/* Redis confirms what its replicas do not have yet, and a change that they never get is lost with the node. So wait
 * until they have what was confirmed by now. */
static void wait_for_replica(int node)
{
    enum { TRIES = 100 };
    static const char command[] = "INFO replication";
    const long long confirmed = number_after(test_cluster_ask(&cluster, node, command), "master_repl_offset:");
    for (int i = 0; i < TRIES; i++) {
        const char *info = test_cluster_ask(&cluster, node, command);
        if (strstr(info, "role:master") == NULL || number_after(info, ",offset=") >= confirmed)
            return;
        soak_pause_ms(100);
    }
    fail_msg("the replica of node %d stays behind", node);
}

/* Its replica takes over; the node comes back empty as the replica of its successor. */
static const char *kill_one(cache_t *cache)
{
    static unsigned n_killed;
    const int number = (int)(n_killed++ % CLUSTER_NODES);
    struct test_server *node = &cluster.nodes[number];
    (void)cache;
    wait_for_replica(number);
    test_server_kill(node);
    test_cluster_wait_for_successor(&cluster);
    test_cluster_restart(&cluster, node);
    return "a node is killed and comes back";
}

static void start_with(char url[SOAK_URL], const char *options)
{
    test_cluster_start(&cluster);
    (void)snprintf(url, SOAK_URL, "redis+cluster://127.0.0.1:%d,127.0.0.1:%d?%s", cluster.nodes[0].port,
                   cluster.nodes[1].port, options);
}

static void start_plain(char url[SOAK_URL])
{
    start_with(url, "pool=2");
}

static void start_front(char url[SOAK_URL])
{
    start_with(url, "pool=2&front=4mb");
}

static void stop(void)
{
    test_cluster_stop(&cluster);
}

#define DISTURBANCES { { hang, true }, { failover, true }, { kill_one, true }, { soak_fork, false } }

const struct soak_store soak_clusters[] = {
    { "redis+cluster", start_plain, stop, DISTURBANCES },
    { "redis+cluster+front", start_front, stop, DISTURBANCES },
    { NULL, NULL, NULL, { { NULL, false } } },
};
