/* Views: what is stored of a response, who gets it, and when it is forgotten. */
#include "test.h"

#include <pthread.h>
#include <time.h>

/* ---- a server of one page ---------------------------------------------------------------------------------------- */

struct site {
    cache_t *cache;
    cache_view view;
    _Atomic int64_t now_ms;
    atomic_int runs;
    int status;
    cache_status result;
    const char *header, *value;        /* one that the handler adds */
    bool slow;                         /* it takes a while, so that others wait for it */
    bool personal;                     /* each response has a cookie of its own */
};

struct headers {
    const char *authorization, *if_none_match, *language, *cookie;
};

static const char *find_header(void *ctx, const char *name)
{
    const struct headers *headers = ctx;
    if (headers == NULL)
        return NULL;
    if (strcmp(name, "Authorization") == 0)
        return headers->authorization;
    if (strcmp(name, "If-None-Match") == 0)
        return headers->if_none_match;
    if (strcmp(name, "Accept-Language") == 0)
        return headers->language;
    return strcmp(name, "Cookie") == 0 ? headers->cookie : NULL;
}

static cache_status page_handler(void *ctx, const cache_request *request, cache_response *response)
{
    struct site *site = ctx;
    const int run = atomic_fetch_add(&site->runs, 1) + 1;
    assert_string_not_equal(request->method, "HEAD");
    if (site->slow)
        (void)nanosleep(&(struct timespec){ 0, 50 * 1000000 }, NULL);
    cache_response_set_status(response, site->status);
    (void)cache_response_set_header(response, "Content-Type", "text/plain");
    if (site->header != NULL)
        (void)cache_response_add_header(response, site->header, site->value);
    if (site->personal) {
        char cookie[32];
        (void)snprintf(cookie, sizeof cookie, "id=%d", run);
        (void)cache_response_add_header(response, "Set-Cookie", cookie);
    }
    (void)cache_writer_printf(cache_response_body(response), "%s run %d", request->path, run);
    return site->result;
}

static void site_open(struct site *site)
{
    memset(site, 0, sizeof *site);
    site->view = (cache_view)CACHE_VIEW_INIT;
    site->view.ttl = 60;
    site->status = 200;
    atomic_store(&site->now_ms, 1000000);
    site->cache = test_open_with_clock("memory://", &site->now_ms);
}

static void pass(struct site *site, int seconds)
{
    atomic_fetch_add(&site->now_ms, seconds * INT64_C(1000));
}

static const char *header_of(const cache_page *page, const char *name)
{
    for (size_t i = 0; i < page->n_headers; i++)
        if (strcmp(page->headers[i].name, name) == 0)
            return page->headers[i].value;
    return NULL;
}

static cache_page serve(struct site *site, const cache_request *request)
{
    cache_page page;
    assert_status(CACHE_OK, cache_view_serve(site->cache, &site->view, request, page_handler, site, &page));
    return page;
}

static void assert_page(const cache_page *page, const char *verdict, const char *body)
{
    assert_string_equal(header_of(page, "X-Cache"), verdict);
    assert_int_equal(page->body_size, strlen(body));
    assert_memory_equal(page->body, body, page->body_size);
}

static void assert_request(struct site *site, const cache_request *request, const char *verdict, const char *body)
{
    cache_page page = serve(site, request);
    assert_page(&page, verdict, body);
    cache_page_release(&page);
}

static void assert_get(struct site *site, const char *verdict, const char *body)
{
    assert_request(site, &(cache_request){ .method = "GET", .path = "/p" }, verdict, body);
}

/* ---- hits -------------------------------------------------------------------------------------------------------- */

static void the_second_request_gets_the_same_page_from_the_store(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    const cache_request request = { .method = "GET", .path = "/p" };
    cache_page first = serve(&site, &request);
    pass(&site, 7);
    cache_page second = serve(&site, &request);
    assert_page(&first, "MISS", "/p run 1");
    assert_page(&second, "HIT", "/p run 1");
    assert_int_equal(second.status, 200);
    assert_string_equal(header_of(&second, "Content-Type"), "text/plain");
    assert_string_equal(header_of(&second, "ETag"), header_of(&first, "ETag"));
    assert_string_equal(header_of(&second, "Age"), "7");
    assert_null(header_of(&first, "Age"));
    cache_page_release(&first);
    cache_close(site.cache);
    assert_page(&second, "HIT", "/p run 1");    /* pinned */
    cache_page_release(&second);
}

