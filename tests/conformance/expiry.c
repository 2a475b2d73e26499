/* expiry.c - a value lives as long as it was given, no more and no less. Real time: a server has no clock to inject. */
#include "conformance.h"

#include <math.h>

/* Gone after `ttl`, at most `late` seconds later, and not before. */
static void assert_expires(cache_t *cache, const char *key, double begun, double ttl)
{
    const double late = target.whole_seconds ? 2.1 : 0.6;
    const double took = wait_until(is_missing, cache, key, ttl + late);
    const double age = now_seconds() - begun;
    assert_true(took >= 0);
    assert_true(age >= ttl - 0.002 || target.whole_seconds);
}

static void a_ttl_of_ten_milliseconds_ends(void **state)
{
    const double begun = now_seconds();
    assert_status(CACHE_OK, cache_set_string(*state, "k", "short", 0.01));
    assert_expires(*state, "k", begun, 0.01);
}

static void a_ttl_of_one_and_a_half_seconds_lasts_that_long(void **state)
{
    cache_t *cache = *state;
    const double begun = now_seconds();
    assert_status(CACHE_OK, cache_set_string(cache, "set", "x", 1.5));
    assert_status(CACHE_OK, cache_add(cache, "add", "x", 1, 1.5));
    assert_status(CACHE_OK, cache_set_string(cache, "touched down", "x", 600));
    assert_status(CACHE_OK, cache_touch(cache, "touched down", 1.5));
    assert_status(CACHE_OK, cache_set_string(cache, "touched up", "x", 1));
    assert_status(CACHE_OK, cache_touch(cache, "touched up", 600));
    assert_status(CACHE_OK, cache_set_string(cache, "touched for ever", "x", 1));
    assert_status(CACHE_OK, cache_touch(cache, "touched for ever", CACHE_TTL_FOREVER));
    assert_text(cache, "set", "x");
    assert_text(cache, "add", "x");
    assert_text(cache, "touched down", "x");
    assert_expires(cache, "set", begun, 1.5);
    assert_expires(cache, "add", begun, 1.5);
    assert_expires(cache, "touched down", begun, 1.5);
    assert_text(cache, "touched up", "x");
    assert_text(cache, "touched for ever", "x");
    assert_text(cache, "set", NULL);
}

static void add_takes_the_place_of_what_expired(void **state)
{
    cache_t *cache = *state;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 0.05));
    assert_true(wait_until(is_missing, cache, "k", 3) >= 0);
    assert_status(CACHE_OK, cache_add(cache, "k", "new", 3, 60));
    assert_text(cache, "k", "new");
}

static void inc_begins_anew_after_expiry(void **state)
{
    cache_t *cache = *state;
    int64_t number = 0;
    assert_status(CACHE_OK, cache_set_string(cache, "n", "41", 0.05));
    assert_true(wait_until(is_missing, cache, "n", 3) >= 0);
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, &number));
    assert_int_equal(number, 1);
}

static void long_ttls_and_for_ever_are_kept(void **state)
{
    cache_t *cache = *state;
    const double ttls[] = { 29.0 * 86400, 30.0 * 86400, 31.0 * 86400, 20.0 * 365 * 86400, 1e300, CACHE_TTL_FOREVER,
                            CACHE_TTL_DEFAULT };
    char key[16];
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        (void)snprintf(key, sizeof key, "k%zu", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "kept", ttls[i]));
    }
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        (void)snprintf(key, sizeof key, "k%zu", i);
        assert_text(cache, key, "kept");
    }
}

static void the_default_ttl_is_the_handles(void **state)
{
    (void)state;
    cache_t *cache = target_open("prefix=conformance-ttl:&default_ttl=0.05");
    int64_t number = 0;
    const double begun = now_seconds();
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", CACHE_TTL_DEFAULT));
    assert_status(CACHE_OK, cache_inc(cache, "n", 7, &number));
    assert_expires(cache, "k", begun, 0.05);
    assert_expires(cache, "n", begun, 0.05);
    cache_close(cache);
}

static void inc_keeps_the_time_of_a_counter_that_is_there(void **state)
{
    cache_t *cache = *state;    /* default_ttl is 300 s: a counter that took it would stay */
    int64_t number = 0;
    const double begun = now_seconds();
    assert_status(CACHE_OK, cache_set_string(cache, "n", "5", 1));
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, &number));
    assert_int_equal(number, 6);
    assert_expires(cache, "n", begun, 1);
}

static void ttls_that_are_none_are_refused(void **state)
{
    cache_t *cache = *state;
    const double ttls[] = { -0.5, -2, (double)NAN, (double)INFINITY, -(double)INFINITY };
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "k", "x", ttls[i]));
        assert_status(CACHE_ERR_INVALID, cache_add(cache, "k", "x", 1, ttls[i]));
        assert_status(CACHE_ERR_INVALID, cache_touch(cache, "k", ttls[i]));
    }
    assert_text(cache, "k", NULL);
}

int run_expiry(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(a_ttl_of_ten_milliseconds_ends),
        conformance_test(a_ttl_of_one_and_a_half_seconds_lasts_that_long),
        conformance_test(add_takes_the_place_of_what_expired),
        conformance_test(inc_begins_anew_after_expiry),
        conformance_test(long_ttls_and_for_ever_are_kept),
        conformance_test(the_default_ttl_is_the_handles),
        conformance_test(inc_keeps_the_time_of_a_counter_that_is_there),
        conformance_test(ttls_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
