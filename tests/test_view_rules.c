/* test_view_rules.c - checks which responses are stored, and for how long. */
#include "site.h"

#include <math.h>

/* A header's name of 130 letters. */
#define LETTERS_13 "abcdefghijklm"
#define LONG_NAME LETTERS_13 LETTERS_13 LETTERS_13 LETTERS_13 LETTERS_13 LETTERS_13 LETTERS_13 LETTERS_13 LETTERS_13 \
    LETTERS_13

/* ---- what is stored ---------------------------------------------------------------------------------------------- */

static void a_response_that_forbids_it_is_not_stored(void **state)
{
    static const struct pair cases[] = {
        { "Set-Cookie", "a=b" }, { "Cache-Control", "no-store" }, { "Cache-Control", "max-age=60, Private" },
        { "Cache-Control", "no-cache" }, { "Cache-Control", "max-age=0" },
        { "Cache-Control", "max-age=60, s-maxage=0" }, { "Cache-Control", "max-age=soon" },
        { "Cache-Control", "max-age=60, max-age=0" }, { "Cache-Control", "max-age" },
        { "Cache-Control", ",,no-store,," }, { "Cache-Control", "no-cache=\"a, b\"" },
        { "Vary", "Accept-Encoding" }, { "Vary", "*" }, { "Vary", "Cookie" },
        { "Vary", LONG_NAME }, { "vary", "X, Accept-Encoding" },
        { "Expires", "0" }, { "Expires", "Thu, 01 Jan 1970 00:00:00 GMT" }, { "Expires", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.headers[0] = cases[i];
        assert_get(&site, "MISS", "/p run 1");
        assert_get(&site, "MISS", "/p run 2");
        assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
        site_close(&site);
    }
}

static void a_response_with_these_headers_is_stored(void **state)
{
    static const struct pair cases[] = {
        { "Cache-Control", "public" }, { "Cache-Control", "max-age=60" }, { "Cache-Control", "x=\"no-store\"" },
        { "Cache-Control", "max-age=\"60\"" }, { "Cache-Control", "max-age=99999999999999999999" },
        { "Cache-Control", "max-age=0, s-maxage=60" }, { "Vary", "Accept-Language" }, { "Vary", "" },
        { "Expires", "Fri, 01 Jan 2100 00:00:00 GMT" },
    };
    static const char *const languages[] = { "accept-language", NULL };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.view.vary_headers = languages;
        site.headers[0] = cases[i];
        assert_get(&site, "MISS", "/p run 1");
        assert_get(&site, "HIT", "/p run 1");
        site_close(&site);
    }
}