static void the_etag_of_a_page_gets_304_without_a_body(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    cache_request request = { .method = "GET", .path = "/p", .header = find_header };
    cache_page page = serve(&site, &request);
    char list[100];
    (void)snprintf(list, sizeof list, "\"other, one\", W/%s", header_of(&page, "ETag"));
    cache_page_release(&page);
    struct headers headers = { .if_none_match = list };
    request.lookup_ctx = &headers;
    page = serve(&site, &request);
    assert_int_equal(page.status, 304);
    assert_int_equal(page.content_size, strlen("/p run 1"));    /* what a GET would have got */
    assert_int_equal(page.body_size, 0);
    assert_null(header_of(&page, "Content-Type"));
    assert_non_null(header_of(&page, "ETag"));
    cache_page_release(&page);
    headers.if_none_match = "\"other\"";
    page = serve(&site, &request);
    assert_int_equal(page.status, 200);
    cache_page_release(&page);
    cache_close(site.cache);
}

static void head_is_answered_from_the_page_of_get(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    assert_request(&site, &(cache_request){ .method = "HEAD", .path = "/p" }, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    assert_request(&site, &(cache_request){ .method = "HEAD", .path = "/p" }, "HIT", "/p run 1");
    cache_close(site.cache);
}

/* ---- what is never shared ---------------------------------------------------------------------------------------- */

struct visitor {
    struct site *site;
    pthread_barrier_t *start;
    char body[64], cookie[64];
};

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    const cache_request request = { .method = "GET", .path = "/p" };
    cache_page page = { 0 };
    (void)pthread_barrier_wait(visitor->start);
    if (cache_view_serve(visitor->site->cache, &visitor->site->view, &request, page_handler, visitor->site, &page) != CACHE_OK)
        return NULL;
    const char *cookie = header_of(&page, "Set-Cookie");
    (void)snprintf(visitor->body, sizeof visitor->body, "%.*s", (int)page.body_size, (const char *)page.body);
    (void)snprintf(visitor->cookie, sizeof visitor->cookie, "%s", cookie != NULL ? cookie : "");
    cache_page_release(&page);
    return NULL;
}

enum { VISITORS = 32 };

static void visit_at_once(struct site *site, struct visitor visitors[], unsigned n)
{
    pthread_t threads[VISITORS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        visitors[i] = (struct visitor){ .site = site, .start = &start };
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors[i]), 0);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

static void a_cold_page_is_made_once_for_32_threads(void **state)
{
    (void)state;
    struct site site;
    struct visitor visitors[VISITORS];
    site_open(&site);
    site.slow = true;
    visit_at_once(&site, visitors, VISITORS);
    assert_int_equal(atomic_load(&site.runs), 1);
    for (int i = 0; i < VISITORS; i++)
        assert_string_equal(visitors[i].body, "/p run 1");
    cache_close(site.cache);
}

static void each_of_16_threads_gets_the_cookie_that_was_made_for_it(void **state)
{
    (void)state;
    struct site site;
    struct visitor visitors[VISITORS];
    site_open(&site);
    site.slow = site.personal = true;
    visit_at_once(&site, visitors, 16);
    assert_int_equal(atomic_load(&site.runs), 16);
    for (int i = 0; i < 16; i++) {
        assert_string_not_equal(visitors[i].cookie, "");
        assert_string_equal(strrchr(visitors[i].body, ' ') + 1, strchr(visitors[i].cookie, '=') + 1);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(visitors[i].cookie, visitors[j].cookie);
    }
    assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
    cache_close(site.cache);
}

