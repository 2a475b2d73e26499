/* test_abi.c - checks what bindings of other languages rely on: the numbers of the statuses, and the offsets of the
 * fields of public structs. */
#include "test.h"

#include <libcache/backend.h>

static void statuses_never_change_their_numbers(void **state)
{
    (void)state;
    static const struct { cache_status status; int number; } all[] = {
        { CACHE_OK, 0 }, { CACHE_MISS, 1 }, { CACHE_NOT_STORED, 2 }, { CACHE_ERR_INVALID, -1 }, { CACHE_ERR_NOMEM, -2 },
        { CACHE_ERR_CONFIG, -3 }, { CACHE_ERR_IO, -4 }, { CACHE_ERR_CONNECT, -5 }, { CACHE_ERR_TIMEOUT, -6 },
        { CACHE_ERR_PROTOCOL, -7 }, { CACHE_ERR_AUTH, -8 }, { CACHE_ERR_TYPE, -9 }, { CACHE_ERR_RANGE, -10 },
        { CACHE_ERR_TOO_LARGE, -11 }, { CACHE_ERR_UNSUPPORTED, -12 }, { CACHE_ERR_COMPUTE, -13 },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(all[i].status, all[i].number);
        for (size_t k = 0; k < i; k++)    /* and each has words of its own */
            assert_string_not_equal(cache_strerror(all[i].status), cache_strerror(all[k].status));
    }
    assert_non_null(cache_strerror((cache_status)12345));
    assert_int_equal(sizeof(cache_status), sizeof(int));
}

static void structs_that_callers_fill_have_their_layout(void **state)
{
    (void)state;
    enum { WORD = sizeof(void *) };
    assert_int_equal(sizeof(size_t), WORD);
    assert_int_equal(sizeof(cache_value), 3 * WORD);
    assert_int_equal(offsetof(cache_value, data), 0);
    assert_int_equal(offsetof(cache_value, size), WORD);
    assert_int_equal(offsetof(cache_value, owner), 2 * WORD);
    assert_int_equal(sizeof(cache_item), 3 * WORD);
    assert_int_equal(offsetof(cache_item, key), 0);
    assert_int_equal(offsetof(cache_item, data), WORD);
    assert_int_equal(offsetof(cache_item, size), 2 * WORD);
    assert_int_equal(sizeof(cache_missing), 8 * WORD);
    assert_int_equal(offsetof(cache_missing, index), 0);
    assert_int_equal(offsetof(cache_missing, key), WORD);
    assert_int_equal(offsetof(cache_missing, out), 2 * WORD);
    assert_int_equal(offsetof(cache_missing, status), 3 * WORD);
}

/* What may grow begins with its size, so that an older program's shorter struct is understood. */
static void structs_that_grow_begin_with_their_size(void **state)
{
    (void)state;
    assert_int_equal(offsetof(cache_config, size), 0);
    assert_int_equal(offsetof(cache_fetch_options, size), 0);
    assert_int_equal(offsetof(cache_view, size), 0);
    assert_int_equal(offsetof(cache_backend_ops, size), 0);
    const cache_config config = CACHE_CONFIG_INIT;
    const cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    assert_int_equal(config.size, sizeof config);
    assert_int_equal(options.size, sizeof options);
    assert_true(options.ttl == CACHE_TTL_DEFAULT);
}

static cache_status compute(void *ctx, cache_writer *out)
{
    return cache_writer_puts(out, ctx);
}

static void a_program_with_an_older_shorter_struct_is_served(void **state)
{
    (void)state;
    static char text[] = "x";
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    config.size = offsetof(cache_config, log);
    config.url = "memory://";
    config.log = (cache_log_fn *)(uintptr_t)1;    /* behind its end: never looked at */
    config.event = (cache_event_fn *)(uintptr_t)1;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.size = offsetof(cache_fetch_options, stale);
    options.ttl = 5;
    options.jitter = 99;    /* behind its end */
    cache_value value;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, compute, text, &value));
    cache_value_release(&value);
    options.size = 0;
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "k", &options, compute, text, &value));
    cache_close(cache);
}

