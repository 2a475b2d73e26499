/* disturb.c - the stores that are soaked, and what is done to them. */
#include "soak.h"

#include "files.h"
#include "redis_cluster.h"
#include "server.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef const char *disturbance(void);

static struct test_server server;
static struct test_cluster cluster;
static char directory[64], url[256];
static const struct soak_store *store;
static unsigned n_disturbed;

static void pause_ms(long ms)
{
    nanosleep(&(const struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* ---- servers ----------------------------------------------------------------------------------------------------- */

static void ask_redis(const char *command)
{
    char line[256];
    (void)snprintf(line, sizeof line, "redis-cli -p %d %s >/dev/null", server.port, command);
    assert_int_equal(system(line), 0);
}

static const char *hang(void)
{
    kill(server.pid, SIGSTOP);
    pause_ms(700);
    kill(server.pid, SIGCONT);
    return "hangs for 0.7 s";
}

static const char *restart_redis(void)
{
    test_server_kill(&server);
    pause_ms(200);
    test_server_start_redis(&server, NULL);
    return "is killed and starts empty";
}

static const char *restart_memcached(void)
{
    test_server_kill(&server);
    pause_ms(200);
    test_server_start_memcached(&server, NULL);
    return "is killed and starts empty";
}

static const char *cut_redis(void)
{
    ask_redis("CLIENT KILL TYPE normal");
    return "cuts all connections";
}

static const char *empty_redis(void)
{
    ask_redis("FLUSHALL");
    return "is emptied";
}

static const char *evict_redis(void)
{
    ask_redis("CONFIG SET maxmemory 2mb");
    ask_redis("CONFIG SET maxmemory-policy allkeys-lru");
    pause_ms(300);
    ask_redis("CONFIG SET maxmemory 0");
    return "has little memory for 0.3 s";
}

static void start_redis(const char *options)
{
    test_server_start_redis(&server, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/0?%s", server.port, options);
}

static void start_redis_plain(void)
{
    start_redis("pool=4");
}

static void start_redis_front(void)
{
    start_redis("pool=4&front=4mb");
}

static void start_memcached(void)
{
    test_server_start_memcached(&server, NULL);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?pool=4", server.port);
}

static void stop_server(void)
{
    test_server_stop(&server);
}

/* ---- a cluster --------------------------------------------------------------------------------------------------- */

static const char *cluster_hang(void)
{
    kill(cluster.nodes[n_disturbed % CLUSTER_NODES].pid, SIGSTOP);
    pause_ms(700);
    kill(cluster.nodes[n_disturbed % CLUSTER_NODES].pid, SIGCONT);
    return "a node hangs for 0.7 s";
}

static const char *cluster_failover(void)
{
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (strstr(test_cluster_ask(&cluster, i, "INFO replication"), "master_link_status:up") != NULL) {
            (void)test_cluster_ask(&cluster, i, "CLUSTER FAILOVER");
            pause_ms(300);
            break;
        }
    return "a replica is made a master";
}

/* Its replica takes over; the node comes back empty as the replica of its successor. */
static const char *cluster_kill(void)
{
    static unsigned n_killed;
    struct test_server *node = &cluster.nodes[n_killed++ % CLUSTER_NODES];
    test_server_kill(node);
    test_cluster_wait_for_successor(&cluster);
    test_cluster_restart(&cluster, node);
    return "a node is killed and comes back";
}

static void start_cluster_with(const char *options)
{
    test_cluster_start(&cluster);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d,127.0.0.1:%d?%s", cluster.nodes[0].port,
                   cluster.nodes[1].port, options);
}

static void start_cluster(void)
{
    start_cluster_with("pool=2");
}

static void start_cluster_front(void)
{
    start_cluster_with("pool=2&front=4mb");
}

static void stop_cluster(void)
{
    test_cluster_stop(&cluster);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static unsigned n_seen;

static void remove_some(const char *path)
{
    if (n_seen++ % 5 == n_disturbed % 5)
        (void)unlink(path);
}

static void cut_some(const char *path)
{
    if (n_seen++ % 5 == n_disturbed % 5 && truncate(path, 20) != 0)
        return;    /* it has gone meanwhile */
}

static const char *remove_files(void)
{
    files_each(directory, remove_some);
    return "a fifth of the files is removed";
}

static const char *cut_files(void)
{
    files_each(directory, cut_some);
    return "a fifth of the files is cut off";
}

/* Another process, begun anew so that it has no threads of ours, which writes until it is killed. */
static const char *kill_writer(void)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "soak", "writer", url, (char *)NULL);
        _exit(127);
    }
    pause_ms(200);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return "another process is killed while it writes";
}

static void start_files(void)
{
    test_directory_make(directory, sizeof directory);
    (void)snprintf(url, sizeof url, "file://%s?max_bytes=4mb", directory);
}

static void stop_files(void)
{
    test_directory_remove(directory);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void *use_a_little(void *arg)
{
    cache_t *cache = arg;
    for (int i = 0; i < 50; i++)
        test_set_numbered(cache, "guest", i, 0.05);
    return NULL;
}

/* Threads that come and go, and entries that expire. */
static const char *short_threads(void)
{
    cache_t *cache = test_open("memory://?max_bytes=1mb");
    pthread_t guests[8];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++)
            assert_int_equal(pthread_create(&guests[i], NULL, use_a_little, cache), 0);
        for (int i = 0; i < 8; i++)
            pthread_join(guests[i], NULL);
    }
    cache_close(cache);
    return "threads and a second cache come and go";
}

/* The C library gives each thread an arena, and what is free in one is of no use to another: with values of all sizes
 * they grow for minutes, whatever the store frees. With one arena the store's own growth shows. */
static void start_memory(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)snprintf(url, sizeof url, "memory://?max_bytes=2mb");
}

static void stop_memory(void)
{
}

/* ---- which is which ---------------------------------------------------------------------------------------------- */

static const struct soak_store {
    const char *name;
    void (*start)(void), (*stop)(void);
    disturbance *what[6];              /* ends with NULL */
} stores[] = {
    { "memory", start_memory, stop_memory, { short_threads } },
    { "file", start_files, stop_files, { kill_writer, remove_files, cut_files } },
    { "redis", start_redis_plain, stop_server, { hang, restart_redis, cut_redis, empty_redis, evict_redis } },
    { "redis+front", start_redis_front, stop_server, { hang, restart_redis, cut_redis, empty_redis, evict_redis } },
    { "redis+cluster", start_cluster, stop_cluster, { cluster_hang, cluster_failover, cluster_kill } },
    { "redis+cluster+front", start_cluster_front, stop_cluster, { cluster_hang, cluster_failover, cluster_kill } },
    { "memcached", start_memcached, stop_server, { hang, restart_memcached } },
};

const char *soak_store_start(const char *name)
{
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++)
        if (strcmp(name, stores[i].name) == 0)
            store = &stores[i];
    if (store == NULL)
        return NULL;
    store->start();
    const size_t size = strlen(url);
    (void)snprintf(url + size, sizeof url - size, "%stimeout=%g&connect_timeout=%g&retry_after=0.1",
                   strchr(url, '?') != NULL ? "&" : "?", SOAK_TIMEOUT_MS / 1e3, SOAK_TIMEOUT_MS / 1e3);
    return url;
}

void soak_store_stop(void)
{
    store->stop();
}

const char *soak_disturb(void)
{
    unsigned n = 0;
    while (store->what[n] != NULL)
        n++;
    const char *what = store->what[n_disturbed % n]();
    n_disturbed++;
    return what;
}
