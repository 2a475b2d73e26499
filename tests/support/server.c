/* server.c - real servers for tests. _GNU_SOURCE for prctl's and nftw's sake. */
#define _GNU_SOURCE
#include "test.h"

#include "server.h"

#include "certificates.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_SECONDS = 20, MAX_ARGS = 32 };

static const struct timespec short_pause = { 0, 5 * 1000 * 1000 };

/* ---- ports and directories --------------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* True: the port is this process's until its end, as far as the tests go: until the server listens on it, another test
 * that looks for one would find it free. The lock is an abstract unix socket, which ends with the process, and is never
 * closed. */
static bool reserve(int port)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "libcache-test-port-%d", port);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)) == 0)
        return true;
    if (fd >= 0)
        close(fd);
    return false;
}

static bool is_bindable(int port)
{
    const struct sockaddr_in address = loopback(port);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const bool yes = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

/* Below the range of those that the system gives to outgoing connections. */
int test_free_port(void)
{
    enum { FIRST = 10000, PORTS = 22000, TRIES = 1000 };
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t random = (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 32;
    for (int i = 0; i < TRIES; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const int port = FIRST + (int)((random >> 33) % PORTS);
        if (reserve(port) && is_bindable(port))
            return port;
    }
    fail_msg("no free port: %s", strerror(errno));
    return 0;
}

bool test_has_ipv6(void)
{
    const struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    const bool yes = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

void test_directory_make(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(path, size, "%s/libcache-XXXXXX", base != NULL && strlen(base) < 24 ? base : "/tmp");
    if (mkdtemp(path) == NULL)
        fail_msg("mkdtemp %s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

void test_directory_remove(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

static bool accepts(int port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in address = loopback(port);
    const bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static bool accepts_at(const char *path)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static void run(const char *const argv[], pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    const int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Returns when the server accepts connections: on its port, or if that is 0, on its unix socket. */
static void start(struct test_server *server, const char *const argv[])
{
    const pid_t parent = getpid();
    server->pid = fork();
    if (server->pid == 0)
        run(argv, parent);
    if (server->pid < 0)
        fail_msg("fork: %s", strerror(errno));
    for (int i = 0; i < START_SECONDS * 200; i++) {
        int status = 0;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid)
            fail_msg("%s ended while it started (status %d): is it installed?", argv[0], status);
        if (server->port != 0 ? accepts(server->port) : accepts_at(server->socket))
            return;
        nanosleep(&short_pause, NULL);
    }
    test_server_kill(server);
    fail_msg("%s does not answer on port %d or at '%s'", argv[0], server->port, server->socket);
}

void test_server_start(struct test_server *server, int port, const char *const argv[])
{
    server->port = port;
    start(server, argv);
}

void test_server_kill(struct test_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}

void test_server_stop(struct test_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGCONT);
        kill(server->pid, SIGTERM);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
    if (server->directory[0] != '\0')
        test_directory_remove(server->directory);
    server->directory[0] = '\0';
}

void test_server_pause(const struct test_server *server)
{
    int status = 0;
    if (kill(server->pid, SIGSTOP) != 0 || waitpid(server->pid, &status, WUNTRACED) != server->pid ||
        !WIFSTOPPED(status))
        fail_msg("process %d does not stand still (status %d)", (int)server->pid, status);
}

void test_server_resume(const struct test_server *server)
{
    kill(server->pid, SIGCONT);
}

/* ---- the two servers --------------------------------------------------------------------------------------------- */

static void start_with(struct test_server *server, const char *argv[], size_t n, const char *const extra[])
{
    for (size_t i = 0; extra != NULL && extra[i] != NULL && n < MAX_ARGS - 1; i++)
        argv[n++] = extra[i];
    argv[n] = NULL;
    start(server, argv);
}

void test_server_start_redis(struct test_server *server, const char *const extra[])
{
    char port[8];
    if (server->directory[0] == '\0') {    /* else it was killed, and starts again where it was */
        *server = (struct test_server){ .port = test_free_port() };
        test_directory_make(server->directory, sizeof server->directory);
    }
    (void)snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->directory);
    (void)snprintf(port, sizeof port, "%d", server->port);
    const char *argv[MAX_ARGS] = { "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket",
                                   server->socket,
                                   "--dir", server->directory, "--save", "", "--appendonly", "no" };
    start_with(server, argv, 13, extra);
    for (int i = 0; !accepts_at(server->socket); i++) {    /* it listens there after its port */
        if (i == START_SECONDS * 200)
            fail_msg("redis-server does not answer at %s", server->socket);
        nanosleep(&short_pause, NULL);
    }
}

void test_server_start_memcached(struct test_server *server, const char *const extra[])
{
    char port[8];
    if (server->port == 0)
        *server = (struct test_server){ .port = test_free_port() };
    (void)snprintf(port, sizeof port, "%d", server->port);
    /* As root it stays root: a change of user would let it outlive a test that dies. */
    const char *argv[MAX_ARGS] = { "memcached", "-p", port, "-U", "0", "-l", "127.0.0.1", "-u", "root" };
    start_with(server, argv, 9, extra);
}

void test_server_start_memcached_unix(struct test_server *server, const char *const extra[])
{
    if (server->directory[0] == '\0') {
        *server = (struct test_server){ .port = 0 };
        test_directory_make(server->directory, sizeof server->directory);
    }
    (void)snprintf(server->socket, sizeof server->socket, "%s/memcached.sock", server->directory);
    const char *argv[MAX_ARGS] = { "memcached", "-s", server->socket, "-u", "root" };
    start_with(server, argv, 5, extra);
}

void test_server_start_memcached_login(struct test_server *server, const char *const extra[])
{
    char path[96], port[8];
    if (server->directory[0] == '\0') {
        *server = (struct test_server){ .port = test_free_port() };
        test_directory_make(server->directory, sizeof server->directory);
    }
    (void)snprintf(path, sizeof path, "%s/users", server->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("app:hush\n", file);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(port, sizeof port, "%d", server->port);
    const char *argv[MAX_ARGS] = { "memcached", "-p", port, "-U", "0", "-l", "127.0.0.1", "-u", "root", "-Y", path };
    start_with(server, argv, 11, extra);
}

void test_server_start_memcached_tls(struct test_server *server, const char *const extra[])
{
    char port[8], files[256];
    if (server->directory[0] == '\0') {
        *server = (struct test_server){ .port = test_free_port() };
        test_directory_make(server->directory, sizeof server->directory);
        test_certificates_authority(server->directory, "ca");
        test_certificates_sign(server->directory, "ca", "server", "IP:127.0.0.1");
    }
    (void)snprintf(port, sizeof port, "%d", server->port);
    (void)snprintf(files, sizeof files, "ssl_chain_cert=%s/server.pem,ssl_key=%s/server.key", server->directory,
                   server->directory);
    const char *argv[MAX_ARGS] = { "memcached", "-p", port, "-U", "0", "-l", "127.0.0.1", "-u", "root", "-Z", "-o",
                                   files };
    start_with(server, argv, 12, extra);
}

void test_server_start_sentinel(struct test_server *server, int master_port)
{
    char path[96];
    *server = (struct test_server){ .port = test_free_port() };
    test_directory_make(server->directory, sizeof server->directory);
    (void)snprintf(path, sizeof path, "%s/sentinel.conf", server->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor blog 127.0.0.1 %d 1\n"
            "sentinel down-after-milliseconds blog 400\nsentinel failover-timeout blog 3000\n",
            server->port, server->directory, master_port);
    assert_int_equal(fclose(file), 0);
    const char *argv[] = { "redis-sentinel", path, NULL };
    start(server, argv);
}
