/* test_memory_limits.c - checks that the limits of the memory store hold after each call, what they count, which items
 * are evicted, and how values are aligned. */
#include "test.h"

#include <malloc.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

static const char *numbered(const char *kind, int i)
{
    static char key[32];
    (void)snprintf(key, sizeof key, "%s%d", kind, i);
    return key;
}

/* ---- small limits ------------------------------------------------------------------------------------------------ */

static void max_items_of_1_to_20_hold_after_each_call(void **state)
{
    (void)state;
    for (int limit = 1; limit <= 20; limit++) {
        char url[64];
        (void)snprintf(url, sizeof url, "memory://?max_items=%d", limit);
        cache_t *cache = test_open(url);
        for (int i = 0; i < 200; i++) {
            test_set_numbered(cache, "k", i, i % 3 == 0 ? CACHE_TTL_FOREVER : 60);
            assert_true(test_counters(cache).items <= (uint64_t)limit);
            assert_status(CACHE_OK, cache_has(cache, numbered("k", i)));
            if (i % 5 == 0)
                assert_status(CACHE_OK, cache_inc(cache, numbered("n", i), 1, NULL));
            assert_true(test_counters(cache).items <= (uint64_t)limit);
        }
        assert_int_equal(test_counters(cache).items, limit);
        cache_close(cache);
    }
}

/* A key that comes back soon after its eviction goes to the main queue. There it is the only one without a hit. */
static void a_value_that_was_just_set_stays_though_all_others_were_hit(void **state)
{
    (void)state;
    for (int limit = 1; limit <= 20; limit++) {
        char url[64];
        (void)snprintf(url, sizeof url, "memory://?max_items=%d", limit);
        cache_t *cache = test_open(url);
        for (int i = 0; i < 300; i++) {
            const char *key = numbered("k", i % (limit + 2));
            assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
            assert_text(cache, key, "x");
            for (int k = 0; k < 3 * (limit + 2); k++)
                (void)cache_has(cache, numbered("k", k % (limit + 2)));
        }
        cache_close(cache);
    }
}

static void max_bytes_holds_after_each_call_though_few_large_values_fill_it(void **state)
{
    static char value[300000];
    unsigned random = 1;
    (void)state;
    cache_t *cache = test_open("memory://?max_bytes=1000000");
    for (int i = 0; i < 400; i++) {
        random = random * 1664525u + 1013904223u;
        assert_status(CACHE_OK, cache_set(cache, numbered("k", i % 40), value, 45000 + random / 65536 % 250000, 60));
        assert_true(test_counters(cache).bytes <= 1000000);
        assert_status(CACHE_OK, cache_has(cache, numbered("k", i % 40)));
    }
    assert_status(CACHE_OK, cache_set(cache, "whole", value, sizeof value, 60));
    cache_close(cache);
}

static void one_value_of_nearly_max_bytes_takes_the_place_of_many_small_ones(void **state)
{
    static char value[900000];
    (void)state;
    cache_t *cache = test_open("memory://?max_bytes=1mb");
    for (int i = 0; i < 20000; i++)
        test_set_numbered(cache, "k", i, 60);
    assert_status(CACHE_OK, cache_set(cache, "large", value, sizeof value, 60));
    assert_true(test_counters(cache).bytes <= 1 << 20);
    assert_status(CACHE_OK, cache_has(cache, "large"));
    cache_close(cache);
}

/* ---- who has to leave -------------------------------------------------------------------------------------------- */

static void one_large_value_drives_out_what_nobody_reads(void **state)
{
    enum { HOT = 2000, COLD = 60000, LARGE = 16 << 20 };
    static char value[1000];
    int survived = 0;
    (void)state;
    cache_t *cache = test_open("memory://?max_bytes=64mb");
    for (int i = 0; i < HOT; i++)
        assert_status(CACHE_OK, cache_set(cache, numbered("hot", i), value, sizeof value, 60));
    for (int hits = 0; hits < 3; hits++)
        for (int i = 0; i < HOT; i++)
            assert_status(CACHE_OK, cache_get_copy(cache, numbered("hot", i), value, sizeof value, NULL));
    for (int i = 0; i < COLD; i++)
        assert_status(CACHE_OK, cache_set(cache, numbered("cold", i), value, sizeof value, 60));
    char *large = calloc(1, LARGE);
    assert_non_null(large);
    assert_status(CACHE_OK, cache_set(cache, "large", large, LARGE, 60));
    free(large);
    for (int i = 0; i < HOT; i++)
        survived += cache_has(cache, numbered("hot", i)) == CACHE_OK;
    assert_int_equal(survived, HOT);
    cache_close(cache);
}

static void what_expired_in_any_shard_goes_before_what_lives(void **state)
{
    _Atomic int64_t now = 1000000;
    (void)state;
    cache_t *cache = test_open_with_clock("memory://?max_items=20000", &now);
    for (int i = 0; i < 20000; i++)
        test_set_numbered(cache, "k", i, i % 2 == 0 ? 3600 : 1);
    atomic_store(&now, 1002000);
    for (int i = 0; i < 10000; i++)
        test_set_numbered(cache, "new", i, 3600);
    cache_counters counters = test_counters(cache);
    assert_int_equal(counters.evictions, 0);
    assert_int_equal(counters.expirations, 10000);
    assert_int_equal(counters.items, 20000);
    cache_close(cache);
}

static void *read_a_little(void *arg)
{
    for (int i = 0; i < 50; i++)
        (void)cache_has(arg, "read");
    return NULL;
}

