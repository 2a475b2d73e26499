/* test_lease_share.c - checks `lock` at the moments when the threads of this process share a result, while another
 * process changes the key: the result goes only to callers that came before the key was last known to be unchanged. */
#include "gate.h"

#include "libcache/view.h"

static cache_t *first, *second;        /* two processes */
static pthread_t thread;
static atomic_int new_runs;
static atomic_bool armed;

static cache_fetch_options locked(void)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.lock = true;
    options.ttl = 10;
    options.stale_if_error = 100;
    return options;
}

static cache_status compute_new(void *ctx, cache_writer *out)
{
    (void)ctx;
    atomic_fetch_add(&new_runs, 1);
    return cache_writer_puts(out, "new");
}

/* A caller that asks after the change. Returns whether it got the new value. */
static void *fetch_new(void *arg)
{
    const cache_fetch_options options = locked();
    cache_value value;
    (void)arg;
    const bool is_new = cache_fetch(first, "k", &options, compute_new, NULL, &value) == CACHE_OK &&
                        strcmp(value.data, "new") == 0;
    cache_value_release(&value);
    return is_new ? first : NULL;
}

static void *render_new(void *arg)
{
    static const cache_fetch_options options = { .size = sizeof(cache_fetch_options), .ttl = 10, .lock = true };
    cache_writer *out = cache_writer_new();
    (void)arg;
    CACHE_FRAGMENT_WITH(first, out, &options, "f") {
        cache_writer_puts(out, "new");
    }
    const bool is_new = strcmp(cache_writer_data(out, NULL), "new") == 0;
    cache_writer_free(out);
    return is_new ? first : NULL;
}

/* Starts the caller and lets it read, and then join if it can. */
static void start_late(void *(*body)(void *))
{
    const int gets = fake_store_calls(FAKE_GET);
    assert_int_equal(pthread_create(&thread, NULL, body, NULL), 0);
    while (fake_store_calls(FAKE_GET) == gets)
        nap();
    for (int i = 0; i < 10; i++)
        nap();
}

static void assert_got_new(void)
{
    void *is_new = NULL;
    pthread_join(thread, &is_new);
    assert_non_null(is_new);
}

/* When the first process has stored its result, and before it hands it to those who wait, the second one deletes it. */
static void delete_what_was_just_stored(void *ctx, const cache_event *event)
{
    (void)ctx;
    if (event->type != CACHE_EVENT_SET || !atomic_exchange(&armed, false))
        return;
    assert_status(CACHE_OK, cache_delete(second, "k"));
    assert_int_equal(pthread_create(&thread, NULL, fetch_new, NULL), 0);
    for (int i = 0; i < 1000 && atomic_load(&new_runs) == 0; i++)
        nap();
}

static int64_t now(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static int open_both(void **state)
{
    cache_config config = CACHE_CONFIG_INIT;
    (void)state;
    fake_store_reset();
    now_ms = 1000000;
    new_runs = 0;
    config.url = "fakecompare://";
    config.clock = (cache_clock){ now, NULL };
    config.event = delete_what_was_just_stored;
    assert_status(CACHE_OK, cache_open_config(&config, &first));
    second = test_open_with_clock("fakecompare://", &now_ms);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    cache_close(first);
    cache_close(second);
    return 0;
}

static cache_status compute_old(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "old");
}

static void a_result_that_was_stored_and_deleted_goes_to_nobody_who_came_later(void **state)
{
    const cache_fetch_options options = locked();
    cache_value value;
    (void)state;
    atomic_store(&armed, true);
    assert_status(CACHE_OK, cache_fetch(first, "k", &options, compute_old, NULL, &value));
    cache_value_release(&value);
    assert_got_new();
}

static cache_status compute_unstored(void *ctx, cache_writer *out)
{
    (void)ctx;
    assert_status(CACHE_OK, cache_delete(second, "k"));
    start_late(fetch_new);
    cache_writer_no_store(out);
    return cache_writer_puts(out, "old");
}

static void a_result_that_is_not_stored_goes_to_nobody_who_came_after_a_change(void **state)
{
    const cache_fetch_options options = locked();
    cache_value value;
    (void)state;
    assert_status(CACHE_OK, cache_fetch(first, "k", &options, compute_old, NULL, &value));
    cache_value_release(&value);
    now_ms += 20000;                   /* it is old now, and still there */
    assert_status(CACHE_OK, cache_fetch(first, "k", &options, compute_unstored, NULL, &value));
    cache_value_release(&value);
    assert_got_new();
}

static void a_text_without_a_lease_is_shown_to_nobody_who_came_after_a_change(void **state)
{
    static const cache_fetch_options options = { .size = sizeof(cache_fetch_options), .ttl = 10, .lock = true };
    static const char *const parts[] = { "f" };
    cache_writer *out = cache_writer_new(), *theirs = cache_writer_new();
    (void)state;
    cache_fragment other = cache_fragment_begin(second, theirs, &options, parts, 1);
    assert_true(other.running);
    CACHE_FRAGMENT_WITH(first, out, &options, "f") {
        cache_writer_puts(out, "old");
        assert_status(CACHE_OK, cache_fragment_forget(second, parts, 1));
        start_late(render_new);
    }
    assert_got_new();
    cache_fragment_end(&other);
    cache_writer_free(theirs);
    cache_writer_free(out);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static const cache_view view = { .size = sizeof(cache_view), .ttl = 10, .lock = true };
static const cache_request request = { .method = "GET", .path = "/p" };

/* `ctx` is the page's text. NULL: a page that must not be stored. "old": another process forgets the page meanwhile. */
static cache_status answer(void *ctx, const cache_request *asked, cache_response *response)
{
    const char *text = ctx;
    (void)asked;
    if (text == NULL)
        cache_response_set_header(response, "Set-Cookie", "a=b");
    else if (strcmp(text, "old") == 0)
        (void)cache_view_forget(second, &view, &request);
    return cache_writer_puts(cache_response_body(response), text != NULL ? text : "");
}

static void assert_page(cache_t *cache, const char *text, const char *expected)
{
    cache_page page;
    assert_status(CACHE_OK, cache_view_serve(cache, &view, &request, answer, (void *)(uintptr_t)text, &page));
    assert_int_equal(page.body_size, strlen(expected));
    assert_memory_equal(page.body, expected, page.body_size);
    cache_page_release(&page);
}

static void a_page_is_stored_under_the_lease_though_the_last_one_could_not_be_stored(void **state)
{
    (void)state;
    assert_page(first, NULL, "");
    assert_page(first, "old", "old");
    assert_page(second, "new", "new");
    assert_page(first, "newer", "new");
}

#define share_test(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        share_test(a_result_that_was_stored_and_deleted_goes_to_nobody_who_came_later),
        share_test(a_result_that_is_not_stored_goes_to_nobody_who_came_after_a_change),
        share_test(a_text_without_a_lease_is_shown_to_nobody_who_came_after_a_change),
        share_test(a_page_is_stored_under_the_lease_though_the_last_one_could_not_be_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