static void a_response_that_varies_by_cookies_is_stored_if_they_count(void **state)
{
    static const char *const themes[] = { "theme", NULL }, *const languages[] = { "Accept-Language", NULL };
    struct site site;
    site_open(&site, state);
    site.view.vary_cookies = themes;
    site.headers[0] = (struct pair){ "Vary", "cookie" };
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    site.headers[1] = (struct pair){ "Vary", "Accept-Encoding" };
    site_pass(&site, 61);
    site.view.vary_headers = languages;
    assert_get(&site, "MISS", "/p run 2");
    assert_get(&site, "MISS", "/p run 3");
    site_close(&site);
    site_open(&site, state);
    site.view.vary_user = true;    /* users are told apart by their cookies */
    site.headers[0] = (struct pair){ "Vary", "Cookie" };
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

static cache_status whole_key(void *ctx, const cache_request *request, cache_writer *key)
{
    (void)ctx;
    return cache_writer_puts(key, request->path);
}

static void with_make_key_the_application_answers_for_vary(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.make_key = whole_key;
    site.headers[0] = (struct pair){ "Vary", "Accept-Encoding" };
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

static void a_status_is_stored_as_the_rfc_says(void **state)
{
    static const struct { int status; bool without, with_lifetime; } cases[] = {
        { 200, true, true }, { 203, true, true }, { 204, true, true }, { 300, true, true }, { 301, true, true },
        { 308, true, true },
        { 302, false, true }, { 307, false, true }, { 401, false, true }, { 403, false, true },
        { 451, false, true }, { 206, false, false }, { 304, false, false },
        { 412, false, false }, { 416, false, false }, { 500, false, false }, { 503, false, false },
        { 101, false, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int with = 0; with < 2; with++) {
            struct site site;
            site_open(&site, state);
            site.status = cases[i].status;
            if (with)
                site.headers[0] = (struct pair){ "Cache-Control", "max-age=30" };
            const bool stored = with ? cases[i].with_lifetime : cases[i].without;
            for (int asked_before = 0; asked_before < 2; asked_before++) {
                cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
                assert_string_equal(page_header(&page, "X-Cache"), stored && asked_before ? "HIT" : "MISS");
                assert_int_equal(page.status, cases[i].status);
                const bool has_body = cases[i].status != 204 && cases[i].status != 304 && cases[i].status != 101;
                assert_int_equal(page.body_size, has_body ? 8 : 0);
                cache_page_release(&page);
            }
            site_close(&site);
        }
}

/* ---- for how long ------------------------------------------------------------------------------------------------ */

/* The page lives `seconds` and no longer. */
static void assert_lives(struct site *site, int seconds)
{
    assert_get(site, "MISS", "/p run 1");
    site_pass(site, seconds - 1);
    assert_get(site, "HIT", "/p run 1");
    site_pass(site, 2);
    assert_get(site, "MISS", "/p run 2");
    site_close(site);
}

static void the_views_ttl_is_the_handles_unless_it_says_one(void **state)
{
    struct site site;
    site_open(&site, state);
    assert_lives(&site, 60);
    site_open(&site, state);
    site.view.ttl = CACHE_TTL_DEFAULT;
    assert_lives(&site, 300);
    site_open(&site, state);
    site.view = (cache_view){ .size = sizeof site.view };
    assert_lives(&site, 300);
    site_init(&site);
    site.cache = test_open_with_clock("memory://?default_ttl=forever", &site.now_ms);
    site.view.ttl = CACHE_TTL_DEFAULT;
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 1000000000);
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

static void a_lifetime_in_the_headers_shortens_the_ttl(void **state)
{
    static const struct pair cases[] = {
        { "Cache-Control", "max-age=10" }, { "Cache-Control", "max-age=5000, s-maxage=10" },
        { "Cache-Control", "max-age=10, max-age=20" }, { "Expires", "Thu, 01 Jan 1970 00:16:50 GMT" },
        { "Expires", "Thursday, 01-Jan-70 00:16:50 GMT" }, { "Expires", "Thu Jan  1 00:16:50 1970" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.headers[0] = cases[i];
        assert_lives(&site, 10);
    }
    struct site site;
    site_open(&site, state);
    site.view.ttl = CACHE_TTL_FOREVER;
    site.headers[0] = cases[0];
    assert_lives(&site, 10);
}

static void a_lifetime_in_the_headers_never_lengthens_the_ttl(void **state)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Cache-Control", "max-age=5000" };
    assert_lives(&site, 60);
}

static void expires_is_reckoned_from_date_and_max_age_goes_before_it(void **state)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Expires", "Sun, 06 Nov 1994 08:50:07 GMT" };
    site.headers[1] = (struct pair){ "Date", "Sun, 06 Nov 1994 08:49:37 GMT" };
    assert_lives(&site, 30);
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Expires", "0" };
    site.headers[1] = (struct pair){ "Cache-Control", "max-age=20" };
    assert_lives(&site, 20);
    for (int i = 0; i < 2; i++) {    /* without a date that can be read, from now on */
        site_open(&site, state);
        site.headers[0] = (struct pair){ "Expires", "Thu, 01 Jan 1970 00:17:10 GMT" };
        site.headers[1] = (struct pair){ i == 0 ? "Date" : NULL, "today" };
        assert_lives(&site, 30);
    }
}

static void set_ttl(struct site *site, const cache_request *request, cache_response *response)
{
    (void)request;
    (void)cache_response_set_ttl(response, *(const double *)site->inside_ctx);
}

static void the_handlers_ttl_goes_before_the_views_and_the_headers(void **state)
{
    struct site site;
    double ttl = 100;
    site_open(&site, state);
    site.inside = set_ttl;
    site.inside_ctx = &ttl;
    site.headers[0] = (struct pair){ "Cache-Control", "max-age=10" };
    assert_lives(&site, 100);
    site_open(&site, state);
    site.inside = set_ttl;
    site.inside_ctx = &ttl;
    site.status = 404;    /* though negative_ttl is 0 */
    assert_lives(&site, 100);
    site_open(&site, state);
    ttl = CACHE_TTL_DEFAULT;    /* back to the view's */
    site.inside = set_ttl;
    site.inside_ctx = &ttl;
    assert_lives(&site, 60);
}

static void a_ttl_that_is_none_fails_the_request(void **state)
{
    struct site site;
    double ttl = -7;
    site_open(&site, state);
    site.inside = set_ttl;
    site.inside_ctx = &ttl;
    cache_page page;
    const cache_request request = { .method = "GET", .path = "/p" };
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    site_close(&site);
}

static void do_not_store(struct site *site, const cache_request *request, cache_response *response)
{
    (void)site, (void)request;
    cache_response_no_store(response);
}

static void the_handler_may_keep_a_page_out_of_the_store(void **state)
{
    struct site site;
    site_open(&site, state);
    site.inside = do_not_store;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "MISS", "/p run 2");
    site.inside = NULL;    /* and once it does no more, the page is stored at once */
    assert_get(&site, "MISS", "/p run 3");
    assert_get(&site, "HIT", "/p run 3");
    site_close(&site);
}

static void a_404_is_kept_for_negative_ttl(void **state)
{
    struct site site;
    site_open(&site, state);
    site.status = 404;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "MISS", "/p run 2");
    site.view.negative_ttl = 5;
    assert_get(&site, "MISS", "/p run 3");
    cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
    assert_page(&page, "HIT", "/p run 3");
    assert_int_equal(page.status, 404);
    cache_page_release(&page);
    site_pass(&site, 6);
    assert_get(&site, "MISS", "/p run 4");
    site_close(&site);
}