static void a_response_that_forbids_it_is_not_stored(void **state)
{
    (void)state;
    const struct { const char *header, *value; } cases[] = {
        { "Set-Cookie", "a=b" }, { "Cache-Control", "no-store" }, { "Cache-Control", "max-age=60, Private" },
        { "Cache-Control", "no-cache" }, { "Cache-Control", "max-age=0" }, { "Cache-Control", "max-age=60, s-maxage=0" },
        { "Vary", "Accept-Encoding" }, { "Vary", "*" }, { "Expires", "0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct site site;
        site_open(&site);
        site.header = cases[i].header;
        site.value = cases[i].value;
        assert_get(&site, "MISS", "/p run 1");
        assert_get(&site, "MISS", "/p run 2");
        cache_close(site.cache);
    }
}

static void max_age_shortens_the_ttl(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.header = "Cache-Control";
    site.value = "max-age=10";
    assert_get(&site, "MISS", "/p run 1");
    pass(&site, 9);
    assert_get(&site, "HIT", "/p run 1");
    pass(&site, 2);
    assert_get(&site, "MISS", "/p run 2");
    cache_close(site.cache);
}

static void requests_with_credentials_bypass_the_cache(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    struct headers headers = { .authorization = "Basic eA==" };
    const cache_request named = { .method = "GET", .path = "/p", .user = "1" };
    const cache_request authorized = { .method = "GET", .path = "/p", .header = find_header, .lookup_ctx = &headers };
    assert_get(&site, "MISS", "/p run 1");
    assert_request(&site, &named, "BYPASS", "/p run 2");
    assert_request(&site, &authorized, "BYPASS", "/p run 3");
    assert_get(&site, "HIT", "/p run 1");
    cache_close(site.cache);
}

static void vary_user_gives_each_user_a_page(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.vary_user = true;
    const cache_request a = { .method = "GET", .path = "/p", .user = "a" };
    const cache_request b = { .method = "GET", .path = "/p", .user = "b" };
    assert_request(&site, &a, "MISS", "/p run 1");
    assert_request(&site, &b, "MISS", "/p run 2");
    assert_get(&site, "MISS", "/p run 3");
    assert_request(&site, &a, "HIT", "/p run 1");
    assert_request(&site, &b, "HIT", "/p run 2");
    cache_close(site.cache);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static void queries_in_any_order_are_one_page(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const ignored[] = { "utm_*", NULL };
    site.view.query_string = true;
    site.view.query_ignore = ignored;
    cache_request request = { .method = "GET", .path = "/p", .query = "b=2&a=1&a=0" };
    assert_request(&site, &request, "MISS", "/p run 1");
    request.query = "a=1&utm_source=x&a=0&&b=2&utm%5Fid=3";
    assert_request(&site, &request, "HIT", "/p run 1");
    request.query = "a=0&a=1&b=2";
    assert_request(&site, &request, "MISS", "/p run 2");
    cache_close(site.cache);
}

static void only_the_listed_parameters_count_however_they_are_encoded(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const only[] = { "page", NULL };
    site.view.query_only = only;
    cache_request request = { .method = "GET", .path = "/p", .query = "x=1" };
    assert_request(&site, &request, "MISS", "/p run 1");
    request.query = "p%61ge=2";
    assert_request(&site, &request, "MISS", "/p run 2");
    request.query = "x=3";
    assert_request(&site, &request, "HIT", "/p run 1");
    cache_close(site.cache);
}

static void a_path_that_looks_like_a_variant_has_a_page_of_its_own(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.query_string = true;
    const cache_request query = { .method = "GET", .path = "/p", .query = "a=1" };
    assert_request(&site, &query, "MISS", "/p run 1");
    site.view.query_string = false;
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p?a=1" }, "MISS", "/p?a=1 run 2");
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p\t?a=1" }, "MISS", "/p\t?a=1 run 3");
    cache_close(site.cache);
}

static void headers_and_cookies_that_count_give_pages_of_their_own(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const languages[] = { "Accept-Language", NULL }, *const themes[] = { "theme", NULL };
    site.view.vary_headers = languages;
    site.view.vary_cookies = themes;
    struct headers headers = { .language = "de", .cookie = "x=1; theme=dark" };
    const cache_request request = { .method = "GET", .path = "/p", .header = find_header, .lookup_ctx = &headers };
    assert_request(&site, &request, "MISS", "/p run 1");
    headers.cookie = "theme=light; x=1";
    assert_request(&site, &request, "MISS", "/p run 2");
    headers.language = "en";
    assert_request(&site, &request, "MISS", "/p run 3");
    headers = (struct headers){ .language = "de", .cookie = "theme=dark; x=2" };
    assert_request(&site, &request, "HIT", "/p run 1");
    cache_close(site.cache);
}

static void a_path_of_any_length_has_a_page(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    char path[6001], other[6001];
    memset(path, 'x', 6000);
    path[6000] = '\0';
    memcpy(other, path, sizeof path);
    other[5999] = 'y';
    cache_page page = serve(&site, &(cache_request){ .method = "GET", .path = path });
    cache_page_release(&page);
    page = serve(&site, &(cache_request){ .method = "GET", .path = other });
    assert_string_equal(header_of(&page, "X-Cache"), "MISS");
    cache_page_release(&page);
    page = serve(&site, &(cache_request){ .method = "GET", .path = path });
    assert_string_equal(header_of(&page, "X-Cache"), "HIT");
    cache_page_release(&page);
    cache_close(site.cache);
}

static void a_post_that_is_a_query_is_stored_by_its_body(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.post_by_body = true;
    cache_request request = { .method = "POST", .path = "/p", .body = "a", .body_size = 1 };
    assert_request(&site, &request, "MISS", "/p run 1");
    assert_request(&site, &request, "HIT", "/p run 1");
    request.body = "b";
    assert_request(&site, &request, "MISS", "/p run 2");
    assert_get(&site, "MISS", "/p run 3");
    cache_close(site.cache);
}

/* ---- forgetting -------------------------------------------------------------------------------------------------- */

static void delete_by_path_forgets_a_plain_page(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    assert_get(&site, "MISS", "/p run 1");
    assert_status(CACHE_OK, cache_delete(site.cache, "view//p"));
    assert_get(&site, "MISS", "/p run 2");
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    assert_get(&site, "MISS", "/p run 3");
    cache_close(site.cache);
}

static void forget_takes_one_variant_and_forget_path_all(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.query_string = true;
    const cache_request a = { .method = "GET", .path = "/p", .query = "a" };
    const cache_request b = { .method = "GET", .path = "/p", .query = "b" };
    assert_request(&site, &a, "MISS", "/p run 1");
    assert_request(&site, &b, "MISS", "/p run 2");
    assert_status(CACHE_OK, cache_view_forget(site.cache, &site.view, &a));
    assert_status(CACHE_MISS, cache_view_forget(site.cache, &site.view, &a));
    assert_request(&site, &a, "MISS", "/p run 3");
    assert_request(&site, &b, "HIT", "/p run 2");
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    assert_request(&site, &a, "MISS", "/p run 4");
    assert_request(&site, &b, "MISS", "/p run 5");
    cache_close(site.cache);
}

static void a_tag_forgets_the_pages_under_it(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const tags[] = { "post:7", NULL };
    site.view.tags = tags;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    assert_status(CACHE_OK, cache_invalidate_tag(site.cache, "post:7"));
    assert_get(&site, "MISS", "/p run 2");
    cache_close(site.cache);
}

static void an_unsafe_method_that_succeeds_forgets_the_path(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    assert_get(&site, "MISS", "/p run 1");
    site.status = 403;
    assert_request(&site, &(cache_request){ .method = "POST", .path = "/p" }, "BYPASS", "/p run 2");
    assert_get(&site, "HIT", "/p run 1");
    site.status = 200;
    assert_request(&site, &(cache_request){ .method = "POST", .path = "/p" }, "BYPASS", "/p run 3");
    assert_get(&site, "MISS", "/p run 4");
    cache_close(site.cache);
}

/* ---- lifetimes --------------------------------------------------------------------------------------------------- */

static void a_404_is_kept_for_negative_ttl(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.status = 404;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "MISS", "/p run 2");
    site.view.negative_ttl = 5;
    assert_get(&site, "MISS", "/p run 3");
    cache_page page = serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
    assert_page(&page, "HIT", "/p run 3");
    assert_int_equal(page.status, 404);
    cache_page_release(&page);
    pass(&site, 6);
    assert_get(&site, "MISS", "/p run 4");
    cache_close(site.cache);
}

static void a_failing_handler_is_covered_by_the_stale_page(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.stale_if_error = 100;
    assert_get(&site, "MISS", "/p run 1");
    pass(&site, 70);
    site.status = 503;
    assert_get(&site, "STALE", "/p run 1");
    site.status = 200;
    site.result = CACHE_ERR_IO;
    assert_get(&site, "STALE", "/p run 1");
    pass(&site, 100);
    cache_page page;
    const cache_request request = { .method = "GET", .path = "/p" };
    assert_status(CACHE_ERR_IO, cache_view_serve(site.cache, &site.view, &request, page_handler, &site, &page));
    assert_null(page.owner);
    site.result = CACHE_OK;
    assert_get(&site, "MISS", "/p run 5");
    cache_close(site.cache);
}

static void must_revalidate_keeps_a_stale_page_from_covering_a_failure(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.stale_if_error = 100;
    site.header = "Cache-Control";
    site.value = "must-revalidate";
    assert_get(&site, "MISS", "/p run 1");
    pass(&site, 70);
    site.status = 503;
    assert_get(&site, "MISS", "/p run 2");
    cache_close(site.cache);
}

static void an_uncacheable_successor_is_not_replaced_by_the_stale_page(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.stale = site.view.stale_if_error = 100;
    assert_get(&site, "MISS", "/p run 1");
    pass(&site, 70);
    site.personal = true;
    assert_get(&site, "MISS", "/p run 2");
    cache_close(site.cache);
}

static void while_one_recomputes_the_others_get_the_stale_page(void **state)
{
    (void)state;
    struct site site;
    struct visitor visitors[VISITORS];
    site_open(&site);
    site.view.stale = 100;
    assert_get(&site, "MISS", "/p run 1");
    pass(&site, 70);
    site.slow = true;
    visit_at_once(&site, visitors, 8);
    int old = 0;
    for (int i = 0; i < 8; i++)
        old += strcmp(visitors[i].body, "/p run 1") == 0;
    assert_in_range(old, 1, 7);
    assert_int_equal(atomic_load(&site.runs), 2);
    assert_get(&site, "HIT", "/p run 2");
    cache_close(site.cache);
}

/* ---- the application's say --------------------------------------------------------------------------------------- */

static bool yes(void *ctx, const cache_request *request)
{
    (void)ctx;
    (void)request;
    return true;
}

static bool refuse(void *ctx, const cache_response *response)
{
    (void)ctx;
    return cache_response_status(response) != 200;
}

static void unless_forced_update_and_response_filter_are_asked(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.view.response_filter = refuse;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "MISS", "/p run 2");
    site.view.response_filter = NULL;
    assert_get(&site, "MISS", "/p run 3");
    site.view.unless = yes;
    assert_get(&site, "BYPASS", "/p run 4");
    site.view.unless = NULL;
    assert_get(&site, "HIT", "/p run 3");
    site.view.forced_update = yes;
    assert_get(&site, "MISS", "/p run 5");
    site.view.forced_update = NULL;
    assert_get(&site, "HIT", "/p run 5");
    cache_close(site.cache);
}

