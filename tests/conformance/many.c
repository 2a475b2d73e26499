/* many.c - the calls for many keys. */
#include "conformance.h"

static void none_at_all_is_fine(void **state)
{
    cache_t *cache = *state;
    size_t deleted = 9;
    assert_status(CACHE_OK, cache_get_many(cache, NULL, 0, NULL));
    assert_status(CACHE_OK, cache_set_many(cache, NULL, 0, 60));
    assert_status(CACHE_OK, cache_delete_many(cache, NULL, 0, &deleted));
    assert_int_equal(deleted, 0);
}

static void get_many_gives_each_key_its_own_value_repeats_and_misses_too(void **state)
{
    cache_t *cache = *state;
    const cache_item items[] = { { "a", "1", 1 }, { "b", "", 0 }, { "long one with spaces", "3", 1 } };
    const char *const keys[] = { "a", "missing", "b", "a", "long one with spaces", "missing", "a" };
    const char *const expected[] = { "1", NULL, "", "1", "3", NULL, "1" };
    cache_value values[7];
    assert_status(CACHE_OK, cache_set_many(cache, items, 3, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, 7, values));
    for (size_t i = 0; i < 7; i++) {
        if (expected[i] == NULL)
            assert_null(values[i].data);
        else {
            assert_non_null(values[i].data);
            assert_string_equal(values[i].data, expected[i]);
            assert_int_equal(values[i].size, strlen(expected[i]));
        }
        cache_value_release(&values[i]);
    }
}

static void items_with_ttls_of_their_own_live_that_long(void **state)
{
    cache_t *cache = *state;
    const cache_timed_item items[] = {
        { .key = "short", .data = "1", .size = 1, .ttl = 1.5 }, { .key = "long", .data = "2", .size = 1, .ttl = 600 },
        { .key = "other short", .data = "3", .size = 1, .ttl = 1.5 }, { .key = "default", .data = "4", .size = 1 },
        { .key = "for ever", .data = "5", .size = 1, .ttl = CACHE_TTL_FOREVER },
    };
    assert_status(CACHE_OK, cache_set_many_timed(cache, items, 5));
    assert_text(cache, "other short", "3");
    assert_true(wait_until(is_missing, cache, "short", 15));
    assert_true(wait_until(is_missing, cache, "other short", 15));
    assert_text(cache, "long", "2");
    assert_text(cache, "default", "4");
    assert_text(cache, "for ever", "5");
    assert_status(CACHE_OK, cache_set_many_timed(cache, NULL, 0));
    const cache_timed_item wrong[] = { items[0], { .key = "k", .data = "1", .size = 1, .ttl = -5 } };
    assert_status(CACHE_ERR_INVALID, cache_set_many_timed(cache, wrong, 2));
    assert_non_null(strstr(cache_last_error(), "item 1"));
    assert_text(cache, "short", NULL);
}

static void delete_many_tells_how_many_were_there(void **state)
{
    cache_t *cache = *state;
    const char *const keys[] = { "a", "b", "missing", "c" };
    size_t deleted = 0;
    for (size_t i = 0; i < 4; i++)
        if (i != 2)
            assert_status(CACHE_OK, cache_set_string(cache, keys[i], "x", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "stays", "x", 60));
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 4, &deleted));
    assert_int_equal(deleted, 3);
    assert_text(cache, "a", NULL);
    assert_text(cache, "stays", "x");
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 4, NULL));
}

static void a_wrong_key_among_many_refuses_them_all(void **state)
{
    cache_t *cache = *state;
    const char *const keys[] = { "a", "" };
    const cache_item items[] = { { "a", "1", 1 }, { NULL, "2", 1 } };
    cache_value values[2];
    assert_status(CACHE_ERR_INVALID, cache_get_many(cache, keys, 2, values));
    assert_null(values[0].data);
    assert_status(CACHE_ERR_INVALID, cache_set_many(cache, items, 2, 60));
    assert_text(cache, "a", NULL);
    assert_status(CACHE_ERR_INVALID, cache_delete_many(cache, keys, 2, NULL));
}

enum { MANY = 10000, DIFFERENT = 2500 };

static void ten_thousand_keys_with_repeats_are_read_at_once(void **state)
{
    cache_t *cache = *state;
    static char names[MANY][16];
    static const char *keys[MANY];
    static cache_item items[DIFFERENT];
    cache_value *values = calloc(MANY, sizeof *values);
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "key %zu", i % (2 * DIFFERENT));
        keys[i] = names[i];
    }
    for (size_t i = 0; i < DIFFERENT; i++)
        items[i] = (cache_item){ names[2 * i], names[2 * i], strlen(names[2 * i]) };    /* every second one is there */
    assert_status(CACHE_OK, cache_set_many(cache, items, DIFFERENT, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, MANY, values));
    for (size_t i = 0; i < MANY; i++) {
        if (i % 2 == 0) {
            assert_non_null(values[i].data);
            assert_string_equal(values[i].data, names[i]);
        } else
            assert_null(values[i].data);
        cache_value_release(&values[i]);
    }
    size_t deleted = 0;
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 2 * DIFFERENT, &deleted));
    assert_int_equal(deleted, DIFFERENT);
    free(values);
}

int run_many(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(none_at_all_is_fine),
        conformance_test(get_many_gives_each_key_its_own_value_repeats_and_misses_too),
        conformance_test(items_with_ttls_of_their_own_live_that_long),
        conformance_test(delete_many_tells_how_many_were_there),
        conformance_test(a_wrong_key_among_many_refuses_them_all),
        conformance_test(ten_thousand_keys_with_repeats_are_read_at_once),
    };
    return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