/* ---- the application's say --------------------------------------------------------------------------------------- */

static bool yes(void *ctx, const cache_request *request)
{
    (void)ctx, (void)request;
    return true;
}

static int filtered;

static bool is_short(void *ctx, const cache_response *response)
{
    size_t size = 0;
    const char *body = cache_response_content(response, &size);
    (void)ctx;
    filtered++;
    return cache_response_status(response) == 200 && strlen(body) == size && size < 9;
}

static void response_filter_sees_status_headers_and_body(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.response_filter = is_short;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    const cache_request longer = { .method = "GET", .path = "/long" };
    assert_request(&site, &longer, "MISS", "/long run 2");
    assert_request(&site, &longer, "MISS", "/long run 3");
    site_close(&site);
}

static void response_filter_is_not_asked_where_nothing_would_be_stored(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.response_filter = is_short;
    filtered = 0;
    assert_request(&site, &(cache_request){ .method = "POST", .path = "/p" }, "BYPASS", "/p run 1");
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p", .user = "1" }, "BYPASS", "/p run 2");
    site.headers[0] = (struct pair){ "Cache-Control", "no-store" };
    assert_get(&site, "MISS", "/p run 3");
    assert_int_equal(filtered, 0);
    site_close(&site);
}

static bool no(void *ctx, const cache_request *request)
{
    (void)ctx, (void)request;
    return false;
}

static void unless_goes_past_the_cache_and_forced_update_makes_the_page_anew(void **state)
{
    struct site site;
    site_open(&site, state);
    assert_get(&site, "MISS", "/p run 1");
    site.view.unless = yes;
    assert_get(&site, "BYPASS", "/p run 2");
    site.view.unless = no;
    assert_get(&site, "HIT", "/p run 1");
    site.view.unless = NULL;
    site.view.forced_update = no;
    assert_get(&site, "HIT", "/p run 1");
    site.view.forced_update = yes;
    assert_get(&site, "MISS", "/p run 3");
    site.view.forced_update = NULL;
    assert_get(&site, "HIT", "/p run 3");
    site_close(&site);
}

struct current {
    const char *version;
    int asked;
};

static bool is_current(void *ctx, const cache_request *request, const cache_response *stored)
{
    struct current *current = ctx;
    size_t size = 0;
    current->asked++;
    assert_string_equal(request->path, "/p");
    assert_int_equal(cache_response_status(stored), 200);
    assert_string_equal(cache_response_header(stored, "content-type"), "text/plain");
    assert_memory_equal(cache_response_content(stored, &size), "/p run ", 7);
    assert_int_equal(size, 8);
    return strcmp(cache_response_header(stored, "X-Version"), current->version) == 0;
}