static void a_memoized_function_of_an_older_program_is_served(void **state)
{
    (void)state;
    static char text[] = "four";
    cache_t *cache = test_open("memory://");
    cache_memo_key key;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.size = offsetof(cache_fetch_options, stale);
    options.tags = (const char *const *)(uintptr_t)1;    /* behind its end: never looked at */
    options.n_tags = 3;
    char out[4];
    for (int i = 0; i < 2; i++) {
        cache_memo_begin(&key, "f", NULL, "char[4]", sizeof out);
        cache_memo_end(&key);
        assert_status(CACHE_OK, cache_memo_fetch(cache, &key, "char[4]", &options, compute, text, out, sizeof out));
        assert_memory_equal(out, "four", 4);
        assert_status(CACHE_OK, cache_has(cache, "memo/f/char[4]/4()"));
        cache_memo_begin(&key, "f", NULL, "char[4]", sizeof out);
        assert_status(CACHE_OK, cache_memo_forget_all(cache, &key));
        assert_status(CACHE_MISS, cache_has(cache, "memo/f/char[4]/4()"));
    }
    cache_close(cache);
}

static bool is_any(void *ctx, const cache_request *request)
{
    (void)ctx, (void)request;
    return true;
}

static cache_status handle(void *ctx, const cache_request *request, cache_response *response)
{
    (void)request;
    return cache_writer_puts(cache_response_body(response), ctx);
}

/* Rules stand in an array: a program's rule has the size that it was built with. */
static void rules_of_a_program_with_other_fields_are_found(void **state)
{
    (void)state;
    static char text[] = "page";
    const cache_view view = { .size = offsetof(cache_view, ctx), .ttl = 60, .unless = NULL };
    cache_view never = view;
    never.unless = is_any;
    const struct { cache_rule rule; void *later; } rules[] = {
        { { "/never", NULL, &never }, text }, { { "/page", NULL, &view }, text },
    };
    cache_t *cache = test_open("memory://");
    const cache_request request = { .method = "GET", .path = "/page" };
    static const char *const verdicts[] = { "MISS", "HIT" };
    for (size_t i = 0; i < 2; i++) {
        cache_page page;
        assert_status(CACHE_OK, cache_middleware_sized(cache, &rules[0].rule, 2, sizeof rules[0], &request, handle,
                                                       text, &page));
        assert_string_equal(page.headers[page.n_headers - 1].value, verdicts[i]);
        cache_page_release(&page);
    }
    cache_page page;
    assert_status(CACHE_OK, (cache_middleware)(cache, &rules[1].rule, 1, &request, handle, text, &page));
    assert_string_equal(page.headers[page.n_headers - 1].value, "HIT");
    cache_page_release(&page);
    assert_status(CACHE_ERR_INVALID, cache_middleware_sized(cache, &rules[0].rule, 2, 8, &request, handle, text,
                                                            &page));
    cache_close(cache);
}

/* The struct of counters may grow into what is reserved, and no further. */
static void counters_keep_their_size(void **state)
{
    (void)state;
    assert_int_equal(sizeof(cache_latency), (2 + CACHE_LATENCY_BUCKETS) * sizeof(uint64_t));
    assert_int_equal(sizeof(cache_counters), (17 + 16) * sizeof(uint64_t) + 3 * sizeof(cache_latency));
    assert_int_equal(offsetof(cache_counters, get), 17 * sizeof(uint64_t));
}

static void the_library_that_runs_tells_its_version(void **state)
{
    (void)state;
    assert_string_equal(cache_version(), CACHE_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_never_change_their_numbers),
        cmocka_unit_test(structs_that_callers_fill_have_their_layout),
        cmocka_unit_test(structs_that_grow_begin_with_their_size),
        cmocka_unit_test(a_program_with_an_older_shorter_struct_is_served),
        cmocka_unit_test(a_memoized_function_of_an_older_program_is_served),
        cmocka_unit_test(rules_of_a_program_with_other_fields_are_found),
        cmocka_unit_test(counters_keep_their_size),
        cmocka_unit_test(the_library_that_runs_tells_its_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
