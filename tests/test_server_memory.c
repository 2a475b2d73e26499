/* test_server_memory.c - a get that copies out allocates nothing of ours, on each store that has a server. */
#include "test.h"

#include "server.h"

static atomic_long allocations;

static void *count_alloc(void *ctx, size_t size)
{
    (void)ctx;
    atomic_fetch_add(&allocations, 1);
    return malloc(size);
}

static void *count_resize(void *ctx, void *block, size_t size)
{
    (void)ctx;
    atomic_fetch_add(&allocations, 1);
    return realloc(block, size);
}

static void count_free(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

static const cache_allocator counting = { count_alloc, count_resize, count_free, NULL };

static void assert_get_allocates_nothing(const char *url)
{
    static char value[10000], copy[10000];
    const size_t sizes[] = { 0, 5, 100, sizeof value };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    config.url = url;
    config.allocator = &counting;
    memset(value, 'x', sizeof value);
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = 1;
        assert_status(CACHE_OK, cache_set(cache, "k", value, sizes[i], 60));
        const long before = atomic_load(&allocations);
        assert_true(before > 0);
        for (int j = 0; j < 20; j++) {
            assert_status(CACHE_OK, cache_get_copy(cache, "k", copy, sizeof copy, &size));
            assert_int_equal(size, sizes[i]);
            assert_memory_equal(copy, value, size);
            assert_status(CACHE_MISS, cache_get_copy(cache, "missing", copy, sizeof copy, NULL));
        }
        assert_int_equal(atomic_load(&allocations), before);
    }
    cache_close(cache);
}

static void a_get_from_redis_allocates_nothing_of_ours(void **state)
{
    struct test_server server = { .pid = 0 };
    char url[128];
    (void)state;
    test_server_start_redis(&server, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?timeout=20&connect_timeout=20", server.port);
    assert_get_allocates_nothing(url);
    test_server_stop(&server);
}

static void a_get_from_memcached_allocates_nothing_of_ours(void **state)
{
    struct test_server server = { .pid = 0 };
    char url[128];
    (void)state;
    test_server_start_memcached(&server, NULL);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?timeout=20&connect_timeout=20", server.port);
    assert_get_allocates_nothing(url);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_from_redis_allocates_nothing_of_ours),
        cmocka_unit_test(a_get_from_memcached_allocates_nothing_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
