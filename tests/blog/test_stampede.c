/* test_stampede.c - checks many clients at once on a page that is not in the cache, or has expired: the database is
 * asked once. */
#include "test.h"

#include "site.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 200 };

static struct site site;

static int start(void **state)
{
    static const char *const threads[] = { "--threads", "8", NULL };
    const struct rlimit files = { 1024, 4096 };
    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    site_start(&site, "memory://", threads);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    return 0;
}

static long counted(const char *name)
{
    return number_behind(site_get(&site, "/cache-stats"), name);
}

/* Two hundred connections that each have all of a request sent but its last byte; then that of all. The answers. */
static void ask_at_once(const char *path, int *hits, int *misses)
{
    static char answer[64 * 1024];
    char request[200];
    int fds[CLIENTS];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    const size_t size = strlen(request);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = site_connect(&site);
        site_send(fds[i], request, size - 1);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        site_send(fds[i], request + size - 1, 1);
    *hits = *misses = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        size_t n = 0;
        for (ssize_t got; (got = recv(fds[i], answer + n, sizeof answer - 1 - n, 0)) > 0;)
            n += (size_t)got;
        answer[n] = '\0';
        close(fds[i]);
        assert_has(answer, "HTTP/1.1 200 OK");
        assert_has(answer, "</html>");
        *hits += strstr(answer, "X-Cache: HIT") != NULL;
        *misses += strstr(answer, "X-Cache: MISS") != NULL;
    }
}

static void two_hundred_clients_on_a_cold_page_ask_the_database_once(void **state)
{
    int hits = 0, misses = 0;
    (void)state;
    const long before = counted("\"db_queries\":");
    ask_at_once("/", &hits, &misses);
    assert_int_equal(misses, 1);
    assert_int_equal(hits, CLIENTS - 1);
    assert_int_equal(counted("\"db_queries\":"), before + 1);
    assert_int_equal(counted("\"computations\":"), 1);
}

static void and_again_when_it_was_forgotten(void **state)
{
    int hits = 0, misses = 0;
    (void)state;
    ask_at_once("/", &hits, &misses);
    for (long round = 1; round <= 5; round++) {
        assert_has(site_ask(&site, "POST", "/new-post", "", "title=Newer&content=x"), "303 See Other");
        const long before = counted("\"db_queries\":");
        ask_at_once("/", &hits, &misses);
        assert_int_equal(misses, 1);
        assert_int_equal(counted("\"db_queries\":"), before + 1);
    }
}

#define stampede_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        stampede_test(two_hundred_clients_on_a_cold_page_ask_the_database_once),
        stampede_test(and_again_when_it_was_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
