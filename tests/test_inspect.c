/* test_inspect.c - checks the calls that look at a store: cache_ping, cache_ttl_left, cache_keys, and cache_has for
 * values that are not served. */
#include "fake_store.h"

static _Atomic int64_t now_ms = 1000000;

static cache_t *open_scheme(const char *url)
{
    fake_store_reset();
    return test_open_with_clock(url, &now_ms);
}

/* ---- ping -------------------------------------------------------------------------------------------------------- */

static void a_ping_asks_a_store_by_its_ping_or_by_a_get(void **state)
{
    (void)state;
    cache_t *cache = open_scheme("fakemany://");
    assert_status(CACHE_OK, cache_ping(cache));
    assert_int_equal(fake_store_calls(FAKE_PING), 1);
    assert_int_equal(fake_store_calls(FAKE_GET), 0);
    cache_close(cache);
    cache = open_scheme("fake://");
    assert_status(CACHE_OK, cache_ping(cache));
    assert_int_equal(fake_store_calls(FAKE_GET), 1);
    assert_int_equal(test_counters(cache).misses, 0);
    cache_close(cache);
}

static void a_ping_fails_with_the_store_whatever_on_error_says(void **state)
{
    static const struct { const char *url; enum fake_op op; } stores[] = {
        { "fakemany://?on_error=miss", FAKE_PING }, { "fake://?on_error=miss", FAKE_GET },
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        cache_t *cache = open_scheme(stores[i].url);
        fake_store_fail(stores[i].op, CACHE_ERR_CONNECT);
        assert_status(CACHE_ERR_CONNECT, cache_ping(cache));
        assert_int_equal(test_counters(cache).errors, 1);
        cache_close(cache);
    }
    assert_status(CACHE_ERR_INVALID, cache_ping(NULL));
}

/* ---- the time that is left --------------------------------------------------------------------------------------- */

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "computed");
}

static void assert_left(cache_t *cache, const char *key, double expected)
{
    double left = 99;
    assert_status(CACHE_OK, cache_ttl_left(cache, key, &left));
    assert_true(left > expected - 0.0005 && left < expected + 0.0005);
}

static void a_value_tells_how_long_it_is_shown(void **state)
{
    (void)state;
    cache_t *cache = open_scheme("fakemany://");
    double left = 99;
    assert_status(CACHE_MISS, cache_ttl_left(cache, "k", &left));
    assert_true(left == 0);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 10));
    now_ms += 4000;
    assert_left(cache, "k", 6);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", CACHE_TTL_FOREVER));
    assert_left(cache, "k", CACHE_TTL_FOREVER);
    now_ms += 6000;
    cache_close(cache);
}

/* The store keeps it for `stale` seconds more, in which cache_get does not show it. */
static void a_fetched_value_tells_when_it_becomes_stale(void **state)
{
    static const char *const stores[] = { "fakemany://", "fake://" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        cache_t *cache = open_scheme(stores[i]);
        cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
        cache_value value;
        double left = 99;
        options.ttl = 10;
        options.stale = 50;
        assert_status(CACHE_OK, cache_fetch(cache, "k", &options, compute, NULL, &value));
        cache_value_release(&value);
        now_ms += 3000;
        assert_left(cache, "k", 7);
        now_ms += 8000;
        assert_status(CACHE_MISS, cache_ttl_left(cache, "k", &left));
        cache_close(cache);
    }
}

