/* expiry.c - a value lives as long as it was given, no more and no less. Real time, since a server has no clock to
 * inject: all short lives begin together and are watched together, so that the suite waits for them once. */
#include "conformance.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

struct life {
    const char *key;
    double ttl;                        /* 0: it must not end */
    bool by_default;                   /* on the handle whose default TTL is short */
    double began, ended;               /* seconds; ended 0: still there */
};

static struct life lives[] = {
    { "ten milliseconds", 0.01, false, 0, 0 },
    { "set", 1.5, false, 0, 0 },
    { "added", 1.5, false, 0, 0 },
    { "set with many", 1.5, false, 0, 0 },
    { "touched down", 1.5, false, 0, 0 },
    { "touched up", 0, false, 0, 0 },
    { "touched for ever", 0, false, 0, 0 },
    { "to be added", 0.05, false, 0, 0 },
    { "to be counted", 0.05, false, 0, 0 },
    { "counted", 1, false, 0, 0 },
    { "by default", 0.05, true, 0, 0 },
    { "counter by default", 0.05, true, 0, 0 },
};

enum { LIVES = sizeof lives / sizeof lives[0], PATIENCE = 15 };

static cache_t *cache, *short_default;

static struct life *life_of(const char *key)
{
    for (size_t i = 0; i < LIVES; i++)
        if (strcmp(lives[i].key, key) == 0)
            return &lives[i];
    fail_msg("no life '%s'", key);
    return NULL;
}

/* Its time counts from here, before the call that gives it. */
static const char *begin(const char *key)
{
    life_of(key)->began = now_seconds();
    return key;
}

static void begin_all(void)
{
    const cache_item item = { begin("set with many"), "x", 1 };
    int64_t number = 0;
    assert_status(CACHE_OK, cache_set_string(cache, begin("ten milliseconds"), "short", 0.01));
    assert_status(CACHE_OK, cache_set_string(cache, begin("set"), "x", 1.5));
    assert_status(CACHE_OK, cache_add(cache, begin("added"), "x", 1, 1.5));
    assert_status(CACHE_OK, cache_set_many(cache, &item, 1, 1.5));
    assert_status(CACHE_OK, cache_set_string(cache, "touched down", "x", 600));
    assert_status(CACHE_OK, cache_touch(cache, begin("touched down"), 1.5));
    assert_status(CACHE_OK, cache_set_string(cache, begin("touched up"), "x", 1));
    assert_status(CACHE_OK, cache_touch(cache, "touched up", 600));
    assert_status(CACHE_OK, cache_set_string(cache, begin("touched for ever"), "x", 1));
    assert_status(CACHE_OK, cache_touch(cache, "touched for ever", CACHE_TTL_FOREVER));
    assert_status(CACHE_OK, cache_set_string(cache, begin("to be added"), "old", 0.05));
    assert_status(CACHE_OK, cache_set_string(cache, begin("to be counted"), "41", 0.05));
    assert_status(CACHE_OK, cache_set_string(cache, begin("counted"), "5", 1));
    assert_status(CACHE_OK, cache_inc(cache, "counted", 1, &number));    /* the default TTL, 300 s, is not taken */
    assert_int_equal(number, 6);
    assert_status(CACHE_OK, cache_set_string(short_default, begin("by default"), "x", CACHE_TTL_DEFAULT));
    assert_status(CACHE_OK, cache_inc(short_default, begin("counter by default"), 7, NULL));
}

/* When each of them is missed for the first time. */
static void watch_all(void)
{
    const double begun = now_seconds();
    bool waiting = true;
    while (waiting && now_seconds() - begun < PATIENCE) {
        waiting = false;
        for (size_t i = 0; i < LIVES; i++) {
            if (lives[i].ended == 0 && is_missing(lives[i].by_default ? short_default : cache, lives[i].key))
                lives[i].ended = now_seconds();
            waiting = waiting || (lives[i].ttl > 0 && lives[i].ended == 0);
        }
        nanosleep(&(const struct timespec){ 0, 2 * 1000 * 1000 }, NULL);
    }
}