static void threads_that_live_for_a_few_reads_remove_what_died(void **state)
{
    _Atomic int64_t now = 5000;
    (void)state;
    cache_t *cache = test_open_with_clock("memory://", &now);
    for (int i = 0; i < 2000; i++)
        test_set_numbered(cache, "dead", i, 1);
    test_set_numbered(cache, "read", 0, CACHE_TTL_FOREVER);
    atomic_fetch_add(&now, 2000);
    for (int i = 0; i < 400; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, read_a_little, cache), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(test_counters(cache).items, 1);
    cache_close(cache);
}

/* ---- what is counted --------------------------------------------------------------------------------------------- */

/* An allocator that knows what its blocks cost the process. */
static void *measured_alloc(void *ctx, size_t size)
{
    void *block = malloc(size);
    atomic_fetch_add((atomic_size_t *)ctx, block != NULL ? malloc_usable_size(block) + sizeof(size_t) : 0);
    return block;
}

static void measured_free(void *ctx, void *block)
{
    atomic_fetch_sub((atomic_size_t *)ctx, malloc_usable_size(block) + sizeof(size_t));
    free(block);
}

static void *measured_resize(void *ctx, void *block, size_t size)
{
    const size_t before = block != NULL ? malloc_usable_size(block) + sizeof(size_t) : 0;
    void *grown = realloc(block, size);
    if (grown != NULL)
        atomic_fetch_add((atomic_size_t *)ctx, malloc_usable_size(grown) + sizeof(size_t) - before);
    return grown;
}

static cache_t *open_measured(const char *url, const cache_allocator *allocator)
{
    cache_t *cache = NULL;
    cache_config config = CACHE_CONFIG_INIT;
    config.url = url;
    config.allocator = allocator;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    return cache;
}

/* Large blocks count an eighth more than they have, for the gaps between blocks of many sizes. */
static void assert_counted(uint64_t counted, size_t real)
{
    if (counted > real + real / 8 || real > counted + counted / 20)
        fail_msg("%llu bytes are counted, %zu are in use", (unsigned long long)counted, real);
}

static void bytes_are_what_the_store_really_uses(void **state)
{
    static char value[100000];
    static const size_t sizes[] = { 1, 10, 100, 1000, 10000, 100000 };
    atomic_size_t used = 0;
    const cache_allocator allocator = { measured_alloc, measured_resize, measured_free, &used };
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();                            /* their malloc rounds in its own way */
#endif
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        cache_t *cache = open_measured("memory://?max_bytes=32mb", &allocator);
        for (int i = 0; i % 1000 != 0 || test_counters(cache).evictions < 1000; i++)
            assert_status(CACHE_OK, cache_set(cache, numbered("k", i), value, sizes[s], 60));
        assert_true(test_counters(cache).bytes > 30 << 20);
        assert_counted(test_counters(cache).bytes, atomic_load(&used));
        assert_true(atomic_load(&used) <= (33 << 20) + (2 << 20));
        cache_close(cache);
        assert_int_equal(atomic_load(&used), 0);
    }
}

static void bytes_stay_true_while_sizes_and_keys_change(void **state)
{
    static char value[100000];
    atomic_size_t used = 0;
    const cache_allocator allocator = { measured_alloc, measured_resize, measured_free, &used };
    unsigned random = 7;
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    cache_t *cache = open_measured("memory://?max_bytes=16mb", &allocator);
    for (int i = 0; i < 300000; i++) {
        random = random * 1664525u + 1013904223u;
        const size_t size = (size_t)1 << (random / 65536 % 17);
        const int key = (int)(random / 256 % 50000);
        if (random / 16 % 8 == 0)
            (void)cache_delete(cache, numbered("k", key));
        else
            assert_status(CACHE_OK, cache_set(cache, numbered("k", key), value, size, 60));
        if (i % 10000 == 9999)
            assert_counted(test_counters(cache).bytes, atomic_load(&used));
    }
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(test_counters(cache).bytes, 0);
    cache_close(cache);
    assert_int_equal(atomic_load(&used), 0);
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

static void views_are_aligned_as_malloc_aligns(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    for (int size = 1; size <= 300; size++) {
        char text[301] = "";
        cache_value value;
        const char *key = numbered("key of any length", size % 7 * size);
        memset(text, 'x', (size_t)size);
        assert_status(CACHE_OK, cache_set(cache, key, text, (size_t)size, 60));
        assert_status(CACHE_OK, cache_get(cache, key, &value));
        assert_int_equal((uintptr_t)value.data % alignof(max_align_t), 0);
        assert_string_equal(value.data, text);
        cache_value_release(&value);
    }
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_items_of_1_to_20_hold_after_each_call),
        cmocka_unit_test(a_value_that_was_just_set_stays_though_all_others_were_hit),
        cmocka_unit_test(max_bytes_holds_after_each_call_though_few_large_values_fill_it),
        cmocka_unit_test(one_value_of_nearly_max_bytes_takes_the_place_of_many_small_ones),
        cmocka_unit_test(one_large_value_drives_out_what_nobody_reads),
        cmocka_unit_test(what_expired_in_any_shard_goes_before_what_lives),
        cmocka_unit_test(threads_that_live_for_a_few_reads_remove_what_died),
        cmocka_unit_test(bytes_are_what_the_store_really_uses),
        cmocka_unit_test(bytes_stay_true_while_sizes_and_keys_change),
        cmocka_unit_test(views_are_aligned_as_malloc_aligns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
