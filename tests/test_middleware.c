/* test_middleware.c - checks which view serves a request, by its rule; and an API that knows nothing of the cache. */
#include "site.h"

static const char *const for_get[] = { "GET", NULL };

static cache_page serve_by(struct site *site, const cache_rule rules[], size_t n, const cache_request *request)
{
    cache_page page;
    assert_status(CACHE_OK, cache_middleware(site->cache, rules, n, request, site_handler, site, &page));
    return page;
}

static void assert_by(struct site *site, const cache_rule rules[], size_t n, const cache_request *request,
                      const char *verdict)
{
    cache_page page = serve_by(site, rules, n, request);
    const char *got = page_header(&page, "X-Cache");
    if (strcmp(got, verdict) != 0)
        fail_msg("%s %s: %s, not %s", request->method, request->path, got, verdict);
    cache_page_release(&page);
}

static void the_first_rule_that_fits_decides(void **state)
{
    struct site site;
    site_open(&site, state);
    const cache_rule rules[] = {
        { NULL, NULL, &site.view },    /* fits nothing */
        { "/api/private/**", NULL, NULL },
        { "/api/**", for_get, &site.view },
        { "/user/*/page", NULL, &site.view },
        { "/exact", NULL, &site.view },
    };
    const struct { const char *method, *path; bool cached; } cases[] = {
        { "GET", "/api/items/7", true }, { "GET", "/api/", true }, { "GET", "/api/private/x", false },
        { "HEAD", "/api/items/8", true }, { "GET", "/apix", false }, { "GET", "/user/7/page", true },
        { "GET", "/user/7/8/page", false }, { "GET", "/user/7/page/x", false }, { "GET", "/", false },
        { "GET", "/exact", true }, { "GET", "/exact/", false }, { "get", "/api/items/9", false }, { "GET", "", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_by(&site, rules, 5, &(cache_request){ .method = cases[i].method, .path = cases[i].path },
                  cases[i].cached ? "MISS" : "BYPASS");
    const cache_request again = { .method = "GET", .path = "/api/items/7" };
    assert_by(&site, rules, 5, &again, "HIT");
    assert_by(&site, NULL, 0, &again, "BYPASS");
    site_close(&site);
}

static void a_long_pattern_of_stars_ends_soon(void **state)
{
    struct site site;
    site_open(&site, state);
    char path[4001];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    const cache_rule rules[] = { { "**a**a**a**a**a**a**a**a**a**a**b", NULL, &site.view },
                                 { "*a*a*a*a*a*a*a*a*a*a*a*a*b", NULL, &site.view } };
    assert_by(&site, rules, 2, &(cache_request){ .method = "GET", .path = path }, "BYPASS");
    site_close(&site);
}

/* ---- an API ------------------------------------------------------------------------------------------------------ */

/* Handlers as they are written without a cache in mind. */
static void write_items(struct site *site, const cache_request *request, cache_response *response)
{
    (void)cache_response_set_header(response, "Content-Type", "application/json");
    (void)cache_writer_printf(cache_response_body(response), "{\"run\":%d,\"query\":\"%s\"}", site->runs,
                              request->query != NULL ? request->query : "");
}

static void answer_with_no_status(struct site *site, const cache_request *request, cache_response *response)
{
    const int *status = site->inside_ctx;
    (void)request;
    cache_response_set_status(response, *status);
}

static void a_status_that_is_none_fails_the_request(void **state)
{
    struct site site;
    int wrong[] = { 99, 600, 0, -200 };
    site_open(&site, state);
    site.inside = answer_with_no_status;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cache_page page;
        const cache_request request = { .method = "GET", .path = "/p" };
        site.inside_ctx = &wrong[i];
        assert_status(CACHE_ERR_INVALID,
                      cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
        assert_non_null(strstr(cache_last_error(), "100..599"));
    }
    site_close(&site);
}

static void an_api_gets_caching_without_touching_its_handlers(void **state)
{
    static const char *const not_counted[] = { "utm_*", "fbclid", NULL }, *const page_counts[] = { "page", NULL };
    static const char *const tags[] = { "items", NULL }, *const for_post[] = { "POST", NULL };
    static const cache_view list = CACHE_VIEW("api list", 10, .query_only = page_counts, .tags = tags);
    static const cache_view other = CACHE_VIEW("api", 60, .query_string = true, .query_ignore = not_counted);
    static const cache_view search = CACHE_VIEW("api search", 30, .post_by_body = true);
    static const cache_rule rules[] = {
        { "/api/me/**", NULL, NULL },
        { "/api/search", for_post, &search },
        { "/api/items", for_get, &list },
        { "/api/**", for_get, &other },
    };
    struct site site;
    site_open(&site, state);
    site.inside = write_items;
#define API(METHOD, PATH, QUERY, VERDICT)                                                                             \
    assert_by(&site, rules, 4, &(cache_request){ .method = (METHOD), .path = (PATH), .query = (QUERY) }, VERDICT)
    API("GET", "/api/items", "page=1&sort=x", "MISS");
    API("GET", "/api/items", "sort=y&page=1", "HIT");
    API("GET", "/api/items", "page=2", "MISS");
    API("GET", "/api/items/7", "a=1&b=2&utm_source=mail", "MISS");
    API("GET", "/api/items/7", "b=2&a=1&fbclid=9", "HIT");
    API("HEAD", "/api/items/7", "b=2&a=1", "HIT");
    API("GET", "/api/me/orders", NULL, "BYPASS");
    site_pass(&site, 11);
    API("GET", "/api/items", "page=1", "MISS");         /* each rule's view has a ttl of its own */
    API("GET", "/api/items/7", "a=1&b=2", "HIT");
    API("DELETE", "/api/items/7", NULL, "BYPASS");      /* which changes the item */
    API("GET", "/api/items/7", "a=1&b=2", "MISS");
    assert_status(CACHE_OK, cache_invalidate_tag(site.cache, "items"));
    API("GET", "/api/items", "page=1", "MISS");
#undef API
    const cache_request query = { .method = "POST", .path = "/api/search", .body = "{}", .body_size = 2 };
    assert_by(&site, rules, 4, &query, "MISS");
    assert_by(&site, rules, 4, &query, "HIT");
    site_close(&site);
}

static void what_is_wrong_with_the_arguments_is_said(void **state)
{
    struct site site;
    site_open(&site, state);
    cache_page page;
    cache_view small = site.view;
    const cache_request request = { .method = "GET", .path = "/p" }, no_path = { .method = "GET" };
    const cache_request no_method = { .path = "/p" };
    assert_status(CACHE_ERR_INVALID, cache_middleware(site.cache, NULL, 0, &no_method, site_handler, &site, &page));
    assert_status(CACHE_ERR_INVALID, cache_middleware(site.cache, NULL, 0, &request, site_handler, &site, NULL));
    assert_status(CACHE_ERR_INVALID, cache_middleware(site.cache, NULL, 0, NULL, site_handler, &site, &page));
    assert_status(CACHE_ERR_INVALID, cache_middleware(site.cache, NULL, 0, &no_path, site_handler, &site, &page));
    assert_status(CACHE_ERR_INVALID, cache_middleware(site.cache, NULL, 1, &request, site_handler, &site, &page));
    assert_non_null(strstr(cache_last_error(), "rules"));
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, NULL, NULL, &page));
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, NULL));
    small.size = 4;
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &small, &request, site_handler, &site, &page));
    assert_status(CACHE_ERR_INVALID, cache_view_forget_path(site.cache, NULL));
    assert_status(CACHE_ERR_INVALID, cache_view_forget(site.cache, &site.view, &no_path));
    site_close(&site);
}

/* A program that was built against a shorter cache_view has nothing behind `ctx`. */
static void an_older_shorter_view_is_served(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.size = offsetof(cache_view, validate);
    site.view.validate = (bool (*)(void *, const cache_request *, const cache_response *))(uintptr_t)1;
    site.view.detached = true;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(a_long_pattern_of_stars_ends_soon),
        cmocka_unit_test(a_status_that_is_none_fails_the_request),
        cmocka_unit_test(an_api_gets_caching_without_touching_its_handlers),
        cmocka_unit_test(what_is_wrong_with_the_arguments_is_said),
        cmocka_unit_test(an_older_shorter_view_is_served),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
