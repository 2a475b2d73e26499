/* list.c - which keys are there, and how long their values still live, where the store can tell. */
#include "conformance.h"

enum { KEYS = 2500 };                  /* more than one step looks at */

static void count_key(void *ctx, const char *key)
{
    unsigned char *seen = ctx;
    long number = -1;
    if (sscanf(key, "k:%ld", &number) != 1 || number < 0 || number >= KEYS)
        fail_msg("'%s' is no key of this test", key);
    if (seen[number] < 255)
        seen[number]++;
}

static void every_key_of_the_prefix_is_listed(void **state)
{
    static unsigned char seen[KEYS];
    cache_cursor cursor = { 0 };
    memset(seen, 0, sizeof seen);
    cache_status status = cache_keys(*state, "k:", &cursor, count_key, seen);
    if (status == CACHE_ERR_UNSUPPORTED)
        skip();
    cursor = (cache_cursor){ 0 };
    for (int i = 0; i < KEYS; i++)
        test_set_numbered(*state, "k:", i, 60);
    assert_status(CACHE_OK, cache_set_string(*state, "other", "x", 60));
    assert_status(CACHE_OK, cache_invalidate_tag(*state, "k:9"));    /* a key of the library's own */
    for (int steps = 0; !cursor.done; steps++) {
        assert_true(steps < 10 * KEYS);
        assert_status(CACHE_OK, cache_keys(*state, "k:", &cursor, count_key, seen));
    }
    for (int i = 0; i < KEYS; i++)
        assert_true(seen[i] > 0);
}

static void the_time_that_is_left_is_told(void **state)
{
    double left = 0;
    assert_status(CACHE_OK, cache_set_string(*state, "k", "x", 100));
    const cache_status status = cache_ttl_left(*state, "k", &left);
    if (status == CACHE_ERR_UNSUPPORTED)
        skip();
    assert_status(CACHE_OK, status);
    assert_true(left > 60 && left <= 101);
    assert_status(CACHE_OK, cache_set_string(*state, "k", "x", CACHE_TTL_FOREVER));
    assert_status(CACHE_OK, cache_ttl_left(*state, "k", &left));
    assert_true(left == CACHE_TTL_FOREVER);
    assert_status(CACHE_MISS, cache_ttl_left(*state, "nothing", &left));
}

static void a_store_that_works_answers_a_ping(void **state)
{
    assert_status(CACHE_OK, cache_ping(*state));
}

int run_list(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(every_key_of_the_prefix_is_listed),
        conformance_test(the_time_that_is_left_is_told),
        conformance_test(a_store_that_works_answers_a_ping),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
