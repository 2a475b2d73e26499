/* test_view_cost.c - checks how many operations of the store a request takes, and how many it takes to forget pages,
 * however many pages there are. */
#include "fake_store.h"

static int runs;

static cache_status handler(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx;
    runs++;
    return cache_writer_puts(cache_response_body(response), request->path);
}

static void serve(cache_t *cache, const cache_view *view, const char *query)
{
    const cache_request request = { .method = "GET", .path = "/p", .query = query };
    cache_page page;
    assert_status(CACHE_OK, cache_view_serve(cache, view, &request, handler, NULL, &page));
    cache_page_release(&page);
}

struct calls {
    int of[FAKE_OPS];
};

static struct calls calls_now(void)
{
    struct calls calls;
    for (int op = 0; op < FAKE_OPS; op++)
        calls.of[op] = fake_store_calls((enum fake_op)op);
    return calls;
}

static void assert_calls(struct calls before, struct calls expected)
{
    static const char *const names[FAKE_OPS] = {
        [FAKE_GET] = "get", [FAKE_SET] = "set", [FAKE_REMOVE] = "remove", [FAKE_INC] = "inc", [FAKE_CLEAR] = "clear",
        [FAKE_GET_MANY] = "get_many",
    };
    const struct calls now = calls_now();
    for (int op = 0; op < FAKE_OPS; op++)
        if (now.of[op] - before.of[op] != expected.of[op])
            fail_msg("%s: %d calls, not %d", names[op] != NULL ? names[op] : "another operation",
                     now.of[op] - before.of[op], expected.of[op]);
}

static const char *const tags[] = { "news", "post:7", NULL };
static const cache_view plain = CACHE_VIEW("plain", 60), tagged = CACHE_VIEW("tagged", 60, .tags = tags),
                        variants = CACHE_VIEW("variants", 60, .query_string = true, .tags = tags);

static void a_hit_takes_one_round_trip_with_tags_too(void **state)
{
    (void)state;
    fake_store_reset();
    cache_t *cache = test_open("fake://");
    static const cache_view *const views[] = { &plain, &tagged, &variants };
    static const struct calls expected[] = {
        { .of = { [FAKE_GET] = 1 } }, { .of = { [FAKE_GET_MANY] = 1 } }, { .of = { [FAKE_GET_MANY] = 1 } },
    };
    for (int i = 0; i < 3; i++) {
        serve(cache, views[i], "a=1");
        const struct calls before = calls_now();
        runs = 0;
        serve(cache, views[i], "a=1");
        assert_calls(before, expected[i]);
        assert_int_equal(runs, 0);
        assert_status(CACHE_OK, cache_clear(cache));
    }
    cache_close(cache);
}

static void forgetting_a_path_costs_the_same_however_many_pages_it_has(void **state)
{
    (void)state;
    fake_store_reset();
    cache_t *cache = test_open("fake://");
    static const int pages[] = { 1, 500 };
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < pages[round]; i++) {
            char query[32];
            (void)snprintf(query, sizeof query, "a=%d", i);
            serve(cache, &variants, query);
        }
        const struct calls before = calls_now();
        assert_status(CACHE_OK, cache_view_forget_path(cache, "/p"));
        /* The plain page and its lease, and the path's new version. */
        assert_calls(before, (struct calls){ .of = { [FAKE_REMOVE] = 2, [FAKE_SET] = 1 } });
        runs = 0;
        for (int i = 0; i < pages[round]; i += 50) {
            char query[32];
            (void)snprintf(query, sizeof query, "a=%d", i);
            serve(cache, &variants, query);
        }
        assert_int_equal(runs, (pages[round] + 49) / 50);
    }
    const struct calls before = calls_now();
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "news"));
    assert_calls(before, (struct calls){ .of = { [FAKE_SET] = 1 } });
    cache_close(cache);
}

static cache_status personal(void *ctx, const cache_request *request, cache_response *response)
{
    (void)cache_response_set_header(response, "Set-Cookie", "a=b");
    return handler(ctx, request, response);
}

static void a_page_that_is_not_stored_costs_one_read(void **state)
{
    (void)state;
    fake_store_reset();
    cache_t *cache = test_open("fake://");
    static const cache_view locked = CACHE_VIEW("locked", 60, .lock = true);
    for (int i = 0; i < 3; i++) {
        const struct calls before = calls_now();
        cache_page page;
        const cache_request request = { .method = "GET", .path = "/p" };
        assert_status(CACHE_OK, cache_view_serve(cache, &locked, &request, personal, NULL, &page));
        cache_page_release(&page);
        if (i > 0)    /* the first had taken a lease */
            assert_calls(before, (struct calls){ .of = { [FAKE_GET] = 1 } });
    }
    cache_close(cache);
}

static void a_request_without_a_view_asks_the_store_for_nothing_and_a_post_forgets_its_path(void **state)
{
    (void)state;
    fake_store_reset();
    cache_t *cache = test_open("fake://");
    const struct calls before = calls_now();
    serve(cache, NULL, NULL);
    assert_calls(before, (struct calls){ .of = { 0 } });
    cache_page page;
    const cache_request post = { .method = "POST", .path = "/p" };
    assert_status(CACHE_OK, cache_view_serve(cache, NULL, &post, handler, NULL, &page));
    cache_page_release(&page);
    assert_calls(before, (struct calls){ .of = { [FAKE_REMOVE] = 2, [FAKE_SET] = 1 } });
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hit_takes_one_round_trip_with_tags_too),
        cmocka_unit_test(forgetting_a_path_costs_the_same_however_many_pages_it_has),
        cmocka_unit_test(a_page_that_is_not_stored_costs_one_read),
        cmocka_unit_test(a_request_without_a_view_asks_the_store_for_nothing_and_a_post_forgets_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
