/* servers.c - Redis and Memcached: one server that hangs, is killed, cuts its connections, or loses its data. */
#include "disturb.h"

#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct test_server server;

static const char *hang(cache_t *cache)
{
    (void)cache;
    test_server_pause(&server);
    soak_pause_ms(700);
    test_server_resume(&server);
    return "the server hangs for 0.7 s";
}

static const char *restart_with(void (*start)(struct test_server *server, const char *const extra[]))
{
    test_server_kill(&server);
    soak_pause_ms(200);
    start(&server, NULL);
    return "the server is killed and starts empty";
}

static void stop(void)
{
    test_server_stop(&server);
}

/* ---- Redis ------------------------------------------------------------------------------------------------------- */

static void ask_redis(const char *command)
{
    char line[256];
    (void)snprintf(line, sizeof line, "redis-cli -p %d %s >/dev/null", server.port, command);
    assert_int_equal(system(line), 0);
}

static const char *restart_redis(cache_t *cache)
{
    (void)cache;
    return restart_with(test_server_start_redis);
}

static const char *cut_redis(cache_t *cache)
{
    (void)cache;
    ask_redis("CLIENT KILL TYPE normal");
    return "the server cuts all connections";
}

static const char *empty_redis(cache_t *cache)
{
    (void)cache;
    ask_redis("FLUSHALL");
    return "the server is emptied";
}

static const char *evict_redis(cache_t *cache)
{
    (void)cache;
    ask_redis("CONFIG SET maxmemory 2mb");
    ask_redis("CONFIG SET maxmemory-policy allkeys-lru");
    soak_pause_ms(300);
    ask_redis("CONFIG SET maxmemory 0");
    return "the server has little memory for 0.3 s";
}

static void start_redis(char url[SOAK_URL], const char *options)
{
    test_server_start_redis(&server, NULL);
    (void)snprintf(url, SOAK_URL, "redis://127.0.0.1:%d/0?%s", server.port, options);
}

static void start_redis_plain(char url[SOAK_URL])
{
    start_redis(url, "pool=4");
}

static void start_redis_front(char url[SOAK_URL])
{
    start_redis(url, "pool=4&front=4mb");
}

/* ---- Memcached --------------------------------------------------------------------------------------------------- */

static const char *restart_memcached(cache_t *cache)
{
    (void)cache;
    return restart_with(test_server_start_memcached);
}

static struct sockaddr_in address_of_server(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server.port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Memcached has no command for it, so that this end of each connection is shut. */
static const char *cut_memcached(cache_t *cache)
{
    enum { MOST_DESCRIPTORS = 256 };
    const struct sockaddr_in of_server = address_of_server();
    (void)cache;
    for (int fd = STDERR_FILENO + 1; fd < MOST_DESCRIPTORS; fd++) {
        struct sockaddr_in peer = { .sin_family = AF_UNSPEC };
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET &&
            peer.sin_port == of_server.sin_port)
            (void)shutdown(fd, SHUT_RDWR);
    }
    return "all connections are cut";
}

static const char *empty_memcached(cache_t *cache)
{
    static const char command[] = "flush_all\r\n";
    const struct sockaddr_in address = address_of_server();
    char answer[8];
    (void)cache;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, command, sizeof command - 1, MSG_NOSIGNAL), sizeof command - 1);
    assert_true(recv(fd, answer, sizeof answer, 0) > 0);
    close(fd);
    return "the server is emptied";
}

static void start_memcached(char url[SOAK_URL])
{
    test_server_start_memcached(&server, NULL);
    (void)snprintf(url, SOAK_URL, "memcached://127.0.0.1:%d?pool=4", server.port);
}

/* ---- which is which ---------------------------------------------------------------------------------------------- */

#define REDIS_DISTURBANCES                                                                                            \
    { { hang, true }, { restart_redis, true }, { cut_redis, true }, { soak_fork, false }, { empty_redis, true },      \
      { evict_redis, true }, { soak_set_clock_back, false } }

const struct soak_store soak_servers[] = {
    { "redis", start_redis_plain, stop, REDIS_DISTURBANCES },
    { "redis+front", start_redis_front, stop, REDIS_DISTURBANCES },
    { "memcached", start_memcached, stop,
      { { hang, true }, { restart_memcached, true }, { cut_memcached, true }, { soak_fork, false },
        { empty_memcached, true }, { soak_set_clock_back, false } } },
    { NULL, NULL, NULL, { { NULL, false } } },
};
