/* test_fetch_stale.c - checks how long a result may be served after its TTL, if the computation itself says so. */
#include "fake_store.h"

#include <math.h>

static _Atomic int64_t now_ms;

struct work {
    int runs;
    cache_status status;
    bool says;
    double stale, stale_if_error;
};

static cache_status run(void *ctx, cache_writer *out)
{
    struct work *work = ctx;
    work->runs++;
    if (work->says)
        assert_status(CACHE_OK, cache_writer_set_stale(out, work->stale, work->stale_if_error));
    return work->status != CACHE_OK ? work->status : cache_writer_printf(out, "v%d", work->runs);
}

static cache_t *open_fake(void)
{
    fake_store_reset();
    now_ms = 1000000;
    return test_open_with_clock("fake://", &now_ms);
}

static void expect(cache_t *cache, const cache_fetch_options *options, struct work *work, cache_source source,
                   const char *text)
{
    cache_fetch_options asked = *options;
    cache_fetch_info info;
    cache_value value;
    asked.info = &info;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &asked, run, work, &value));
    assert_string_equal(value.data, text);
    assert_int_equal(info.source, source);
    cache_value_release(&value);
}

static cache_fetch_options ten_seconds(double stale, double stale_if_error)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = 10;
    options.stale = stale;
    options.stale_if_error = stale_if_error;
    return options;
}

static void a_value_that_says_so_covers_a_failure_though_the_options_do_not(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = ten_seconds(0, 0);
    struct work work = { .says = true, .stale_if_error = 20 };
    char stored[512];
    int64_t ttl_ms = 0;
    expect(cache, &options, &work, CACHE_SOURCE_COMPUTED, "v1");
    assert_true(fake_store_peek("libcache:k", stored, sizeof stored, &ttl_ms) > 0);
    assert_int_equal(ttl_ms, 30000);    /* the store keeps it that long */
    work.status = CACHE_ERR_IO;
    now_ms += 29999;
    expect(cache, &options, &work, CACHE_SOURCE_STALE, "v1");
    now_ms += 2;
    cache_value value;
    assert_status(CACHE_ERR_IO, cache_fetch(cache, "k", &options, run, &work, &value));
    cache_close(cache);
}

static void a_value_that_forbids_it_is_not_served_stale_though_the_options_would(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = ten_seconds(100, 100);
    struct work work = { .says = true };
    expect(cache, &options, &work, CACHE_SOURCE_COMPUTED, "v1");
    now_ms += 10001;
    work.status = CACHE_ERR_IO;
    cache_value value;
    assert_status(CACHE_ERR_IO, cache_fetch(cache, "k", &options, run, &work, &value));
    work.status = CACHE_OK;
    expect(cache, &options, &work, CACHE_SOURCE_COMPUTED, "v3");
    cache_close(cache);
}

static void a_value_that_says_nothing_leaves_it_to_the_options_of_who_reads(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = ten_seconds(0, 100), none = ten_seconds(0, 0);
    struct work work = { .says = false };
    expect(cache, &options, &work, CACHE_SOURCE_COMPUTED, "v1");
    now_ms += 10001;
    work.status = CACHE_ERR_IO;
    expect(cache, &options, &work, CACHE_SOURCE_STALE, "v1");
    cache_value value;
    assert_status(CACHE_ERR_IO, cache_fetch(cache, "k", &none, run, &work, &value));
    cache_close(cache);
}

static void spans_that_are_none_are_refused(void **state)
{
    (void)state;
    cache_writer *writer = cache_writer_new();
    assert_non_null(writer);
    assert_status(CACHE_ERR_INVALID, cache_writer_set_stale(writer, -1, 0));
    assert_status(CACHE_ERR_INVALID, cache_writer_set_stale(writer, 0, (double)NAN));
    assert_status(CACHE_ERR_INVALID, cache_writer_set_stale(NULL, 0, 0));
    assert_status(CACHE_OK, cache_writer_set_stale(writer, 1e300, 0));
    cache_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_says_so_covers_a_failure_though_the_options_do_not),
        cmocka_unit_test(a_value_that_forbids_it_is_not_served_stale_though_the_options_would),
        cmocka_unit_test(a_value_that_says_nothing_leaves_it_to_the_options_of_who_reads),
        cmocka_unit_test(spans_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
