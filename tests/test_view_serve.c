/* test_view_serve.c - checks what a request gets from the store, and what that costs. */
#include "site.h"

static const cache_request get = { .method = "GET", .path = "/p" };

/* ---- hits -------------------------------------------------------------------------------------------------------- */

static void the_second_request_gets_the_same_page_from_the_store(void **state)
{
    struct site site;
    site_open(&site, state);
    cache_page first = site_serve(&site, &get);
    site_pass(&site, 7);
    cache_page second = site_serve(&site, &get);
    assert_page(&first, "MISS", "/p run 1");
    assert_page(&second, "HIT", "/p run 1");
    assert_int_equal(second.status, 200);
    assert_string_equal(page_header(&second, "Content-Type"), "text/plain");
    assert_string_equal(page_header(&second, "ETag"), page_header(&first, "ETag"));
    assert_string_equal(page_header(&second, "Cache-Control"), "no-cache");
    assert_string_equal(page_header(&second, "Age"), "7");
    assert_null(page_header(&first, "Age"));
    cache_page_release(&first);
    site_close(&site);
    assert_page(&second, "HIT", "/p run 1");    /* pinned */
    cache_page_release(&second);
}

static void another_process_gets_the_page_too(void **state)
{
    struct site site;
    site_open(&site, state);
    assert_get(&site, "MISS", "/p run 1");
    if (test_store_is_shared(state)) {
        cache_close(site.cache);
        site.cache = test_store_open_again(state, &site.config);
    }
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

static void head_is_answered_from_the_page_of_get(void **state)
{
    struct site site;
    site_open(&site, state);
    const cache_request head = { .method = "HEAD", .path = "/p" };
    assert_request(&site, &head, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    assert_request(&site, &head, "HIT", "/p run 1");
    site_close(&site);
}

static void a_null_view_asks_the_handler_each_time(void **state)
{
    struct site site;
    site_open(&site, state);
    for (int i = 1; i <= 2; i++) {
        cache_page page;
        assert_status(CACHE_OK, cache_view_serve(site.cache, NULL, &get, site_handler, &site, &page));
        assert_string_equal(page_header(&page, "X-Cache"), "BYPASS");
        cache_page_release(&page);
    }
    assert_int_equal(site.runs, 2);
    site_close(&site);
}

static void headers_of_the_connection_and_those_of_the_cache_are_not_the_handlers(void **state)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Connection", "close" };
    site.headers[1] = (struct pair){ "age", "77" };
    site.headers[2] = (struct pair){ "X-Cache", "mine" };
    site.headers[3] = (struct pair){ "X-Other", "kept" };
    for (int i = 0; i < 2; i++) {
        cache_page page = site_serve(&site, &get);
        assert_null(page_header(&page, "Connection"));
        assert_string_equal(page_header(&page, "X-Cache"), i == 0 ? "MISS" : "HIT");
        assert_string_equal(page_header(&page, "X-Other"), "kept");
        if (i == 0)
            assert_null(page_header(&page, "Age"));
        cache_page_release(&page);
    }
    site_close(&site);
}

/* ---- conditional requests ---------------------------------------------------------------------------------------- */

/* What /p answers to one header. */
static int status_with(struct site *site, const char *method, const char *name, const char *value)
{
    struct pair headers[] = { { name, value }, { NULL, NULL } };
    const cache_request request = { .method = method, .path = "/p", .header = find_pair, .lookup_ctx = headers };
    cache_page page = site_serve(site, &request);
    const int status = page.status;
    if (status == 304) {
        assert_int_equal(page.body_size, 0);
        assert_null(page_header(&page, "Content-Type"));
        assert_non_null(page_header(&page, "ETag"));
        assert_non_null(page_header(&page, "Cache-Control"));
        assert_null(page_header(&page, "Last-Modified"));    /* the ETag is there */
    }
    cache_page_release(&page);
    return status;
}

static void the_etag_of_a_page_gets_304_without_a_body(void **state)
{
    struct site site;
    site_open(&site, state);
    cache_page page = site_serve(&site, &get);
    char etag[64], list[160];
    (void)snprintf(etag, sizeof etag, "%s", page_header(&page, "ETag"));
    cache_page_release(&page);
    assert_true(etag[0] == '"');    /* a strong one */
    (void)snprintf(list, sizeof list, "\"other, one\", W/%s , \"x\"", etag);
    assert_int_equal(status_with(&site, "GET", "If-None-Match", etag), 304);
    assert_int_equal(status_with(&site, "HEAD", "If-None-Match", etag), 304);
    assert_int_equal(status_with(&site, "GET", "If-None-Match", list), 304);
    assert_int_equal(status_with(&site, "GET", "If-None-Match", "*"), 304);
    assert_int_equal(status_with(&site, "GET", "If-None-Match", "\"other\""), 200);
    assert_int_equal(status_with(&site, "GET", "If-None-Match", ""), 200);
    etag[strlen(etag) - 1] = '\0';    /* without its last quote it is another */
    assert_int_equal(status_with(&site, "GET", "If-None-Match", etag), 200);
    site_close(&site);
}

static void the_handlers_own_etag_is_the_one_that_counts(void **state)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ "ETag", "W/\"v7\"" };
    assert_int_equal(status_with(&site, "GET", "If-None-Match", "\"v7\""), 304);
    assert_int_equal(status_with(&site, "GET", "If-None-Match", "\"v8\""), 200);
    assert_int_equal(site.runs, 1);
    site_close(&site);
}