static void a_header_with_a_line_break_fails_the_request(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    site.header = "Location";
    site.value = "/x\r\nSet-Cookie: a=b";
    cache_page page;
    const cache_request request = { .method = "GET", .path = "/p" };
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, page_handler, &site, &page));
    assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
    cache_close(site.cache);
}

static cache_status write_bytes(void *ctx, cache_writer *out)
{
    const cache_bytes *bytes = ctx;
    return cache_writer_append(out, bytes->data, bytes->size);
}

static void a_damaged_page_is_a_miss(void **state)
{
    (void)state;
    /* Every length in turn is one that leaves the bytes: too many headers, too large, without their NUL. */
    static const char *const damaged[] = {
        "", "\1\0\310\0", "\1\0\310\0\1\0\0\0\0\0\0\0\0\0\0\0", "\1\0\310\0\0\0\0\0\377\377\377\377\377\377\377\377",
        "\1\0\310\0\1\0\0\0\2\0\0\0\0\0\0\0AB", "\2\0\310\0\0\0\0\0\0\0\0\0\0\0\0\0", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        "\1\0\310\0\377\377\377\377\0\0\0\0\0\0\0\0",
    };
    static const size_t sizes[] = { 0, 4, 16, 16, 18, 16, 16, 16 };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct site site;
        site_open(&site);
        cache_bytes bytes = { damaged[i], sizes[i] };
        cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
        options.type = "page";
        cache_value value;
        assert_status(CACHE_OK, cache_fetch(site.cache, "view//p", &options, write_bytes, &bytes, &value));
        cache_value_release(&value);
        assert_get(&site, "MISS", "/p run 1");
        assert_get(&site, "HIT", "/p run 1");
        assert_status(CACHE_OK, cache_set_string(site.cache, "view//p", "not a page", 60));
        assert_get(&site, "MISS", "/p run 2");
        cache_close(site.cache);
    }
}