static void validate_is_asked_on_each_hit_and_false_makes_it_a_miss(void **state)
{
    struct site site;
    struct current current = { "1", 0 };
    site_open(&site, state);
    site.view.validate = is_current;
    site.view.ctx = &current;
    site.headers[0] = (struct pair){ "X-Version", "1" };
    assert_get(&site, "MISS", "/p run 1");
    assert_int_equal(current.asked, 0);
    assert_get(&site, "HIT", "/p run 1");
    assert_int_equal(current.asked, 1);
    current.version = site.headers[0].value = "2";
    assert_get(&site, "MISS", "/p run 2");
    assert_get(&site, "HIT", "/p run 2");
    site_close(&site);
}

static void a_header_with_a_line_break_fails_the_request(void **state)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Location", "/x\r\nSet-Cookie: a=b" };
    cache_page page;
    const cache_request request = { .method = "GET", .path = "/p" };
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
    site_close(&site);
}

/* ---- what stands in the store ------------------------------------------------------------------------------------ */

static cache_status write_bytes(void *ctx, cache_writer *out)
{
    const cache_bytes *bytes = ctx;
    return cache_writer_append(out, bytes->data, bytes->size);
}

/* Put these bytes where the page of /p is. */
static void store_bytes(struct site *site, const char *data, size_t size)
{
    cache_bytes bytes = { data, size };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.type = "page";
    options.force = true;
    assert_status(CACHE_OK, cache_fetch(site->cache, "view//p", &options, write_bytes, &bytes, &value));
    cache_value_release(&value);
}

/* A page as it is stored. */
static size_t stored_page(struct site *site, char *bytes, size_t cap)
{
    size_t size = 0;
    assert_get(site, "MISS", "/p run 1");
    assert_status(CACHE_OK, cache_get_copy(site->cache, "view//p", bytes, cap, &size));
    return size;
}

static void a_negative_ttl_that_is_none_fails_the_request(void **state)
{
    struct site site;
    cache_page page;
    const cache_request request = { .method = "GET", .path = "/p" };
    site_open(&site, state);
    site.status = 404;
    site.view.negative_ttl = NAN;
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
    site_close(&site);
}

static void add_headers(struct site *site, const cache_request *request, cache_response *response)
{
    (void)request;
    for (int i = 0; i < *(const int *)site->inside_ctx; i++)
        (void)cache_response_add_header(response, "X-Number", "1");
}

