/* test_fetch_nothing.c - checks what negative_ttl remembers if there is no value, and for how long. */
#include "fetch_work.h"

static void negative_ttl_remembers_that_there_is_nothing(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_info info;
    cache_fetch_options options = with_ttl(10);
    options.negative_ttl = 3;
    options.info = &info;
    struct work work = { .status = CACHE_MISS };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    now_ms += 2999;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_true(info.negative);
    assert_int_equal(info.source, CACHE_SOURCE_HIT);
    assert_int_equal(work.runs, 1);
    assert_text(cache, "k", NULL);
    now_ms += 1;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 2);
    cache_close(cache);
}

static void the_computation_may_say_how_long_nothing_is_remembered(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.negative_ttl = 3;
    struct work work = { .status = CACHE_MISS, .ttl = 7 };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    now_ms += 6999;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 1);
    now_ms += 1;
    work.no_store = true;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 3);
    cache_close(cache);
}

static void jitter_takes_a_part_off_negative_ttl_too(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.negative_ttl = 100;
    options.jitter = 0.5;
    struct work work = { .status = CACHE_MISS };
    int64_t first_ms = 0, ttl_ms = 0;
    bool differ = false;
    for (int i = 0; i < 20; i++) {
        char byte;
        fake_store_poke(KEY, NULL, 0);
        expect(cache, &options, &work, CACHE_MISS, NULL);
        assert_true(fake_store_peek(KEY, &byte, 1, &ttl_ms) > 0);
        assert_true(ttl_ms >= 50000 && ttl_ms <= 100000);
        first_ms = i == 0 ? ttl_ms : first_ms;
        differ = differ || ttl_ms != first_ms;
    }
    assert_true(differ);
    cache_close(cache);
}

static void a_computation_that_says_how_long_is_remembered_without_negative_ttl(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work work = { .status = CACHE_MISS, .ttl = 7 };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    now_ms += 6999;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 1);
    now_ms += 1;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 2);
    cache_close(cache);
}

static void a_clock_below_zero_is_a_clock_too(void **state)
{
    (void)state;
    static const char *const urls[] = { "fake://", "fakelocal://", "memory://" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        fake_store_reset();
        now_ms = -1000000;
        cache_t *cache = test_open_with_clock(urls[i], &now_ms);
        const cache_fetch_options options = with_ttl(10);
        struct work work = { 0 };
        expect(cache, &options, &work, CACHE_OK, "v1");
        now_ms += 9999;
        expect(cache, &options, &work, CACHE_OK, "v1");
        now_ms += 1;
        expect(cache, &options, &work, CACHE_OK, "v2");
        assert_status(CACHE_OK, cache_set_string(cache, "plain", "x", 5));
        assert_text(cache, "plain", "x");
        now_ms += 5000;
        assert_text(cache, "plain", NULL);
        cache_close(cache);
    }
}

static void without_negative_ttl_nothing_is_asked_for_each_time(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work work = { .status = CACHE_MISS };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 2);
    cache_close(cache);
}

static void what_is_gone_is_not_served_stale_any_more(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.stale = options.stale_if_error = 60;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 10000;
    work.status = CACHE_MISS;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    work.status = CACHE_ERR_COMPUTE;
    expect(cache, &options, &work, CACHE_ERR_COMPUTE, NULL);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negative_ttl_remembers_that_there_is_nothing),
        cmocka_unit_test(the_computation_may_say_how_long_nothing_is_remembered),
        cmocka_unit_test(jitter_takes_a_part_off_negative_ttl_too),
        cmocka_unit_test(a_computation_that_says_how_long_is_remembered_without_negative_ttl),
        cmocka_unit_test(a_clock_below_zero_is_a_clock_too),
        cmocka_unit_test(without_negative_ttl_nothing_is_asked_for_each_time),
        cmocka_unit_test(what_is_gone_is_not_served_stale_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
