/* test_hot_keys.c - checks that the keys that are read most often are reported, in bounded memory. */
#include "test.h"

#include <cjson/cJSON.h>

static bool is_among(const cache_hot_key *hot, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(hot[i].key, key) == 0)
            return true;
    return false;
}

/* A million reads, the key of rank r about 1/r as often as the first. */
static void read_skewed(cache_t *cache)
{
    uint64_t random = 88172645463325252u;
    char key[32], value[8];
    for (int i = 0; i < 1000000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const double x = (double)(random >> 11) / 9007199254740992.0;
        int rank = 1;
        for (double left = x * 10; left > 1.0 / rank && rank < 10000; rank++)    /* the sum of 1/r to 10,000 is 9.8 */
            left -= 1.0 / rank;
        (void)snprintf(key, sizeof key, "product:%d", rank);
        assert_status(CACHE_OK, cache_get_copy(cache, key, value, sizeof value, NULL));
    }
}

static void the_keys_that_are_read_most_are_named(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    cache_hot_key hot[CACHE_HOT_KEYS];
    size_t n = 0;
    char key[32];
    assert_status(CACHE_OK, cache_stats_hot(cache, hot, &n));
    assert_int_equal(n, 0);
    for (int rank = 1; rank <= 10000; rank++) {
        (void)snprintf(key, sizeof key, "product:%d", rank);
        assert_status(CACHE_OK, cache_set(cache, key, "x", 1, 60));
    }
    read_skewed(cache);
    assert_status(CACHE_OK, cache_stats_hot(cache, hot, &n));
    assert_int_equal(n, CACHE_HOT_KEYS);
    for (int rank = 1; rank <= 5; rank++) {
        (void)snprintf(key, sizeof key, "product:%d", rank);
        assert_true(is_among(hot, n, key));
    }
    assert_string_equal(hot[0].key, "product:1");
    assert_true(hot[0].reads > 70000 && hot[0].reads < 140000);    /* of some 102,000 */
    for (size_t i = 1; i < n; i++)
        assert_true(hot[i].reads <= hot[i - 1].reads && hot[i].error <= hot[i].reads);
    cache_close(cache);
}

/* Only some of the keys of a call are counted: which ones must not depend on their places. */
static void keys_that_are_read_together_count_alike(void **state)
{
    (void)state;
    enum { TOGETHER = 8, CALLS = 100000 };
    cache_t *cache = test_open("memory://");
    const char *const keys[TOGETHER] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    cache_value values[TOGETHER];
    cache_hot_key hot[CACHE_HOT_KEYS];
    size_t n = 0;
    for (int i = 0; i < TOGETHER; i++)
        assert_status(CACHE_OK, cache_set(cache, keys[i], "x", 1, 60));
    for (int i = 0; i < CALLS; i++) {
        assert_status(CACHE_OK, cache_get_many(cache, keys, TOGETHER, values));
        for (int k = 0; k < TOGETHER; k++)
            cache_value_release(&values[k]);
    }
    assert_status(CACHE_OK, cache_stats_hot(cache, hot, &n));
    assert_int_equal(n, TOGETHER);
    for (size_t i = 0; i < n; i++)    /* of some 200 samples of each, whose standard deviation is 7 % */
        assert_true(hot[i].reads > CALLS / 2 && hot[i].reads < CALLS * 3 / 2);
    cache_close(cache);
}

static void a_long_key_is_shown_by_its_beginning_up_to_a_whole_character(void **state)
{
    (void)state;
    static const struct { const char *character; size_t shown; } rows[] = {
        { "a", sizeof ((cache_hot_key *)NULL)->key - 1 },
        { "\xe2\x82\xac", (sizeof ((cache_hot_key *)NULL)->key - 1) / 3 * 3 },
    };
    for (size_t row = 0; row < 2; row++) {
        cache_t *cache = test_open("memory://");
        cache_hot_key hot[CACHE_HOT_KEYS];
        char key[1000] = "", value[8];
        size_t n = 0;
        while (strlen(key) < sizeof key - 4)
            (void)strcat(key, rows[row].character);
        assert_status(CACHE_OK, cache_set(cache, key, "x", 1, 60));
        for (int i = 0; i < 200; i++)
            assert_status(CACHE_OK, cache_get_copy(cache, key, value, sizeof value, NULL));
        assert_status(CACHE_OK, cache_stats_hot(cache, hot, &n));
        assert_int_equal(n, 1);
        assert_int_equal(strlen(hot[0].key), rows[row].shown);
        assert_int_equal(strncmp(hot[0].key, key, rows[row].shown), 0);
        cache_close(cache);
    }
}

static void json_is_valid_whatever_the_keys_and_prometheus_has_none(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    char long_key[1000], value[8];
    memset(long_key, 0xc3, sizeof long_key);    /* no UTF-8 */
    long_key[sizeof long_key - 1] = '\0';
    const char *const keys[] = { "secret\"\\\n", long_key, "g\xc3\xbcltig" };
    for (int i = 0; i < 3; i++)
        assert_status(CACHE_OK, cache_set(cache, keys[i], "x", 1, 60));
    for (int i = 0; i < 2000; i++)
        assert_status(CACHE_OK, cache_get_copy(cache, keys[i % 3], value, sizeof value, NULL));
    cache_writer *json = cache_writer_new(), *text = cache_writer_new();
    assert_status(CACHE_OK, cache_stats_hot_json(cache, json));
    cJSON *list = cJSON_Parse(cache_writer_data(json, NULL));
    assert_int_equal(cJSON_GetArraySize(list), 3);
    bool escaped = false;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list)
        escaped = escaped || strcmp(cJSON_GetObjectItem(entry, "key")->valuestring, keys[0]) == 0;
    assert_true(escaped);
    assert_status(CACHE_OK, cache_stats_prometheus(cache, text));
    assert_null(strstr(cache_writer_data(text, NULL), "secret"));
    cJSON_Delete(list);
    cache_writer_free(json);
    cache_writer_free(text);
    cache_close(cache);
}

static void a_null_cache_has_none(void **state)
{
    (void)state;
    cache_hot_key hot[CACHE_HOT_KEYS];
    size_t n = 7;
    assert_status(CACHE_OK, cache_stats_hot(NULL, hot, &n));
    assert_int_equal(n, 0);
    assert_status(CACHE_ERR_INVALID, cache_stats_hot(NULL, NULL, &n));
    assert_status(CACHE_ERR_INVALID, cache_stats_hot_json(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_keys_that_are_read_most_are_named),
        cmocka_unit_test(keys_that_are_read_together_count_alike),
        cmocka_unit_test(a_long_key_is_shown_by_its_beginning_up_to_a_whole_character),
        cmocka_unit_test(json_is_valid_whatever_the_keys_and_prometheus_has_none),
        cmocka_unit_test(a_null_cache_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
