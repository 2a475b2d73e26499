/* test_descriptors.c - the stores with a server in a program that has more than 1,024 descriptors open, as a busy one
 * has: select would write outside its sets there. */
#include "test.h"

#include "certificates.h"
#include "server.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OPEN = 1100 };

static struct test_server redis, memcached, memcached_tls;
static char files[64];
static int tls_port, opened[OPEN];

static int start(void **state)
{
    char port[8], cert[96], key[96], ca[96];
    struct rlimit limit;
    (void)state;
    test_directory_make(files, sizeof files);
    test_certificates_authority(files, "ca");
    test_certificates_sign(files, "ca", "server", "IP:127.0.0.1");
    tls_port = test_free_port();
    (void)snprintf(port, sizeof port, "%d", tls_port);
    (void)snprintf(cert, sizeof cert, "%s/server.pem", files);
    (void)snprintf(key, sizeof key, "%s/server.key", files);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", files);
    const char *extra[] = { "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file",
                            ca, "--tls-auth-clients", "no", NULL };
    test_server_start_redis(&redis, extra);
    test_server_start_memcached(&memcached, NULL);
    test_server_start_memcached_tls(&memcached_tls, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * OPEN)
        limit.rlim_cur = limit.rlim_max < 2 * OPEN ? limit.rlim_max : 2 * OPEN;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < OPEN; i++) {
        opened[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (opened[i] < 0)
            fail_msg("only %d descriptors are allowed: raise ulimit -n", i);
    }
    assert_true(opened[OPEN - 1] > 1024);    /* and so is each that comes next */
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < OPEN; i++)
        close(opened[i]);
    test_server_stop(&redis);
    test_server_stop(&memcached);
    test_server_stop(&memcached_tls);
    test_directory_remove(files);
    return 0;
}

static void assert_works(const char *url)
{
    const char *const keys[] = { "a", "b", "nobody" };
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 } };
    cache_value values[3];
    int64_t number = 0;
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    for (int i = 0; i < 3; i++) {
        assert_text(cache, "a", "1");
        assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
        assert_string_equal(values[1].data, "2");
        assert_null(values[2].data);
        for (int k = 0; k < 3; k++)
            cache_value_release(&values[k]);
        assert_status(CACHE_OK, cache_inc(cache, "n", 1, &number));
        assert_int_equal(number, i + 1);
    }
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

static void redis_works_above_a_thousand_descriptors(void **state)
{
    char url[256];
    (void)state;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?prefix=tcp:&timeout=20&connect_timeout=20", redis.port);
    assert_works(url);
    (void)snprintf(url, sizeof url, "redis+unix://%s?prefix=unix:&timeout=20&connect_timeout=20", redis.socket);
    assert_works(url);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?prefix=front:&front=1mb&timeout=20&connect_timeout=20",
                   redis.port);
    assert_works(url);
    (void)snprintf(url, sizeof url, "rediss://127.0.0.1:%d?prefix=tls:&ca=%s/ca.pem&timeout=20&connect_timeout=20",
                   tls_port, files);
    assert_works(url);
}

static void memcached_works_above_a_thousand_descriptors(void **state)
{
    char url[256];
    (void)state;
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d,localhost:%d?timeout=20&connect_timeout=20",
                   memcached.port, memcached.port);
    assert_works(url);
    (void)snprintf(url, sizeof url, "memcacheds://127.0.0.1:%d?ca=%s/ca.pem&timeout=20&connect_timeout=20",
                   memcached_tls.port, memcached_tls.directory);
    assert_works(url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_works_above_a_thousand_descriptors),
        cmocka_unit_test(memcached_works_above_a_thousand_descriptors),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
