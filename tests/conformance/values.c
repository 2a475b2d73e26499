/* values.c - get, set, add, delete, has: any bytes come back as they were stored. */
#include "conformance.h"

static void a_missing_key_is_a_miss_everywhere(void **state)
{
    cache_t *cache = *state;
    cache_value value = { "x", 1, NULL };
    assert_status(CACHE_MISS, cache_get(cache, "nothing", &value));
    assert_null(value.data);
    assert_status(CACHE_MISS, cache_has(cache, "nothing"));
    assert_status(CACHE_MISS, cache_delete(cache, "nothing"));
    assert_status(CACHE_MISS, cache_touch(cache, "nothing", 60));
    assert_status(CACHE_MISS, cache_get_copy(cache, "nothing", NULL, 0, NULL));
}

static void set_replaces_and_get_returns_the_last(void **state)
{
    cache_t *cache = *state;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "first", 60));
    assert_text(cache, "k", "first");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "the second, longer one", 60));
    assert_text(cache, "k", "the second, longer one");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "3", 60));
    assert_text(cache, "k", "3");
    assert_status(CACHE_OK, cache_has(cache, "k"));
}

static void add_stores_only_what_is_not_there(void **state)
{
    cache_t *cache = *state;
    assert_status(CACHE_OK, cache_add(cache, "k", "one", 3, 60));
    assert_status(CACHE_NOT_STORED, cache_add(cache, "k", "two", 3, 60));
    assert_text(cache, "k", "one");
    assert_status(CACHE_OK, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_add(cache, "k", "three", 5, 60));
    assert_text(cache, "k", "three");
}

static void delete_removes_one_key_and_says_whether_it_was_there(void **state)
{
    cache_t *cache = *state;
    assert_status(CACHE_OK, cache_set_string(cache, "a", "1", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "b", "2", 60));
    assert_status(CACHE_OK, cache_delete(cache, "a"));
    assert_text(cache, "a", NULL);
    assert_text(cache, "b", "2");
    assert_status(CACHE_MISS, cache_delete(cache, "a"));
}

/* ---- any bytes --------------------------------------------------------------------------------------------------- */

static void assert_round_trip(cache_t *cache, const unsigned char *bytes, size_t size)
{
    cache_value value;
    assert_status(CACHE_OK, cache_set(cache, "bytes", bytes, size, 60));
    assert_status(CACHE_OK, cache_get(cache, "bytes", &value));
    assert_int_equal(value.size, size);
    assert_memory_equal(value.data, bytes, size);
    assert_int_equal(((const char *)value.data)[size], '\0');
    cache_value_release(&value);

    unsigned char *copy = malloc(size + 1);
    size_t copied = 0;
    copy[size] = 0x7e;
    assert_status(CACHE_OK, cache_get_copy(cache, "bytes", copy, size, &copied));
    assert_int_equal(copied, size);
    assert_memory_equal(copy, bytes, size);
    assert_int_equal(copy[size], 0x7e);
    free(copy);
}

static void a_value_of_no_bytes_is_a_value(void **state)
{
    cache_t *cache = *state;
    cache_value value;
    size_t size = 9;
    assert_status(CACHE_OK, cache_set(cache, "empty", NULL, 0, 60));
    assert_status(CACHE_OK, cache_get(cache, "empty", &value));
    assert_non_null(value.data);
    assert_int_equal(value.size, 0);
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_get_copy(cache, "empty", NULL, 0, &size));
    assert_int_equal(size, 0);
    assert_status(CACHE_OK, cache_has(cache, "empty"));
}

static void all_256_byte_values_come_back(void **state)
{
    unsigned char bytes[512];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    assert_round_trip(*state, bytes, sizeof bytes);
}

static void values_of_every_size_up_to_a_mebibyte_come_back(void **state)
{
    const size_t sizes[] = { 1, 2, 63, 64, 65, 4095, 4096, 4097, 16384, 65536, 100000, (1 << 20) - 1024 };
    unsigned char *bytes = malloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_round_trip(*state, bytes, sizes[i]);
    free(bytes);
}

