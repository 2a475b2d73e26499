/* test_tool_servers.c - checks the command line tool on real servers: a copy to one and back, and what its doctor
 * reports of servers that are wrong. */
#include "fake_server.h"
#include "proxy.h"
#include "server.h"
#include "tool.h"

#include <time.h>

static void entries_go_to_redis_and_back_with_their_times(void **state)
{
    (void)state;
    char directory[128];
    struct test_server server = { 0 };
    test_directory_make(directory, sizeof directory);
    test_server_start_redis(&server, NULL);
    assert_tool(0, "", "file://%s/a set k v --ttl 100", directory);
    assert_tool(0, "", "file://%s/a set ever v --ttl forever", directory);
    assert_tool(0, "2 copied, 0 were past their time, 0 failed\n", "file://%s/a copy redis://127.0.0.1:%d", directory,
                server.port);
    assert_tool(0, "v", "redis://127.0.0.1:%d get k", server.port);
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    cache_t *cache = test_open(url);
    double left = 0;
    const bool knows_times = cache_ttl_left(cache, "k", &left) == CACHE_OK;
    cache_close(cache);
    if (knows_times) {
        assert_true(left > 90 && left <= 100);
        assert_tool(0, "2 copied, 0 were past their time, 0 failed\n", "%s copy file://%s/b", url, directory);
        tool_run(0, TOOL_PATH " file://%s/b ttl k", directory);
        assert_true(atof(tool_output()) > 90 && atof(tool_output()) <= 100);
        assert_tool(0, "forever\n", "file://%s/b ttl ever", directory);
    } else {
        tool_run(3, TOOL_PATH " %s copy file://%s/b 2>&1", url, directory);
        assert_non_null(strstr(tool_output(), "cannot list its keys"));
    }
    test_server_stop(&server);
    test_directory_remove(directory);
}

static void doctor_finds_nothing_wrong_with_good_servers(void **state)
{
    (void)state;
    struct test_server redis = { 0 }, memcached = { 0 };
    test_server_start_redis(&redis, NULL);
    test_server_start_memcached(&memcached, NULL);
    tool_run(0, TOOL_PATH " redis://127.0.0.1:%d doctor", redis.port);
    assert_non_null(strstr(tool_output(), "nothing is wrong"));
    tool_run(0, TOOL_PATH " memcached://127.0.0.1:%d doctor", memcached.port);
    assert_non_null(strstr(tool_output(), "nothing is wrong"));
    tool_run(3, TOOL_PATH " memcached://127.0.0.1:%d doctor --size 3000000", memcached.port);
    assert_non_null(strstr(tool_output(), "Memcached: -I"));
    test_server_stop(&redis);
    test_server_stop(&memcached);
}

static void serve_http(struct fake_server *server, int fd, int number)
{
    char request[4096];
    (void)server;
    (void)number;
    while (fake_server_read(fd, request, sizeof request))
        if (!fake_server_puts(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
            break;
}

static void doctor_knows_a_port_that_speaks_another_protocol(void **state)
{
    (void)state;
    struct fake_server server;
    fake_server_start(&server, serve_http, NULL);
    tool_run(3, TOOL_PATH " redis://127.0.0.1:%d doctor", server.port);
    assert_non_null(strstr(tool_output(), "does not speak Redis' protocol"));
    tool_run(3, TOOL_PATH " memcached://127.0.0.1:%d doctor", server.port);
    assert_non_null(strstr(tool_output(), "does not speak this protocol"));
    fake_server_stop(&server);
}

static void doctor_knows_a_missing_and_a_wrong_password(void **state)
{
    (void)state;
    const char *const password[] = { "--requirepass", "hush", NULL };
    struct test_server server = { 0 };
    test_server_start_redis(&server, password);
    tool_run(3, TOOL_PATH " redis://127.0.0.1:%d doctor", server.port);
    assert_non_null(strstr(tool_output(), "The server wants a password"));
    char where[64];
    (void)snprintf(where, sizeof where, "redis 127.0.0.1:%d: NOAUTH", server.port);
    assert_non_null(strstr(tool_output(), where));
    tool_run(3, TOOL_PATH " redis://:guess@127.0.0.1:%d doctor", server.port);
    assert_non_null(strstr(tool_output(), "password is wrong"));
    assert_null(strstr(tool_output(), "guess"));
    tool_run(0, TOOL_PATH " redis://:hush@127.0.0.1:%d doctor", server.port);
    test_server_stop(&server);
}

static void doctor_knows_a_server_that_is_full_and_evicts_nothing(void **state)
{
    (void)state;
    const char *const full[] = { "--maxmemory", "1", "--maxmemory-policy", "noeviction", NULL };
    struct test_server server = { 0 };
    test_server_start_redis(&server, full);
    tool_run(3, TOOL_PATH " redis://127.0.0.1:%d doctor", server.port);
    assert_non_null(strstr(tool_output(), "noeviction"));
    assert_non_null(strstr(tool_output(), "allkeys-lru"));
    test_server_stop(&server);
}

static int64_t minute_ahead_ms(void *ctx)
{
    struct timespec now;
    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)(now.tv_sec + 60) * 1000;
}

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "computed");
}

static void doctor_knows_a_machine_whose_clock_is_ahead(void **state)
{
    (void)state;
    char url[64];
    struct test_server server = { 0 };
    cache_config config = CACHE_CONFIG_INIT;
    cache_value value;
    cache_t *cache = NULL;
    test_server_start_redis(&server, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    config.url = url;
    config.clock.now_ms = minute_ahead_ms;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_status(CACHE_OK, cache_fetch(cache, "k", NULL, compute, NULL, &value));
    cache_value_release(&value);
    cache_close(cache);
    tool_run(3, TOOL_PATH " %s doctor", url);
    assert_non_null(strstr(tool_output(), "WRONG  clocks"));
    assert_non_null(strstr(tool_output(), "Run NTP on every machine"));
    test_server_stop(&server);
}

static void doctor_says_that_a_server_is_far(void **state)
{
    (void)state;
    struct test_server server = { 0 };
    struct test_proxy proxy;
    test_server_start_redis(&server, NULL);
    test_proxy_start(&proxy, server.port);
    proxy.every = 1;
    proxy.delay_ms = 12;
    proxy.fault = PROXY_LATE_ONCE;
    tool_run(0, TOOL_PATH " redis://127.0.0.1:%d doctor", proxy.port);
    assert_non_null(strstr(tool_output(), "note   speed    a read takes 1"));
    assert_non_null(strstr(tool_output(), "The server is far"));
    assert_non_null(strstr(tool_output(), "nothing is wrong"));
    test_proxy_stop(&proxy);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_go_to_redis_and_back_with_their_times),
        cmocka_unit_test(doctor_finds_nothing_wrong_with_good_servers),
        cmocka_unit_test(doctor_knows_a_port_that_speaks_another_protocol),
        cmocka_unit_test(doctor_knows_a_missing_and_a_wrong_password),
        cmocka_unit_test(doctor_knows_a_server_that_is_full_and_evicts_nothing),
        cmocka_unit_test(doctor_knows_a_machine_whose_clock_is_ahead),
        cmocka_unit_test(doctor_says_that_a_server_is_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
