/* test_refused.c - checks that a store that refuses a new value does not go on serving the old one. */
#include "fetch_work.h"

static void an_old_value_that_could_not_be_replaced_is_gone(void **state)
{
    (void)state;
    const cache_status refusals[] = { CACHE_ERR_IO, CACHE_ERR_TOO_LARGE, CACHE_ERR_NOMEM };
    for (size_t i = 0; i < 3; i++)
        for (int forced = 0; forced < 2; forced++) {
            cache_t *cache = open_fake();
            struct work work = { 0 };
            cache_fetch_options options = with_ttl(10);
            options.stale = 100;
            expect(cache, &options, &work, CACHE_OK, "v1");
            if (!forced)
                now_ms += 10000;    /* its successor is computed by who asks */
            options.force = forced;
            fake_store_fail(FAKE_SET, refusals[i]);
            expect(cache, &options, &work, CACHE_OK, "v2");
            fake_store_fail(FAKE_SET, CACHE_OK);
            options.force = false;
            expect(cache, &options, &work, CACHE_OK, "v3");
            cache_close(cache);
        }
}

static void the_same_holds_for_many(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    assert_status(CACHE_OK, cache_set_string(cache, "a", "old", CACHE_TTL_FOREVER));
    cache_close(cache);
    cache = test_open("fake://?on_error=miss");
    const cache_item items[] = { { .key = "a", .data = "new", .size = 3 }, { .key = "b", .data = "new", .size = 3 } };
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "a", NULL);
    cache_close(cache);
}

static void the_same_holds_for_many_with_a_ttl_each(void **state)
{
    (void)state;
    cache_close(open_fake());
    cache_t *cache = test_open("fake://?on_error=miss");
    assert_status(CACHE_OK, cache_set_string(cache, "a", "old", CACHE_TTL_FOREVER));
    assert_status(CACHE_OK, cache_set_string(cache, "b", "old", CACHE_TTL_FOREVER));
    const cache_timed_item items[] = { { .key = "a", .data = "new", .size = 3, .ttl = 60 },
                                       { .key = "b", .data = "new", .size = 3, .ttl = 70 } };
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_set_many_timed(cache, items, 2));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "a", NULL);
    assert_text(cache, "b", NULL);
    cache_close(cache);
}

static void a_set_that_is_dropped_takes_the_old_value_along(void **state)
{
    (void)state;
    cache_close(open_fake());
    cache_t *cache = test_open("fake://?on_error=miss");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "new", 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "k", NULL);
    cache_close(cache);
}

static void a_set_that_reports_its_failure_may_leave_the_old_value(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "new", 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "k", "old");
    cache_close(cache);
}

static void an_add_that_is_dropped_takes_nothing_along(void **state)
{
    (void)state;
    cache_t *cache = test_open("fake://?on_error=miss");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_add(cache, "k", "new", 3, 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "k", "old");
    cache_close(cache);
}

static cache_status answer(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx;
    return cache_writer_puts(cache_response_body(response), request->method);
}

static void keep_message(void *ctx, cache_log_level level, const char *message)
{
    assert_int_equal(level, CACHE_LOG_WARN);
    (void)snprintf(ctx, 256, "%s", message);
}

static void a_page_that_a_post_could_not_forget_is_logged(void **state)
{
    (void)state;
    const cache_view view = CACHE_VIEW("plain", 60);
    const cache_request post = { .method = "POST", .path = "/p" };
    char message[256] = "";
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    cache_page page;
    fake_store_reset();
    config.url = "fake://";
    config.log = keep_message;
    config.log_ctx = message;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_status(CACHE_OK, cache_view_serve(cache, &view, &post, answer, NULL, &page));
    cache_page_release(&page);
    assert_string_equal(message, "");
    fake_store_fail(FAKE_REMOVE, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_view_serve(cache, &view, &post, answer, NULL, &page));
    assert_int_equal(page.status, 200);
    assert_memory_equal(page.body, "POST", 4);
    cache_page_release(&page);
    assert_non_null(strstr(message, "POST /p: the old page may still be served"));
    fake_store_fail(FAKE_REMOVE, CACHE_OK);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(an_old_value_that_could_not_be_replaced_is_gone),
        cmocka_unit_test(the_same_holds_for_many),
        cmocka_unit_test(the_same_holds_for_many_with_a_ttl_each),
        cmocka_unit_test(a_set_that_is_dropped_takes_the_old_value_along),
        cmocka_unit_test(a_set_that_reports_its_failure_may_leave_the_old_value),
        cmocka_unit_test(an_add_that_is_dropped_takes_nothing_along),
        cmocka_unit_test(a_page_that_a_post_could_not_forget_is_logged),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
