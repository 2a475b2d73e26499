/* test_hung_server.c - checks that a cache server that hangs does not hang the blog: once it counts as down, visitors
 * wait only for the database, and no longer for the timeout of the server. */
#include "test.h"

#include "site.h"
#include "times.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 32, TIMEOUT_MS = 1000, DOWN_AFTER_MS = 2 * TIMEOUT_MS + 500, WATCHED_MS = 4000, MOST = 100000 };

static struct site site;
static struct test_server redis;
static atomic_bool stop_now;
static atomic_int n_answers, n_bad;
static struct answer { double at_ms, took_ms; } answers[MOST];

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Returns true if the home page came, whole. */
static bool ask_for_home_page(void)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static _Thread_local char text[256 * 1024];
    const int fd = site_connect(&site);
    size_t size = 0;
    site_send(fd, request, sizeof request - 1);
    for (ssize_t n; size < sizeof text - 1 && (n = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0;)
        size += (size_t)n;
    text[size] = '\0';
    close(fd);
    return strstr(text, "HTTP/1.1 200 OK") != NULL && strstr(text, "</html>") != NULL;
}

static void *visit(void *arg)
{
    (void)arg;
    while (!stop_now) {
        const double begun = now_ms();
        n_bad += !ask_for_home_page();
        const double took = now_ms() - begun;
        const int i = atomic_fetch_add(&n_answers, 1);
        if (i < MOST)
            answers[i] = (struct answer){ begun, took };
        test_pause_ms(10);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Of the requests that began between the two times: how many, and how many took longer than the timeout. */
static size_t count(const char *when, double from, double to, size_t *n_long)
{
    static double took[MOST];
    size_t n = 0;
    *n_long = 0;
    for (int i = 0; i < n_answers && i < MOST; i++)
        if (answers[i].at_ms >= from && answers[i].at_ms < to) {
            took[n++] = answers[i].took_ms;
            *n_long += answers[i].took_ms > TIMEOUT_MS * 0.9;
        }
    assert_true(n > 0);
    qsort(took, n, sizeof took[0], compare);
    print_message("%s: %zu requests, in ms: median %.1f, 99 %% %.1f, longest %.1f; %zu as long as the timeout\n", when,
                  n, took[n / 2], took[n * 99 / 100], took[n - 1], *n_long);
    return n;
}

static void visitors_do_not_wait_for_a_server_that_hangs(void **state)
{
    pthread_t threads[CLIENTS];
    char url[128];
    size_t n_long = 0;
    (void)state;
    test_server_start_redis(&redis, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?timeout=%g&on_error=miss", redis.port, TIMEOUT_MS / 1e3);
    site_start(&site, url, NULL);
    for (int i = 0; i < 2; i++)
        assert_true(ask_for_home_page());
    const double begun = now_ms();
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit, NULL), 0);
    test_pause_ms(1000);
    test_server_pause(&redis);
    const double hung = now_ms();
    test_pause_ms(DOWN_AFTER_MS + WATCHED_MS);
    const double ended = now_ms();
    stop_now = true;
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    test_server_resume(&redis);
    (void)count("before", begun, hung, &n_long);
    (void)count("until it counts as down", hung, hung + DOWN_AFTER_MS, &n_long);
    assert_in_range(n_long, 0, 2 * CLIENTS);    /* two timeouts for each visitor, at most */
    const size_t n = count("then", hung + DOWN_AFTER_MS, ended, &n_long);
    assert_int_equal(n_bad, 0);
    assert_true(n > CLIENTS);
    assert_true(n_long <= n / 100);    /* only who tries whether the server is back */
    site_stop(&site);
    test_server_stop(&redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visitors_do_not_wait_for_a_server_that_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
