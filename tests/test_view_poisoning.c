/* test_view_poisoning.c - what a visitor or a careless handler could do to the pages of others. */
#include "site.h"

/* ---- queries that two readers read differently ------------------------------------------------------------------- */

/* Each query gets a page of its own. */
static void assert_all_differ(struct site *site, const char *const queries[], int n)
{
    char body[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < n; i++) {
            const cache_request request = { .method = "GET", .path = "/p", .query = queries[i] };
            (void)snprintf(body, sizeof body, "/p run %d", i + 1);
            assert_request(site, &request, round == 0 ? "MISS" : "HIT", body);
        }
}

static void parameters_that_a_handler_takes_for_one_keep_their_order(void **state)
{
    static const char *const queries[] = {
        "page=2&p%61ge=1", "p%61ge=1&page=2", "a[]=1&a%5B%5D=2", "a%5B%5D=2&a[]=1", "a+b=1&a%20b=2", "a%20b=2&a+b=1",
        "n=1&n%00x=2", "n%00x=2&n=1",
    };
    struct site site;
    site_open(&site, state);
    site.view.query_string = true;
    assert_all_differ(&site, queries, 8);
    site_close(&site);
}

static void what_only_some_handlers_read_as_a_listed_parameter_counts(void **state)
{
    static const char *const only[] = { "page", "a+b", NULL };
    static const char *const queries[] = { "x=1", "page%00x=2", "x=1;page=2", "a+b=3", "page%=4", "page=5" };
    struct site site;
    site_open(&site, state);
    site.view.query_only = only;
    assert_all_differ(&site, queries, 6);
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p", .query = "y=9" }, "HIT", "/p run 1");
    site_close(&site);
}

static void what_only_some_handlers_read_as_an_ignored_parameter_counts(void **state)
{
    static const char *const ignored[] = { "utm_*", NULL };
    static const char *const queries[] = { "utm_a=1", "utm_a=1;page=2", "utm_%00=3" };
    struct site site;
    site_open(&site, state);
    site.view.query_ignore = ignored;
    assert_all_differ(&site, queries, 3);
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p", .query = "utm_b=9" }, "HIT", "/p run 1");
    site_close(&site);
}

/* ---- bodies of requests ------------------------------------------------------------------------------------------ */

static void a_get_with_a_body_bypasses_the_cache(void **state)
{
    struct site site;
    site_open(&site, state);
    assert_get(&site, "MISS", "/p run 1");
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p", .body = "x", .body_size = 1 }, "BYPASS",
                   "/p run 2");
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

static void the_body_of_a_get_counts_where_the_view_says_so(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.post_by_body = true;
    const cache_request x = { .method = "GET", .path = "/p", .body = "x", .body_size = 1 };
    const cache_request post = { .method = "POST", .path = "/p", .body = "x", .body_size = 1 };
    assert_get(&site, "MISS", "/p run 1");
    assert_request(&site, &x, "MISS", "/p run 2");
    assert_request(&site, &x, "HIT", "/p run 2");
    assert_request(&site, &post, "MISS", "/p run 3");
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

/* ---- headers that cannot be read --------------------------------------------------------------------------------- */

static void assert_never_stored(void **state, const char *name, const char *value)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ name, value };
    site.view.ttl = 60;
    assert_get(&site, "MISS", "/p run 1");
    cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
    if (strcmp(page_header(&page, "X-Cache"), "MISS") != 0)
        fail_msg("'%s: %s' was stored", name, value);
    cache_page_release(&page);
    site_close(&site);
}