static void if_modified_since_counts_where_there_is_no_if_none_match(void **state)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT" };
    assert_int_equal(status_with(&site, "GET", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), 304);
    assert_int_equal(status_with(&site, "GET", "If-Modified-Since", "Sunday, 06-Nov-94 08:49:38 GMT"), 304);
    assert_int_equal(status_with(&site, "GET", "If-Modified-Since", "Sun Nov  6 08:49:36 1994"), 200);
    assert_int_equal(status_with(&site, "GET", "If-Modified-Since", "yesterday"), 200);
    site.headers[0].value = "yesterday";
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    assert_int_equal(status_with(&site, "GET", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), 200);
    site.status = 203;    /* no ETag comes with it */
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    assert_int_equal(status_with(&site, "GET", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), 203);
    site.status = 200;
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    cache_page none = { 0 };
    cache_page_release(&none);
    cache_page_release(NULL);
    struct pair both[] = { { "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT" }, { "If-None-Match", "\"x\"" },
                           { NULL, NULL } };
    const cache_request request = { .method = "GET", .path = "/p", .header = find_pair, .lookup_ctx = both };
    cache_page page = site_serve(&site, &request);
    assert_int_equal(page.status, 200);
    cache_page_release(&page);
    site_close(&site);
}

static void the_answer_to_an_unsafe_method_has_no_etag_and_is_never_304(void **state)
{
    struct site site;
    site_open(&site, state);
    struct pair headers[] = { { "If-None-Match", "*" }, { NULL, NULL } };
    const cache_request put = { .method = "PUT", .path = "/p", .header = find_pair, .lookup_ctx = headers };
    cache_page page = site_serve(&site, &put);
    assert_int_equal(page.status, 200);
    assert_null(page_header(&page, "ETag"));
    cache_page_release(&page);
    site_close(&site);
}

static void a_page_that_is_not_200_is_never_304(void **state)
{
    struct site site;
    site_open(&site, state);
    site.status = 404;
    site.view.negative_ttl = 10;
    assert_int_equal(status_with(&site, "GET", "If-None-Match", "*"), 404);
    assert_int_equal(status_with(&site, "GET", "If-None-Match", "*"), 404);
    site_close(&site);
}

/* ---- what a hit costs -------------------------------------------------------------------------------------------- */

struct counting {
    atomic_size_t calls, bytes;
};

