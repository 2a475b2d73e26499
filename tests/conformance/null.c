/* null.c - the store that holds nothing keeps the promises that need no memory: everything is missing, and nothing
 * fails. */
#include "conformance.h"

static void nothing_that_was_stored_is_there(void **state)
{
    cache_t *cache = *state;
    const char *const keys[] = { "k", "l", "k" };
    const cache_item items[] = { { "k", "1", 1 }, { "l", "2", 1 } };
    cache_value values[3];
    size_t deleted = 9;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_add(cache, "k", "v", 1, 60));
    assert_status(CACHE_OK, cache_add(cache, "k", "v", 1, 60));    /* it is never there */
    assert_status(CACHE_MISS, cache_has(cache, "k"));
    assert_status(CACHE_MISS, cache_touch(cache, "k", 60));
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
    for (size_t i = 0; i < 3; i++)
        assert_null(values[i].data);
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 3, &deleted));
    assert_int_equal(deleted, 0);
    assert_status(CACHE_OK, cache_clear(cache));
}

static void a_counter_is_missing_each_time(void **state)
{
    cache_t *cache = *state;
    int64_t number = 0;
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, cache_inc(cache, "n", 7, &number));
        assert_int_equal(number, 7);
        assert_status(CACHE_OK, cache_dec(cache, "n", 7, &number));
        assert_int_equal(number, -7);
    }
    assert_status(CACHE_ERR_RANGE, cache_dec(cache, "n", INT64_MIN, NULL));
}

static void what_is_wrong_is_refused_all_the_same(void **state)
{
    cache_t *cache = *state;
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "", "v", 60));
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "k", "v", -2));
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "k", NULL, 60));
    cache_t *wrong = NULL;
    assert_status(CACHE_ERR_CONFIG, cache_open("null://host", &wrong));
    assert_status(CACHE_ERR_CONFIG, cache_open("null://?max_items=5", &wrong));
}

static void what_happened_is_counted(void **state)
{
    cache_t *cache = target_open("prefix=null:");
    cache_counters counters;
    (void)state;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.sets, 1);
    assert_int_equal(counters.misses, 1);
    assert_int_equal(counters.hits + counters.errors, 0);
    cache_close(cache);
}

int run_null(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(nothing_that_was_stored_is_there),
        conformance_test(a_counter_is_missing_each_time),
        conformance_test(what_is_wrong_is_refused_all_the_same),
        conformance_test(what_happened_is_counted),
    };
    return cmocka_run_group_tests_name("null", tests, NULL, NULL);
}