/* ---- middleware -------------------------------------------------------------------------------------------------- */

static const char *verdict_by(struct site *site, const cache_rule rules[], size_t n, const char *method, const char *path)
{
    static const char *const verdicts[] = { "HIT", "MISS", "STALE", "BYPASS" };
    const cache_request request = { .method = method, .path = path };
    cache_page page;
    assert_status(CACHE_OK, cache_middleware(site->cache, rules, n, &request, page_handler, site, &page));
    const char *verdict = NULL;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(header_of(&page, "X-Cache"), verdicts[i]) == 0)
            verdict = verdicts[i];
    cache_page_release(&page);
    return verdict;
}

static void the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const get[] = { "GET", NULL };
    const cache_rule rules[] = {
        { "/api/private/**", NULL, NULL },
        { "/api/**", get, &site.view },
        { "/user/*/page", NULL, &site.view },
    };
    const struct { const char *method, *path; bool cached; } cases[] = {
        { "GET", "/api/items/7", true }, { "GET", "/api/", true }, { "GET", "/api/private/x", false },
        { "HEAD", "/api/items/8", true }, { "GET", "/apix", false }, { "GET", "/user/7/page", true },
        { "GET", "/user/7/8/page", false }, { "GET", "/user/7/page/x", false }, { "GET", "/", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(verdict_by(&site, rules, 3, cases[i].method, cases[i].path), cases[i].cached ? "MISS" : "BYPASS");
    assert_string_equal(verdict_by(&site, rules, 3, "GET", "/api/items/7"), "HIT");
    assert_string_equal(verdict_by(&site, NULL, 0, "GET", "/api/items/7"), "BYPASS");
    cache_close(site.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_request_gets_the_same_page_from_the_store),
        cmocka_unit_test(the_etag_of_a_page_gets_304_without_a_body),
        cmocka_unit_test(head_is_answered_from_the_page_of_get),
        cmocka_unit_test(a_cold_page_is_made_once_for_32_threads),
        cmocka_unit_test(each_of_16_threads_gets_the_cookie_that_was_made_for_it),
        cmocka_unit_test(a_response_that_forbids_it_is_not_stored),
        cmocka_unit_test(max_age_shortens_the_ttl),
        cmocka_unit_test(requests_with_credentials_bypass_the_cache),
        cmocka_unit_test(vary_user_gives_each_user_a_page),
        cmocka_unit_test(queries_in_any_order_are_one_page),
        cmocka_unit_test(only_the_listed_parameters_count_however_they_are_encoded),
        cmocka_unit_test(a_path_that_looks_like_a_variant_has_a_page_of_its_own),
        cmocka_unit_test(headers_and_cookies_that_count_give_pages_of_their_own),
        cmocka_unit_test(a_path_of_any_length_has_a_page),
        cmocka_unit_test(a_post_that_is_a_query_is_stored_by_its_body),
        cmocka_unit_test(delete_by_path_forgets_a_plain_page),
        cmocka_unit_test(forget_takes_one_variant_and_forget_path_all),
        cmocka_unit_test(a_tag_forgets_the_pages_under_it),
        cmocka_unit_test(an_unsafe_method_that_succeeds_forgets_the_path),
        cmocka_unit_test(a_404_is_kept_for_negative_ttl),
        cmocka_unit_test(a_failing_handler_is_covered_by_the_stale_page),
        cmocka_unit_test(must_revalidate_keeps_a_stale_page_from_covering_a_failure),
        cmocka_unit_test(an_uncacheable_successor_is_not_replaced_by_the_stale_page),
        cmocka_unit_test(while_one_recomputes_the_others_get_the_stale_page),
        cmocka_unit_test(unless_forced_update_and_response_filter_are_asked),
        cmocka_unit_test(a_header_with_a_line_break_fails_the_request),
        cmocka_unit_test(a_damaged_page_is_a_miss),
        cmocka_unit_test(the_first_rule_that_fits_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
