/* site.c - the blog as the tests meet it. */
#include "test.h"

#include "site.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 24 };

/* ---- the program ------------------------------------------------------------------------------------------------- */

const char *site_program(void)
{
    return BLOG_PROGRAM;
}

static void set_passwords(void)
{
    setenv("BLOG_PASSWORD_COST", "1", 0);    /* else a test would spend its time on them */
    setenv("BLOG_ADMIN_PASSWORD", ADMIN_PASSWORD, 1);
    setenv("BLOG_ADA_PASSWORD", ADA_PASSWORD, 1);
    setenv("BLOG_GRACE_PASSWORD", GRACE_PASSWORD, 1);
}

void site_start(struct site *site, const char *cache_url, const char *const extra[])
{
    char port[8], db[128];
    set_passwords();
    memset(site, 0, sizeof *site);
    test_directory_make(site->server.directory, sizeof site->server.directory);
    const int number = test_free_port();
    (void)snprintf(port, sizeof port, "%d", number);
    (void)snprintf(db, sizeof db, "%s/blog.db", site->server.directory);
    const char *argv[MAX_ARGUMENTS] = { BLOG_PROGRAM, "--port", port, "--db", db, "--cache", cache_url,
                                        "--post-limit", "0", "--per-address", "0" };
    for (size_t n = 11, i = 0; extra != NULL && extra[i] != NULL; i++) {
        assert_true(n < MAX_ARGUMENTS - 1);
        argv[n++] = extra[i];
    }
    test_server_start(&site->server, number, argv);
}

static struct test_server redis;

void site_store_choose(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "redis") == 0)
        test_server_start_redis(&redis, NULL);
}

void site_store_release(void)
{
    if (redis.pid > 0)
        test_server_stop(&redis);
}

void site_start_on_store(struct site *site, const char *const extra[])
{
    static int started;
    char url[100] = "memory://";
    if (redis.pid > 0)
        (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?prefix=blog%d:", redis.port, ++started);
    site_start(site, url, extra);
}

int site_signal_and_wait(struct site *site, int signal)
{
    int status = -1;
    assert_int_equal(kill(site->server.pid, signal), 0);
    assert_int_equal(waitpid(site->server.pid, &status, 0), site->server.pid);
    site->server.pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void site_stop(struct site *site)
{
    if (site->server.pid > 0)
        assert_int_equal(site_signal_and_wait(site, SIGTERM), 0);
    test_server_stop(&site->server);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

int site_connect(const struct site *site)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)site->server.port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail_msg("cannot connect to the blog");
    return fd;
}

/* A server that has refused the request may close before it has read it all. */
void site_send(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    for (ssize_t n; size > 0 && (n = send(fd, at, size, MSG_NOSIGNAL)) > 0; at += n)
        size -= (size_t)n;
}

void site_say(int fd, const char *text)
{
    site_send(fd, text, strlen(text));
}

const char *site_read_all(struct site *site, int fd)
{
    size_t size = 0;
    for (ssize_t n; size < sizeof site->answer - 1 &&
                    (n = recv(fd, site->answer + size, sizeof site->answer - 1 - size, 0)) > 0;)
        size += (size_t)n;
    site->answer[size] = '\0';
    close(fd);
    return site->answer;
}

const char *site_talk(struct site *site, const char *bytes)
{
    const int fd = site_connect(site);
    site_say(fd, bytes);
    return site_read_all(site, fd);
}

const char *site_ask(struct site *site, const char *method, const char *path, const char *headers, const char *body)
{
    (void)snprintf(site->request, sizeof site->request,
                   "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", method, path,
                   strlen(body), headers, body);
    return site_talk(site, site->request);
}

const char *site_get(struct site *site, const char *path)
{
    return site_ask(site, "GET", path, "", "");
}

const char *site_post(struct site *site, const char *path, const char *headers, const char *body)
{
    return site_ask(site, "POST", path, headers, body);
}

const char *site_log_in(struct site *site, const char *name, const char *password)
{
    static char headers[8][200];
    static size_t n;
    char body[300];
    (void)snprintf(body, sizeof body, "username=%s&password=%s", name, password);
    for (char *at = body; *at != '\0'; at++)
        *at = *at == ' ' ? '+' : *at;
    const char *cookie = strstr(site_post(site, "/login", "", body), "Set-Cookie: ");
    if (cookie == NULL)
        fail_msg("%s could not log in: %.300s", name, site->answer);
    char *header = headers[n++ % 8];
    (void)snprintf(header, sizeof headers[0], "Cookie: %.*s\r\n", (int)strcspn(cookie + 12, ";\r"), cookie + 12);
    return header;
}

/* ---- what is asserted -------------------------------------------------------------------------------------------- */

void assert_has(const char *answer, const char *text)
{
    if (strstr(answer, text) == NULL)
        fail_msg("'%s' is not in: %.600s", text, answer);
}

void assert_has_not(const char *answer, const char *text)
{
    if (strstr(answer, text) != NULL)
        fail_msg("'%s' is in: %.600s", text, strstr(answer, text));
}

long number_behind(const char *answer, const char *name)
{
    const char *at = strstr(answer, name);
    assert_non_null(at);
    return strtol(at + strlen(name), NULL, 10);
}