static void a_header_that_cannot_be_read_is_no_permission_to_store(void **state)
{
    static const struct pair headers[] = {
        { "Cache-Control", "private; max-age=60" }, { "Cache-Control", "no-cache; no-store" },
        { "Cache-Control", "max-age = 0" }, { "Cache-Control", "max-age=60; private" },
        { "Cache-Control", "public max-age=60" }, { "Cache-Control", "x=\"open, max-age=60" },
        { "Cache-Control", "max-age=60, private=\"x" }, { "Cache-Control", "=60" }, { "Cache-Control", "PRIVATE" },
        { "Cache-Control", "max-age=60 private" }, { "Cache-Control", "max-age=\"60\" no-store" },
        { "Cache-Control", "max-age" }, { "Cache-Control", "max-age=-1" }, { "Vary", "*;" },
        { "Vary", "Accept Cookie" },
        { "Expires", "soon" }, { "Set-Cookie", "" }, { "Set-Cookie", ";" },
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_never_stored(state, headers[i].name, headers[i].value);
}

static void headers_that_can_be_read_store_as_before(void **state)
{
    static const char *const values[] = { "public, max-age=60", "max-age = 60", "x=\"a, b; c\", s-maxage=\"60\"",
                                          " , public ,, max-age=60 ", "immutable" };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.headers[0] = (struct pair){ "Cache-Control", values[i] };
        assert_get(&site, "MISS", "/p run 1");
        assert_get(&site, "HIT", "/p run 1");
        site_close(&site);
    }
}

/* ---- answers to one client --------------------------------------------------------------------------------------- */

static void an_answer_to_one_client_leaves_the_page_of_the_others(void **state)
{
    static const int statuses[] = { 206, 304, 400, 408, 412, 413, 416, 429 };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.view.stale_if_error = 3600;
        assert_get(&site, "MISS", "/p run 1");
        site_pass(&site, 61);
        site.status = statuses[i];
        cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
        assert_int_equal(page.status, statuses[i]);    /* he gets his own */
        assert_string_equal(page_header(&page, "X-Cache"), "MISS");
        cache_page_release(&page);
        site.status = 503;
        assert_get(&site, "STALE", "/p run 1");        /* and the others still have the page */
        site_close(&site);
    }
}

static void a_page_that_is_gone_is_not_kept_for_the_others(void **state)
{
    static const int statuses[] = { 404, 410, 403, 302 };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.view.stale_if_error = 3600;
        assert_get(&site, "MISS", "/p run 1");
        site_pass(&site, 61);
        site.status = statuses[i];
        assert_get(&site, "MISS", "/p run 2");
        site.status = 503;
        cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
        assert_int_equal(page.status, 503);
        cache_page_release(&page);
        site_close(&site);
    }
}

