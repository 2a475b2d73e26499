/* test_locale.c - what the program's locale must not change: names, numbers and words. In a Turkish one the capital of
 * i is not I; in a German one a number has a comma. */
#include "test.h"

#include "locales.h"
#include "page/http_rules.h"

#include <libcache/memoize.h>

static cache_status load_half(double x, double *out)
{
    *out = x / 2;
    return CACHE_OK;
}

CACHE_MEMOIZE(get_half, load_half, 60, double, (double, x))

static void check_key(const char *locale, void *ctx)
{
    static char first[256];
    char key[256];
    (void)ctx;
    assert_status(CACHE_OK, get_half_key(1234.5, key, sizeof key));
    if (first[0] == '\0')
        (void)strcpy(first, key);
    if (strcmp(first, key) != 0)
        fail_msg("%s: the key is %s, not %s", locale, key, first);
}

static void the_key_of_a_number_is_the_same_in_every_locale(void **state)
{
    (void)state;
    test_in_locales(check_key, NULL);
}

static void check_options(const char *locale, void *ctx)
{
    cache_t *cache = NULL;
    (void)ctx;
    if (cache_open("memory://?default_ttl=1.5&max_bytes=1mb", &cache) != CACHE_OK)
        fail_msg("%s: %s", locale, cache_last_error());
    cache_close(cache);
    assert_status(CACHE_ERR_CONFIG, cache_open("memory://?default_ttl=1,5", &cache));
}

static void options_are_read_alike_in_every_locale(void **state)
{
    (void)state;
    test_in_locales(check_options, NULL);
}

static void check_environment(const char *locale, void *ctx)
{
    cache_t *cache = NULL;
    (void)ctx;
    assert_int_equal(setenv("CACHE_TYPE", "SIMPLE", 1), 0);
    assert_int_equal(setenv("CACHE_DEFAULT_TIMEOUT", "1.5", 1), 0);
    if (cache_open_env(&cache) != CACHE_OK)
        fail_msg("%s: %s", locale, cache_last_error());
    cache_close(cache);
}

static void variables_are_read_alike_in_every_locale(void **state)
{
    (void)state;
    test_in_locales(check_environment, NULL);
    unsetenv("CACHE_TYPE");
    unsetenv("CACHE_DEFAULT_TIMEOUT");
}

static void check_statistics(const char *locale, void *ctx)
{
    cache_t *cache = test_open("memory://");
    cache_writer *out = cache_writer_new();
    cache_value value;
    (void)ctx;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    for (int i = 0; i < 3; i++)
        assert_text(cache, "k", "v");
    assert_status(CACHE_MISS, cache_get(cache, "none", &value));
    assert_status(CACHE_OK, cache_stats_json(cache, out));
    if (strstr(cache_writer_data(out, NULL), "\"75.0%\"") == NULL)
        fail_msg("%s: %s", locale, cache_writer_data(out, NULL));
    cache_writer_free(out);
    cache_close(cache);
}

static void statistics_are_written_alike_in_every_locale(void **state)
{
    (void)state;
    test_in_locales(check_statistics, NULL);
}

static void check_names(const char *locale, void *ctx)
{
    (void)ctx;
    if (!cache_http_same_name("IF-MODIFIED-SINCE", "if-modified-since"))
        fail_msg("%s: the names of headers differ", locale);
}

static void the_names_of_headers_are_compared_alike_in_every_locale(void **state)
{
    (void)state;
    test_in_locales(check_names, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_of_a_number_is_the_same_in_every_locale),
        cmocka_unit_test(options_are_read_alike_in_every_locale),
        cmocka_unit_test(variables_are_read_alike_in_every_locale),
        cmocka_unit_test(statistics_are_written_alike_in_every_locale),
        cmocka_unit_test(the_names_of_headers_are_compared_alike_in_every_locale),
    };
    return cmocka_run_group_tests(tests, test_locales_make, test_locales_remove);
}
