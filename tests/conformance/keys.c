/* keys.c - any key of 1 to 4096 bytes, and no two keys taken for one another. */
#include "conformance.h"

static void assert_usable(cache_t *cache, const char *key)
{
    const char *const keys[] = { key };
    cache_value value;
    int64_t number = 0;
    assert_status(CACHE_OK, cache_set_string(cache, key, "value", 60));
    assert_text(cache, key, "value");
    assert_status(CACHE_OK, cache_has(cache, key));
    assert_status(CACHE_OK, cache_get_many(cache, keys, 1, &value));
    assert_string_equal(value.data, "value");
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_touch(cache, key, 60));
    assert_status(CACHE_NOT_STORED, cache_add(cache, key, "x", 1, 60));
    assert_status(CACHE_OK, cache_delete(cache, key));
    assert_text(cache, key, NULL);
    assert_status(CACHE_OK, cache_inc(cache, key, 5, &number));
    assert_status(CACHE_OK, cache_inc(cache, key, 5, &number));
    assert_int_equal(number, 10);
    assert_text(cache, key, "10");
    assert_status(CACHE_OK, cache_delete(cache, key));
}

static void keys_with_spaces_newlines_and_utf8_are_keys(void **state)
{
    const char *const keys[] = { "a", " ", "two words", "line\nbreak", "\r\n", "tab\there", "ключ-ü-鍵-🔑",
                                 "\x01\x7f\xff",
                                 "view//products?a=1&b=2", "*", "[a-z]?", "../../etc/passwd", "." };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_usable(*state, keys[i]);
}

static void keys_of_every_length_up_to_4096_bytes_are_keys(void **state)
{
    const size_t sizes[] = { 200, 230, 240, 249, 250, 251, 255, 256, 1000, 4095, 4096 };
    char key[4097];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(key, 'k', sizes[i]);
        key[sizes[i]] = '\0';
        assert_usable(*state, key);
    }
}

static void long_keys_that_share_their_first_4000_bytes_are_different(void **state)
{
    cache_t *cache = *state;
    char first[4097], second[4097];
    memset(first, 'x', 4096);
    first[4096] = '\0';
    memcpy(second, first, sizeof first);
    second[4050] = 'y';
    assert_status(CACHE_OK, cache_set_string(cache, first, "first", 60));
    assert_text(cache, second, NULL);
    assert_status(CACHE_OK, cache_set_string(cache, second, "second", 60));
    assert_text(cache, first, "first");
    assert_text(cache, second, "second");
    assert_status(CACHE_OK, cache_delete(cache, first));
    assert_text(cache, second, "second");
}

static void keys_that_differ_by_case_or_trailing_space_are_different(void **state)
{
    cache_t *cache = *state;
    assert_status(CACHE_OK, cache_set_string(cache, "key", "1", 60));
    assert_text(cache, "KEY", NULL);
    assert_text(cache, "key ", NULL);
    assert_text(cache, "ke", NULL);
}

static void keys_that_are_none_are_refused(void **state)
{
    cache_t *cache = *state;
    char key[4098];
    memset(key, 'k', 4097);
    key[4097] = '\0';
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, key, "x", 60));
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "", "x", 60));
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, NULL, "x", 60));
}

int run_keys(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(keys_with_spaces_newlines_and_utf8_are_keys),
        conformance_test(keys_of_every_length_up_to_4096_bytes_are_keys),
        conformance_test(long_keys_that_share_their_first_4000_bytes_are_different),
        conformance_test(keys_that_differ_by_case_or_trailing_space_are_different),
        conformance_test(keys_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