static void a_value_over_the_stores_limit_is_refused_and_the_limit_named(void **state)
{
    (void)state;
    if (target.limit == NULL)
        return;
    const size_t size = strtoul(target.limit, NULL, 10) + 1;
    cache_t *cache = target_open(target.limit_options);
    char *bytes = calloc(1, size);    /* nobody reads it all, so that half a gigabyte costs none */
    assert_non_null(bytes);
    assert_status(CACHE_ERR_TOO_LARGE, cache_set(cache, "large", bytes, size, 60));
    assert_non_null(strstr(cache_last_error(), target.limit));
    const cache_item items[] = { { "small", "1", 1 }, { "large", bytes, size }, { "other", "2", 1 } };
    assert_status(CACHE_ERR_TOO_LARGE, cache_set_many(cache, items, 3, 60));
    assert_non_null(strstr(cache_last_error(), target.limit));
    assert_text(cache, "large", NULL);
    assert_text(cache, "small", "1");
    assert_text(cache, "other", "2");
    free(bytes);
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

static void a_buffer_that_is_too_small_stays_untouched_and_the_size_is_told(void **state)
{
    cache_t *cache = *state;
    char buffer[5] = "abcd";
    size_t size = 0;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "0123456789", 60));
    assert_status(CACHE_ERR_TOO_LARGE, cache_get_copy(cache, "k", buffer, 4, &size));
    assert_int_equal(size, 10);
    assert_string_equal(buffer, "abcd");
    assert_status(CACHE_ERR_TOO_LARGE, cache_get_copy(cache, "k", NULL, 0, &size));
    assert_int_equal(size, 10);
}

static void a_value_that_begins_like_an_envelope_comes_back_whole(void **state)
{
    /* Whatever the core writes before computed values, a user's bytes must not be taken for it. */
    unsigned char bytes[64] = { 0x93, 'l', 'c', 'a', 'c', 'h', 'e', 0x01 };
    cache_value value;
    assert_round_trip(*state, bytes, sizeof bytes);
    assert_round_trip(*state, bytes, 8);
    const cache_item item = { "many", bytes, sizeof bytes };
    const char *const key = "many";
    assert_status(CACHE_OK, cache_set_many(*state, &item, 1, 60));
    assert_status(CACHE_OK, cache_get_many(*state, &key, 1, &value));
    assert_int_equal(value.size, sizeof bytes);
    assert_memory_equal(value.data, bytes, sizeof bytes);
    cache_value_release(&value);
}

static void a_value_stays_readable_after_its_key_changed(void **state)
{
    cache_t *cache = *state;
    cache_value value;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "the old one", 60));
    assert_status(CACHE_OK, cache_get(cache, "k", &value));
    assert_status(CACHE_OK, cache_set_string(cache, "k", "the new one", 60));
    assert_status(CACHE_OK, cache_delete(cache, "k"));
    assert_string_equal(value.data, "the old one");
    cache_value_release(&value);
}

int run_values(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(a_missing_key_is_a_miss_everywhere),
        conformance_test(set_replaces_and_get_returns_the_last),
        conformance_test(add_stores_only_what_is_not_there),
        conformance_test(delete_removes_one_key_and_says_whether_it_was_there),
        conformance_test(a_value_of_no_bytes_is_a_value),
        conformance_test(all_256_byte_values_come_back),
        conformance_test(values_of_every_size_up_to_a_mebibyte_come_back),
        conformance_test(a_value_over_the_stores_limit_is_refused_and_the_limit_named),
        conformance_test(a_buffer_that_is_too_small_stays_untouched_and_the_size_is_told),
        conformance_test(a_value_that_begins_like_an_envelope_comes_back_whole),
        conformance_test(a_value_stays_readable_after_its_key_changed),
    };
    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