static void a_store_that_does_not_know_says_so(void **state)
{
    (void)state;
    cache_t *cache = open_scheme("fake://");
    double left = 99;
    assert_status(CACHE_OK, cache_set_string(cache, "key7", "x", 10));
    assert_status(CACHE_ERR_UNSUPPORTED, cache_ttl_left(cache, "key7", &left));
    assert_non_null(strstr(cache_last_error(), "key7"));
    assert_true(left == 0);
    cache_close(cache);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static void collect(void *ctx, const char *key)
{
    char *all = ctx;
    (void)snprintf(all + strlen(all), 256 - strlen(all), "[%s]", key);
}

static const char *list(cache_t *cache, const char *prefix, char all[256])
{
    cache_cursor cursor = { 0 };
    all[0] = '\0';
    while (!cursor.done)
        assert_status(CACHE_OK, cache_keys(cache, prefix, &cursor, collect, all));
    return all;
}

static void the_keys_of_a_handle_are_listed_and_no_others(void **state)
{
    (void)state;
    char all[256];
    cache_t *cache = open_scheme("fakemany://?prefix=mine:"), *other = test_open("fakemany://?prefix=theirs:");
    assert_status(CACHE_OK, cache_set_string(other, "c", "x", 60));
    assert_string_equal(list(cache, NULL, all), "");
    assert_status(CACHE_OK, cache_set_string(cache, "user:1", "x", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "\001odd", "x", 60));
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "posts"));    /* a key of the library's own */
    assert_status(CACHE_OK, cache_set_string(cache, "b", "x", 60));
    assert_string_equal(list(cache, NULL, all), "[b][\001odd][user:1]");
    assert_string_equal(list(cache, "user:", all), "[user:1]");
    assert_string_equal(list(cache, "\001", all), "[\001odd]");
    cache_close(other);
    cache_close(cache);
}

static void what_cannot_be_listed_is_refused(void **state)
{
    (void)state;
    char all[256] = "";
    cache_cursor cursor = { 0 };
    cache_t *cache = open_scheme("fake://");
    assert_status(CACHE_ERR_UNSUPPORTED, cache_keys(cache, NULL, &cursor, collect, all));
    assert_status(CACHE_ERR_INVALID, cache_keys(cache, NULL, NULL, collect, all));
    assert_status(CACHE_ERR_INVALID, cache_keys(cache, NULL, &cursor, NULL, all));
    cache_close(cache);
    cache = open_scheme("fakemany://");
    fake_store_fail(FAKE_LIST, CACHE_ERR_TIMEOUT);
    assert_status(CACHE_ERR_TIMEOUT, cache_keys(cache, NULL, &cursor, collect, all));
    assert_false(cursor.done);
    cache_close(cache);
    cache = open_scheme("fakemany://?on_error=miss");    /* looks like an empty store, and ends */
    fake_store_fail(FAKE_LIST, CACHE_ERR_TIMEOUT);
    assert_string_equal(list(cache, NULL, all), "");
    cache_close(cache);
}

/* ---- has --------------------------------------------------------------------------------------------------------- */

static void has_says_what_get_would_show_on_every_store(void **state)
{
    static const char *const stores[] = { "fakemany://", "fake://", "fakelocal://", "memory://" };
    (void)state;
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        cache_t *cache = open_scheme(stores[i]);
        const char *const tags[] = { "t" };
        cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
        cache_value value;
        options.ttl = 10;
        options.stale = 50;
        options.tags = tags;
        options.n_tags = 1;
        assert_status(CACHE_OK, cache_fetch(cache, "k", &options, compute, NULL, &value));
        cache_value_release(&value);
        assert_status(CACHE_OK, cache_has(cache, "k"));
        now_ms += 11000;
        assert_status(CACHE_MISS, cache_has(cache, "k"));
        options.force = true;
        assert_status(CACHE_OK, cache_fetch(cache, "k", &options, compute, NULL, &value));
        cache_value_release(&value);
        assert_status(CACHE_OK, cache_has(cache, "k"));
        assert_status(CACHE_OK, cache_invalidate_tag(cache, "t"));
        assert_status(CACHE_MISS, cache_has(cache, "k"));
        cache_close(cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_asks_a_store_by_its_ping_or_by_a_get),
        cmocka_unit_test(a_ping_fails_with_the_store_whatever_on_error_says),
        cmocka_unit_test(a_value_tells_how_long_it_is_shown),
        cmocka_unit_test(a_fetched_value_tells_when_it_becomes_stale),
        cmocka_unit_test(a_store_that_does_not_know_says_so),
        cmocka_unit_test(the_keys_of_a_handle_are_listed_and_no_others),
        cmocka_unit_test(what_cannot_be_listed_is_refused),
        cmocka_unit_test(has_says_what_get_would_show_on_every_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
