/* server.c - starts and stops the servers of benchmarks. */
#define _GNU_SOURCE    /* program_invocation_short_name */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SERVERS = 8, MAX_WORDS = 24 };

static struct { pid_t pid; char directory[32]; } servers[MAX_SERVERS];
static int n_servers;
static pid_t starter;                  /* a process that it forked must not stop its servers */

/* One thread alone ends the program: another would break off the end of the servers. */
void bench_die(const char *what)
{
    static atomic_flag dying = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set(&dying))
        pause();
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}

static void stop_servers(void)
{
    char path[64];
    for (int i = 0; i < n_servers && getpid() == starter; i++) {
        kill(servers[i].pid, SIGTERM);
        kill(servers[i].pid, SIGCONT);
        waitpid(servers[i].pid, NULL, 0);
        (void)snprintf(path, sizeof path, "%s/redis.sock", servers[i].directory);
        unlink(path);
        (void)snprintf(path, sizeof path, "%s/nodes.conf", servers[i].directory);
        unlink(path);
        rmdir(servers[i].directory);
    }
}

static pid_t start(const char *const argv[], const char *directory)
{
    if (n_servers == 0) {
        starter = getpid();
        atexit(stop_servers);
    }
    const pid_t pid = n_servers < MAX_SERVERS ? fork() : -1;
    if (pid < 0)
        bench_die("no further server");
    if (pid > 0) {
        servers[n_servers].pid = pid;
        (void)snprintf(servers[n_servers++].directory, sizeof servers[0].directory, "%s", directory);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Waits until the server accepts a connection. */
static void wait_for(const struct sockaddr *address, socklen_t size)
{
    for (int i = 0; i < 500; i++) {
        const int fd = socket(address->sa_family, SOCK_STREAM, 0);
        const int refused = connect(fd, address, size);
        close(fd);
        if (refused == 0)
            return;
        nanosleep(&(const struct timespec){ 0, 20000000 }, NULL);
    }
    bench_die("a server does not start");
}

struct bench_redis bench_redis_start(const char *const more[])
{
    struct bench_redis redis = { .pid = 0 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char directory[] = "/tmp/bench-XXXXXX";
    if (mkdtemp(directory) == NULL)
        bench_die("no temporary directory");
    (void)snprintf(redis.path, sizeof redis.path, "%s/redis.sock", directory);
    const char *argv[MAX_WORDS] = { "redis-server", "--port", "0", "--unixsocket", redis.path, "--save", "",
                                    "--appendonly", "no", "--dir", directory };
    int n = 11;
    for (int i = 0; more != NULL && more[i] != NULL && n < MAX_WORDS - 1; i++)
        argv[n++] = more[i];
    redis.pid = start(argv, directory);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", redis.path);
    wait_for((const struct sockaddr *)&address, sizeof address);
    return redis;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int bench_free_port(void)
{
    enum { BUS = 10000 };              /* the bus of a cluster's node is so far above its port */
    struct sockaddr_in address;
    do {
        socklen_t size = sizeof address;
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        address = loopback(0);
        if (bind(fd, (struct sockaddr *)&address, size) != 0 ||
            getsockname(fd, (struct sockaddr *)&address, &size) != 0)
            bench_die("no free port");
        close(fd);
    } while (ntohs(address.sin_port) >= UINT16_MAX - BUS);
    return ntohs(address.sin_port);
}

struct bench_cluster bench_cluster_start(void)
{
    struct bench_cluster cluster;
    char command[256];
    for (int i = 0; i < BENCH_NODES; i++) {
        char port[8];
        cluster.ports[i] = bench_free_port();
        (void)snprintf(port, sizeof port, "%d", cluster.ports[i]);
        const char *const more[] = { "--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", NULL };
        cluster.pids[i] = bench_redis_start(more).pid;
    }
    (void)snprintf(command, sizeof command,
                   "redis-cli --cluster create 127.0.0.1:%d 127.0.0.1:%d 127.0.0.1:%d --cluster-yes >/dev/null",
                   cluster.ports[0], cluster.ports[1], cluster.ports[2]);
    if (system(command) != 0)
        bench_die("no cluster");
    (void)snprintf(command, sizeof command, "redis-cli -p %d CLUSTER INFO | grep -q cluster_state:ok",
                   cluster.ports[BENCH_NODES - 1]);
    for (int i = 0; system(command) != 0; i++) {
        if (i == 500)
            bench_die("the cluster does not start");
        nanosleep(&(const struct timespec){ 0, 20000000 }, NULL);
    }
    return cluster;
}

struct bench_memcached bench_memcached_start(void)
{
    struct bench_memcached memcached = { .port = bench_free_port() };
    const struct sockaddr_in address = loopback(memcached.port);
    char port[8];
    (void)snprintf(port, sizeof port, "%d", memcached.port);
    const char *const argv[] = { "memcached", "-p", port, "-U", "0", "-l", "127.0.0.1", "-u", "root", "-t", "1",
                                 "-m", "256", NULL };
    memcached.pid = start(argv, "");
    wait_for((const struct sockaddr *)&address, sizeof address);
    return memcached;
}