static int begin_and_watch(void **state)
{
    char options[64];
    (void)state;
    (void)snprintf(options, sizeof options, "prefix=life%ld:", (long)getpid());
    cache = target_open(options);
    (void)snprintf(options, sizeof options, "prefix=brief%ld:&default_ttl=0.05", (long)getpid());
    short_default = target_open(options);
    begin_all();
    watch_all();
    return 0;
}

static int end_all(void **state)
{
    (void)state;
    assert_status(CACHE_OK, cache_clear(cache));
    assert_status(CACHE_OK, cache_clear(short_default));
    cache_close(cache);
    cache_close(short_default);
    return 0;
}

static void assert_lived(const char *key)
{
    const struct life *life = life_of(key);
    const double lived = life->ended - life->began, early = target.ticks ? 1 : 0.002;
    if (life->ended == 0 ? life->ttl > 0 : life->ttl == 0 || lived < life->ttl - early)
        fail_msg("'%s' was given %g s and lived %g", key, life->ttl, lived);
}

static void a_ttl_of_ten_milliseconds_ends(void **state)
{
    (void)state;
    assert_lived("ten milliseconds");
}

static void a_ttl_of_one_and_a_half_seconds_lasts_that_long(void **state)
{
    (void)state;
    assert_lived("set");
    assert_lived("added");
    assert_lived("set with many");
    assert_text(cache, "set", NULL);
}

static void touch_gives_a_new_time(void **state)
{
    (void)state;
    assert_lived("touched down");
    assert_lived("touched up");
    assert_lived("touched for ever");
    assert_text(cache, "touched up", "x");
    assert_text(cache, "touched for ever", "x");
}

static void add_takes_the_place_of_what_expired(void **state)
{
    (void)state;
    assert_lived("to be added");
    assert_status(CACHE_OK, cache_add(cache, "to be added", "new", 3, 60));
    assert_text(cache, "to be added", "new");
}

static void inc_begins_anew_after_expiry(void **state)
{
    int64_t number = 0;
    (void)state;
    assert_lived("to be counted");
    assert_status(CACHE_OK, cache_inc(cache, "to be counted", 1, &number));
    assert_int_equal(number, 1);
}

static void inc_keeps_the_time_of_a_counter_that_is_there(void **state)
{
    (void)state;
    assert_lived("counted");
}

static void the_default_ttl_is_the_handles(void **state)
{
    (void)state;
    assert_lived("by default");
    assert_lived("counter by default");
}

static void long_ttls_and_for_ever_are_kept(void **state)
{
    static const double ttls[] = { 29.0 * 86400, 30.0 * 86400, 31.0 * 86400, 20.0 * 365 * 86400, 1e300,
                                   CACHE_TTL_FOREVER,
                                   CACHE_TTL_DEFAULT };
    char key[16];
    (void)state;
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        (void)snprintf(key, sizeof key, "k%zu", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "kept", ttls[i]));
    }
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        (void)snprintf(key, sizeof key, "k%zu", i);
        assert_text(cache, key, "kept");
    }
}

static void ttls_that_are_none_are_refused(void **state)
{
    static const double ttls[] = { -0.5, -2, (double)NAN, (double)INFINITY, -(double)INFINITY };
    (void)state;
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "none", "x", ttls[i]));
        assert_status(CACHE_ERR_INVALID, cache_add(cache, "none", "x", 1, ttls[i]));
        assert_status(CACHE_ERR_INVALID, cache_touch(cache, "none", ttls[i]));
    }
    assert_text(cache, "none", NULL);
}

int run_expiry(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ttl_of_ten_milliseconds_ends),
        cmocka_unit_test(a_ttl_of_one_and_a_half_seconds_lasts_that_long),
        cmocka_unit_test(touch_gives_a_new_time),
        cmocka_unit_test(add_takes_the_place_of_what_expired),
        cmocka_unit_test(inc_begins_anew_after_expiry),
        cmocka_unit_test(inc_keeps_the_time_of_a_counter_that_is_there),
        cmocka_unit_test(the_default_ttl_is_the_handles),
        cmocka_unit_test(long_ttls_and_for_ever_are_kept),
        cmocka_unit_test(ttls_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("expiry", tests, begin_and_watch, end_all);
}