static void a_response_without_content_has_no_length(void **state)
{
    static const struct { int status; const char *method; } cases[] = { { 204, "GET" }, { 304, "GET" }, { 204, "HEAD" },
                                                                        { 103, "GET" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.status = cases[i].status;
        for (int round = 0; round < 2; round++) {
            cache_page page = site_serve(&site, &(cache_request){ .method = cases[i].method, .path = "/p" });
            assert_int_equal(page.status, cases[i].status);
            assert_int_equal(page.body_size, 0);
            assert_int_equal(page.content_size, 0);
            cache_page_release(&page);
        }
        site_close(&site);
    }
}

/* ---- what describes the content ---------------------------------------------------------------------------------- */

static void a_corrected_content_type_reaches_browsers_that_have_the_page(void **state)
{
    static const struct pair corrections[] = { { "Content-Language", "de" }, { "Content-Disposition", "attachment" },
                                               { "Content-Encoding", "identity" } };
    for (size_t i = 0; i < sizeof corrections / sizeof corrections[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.view.ttl = 1;
        const cache_request plain = { .method = "GET", .path = "/p" };
        site.inside = NULL;
        cache_page page = site_serve(&site, &plain);
        char etag[64];
        (void)snprintf(etag, sizeof etag, "%s", page_header(&page, "ETag"));
        cache_page_release(&page);
        site_pass(&site, 2);
        atomic_store(&site.runs, 0);    /* the same body again */
        struct pair headers[] = { { "If-None-Match", etag }, { NULL, NULL } };
        const cache_request conditional = { .method = "GET", .path = "/p", .header = find_pair, .lookup_ctx = headers };
        site.headers[0] = corrections[i];
        page = site_serve(&site, &conditional);
        assert_int_equal(page.status, 200);
        cache_page_release(&page);
        site_close(&site);
    }
}

/* ---- tags that cannot be stored ---------------------------------------------------------------------------------- */

struct heard {
    int warnings;
    char last[512];
};

static void hear(void *ctx, cache_log_level level, const char *message)
{
    struct heard *heard = ctx;
    heard->warnings += level == CACHE_LOG_WARN;
    (void)snprintf(heard->last, sizeof heard->last, "%s", message);
}

static cache_status tag_too_much(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx, (void)request;
    cache_status status = CACHE_OK;
    for (int i = 0; i < 65; i++)
        status = cache_tag_list_add(tags, "tag:%d", i);
    return status;
}

static cache_status tag_too_long(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx, (void)request;
    (void)cache_tag_list_add(tags, "%5000d", 1);
    return CACHE_OK;
}

static void a_page_whose_tags_cannot_be_stored_is_served_and_the_operator_hears(void **state)
{
    cache_status (*const makers[])(void *, const cache_request *, cache_tag_list *) = { tag_too_much, tag_too_long };
    for (size_t i = 0; i < 2; i++) {
        struct site site;
        struct heard heard = { 0 };
        site_init(&site);
        site.config.log = hear;
        site.config.log_ctx = &heard;
        site_open_as(&site, state);
        site.view.make_tags = makers[i];
        assert_get(&site, "BYPASS", "/p run 1");
        assert_get(&site, "BYPASS", "/p run 2");
        assert_true(heard.warnings > 0);
        assert_non_null(strstr(heard.last, "/p"));
        site_close(&site);
    }
}

/* ---- waiting for another's handler ------------------------------------------------------------------------------- */

static atomic_int inside, may_leave;

static void stop_the_first(struct site *site, const cache_request *request, cache_response *response)
{
    (void)site, (void)request, (void)response;
    if (atomic_fetch_add(&inside, 1) == 0)
        (void)site_wait_for(&may_leave, 1);
}

static void *ask_first(void *ctx)
{
    cache_page page = site_serve(ctx, &(cache_request){ .method = "GET", .path = "/p" });
    cache_page_release(&page);
    return NULL;
}

static void who_waited_long_enough_runs_the_handler_himself(void **state)
{
    struct site site;
    pthread_t first;
    site_open(&site, state);
    site.view.wait = 0.05;
    site.inside = stop_the_first;
    atomic_store(&inside, 0);
    atomic_store(&may_leave, 0);
    assert_int_equal(pthread_create(&first, NULL, ask_first, &site), 0);
    assert_true(site_wait_for(&inside, 1));
    assert_get(&site, "MISS", "/p run 2");
    assert_get(&site, "MISS", "/p run 3");    /* the second was not stored */
    atomic_store(&may_leave, 1);
    pthread_join(first, NULL);
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

/* ---- hosts ------------------------------------------------------------------------------------------------------- */

static void tenants_and_schemes_have_pages_of_their_own(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.vary_host = true;
    const cache_request a = { .method = "GET", .path = "/p", .host = "a.example", .scheme = "https" };
    const cache_request b = { .method = "GET", .path = "/p", .host = "b.example", .scheme = "https" };
    const cache_request plain = { .method = "GET", .path = "/p", .host = "A.Example", .scheme = "http" };
    assert_request(&site, &a, "MISS", "/p run 1");
    assert_request(&site, &b, "MISS", "/p run 2");
    assert_request(&site, &plain, "MISS", "/p run 3");
    assert_request(&site, &a, "HIT", "/p run 1");
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_that_a_handler_takes_for_one_keep_their_order),
        cmocka_unit_test(what_only_some_handlers_read_as_a_listed_parameter_counts),
        cmocka_unit_test(what_only_some_handlers_read_as_an_ignored_parameter_counts),
        cmocka_unit_test(a_get_with_a_body_bypasses_the_cache),
        cmocka_unit_test(the_body_of_a_get_counts_where_the_view_says_so),
        cmocka_unit_test(a_header_that_cannot_be_read_is_no_permission_to_store),
        cmocka_unit_test(headers_that_can_be_read_store_as_before),
        cmocka_unit_test(an_answer_to_one_client_leaves_the_page_of_the_others),
        cmocka_unit_test(a_page_that_is_gone_is_not_kept_for_the_others),
        cmocka_unit_test(a_response_without_content_has_no_length),
        cmocka_unit_test(a_corrected_content_type_reaches_browsers_that_have_the_page),
        cmocka_unit_test(a_page_whose_tags_cannot_be_stored_is_served_and_the_operator_hears),
        cmocka_unit_test(who_waited_long_enough_runs_the_handler_himself),
        cmocka_unit_test(tenants_and_schemes_have_pages_of_their_own),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