static void *count_alloc(void *ctx, size_t size)
{
    struct counting *counting = ctx;
    atomic_fetch_add(&counting->calls, 1);
    atomic_fetch_add(&counting->bytes, size);
    return malloc(size);
}

static void *count_resize(void *ctx, void *block, size_t size)
{
    struct counting *counting = ctx;
    atomic_fetch_add(&counting->calls, 1);
    atomic_fetch_add(&counting->bytes, size);
    return realloc(block, size);
}

static void count_free(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

enum { LARGE = 1000000 };

static void write_a_megabyte(struct site *site, const cache_request *request, cache_response *response)
{
    (void)site, (void)request;
    char line[1000];
    memset(line, 'x', sizeof line);
    for (int i = 0; i < LARGE / 1000; i++)
        (void)cache_writer_append(cache_response_body(response), line, sizeof line);
}

static void a_hit_and_a_304_allocate_once_and_copy_no_body(void **state)
{
    struct counting counting = { 0, 0 };
    const cache_allocator allocator = { count_alloc, count_resize, count_free, &counting };
    struct site site;
    site_init(&site);
    site.config.allocator = &allocator;
    site.inside = write_a_megabyte;
    site_open_as(&site, state);
    cache_page page = site_serve(&site, &get);
    cache_page_release(&page);
    struct pair headers[] = { { "If-None-Match", "*" }, { NULL, NULL } };
    const cache_request conditional = { .method = "GET", .path = "/p", .header = find_pair, .lookup_ctx = headers };
    const cache_request *const requests[] = { &get, &conditional };
    /* A shared store's reply has to be read into memory of ours, once. */
    const size_t from_the_store = test_store_is_shared(state) ? LARGE + LARGE / 10 : 0;
    for (int i = 0; i < 2; i++) {
        const size_t calls = counting.calls, bytes = counting.bytes;
        page = site_serve(&site, requests[i]);
        assert_int_equal(page.status, i == 0 ? 200 : 304);
        assert_int_equal(page.body_size, i == 0 ? LARGE : 0);
        assert_in_range(counting.bytes - bytes, 1, 1000 + from_the_store);
        if (!test_store_is_shared(state))
            assert_int_equal(counting.calls - calls, 1);
        cache_page_release(&page);
    }
    site_close(&site);
}

static void the_body_of_a_hit_is_the_stores_own_bytes(void **state)
{
    struct site site;
    site_open(&site, state);
    assert_get(&site, "MISS", "/p run 1");
    cache_page page = site_serve(&site, &get), again = site_serve(&site, &get);
    cache_value value;
    assert_status(CACHE_OK, cache_get(site.cache, "view//p", &value));
    if (!test_store_is_shared(state)) {
        const char *body = page.body, *stored = value.data;
        assert_true(body > stored && body + page.body_size == stored + value.size);
        assert_ptr_equal(page.body, again.body);
    }
    cache_value_release(&value);
    cache_page_release(&again);
    cache_page_release(&page);
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_request_gets_the_same_page_from_the_store),
        cmocka_unit_test(another_process_gets_the_page_too),
        cmocka_unit_test(head_is_answered_from_the_page_of_get),
        cmocka_unit_test(a_null_view_asks_the_handler_each_time),
        cmocka_unit_test(headers_of_the_connection_and_those_of_the_cache_are_not_the_handlers),
        cmocka_unit_test(the_etag_of_a_page_gets_304_without_a_body),
        cmocka_unit_test(the_handlers_own_etag_is_the_one_that_counts),
        cmocka_unit_test(if_modified_since_counts_where_there_is_no_if_none_match),
        cmocka_unit_test(the_answer_to_an_unsafe_method_has_no_etag_and_is_never_304),
        cmocka_unit_test(a_page_that_is_not_200_is_never_304),
        cmocka_unit_test(a_hit_and_a_304_allocate_once_and_copy_no_body),
        cmocka_unit_test(the_body_of_a_hit_is_the_stores_own_bytes),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
