/* redis_cluster.h - a cluster of six local nodes: three masters and a replica of each. */
#ifndef REDIS_CLUSTER_H
#define REDIS_CLUSTER_H

#include "server.h"
#include "test.h"

enum { CLUSTER_NODES = 6, CLUSTER_MASTERS = 3 };

struct test_cluster {
    struct test_server nodes[CLUSTER_NODES];    /* the masters first, as long as nothing failed over */
    int bus[CLUSTER_NODES];                     /* the ports on which they talk to each other */
};

/* Starts the nodes. Returns when every node says that the cluster is well. */
void test_cluster_start(struct test_cluster *cluster);
void test_cluster_stop(struct test_cluster *cluster);

/* Starts two masters with server.pem, server.key and ca.pem of the directory. Their ports for TLS are in `ports`.
 * Returns when both say that the cluster is well. The caller stops each node. */
void test_cluster_start_tls(struct test_server nodes[2], int ports[2], const char *directory);

/* Opens a cache whose URL names the nodes that were the masters first. */
cache_t *test_cluster_open(const struct test_cluster *cluster, const char *options);

/* After a node was killed, waits until the others agree that it is away, and a replica has its slots. */
void test_cluster_wait_for_successor(const struct test_cluster *cluster);

/* Starts a node that was killed, and waits until it is part of the cluster again. */
void test_cluster_restart(const struct test_cluster *cluster, struct test_server *node);

/* Asks one node with redis-cli. Returns its answer, which the next call overwrites. */
const char *test_cluster_ask(const struct test_cluster *cluster, int node, const char *command);

/* Asks until the answer contains `word`. */
void test_cluster_wait(const struct test_cluster *cluster, int node, const char *command, const char *word);

#endif