static void a_page_has_up_to_a_thousand_headers(void **state)
{
    struct site site;
    int n = 990;
    cache_page page;
    const cache_request request = { .method = "GET", .path = "/p" };
    site_open(&site, state);
    site.inside = add_headers;
    site.inside_ctx = &n;
    assert_get(&site, "MISS", "/p run 1");
    page = site_serve(&site, &request);
    assert_page(&page, "HIT", "/p run 1");
    assert_in_range(page.n_headers, 990, 1002);
    cache_page_release(&page);
    assert_status(CACHE_OK, cache_view_forget(site.cache, &site.view, &request));
    n = 1001;
    assert_status(CACHE_ERR_TOO_LARGE, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    assert_non_null(strstr(cache_last_error(), "1000 headers"));
    assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
    site_close(&site);
}

enum wrong_setter { NULL_NAME, NULL_VALUE, NOT_A_TOKEN, TWO_FAULTS, WRONG_SETTERS };

static void set_wrongly(struct site *site, const cache_request *request, cache_response *response)
{
    static const char *const names[] = { NULL, "X", "a b", "" };
    const int how = *(const int *)site->inside_ctx;
    (void)request;
    assert_null(cache_response_header(response, NULL));
    if (how == TWO_FAULTS)
        cache_response_set_status(response, 7);
    assert_status(CACHE_ERR_INVALID,
                  cache_response_set_header(response, names[how], how == NULL_VALUE ? NULL : "value"));
}

/* A handler need not look at the status of each setter. */
static void a_header_that_is_none_fails_the_request(void **state)
{
    const cache_request request = { .method = "GET", .path = "/p" };
    for (int how = 0; how < WRONG_SETTERS; how++) {
        struct site site;
        cache_page page;
        site_open(&site, state);
        site.inside = set_wrongly;
        site.inside_ctx = &how;
        assert_status(CACHE_ERR_INVALID,
                      cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
        assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
        site_close(&site);
    }
}

static void a_page_cut_short_or_of_another_version_is_a_miss(void **state)
{
    struct site site;
    char bytes[512];
    site_open(&site, state);
    const size_t size = stored_page(&site, bytes, sizeof bytes), body = strlen("/p run 1");
    for (size_t cut = 0; cut < size - body; cut++) {
        store_bytes(&site, bytes, cut);
        cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
        assert_string_equal(page_header(&page, "X-Cache"), "MISS");
        cache_page_release(&page);
    }
    store_bytes(&site, bytes, size);
    assert_get(&site, "HIT", "/p run 1");
    bytes[0]++;
    store_bytes(&site, bytes, size);
    cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
    assert_string_equal(page_header(&page, "X-Cache"), "MISS");
    cache_page_release(&page);
    assert_status(CACHE_OK, cache_set_string(site.cache, "view//p", "not a page", 60));
    page = site_serve(&site, &(cache_request){ .method = "GET", .path = "/p" });
    assert_string_equal(page_header(&page, "X-Cache"), "MISS");
    cache_page_release(&page);
    site_close(&site);
}

/* Whatever stands in the store, what is served is a page with a status, and nothing outside the bytes is read. */
static void noise_in_the_store_is_a_page_or_a_miss(void **state)
{
    struct site site;
    char whole[512], bytes[512];
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT" };
    const size_t size = stored_page(&site, whole, sizeof whole);
    unsigned seed = 3;
    for (int round = 0; round < (test_store_is_shared(state) ? 300 : 20000); round++) {
        memcpy(bytes, whole, size);
        for (int i = 0; i < 1 + round % 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            /* The fixed part and the places are hit as often as all the rest. */
            bytes[(seed >> 8) % (round % 2 != 0 ? size : 48)] = (char)(seed >> 24);
        }
        store_bytes(&site, bytes, size - (size_t)(round % 9));
        struct pair headers[] = { { round % 2 != 0 ? "If-None-Match" : "If-Modified-Since", "\"a\"" }, { NULL, NULL } };
        const cache_request request = { .method = "GET", .path = "/p", .header = find_pair, .lookup_ctx = headers };
        cache_page page = site_serve(&site, &request);
        assert_in_range(page.status, 100, 599);
        for (size_t i = 0; i < page.n_headers; i++)
            assert_true(strlen(page.headers[i].name) < sizeof whole && strlen(page.headers[i].value) < sizeof whole);
        cache_page_release(&page);
    }
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_that_forbids_it_is_not_stored),
        cmocka_unit_test(a_response_with_these_headers_is_stored),
        cmocka_unit_test(a_response_that_varies_by_cookies_is_stored_if_they_count),
        cmocka_unit_test(with_make_key_the_application_answers_for_vary),
        cmocka_unit_test(a_status_is_stored_as_the_rfc_says),
        cmocka_unit_test(the_views_ttl_is_the_handles_unless_it_says_one),
        cmocka_unit_test(a_lifetime_in_the_headers_shortens_the_ttl),
        cmocka_unit_test(a_lifetime_in_the_headers_never_lengthens_the_ttl),
        cmocka_unit_test(expires_is_reckoned_from_date_and_max_age_goes_before_it),
        cmocka_unit_test(the_handlers_ttl_goes_before_the_views_and_the_headers),
        cmocka_unit_test(a_ttl_that_is_none_fails_the_request),
        cmocka_unit_test(the_handler_may_keep_a_page_out_of_the_store),
        cmocka_unit_test(a_404_is_kept_for_negative_ttl),
        cmocka_unit_test(response_filter_sees_status_headers_and_body),
        cmocka_unit_test(response_filter_is_not_asked_where_nothing_would_be_stored),
        cmocka_unit_test(unless_goes_past_the_cache_and_forced_update_makes_the_page_anew),
        cmocka_unit_test(validate_is_asked_on_each_hit_and_false_makes_it_a_miss),
        cmocka_unit_test(a_header_with_a_line_break_fails_the_request),
        cmocka_unit_test(a_negative_ttl_that_is_none_fails_the_request),
        cmocka_unit_test(a_page_has_up_to_a_thousand_headers),
        cmocka_unit_test(a_header_that_is_none_fails_the_request),
        cmocka_unit_test(a_page_cut_short_or_of_another_version_is_a_miss),
        cmocka_unit_test(noise_in_the_store_is_a_page_or_a_miss),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
