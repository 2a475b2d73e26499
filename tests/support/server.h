/* server.h - real servers for tests: started on a free loopback port and a unix socket, stopped by their pid.
 * A server that cannot be started fails the test: it never skips. One whose test dies ends with it. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct test_server {
    pid_t pid;
    int port;                  /* on 127.0.0.1 */
    char directory[64];        /* of its own, removed by stop */
    char socket[96];           /* unix socket; "" if the program has none beside its port */
};

/* `extra`: further arguments, NULL-terminated, or NULL. */
void test_server_start_redis(struct test_server *server, const char *const extra[]);
void test_server_start_memcached(struct test_server *server, const char *const extra[]);

/* On its unix socket, and on no port. */
void test_server_start_memcached_unix(struct test_server *server, const char *const extra[]);

/* With TLS alone; who connects must trust the authority in `directory`/ca.pem. */
void test_server_start_memcached_tls(struct test_server *server, const char *const extra[]);

/* A Sentinel that watches the master on that port as the service "blog". */
void test_server_start_sentinel(struct test_server *server, int master_port);

/* Wants "app" to log in with the password "hush" before anything else (-Y). */
void test_server_start_memcached_login(struct test_server *server, const char *const extra[]);

/* Any program: argv[0] is looked up in PATH. Returns when 127.0.0.1:port accepts connections. */
void test_server_start(struct test_server *server, int port, const char *const argv[]);

/* Start the same program again, on the same port and directory, after test_server_kill. */
void test_server_kill(struct test_server *server);      /* SIGKILL, and wait for its end */
void test_server_stop(struct test_server *server);      /* SIGTERM, wait, remove its directory */

/* SIGSTOP, and wait until each of its threads stands still: one that ran on for a moment would still answer. */
void test_server_pause(const struct test_server *server);
void test_server_resume(const struct test_server *server);

/* A port of 127.0.0.1 that nobody listens on now. */
int test_free_port(void);

/* False: this machine has no IPv6 loopback. */
bool test_has_ipv6(void);

/* A new directory under the temporary one, in `path`; and its removal with all that is in it. */
void test_directory_make(char *path, size_t size);
void test_directory_remove(const char *path);

#endif
