/* redis_cluster.c - six nodes, made a cluster by redis-cli. */
#include "test.h"

#include "redis_cluster.h"

#include <time.h>

const char *test_cluster_ask(const struct test_cluster *cluster, int node, const char *command)
{
    static char answer[64 * 1024];
    char line[1024];
    (void)snprintf(line, sizeof line, "redis-cli -p %d %s 2>&1", cluster->nodes[node].port, command);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    const size_t size = fread(answer, 1, sizeof answer - 1, pipe);
    answer[size] = '\0';
    (void)pclose(pipe);
    return answer;
}

void test_cluster_wait(const struct test_cluster *cluster, int node, const char *command, const char *word)
{
    for (int i = 0; strstr(test_cluster_ask(cluster, node, command), word) == NULL; i++) {
        if (i == 1200)
            fail_msg("node %d: %s does not say '%s': %s", node, command, word,
                     test_cluster_ask(cluster, node, command));
        nanosleep(&(const struct timespec){ 0, 25 * 1000 * 1000 }, NULL);
    }
}

static void start_node(struct test_server *node, const char *bus)
{
    const char *extra[] = { "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file",
                            "nodes.conf", "--cluster-port", bus, NULL };
    test_server_start_redis(node, extra);
}

cache_t *test_cluster_open(const struct test_cluster *cluster, const char *options)
{
    char url[256];
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d?%s",
                   cluster->nodes[0].port, cluster->nodes[1].port, cluster->nodes[2].port, options);
    return test_open(url);
}

void test_cluster_wait_for_successor(const struct test_cluster *cluster)
{
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (cluster->nodes[i].pid > 0) {
            test_cluster_wait(cluster, i, "CLUSTER NODES", ",fail ");
            test_cluster_wait(cluster, i, "CLUSTER INFO", "cluster_state:ok");
        }
}

void test_cluster_restart(const struct test_cluster *cluster, struct test_server *node)
{
    char bus[8];
    const int i = (int)(node - cluster->nodes);
    (void)snprintf(bus, sizeof bus, "%d", cluster->bus[i]);
    start_node(node, bus);
    test_cluster_wait(cluster, i, "CLUSTER INFO", "cluster_state:ok");
}

void test_cluster_start(struct test_cluster *cluster)
{
    char bus[8];
    char command[512] = "redis-cli --cluster create";
    memset(cluster, 0, sizeof *cluster);
    for (int i = 0; i < CLUSTER_NODES; i++) {
        cluster->bus[i] = test_free_port();
        (void)snprintf(bus, sizeof bus, "%d", cluster->bus[i]);
        start_node(&cluster->nodes[i], bus);
        const size_t size = strlen(command);
        (void)snprintf(command + size, sizeof command - size, " 127.0.0.1:%d", cluster->nodes[i].port);
    }
    const size_t size = strlen(command);
    (void)snprintf(command + size, sizeof command - size, " --cluster-replicas 1 --cluster-yes >%s/create 2>&1",
                   cluster->nodes[0].directory);
    if (system(command) != 0) {
        (void)snprintf(command, sizeof command, "tail -5 %s/create >&2", cluster->nodes[0].directory);
        if (system(command) != 0)
            print_message("nothing was said\n");
        fail_msg("the nodes could not be made a cluster");
    }
    for (int i = 0; i < CLUSTER_NODES; i++)
        test_cluster_wait(cluster, i, "CLUSTER INFO", "cluster_state:ok");
    for (int i = CLUSTER_MASTERS; i < CLUSTER_NODES; i++)
        test_cluster_wait(cluster, i, "INFO replication", "master_link_status:up");
}

void test_cluster_stop(struct test_cluster *cluster)
{
    for (int i = 0; i < CLUSTER_NODES; i++)
        test_server_stop(&cluster->nodes[i]);
}

/* ---- with TLS ---------------------------------------------------------------------------------------------------- */

/* Ask one node with redis-cli until its answer contains `word`. */
static void tell(const char *directory, int port, const char *words, const char *word)
{
    char command[512];
    (void)snprintf(command, sizeof command, "redis-cli --tls --cacert %s/ca.pem -p %d %s 2>/dev/null | grep -q %s",
                   directory, port, words, word);
    for (int i = 0; system(command) != 0; i++) {
        if (i == 1200)
            fail_msg("%s", command);
        nanosleep(&(const struct timespec){ 0, 25 * 1000 * 1000 }, NULL);
    }
}

void test_cluster_start_tls(struct test_server nodes[2], int ports[2], const char *directory)
{
    char port[8], bus[8], cert[96], key[96], ca[96], words[96];
    int buses[2];
    (void)snprintf(cert, sizeof cert, "%s/server.pem", directory);
    (void)snprintf(key, sizeof key, "%s/server.key", directory);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    for (int i = 0; i < 2; i++) {
        ports[i] = test_free_port();
        buses[i] = test_free_port();
        (void)snprintf(port, sizeof port, "%d", ports[i]);
        (void)snprintf(bus, sizeof bus, "%d", buses[i]);
        const char *extra[] = { "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
                                "--tls-ca-cert-file", ca, "--tls-auth-clients", "no", "--tls-cluster", "yes",
                                "--cluster-enabled", "yes", "--cluster-port", bus, NULL };
        test_server_start_redis(&nodes[i], extra);
    }
    tell(directory, ports[0], "CLUSTER ADDSLOTSRANGE 0 8191", "OK");
    tell(directory, ports[1], "CLUSTER ADDSLOTSRANGE 8192 16383", "OK");
    (void)snprintf(words, sizeof words, "CLUSTER MEET 127.0.0.1 %d %d", ports[1], buses[1]);
    tell(directory, ports[0], words, "OK");
    for (int i = 0; i < 2; i++)
        tell(directory, ports[i], "CLUSTER INFO", "cluster_state:ok");
}
