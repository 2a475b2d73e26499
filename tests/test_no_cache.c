/* test_no_cache.c - checks that a program goes on with a NULL cache, if its cache cannot be opened. */
#include "test.h"

static void reads_miss_and_writes_are_dropped(void **state)
{
    (void)state;
    const char *const keys[] = { "a", "b" };
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 } };
    const cache_timed_item timed[] = { { .key = "a", .data = "1", .size = 1 } };
    cache_value value = { "x", 1, NULL }, values[2];
    char buf[4];
    size_t size = 9, deleted = 9;
    int64_t number = 0;
    double left = 9;
    assert_status(CACHE_OK, cache_set(NULL, "a", "1", 1, 60));
    assert_status(CACHE_OK, cache_set_string(NULL, "a", "1", 60));
    assert_status(CACHE_OK, cache_set_many(NULL, items, 2, 60));
    assert_status(CACHE_OK, cache_set_many_timed(NULL, timed, 1));
    assert_status(CACHE_MISS, cache_get(NULL, "a", &value));
    assert_null(value.data);
    assert_status(CACHE_MISS, cache_get_copy(NULL, "a", buf, sizeof buf, &size));
    assert_int_equal(size, 0);
    assert_status(CACHE_MISS, cache_has(NULL, "a"));
    assert_status(CACHE_MISS, cache_touch(NULL, "a", 60));
    assert_status(CACHE_MISS, cache_delete(NULL, "a"));
    assert_status(CACHE_MISS, cache_ttl_left(NULL, "a", &left));
    assert_status(CACHE_OK, cache_get_many(NULL, keys, 2, values));
    assert_null(values[1].data);
    assert_status(CACHE_OK, cache_delete_many(NULL, keys, 2, &deleted));
    assert_int_equal(deleted, 0);
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, cache_inc(NULL, "n", 5, &number));
        assert_int_equal(number, 5);
    }
    assert_status(CACHE_OK, cache_clear(NULL));
    assert_status(CACHE_OK, cache_invalidate_tag(NULL, "t"));
    cache_close(NULL);
}

static void wrong_arguments_are_refused_all_the_same(void **state)
{
    (void)state;
    cache_value value;
    assert_status(CACHE_ERR_INVALID, cache_get(NULL, "", &value));
    assert_status(CACHE_ERR_INVALID, cache_set_string(NULL, "k", "x", -5));
    assert_status(CACHE_ERR_INVALID, cache_ping(NULL));
    assert_string_equal(cache_url(NULL), "");
}

static void a_part_of_no_cache_is_none(void **state)
{
    (void)state;
    cache_t *part = (cache_t *)&part;
    assert_status(CACHE_OK, cache_with_prefix(NULL, "part:", &part));
    assert_null(part);
}

static void no_keys_are_listed(void **state)
{
    (void)state;
    cache_cursor cursor = { 0 };
    assert_status(CACHE_OK, cache_keys(NULL, NULL, &cursor, (cache_key_fn *)(uintptr_t)1, NULL));
    assert_true(cursor.done);
}

/* ---- what is computed -------------------------------------------------------------------------------------------- */

static int runs;

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_printf(out, "run %d", ++runs);
}

static cache_status compute_many(void *ctx, cache_missing missing[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)compute(ctx, missing[i].out);
    return CACHE_OK;
}

static void a_fetch_computes_each_time(void **state)
{
    (void)state;
    const char *const keys[] = { "a", "b" };
    cache_value value, values[2];
    cache_fetch_info info;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.info = &info;
    runs = 0;
    assert_status(CACHE_OK, cache_fetch(NULL, "a", NULL, compute, NULL, &value));
    assert_string_equal(value.data, "run 1");
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_fetch(NULL, "a", &options, compute, NULL, &value));
    assert_string_equal(value.data, "run 2");
    assert_int_equal(info.source, CACHE_SOURCE_COMPUTED);
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_fetch_many(NULL, keys, 2, NULL, compute_many, NULL, values));
    assert_string_equal(values[1].data, "run 4");
    cache_value_release(&values[0]);
    cache_value_release(&values[1]);
}

static cache_status load(int id, int *out)
{
    *out = id + ++runs;
    return CACHE_OK;
}

CACHE_MEMOIZE(get, load, 60, int, (int, id))

static void a_memoized_function_runs_each_time(void **state)
{
    (void)state;
    int result = 0;
    runs = 0;
    assert_status(CACHE_OK, get(NULL, 10, &result));
    assert_status(CACHE_OK, get(NULL, 10, &result));
    assert_int_equal(result, 12);
    assert_status(CACHE_MISS, get_forget(NULL, 10));
    assert_status(CACHE_OK, get_forget_all(NULL));
}

static void a_fragment_is_rendered_each_time(void **state)
{
    (void)state;
    cache_writer *out = cache_writer_new();
    runs = 0;
    for (int i = 0; i < 2; i++)
        CACHE_FRAGMENT(NULL, out, 60, "part") { (void)compute(NULL, out); }
    assert_string_equal(cache_writer_data(out, NULL), "run 1run 2");
    cache_writer_free(out);
}

static cache_status handle(void *ctx, const cache_request *request, cache_response *response)
{
    (void)request;
    return compute(ctx, cache_response_body(response));
}

static void a_page_is_made_each_time(void **state)
{
    (void)state;
    const cache_view view = CACHE_VIEW("page", 60);
    const cache_rule rules[] = { { "/p", NULL, &view } };
    const cache_request request = { .method = "GET", .path = "/p" };
    cache_page page;
    runs = 0;
    assert_status(CACHE_OK, cache_view_serve(NULL, &view, &request, handle, NULL, &page));
    cache_page_release(&page);
    assert_status(CACHE_OK, cache_middleware(NULL, rules, 1, &request, handle, NULL, &page));
    assert_memory_equal(page.body, "run 2", 5);
    cache_page_release(&page);
    assert_status(CACHE_MISS, cache_view_forget(NULL, &view, &request));
    assert_status(CACHE_OK, cache_view_forget_path(NULL, "/p"));
}

static void statistics_can_be_asked_for(void **state)
{
    (void)state;
    cache_counters counters;
    cache_writer *out = cache_writer_new();
    assert_status(CACHE_OK, cache_stats(NULL, &counters));
    assert_int_equal(counters.hits, 0);
    assert_status(CACHE_OK, cache_stats_json(NULL, out));
    assert_status(CACHE_OK, cache_stats_prometheus(NULL, out));
    cache_writer_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_miss_and_writes_are_dropped),
        cmocka_unit_test(wrong_arguments_are_refused_all_the_same),
        cmocka_unit_test(a_part_of_no_cache_is_none),
        cmocka_unit_test(no_keys_are_listed),
        cmocka_unit_test(a_fetch_computes_each_time),
        cmocka_unit_test(a_memoized_function_runs_each_time),
        cmocka_unit_test(a_fragment_is_rendered_each_time),
        cmocka_unit_test(a_page_is_made_each_time),
        cmocka_unit_test(statistics_can_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
