/* test_server_nomem.c - lets each allocation fail once in the stores that have a server, and in the layers before them:
 * see nomem.h. */
#include "nomem.h"

#include "failing.h"
#include "redis_cluster.h"
#include "server.h"

static char files[64];

/* `seal` wants a file with a key. */
static const char *key_file(void)
{
    static char path[80];
    test_directory_make(files, sizeof files);
    (void)snprintf(path, sizeof path, "%s/key", files);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "%064x\n", 7) > 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* A prefix of its own for each run: what an earlier one left is not in the way. */
static void survives_each(const char *base, bool for_good)
{
    bool ended = false;
    long n = 0;
    for (; !ended; n++) {
        char url[512];
        (void)snprintf(url, sizeof url, "%s&prefix=n%d-%ld:&timeout=10&connect_timeout=10&retry_after=0.001", base,
                       for_good, n);
        ended = nomem_run(url, n, for_good);
    }
    assert_true(n > 100);
}

static void survives(const char *base)
{
    survives_each(base, false);
}

static void no_memory_at_any_call_loses_nothing_in_redis(void **state)
{
    struct test_server server = { .pid = 0 };
    char url[256];
    (void)state;
    test_server_start_redis(&server, NULL);
    (void)snprintf(url, sizeof url, "redis+unix://%s?db=1", server.socket);
    survives(url);
    survives_each(url, true);
    (void)snprintf(url, sizeof url, "redis+unix://%s?front=1mb", server.socket);
    survives(url);
    (void)snprintf(url, sizeof url, "redis+unix://%s?compress=lz4&compress_min=1&seal=%s", server.socket, key_file());
    survives(url);
    test_directory_remove(files);
    test_server_stop(&server);
}

/* Keys on all nodes. */
static void fill(cache_t *cache)
{
    enum { KEYS = 200 };
    static char names[KEYS][16];
    cache_item items[KEYS];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "c%d", i);
        items[i] = (cache_item){ names[i], "x", 1 };
    }
    assert_status(CACHE_OK, cache_set_many(cache, items, KEYS, 60));
}

static size_t count(cache_t *cache)
{
    size_t n = 0;
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "c%d", i);
        n += cache_has(cache, key) == CACHE_OK;
    }
    return n;
}

/* It says so, or has removed every key. */
static void a_clear_without_memory_says_so(const char *base, bool for_good)
{
    struct failing failing = { .until_failure = -1 };
    const cache_allocator allocator = { failing_alloc, failing_resize, failing_free, &failing };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL, *other;
    char url[512];
    (void)snprintf(url, sizeof url, "%s&prefix=clear%d:&timeout=20&connect_timeout=20", base, for_good);
    config.url = url;
    config.allocator = &allocator;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    other = test_open(url);
    cache_status status = CACHE_ERR_NOMEM;
    long n = 0;
    for (; status != CACHE_OK; n++) {
        fill(other);
        failing.until_failure = n;
        failing.for_good = for_good;
        failing.failed = false;
        status = cache_clear(cache);
        failing.until_failure = -1;
        failing.for_good = false;
        if (status != CACHE_OK)
            assert_status(CACHE_ERR_NOMEM, status);
        else
            assert_int_equal(count(other), 0);
        assert_text(cache, "none", NULL);    /* its connections are as they were */
    }
    assert_true(n > 10);
    cache_close(other);
    cache_close(cache);
    assert_int_equal(failing.out, 0);
}

/* More keys than one request has. The first key is a list, so the first request fails before the second is built. */
static void no_memory_after_another_failure_sends_no_half_request(const struct test_cluster *cluster, const char *base)
{
    enum { KEYS = 2100 };
    static char names[KEYS][16];
    static const char *keys[KEYS];
    static cache_value values[KEYS];
    struct failing failing = { .until_failure = -1 };
    const cache_allocator allocator = { failing_alloc, failing_resize, failing_free, &failing };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    char url[512];
    (void)snprintf(url, sizeof url, "%s&prefix=&timeout=20&connect_timeout=20", base);
    config.url = url;
    config.allocator = &allocator;
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "{h}%d", i);
        keys[i] = names[i];
    }
    assert_non_null(strchr(test_cluster_ask(cluster, 0, "-c LPUSH {h}0 x"), '1'));
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_true(cache_get_many(cache, keys, KEYS, values) < 0);
    for (long n = 0; n == 0 || failing.failed; n++) {
        failing.until_failure = n;
        failing.failed = false;
        const cache_status status = cache_get_many(cache, keys, KEYS, values);
        failing.until_failure = -1;
        if (failing.failed)
            assert_status(CACHE_ERR_NOMEM, status);
        assert_text(cache, "none", NULL);
    }
    cache_close(cache);
    assert_int_equal(failing.out, 0);
}

static void no_memory_at_any_call_loses_nothing_in_a_cluster(void **state)
{
    struct test_cluster cluster;
    char url[256];
    (void)state;
    test_cluster_start(&cluster);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?pool=1", cluster.nodes[0].port);
    survives(url);
    a_clear_without_memory_says_so(url, false);
    a_clear_without_memory_says_so(url, true);
    no_memory_after_another_failure_sends_no_half_request(&cluster, url);
    test_cluster_stop(&cluster);
}

static void no_memory_at_any_call_loses_nothing_in_memcached(void **state)
{
    struct test_server servers[2] = { { .pid = 0 }, { .pid = 0 } };
    char url[256];
    (void)state;
    for (int i = 0; i < 2; i++)
        test_server_start_memcached(&servers[i], NULL);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d,127.0.0.1:%d?pool=1", servers[0].port, servers[1].port);
    survives(url);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?front=1mb", servers[0].port);
    survives(url);
    for (int i = 0; i < 2; i++)
        test_server_stop(&servers[i]);
}

static void no_memory_at_any_call_loses_nothing_by_tls(void **state)
{
    struct test_server server = { .pid = 0 };
    char url[256];
    (void)state;
    test_server_start_memcached_tls(&server, NULL);
    (void)snprintf(url, sizeof url, "memcacheds://127.0.0.1:%d?ca=%s/ca.pem", server.port, server.directory);
    survives(url);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_redis),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_cluster),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_memcached),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_by_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
