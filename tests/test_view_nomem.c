/* test_view_nomem.c - lets the allocator fail at its n-th call, for every n of a scenario of views. There is never a
 * crash, a leak or half a page; every failure is CACHE_ERR_NOMEM, and the next request is served. */
#include "failing.h"
#include "site.h"

static const char *const names[] = { "X-Lang", NULL }, *const tags[] = { "a", NULL };

static cache_status add_tags(void *ctx, const cache_request *request, cache_tag_list *list)
{
    (void)ctx, (void)request;
    for (int i = 0; i < 10; i++)
        (void)cache_tag_list_add(list, "a tag whose name is long enough to need memory soon: %d", i);
    return CACHE_OK;
}

static bool holds(void *ctx, const cache_request *request, const cache_response *stored)
{
    (void)ctx, (void)request;
    return cache_response_header(stored, "Content-Type") != NULL;
}

static bool run_at_once(void *ctx, void (*task)(void *arg), void *arg)
{
    (void)ctx;
    task(arg);
    return true;
}

static void serve(struct site *site, const cache_request *request)
{
    cache_page page;
    const cache_status status = cache_view_serve(site->cache, &site->view, request, site_handler, site, &page);
    if (status != CACHE_OK && status != CACHE_ERR_NOMEM)
        fail_msg("%s (%s), not out of memory", cache_strerror(status), cache_last_error());
    if (status == CACHE_OK) {
        assert_int_equal(page.body_size > 0, 1);
        assert_memory_equal(page.body, "/p run ", 7);
        assert_true(page_header(&page, "ETag") != NULL || strcmp(request->method, "POST") == 0);
        assert_string_equal(page_header(&page, "Content-Type"), "text/plain");
    } else
        assert_null(page.owner);
    cache_page_release(&page);
}

/* True if the scenario ran to its end without a failure. */
static bool run(long until_failure)
{
    struct failing failing = { .until_failure = until_failure };
    const cache_allocator allocator = { failing_alloc, failing_resize, failing_free, &failing };
    struct site site;
    site_init(&site);
    site.config.url = "memory://";
    site.config.allocator = &allocator;
    site.config.spawn = run_at_once;
    if (cache_open_config(&site.config, &site.cache) != CACHE_OK)
        return false;
    site.view.query_string = site.view.vary_user = site.view.detached = true;
    site.view.stale = 1000;
    site.view.vary_headers = names;
    site.view.tags = tags;
    site.view.make_tags = add_tags;
    site.view.validate = holds;
    struct pair headers[] = { { "X-Lang", "de" }, { NULL, NULL } };
    const cache_request request = { .method = "GET", .path = "/p", .user = "ann",
                                    .header = find_pair, .lookup_ctx = headers,
                                    .query = "a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s" };
    serve(&site, &request);
    serve(&site, &request);
    site_pass(&site, 70);
    serve(&site, &request);    /* stale: the successor is made in the background */
    serve(&site, &request);
    site.personal = true;
    site_pass(&site, 2000);
    serve(&site, &request);
    serve(&site, &(cache_request){ .method = "POST", .path = "/p" });
    (void)cache_view_forget(site.cache, &site.view, &request);
    site_close(&site);
    assert_int_equal(failing.out, 0);
    return !failing.failed;
}

static void no_memory_at_any_call_serves_a_whole_page_or_says_so(void **state)
{
    (void)state;
    long n = 0;
    while (!run(n))
        n++;
    assert_true(n > 50);    /* it did fail, in many places */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_memory_at_any_call_serves_a_whole_page_or_says_so) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
