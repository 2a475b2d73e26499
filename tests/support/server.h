/* server.h - starts real servers for tests, on a free loopback port and a unix socket, and stops them by their pid. If
 * a server cannot be started, the test fails, and is never skipped. If a test dies, its servers end with it. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct test_server {
    pid_t pid;
    int port;                  /* on 127.0.0.1 */
    char directory[64];        /* made for it; test_server_stop removes it */
    char socket[96];           /* unix socket; "" if the program has none beside its port */
};

/* `extra` is a list of further arguments that ends with NULL, or NULL. */
void test_server_start_redis(struct test_server *server, const char *const extra[]);
void test_server_start_memcached(struct test_server *server, const char *const extra[]);

/* Starts it on its unix socket, and on no port. */
void test_server_start_memcached_unix(struct test_server *server, const char *const extra[]);

/* Starts it with TLS only. Clients must trust the authority in `directory`/ca.pem. */
void test_server_start_memcached_tls(struct test_server *server, const char *const extra[]);

/* Starts a Sentinel that watches the master on that port as the service "blog". */
void test_server_start_sentinel(struct test_server *server, int master_port);

/* Starts one where "app" must log in with the password "hush" before anything else (-Y). */
void test_server_start_memcached_login(struct test_server *server, const char *const extra[]);

/* Starts any program; argv[0] is looked up in PATH. Returns when 127.0.0.1:port accepts connections. After
 * test_server_kill, the same call starts it on the same port and directory again. */
void test_server_start(struct test_server *server, int port, const char *const argv[]);

void test_server_kill(struct test_server *server);      /* sends SIGKILL, and waits for its end */
void test_server_stop(struct test_server *server);      /* sends SIGTERM, waits, removes its directory */

/* Sends SIGSTOP, and waits until each thread has stopped: one that ran on for a moment would still answer. */
void test_server_pause(const struct test_server *server);
void test_server_resume(const struct test_server *server);

/* Returns a port of 127.0.0.1 on which nobody listens now. */
int test_free_port(void);

/* Returns false if this machine has no IPv6 loopback. */
bool test_has_ipv6(void);

/* Make a directory under the temporary one, and write its path to `path`; and remove it with its contents. */
void test_directory_make(char *path, size_t size);
void test_directory_remove(const char *path);

#endif
