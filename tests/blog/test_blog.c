/* test_blog.c - checks the real program on a free port, over HTTP. */
#include "test.h"

#include "site.h"

#include <signal.h>

static struct site site;

static int start_in_memory(void **state)
{
    (void)state;
    site_start(&site, "memory://", NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    return 0;
}

static const char *ask(const char *method, const char *path, const char *headers, const char *body)
{
    return site_ask(&site, method, path, headers, body);
}

static const char *get(const char *path)
{
    return site_get(&site, path);
}

static long queries(void)
{
    return number_behind(get("/cache-stats"), "\"db_queries\":");
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void the_home_page_is_a_miss_then_a_hit(void **state)
{
    (void)state;
    assert_has(get("/"), "X-Cache: MISS");
    assert_has(site.answer, "Measure");
    const long before = queries();
    assert_has(get("/"), "X-Cache: HIT");
    assert_has(site.answer, "Measure");
    assert_int_equal(queries(), before);
}

static void an_etag_that_still_holds_is_answered_without_a_body(void **state)
{
    char etag[128], header[160];
    (void)state;
    const char *at = strstr(get("/"), "ETag: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "ETag: %127s", etag), 1);
    (void)snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
    assert_has(ask("GET", "/", header, ""), "304 Not Modified");
    assert_null(strstr(site.answer, "<html"));
    assert_has(ask("GET", "/", "If-None-Match: \"another\"\r\n", ""), "200 OK");
}

static void the_second_reading_of_a_post_asks_no_database(void **state)
{
    (void)state;
    /* Statements: for the post's parts, and by the writer for its view, some time later. */
    enum { READ = 3, COUNTED = 3 };
    const long begun = queries();
    assert_has(get("/post/1"), "Why cache at all?");
    while (queries() < begun + READ + COUNTED)
        continue;
    assert_int_equal(queries(), begun + READ + COUNTED);
    const long computed = number_behind(site.answer, "\"computations\":");
    assert_has(get("/post/1"), "Why cache at all?");
    assert_true(queries() <= begun + READ + 2 * COUNTED);
    assert_int_equal(number_behind(site.answer, "\"computations\":"), computed);
}

static void what_is_not_there_is_not_found(void **state)
{
    static const char *const paths[] = { "/post/999", "/post/0", "/post/-1", "/post/1x", "/post/", "/nothing",
                                         "/post/99999999999999999999" };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_has(get(paths[i]), "404 Not Found");
}

static void head_has_the_headers_and_no_body(void **state)
{
    (void)state;
    assert_has(ask("HEAD", "/", "", ""), "200 OK");
    assert_has(site.answer, "Content-Length: ");
    assert_null(strstr(site.answer, "<html"));
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void a_new_post_is_on_the_home_page_at_once(void **state)
{
    (void)state;
    assert_has(get("/"), "X-Cache: MISS");
    assert_has(get("/"), "X-Cache: HIT");
    assert_has(ask("POST", "/new-post", "", "title=Fresh+from+the+press&content=Some%20text"), "303 See Other");
    assert_has(site.answer, "Location: /post/11");
    assert_has(get("/"), "Fresh from the press");
    assert_has(site.answer, "X-Cache: MISS");
    assert_has(get("/post/11"), "Some text");
}

static void what_a_user_wrote_is_escaped(void **state)
{
    (void)state;
    assert_has(ask("POST", "/new-post", "", "title=%3Cscript%3Ealert(1)%3C/script%3E&content=%22%26%27%3Cb%3E"),
               "303 See Other");
    static const char *const pages[] = { "/", "/post/11", "/popular" };
    for (size_t i = 0; i < 3; i++) {
        assert_null(strstr(get(pages[i]), "<script>"));
        assert_has(site.answer, "&lt;script&gt;");
    }
    assert_has(ask("POST", "/new-post", "", "title=%22%3E%3Cb%3E&content="), "value=\"&quot;&gt;&lt;b&gt;\"");
}

static void a_wrong_post_gets_its_form_back(void **state)
{
    static char body[4000];
    (void)state;
    assert_has(ask("POST", "/new-post", "", "title=&content=kept"), "400 Bad Request");
    assert_has(site.answer, "kept");
    assert_has(ask("POST", "/new-post", "", "title=kept&content=++"), "400 Bad Request");
    assert_has(site.answer, "value=\"kept\"");
    memset(body, 'x', 300);
    memcpy(body, "title=", 6);
    strcpy(body + 300, "&content=kept");
    assert_has(ask("POST", "/new-post", "", body), "400 Bad Request");
    assert_has(ask("POST", "/new-post", "", ""), "400 Bad Request");
    assert_has(ask("POST", "/new-post", "", "title=%zz&content=%00"), "400 Bad Request");
}

/* ---- abuse ------------------------------------------------------------------------------------------------------- */

static void what_is_no_request_is_refused_and_the_blog_goes_on(void **state)
{
    static char large[90 * 1024];
    (void)state;
    (void)site_talk(&site, "nonsense\r\n\r\n");
    (void)site_talk(&site, "GET / HTTP/9.9\r\n\r\n");
    (void)site_talk(&site, "GET /%00%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_has(ask("DELETE", "/", "", ""), "405 Method Not Allowed");
    assert_has(site.answer, "Allow: GET, HEAD");
    memset(large, 'x', sizeof large - 1);
    assert_has(ask("POST", "/new-post", "", large), "413 ");
    large[5000] = '\0';
    large[0] = '/';
    assert_has(get(large), "414 ");
    assert_has(get("/"), "200 OK");
}

static void statistics_tell_the_hit_rate(void **state)
{
    (void)state;
    assert_has(get("/cache-stats"), "\"hit_rate\":\"N/A\"");
    (void)get("/");
    (void)get("/");
    assert_has(get("/cache-stats"), "\"hit_rate\":\"50.0%\"");
    assert_int_equal(number_behind(site.answer, "\"cache_hits\":"), 1);
    assert_int_equal(number_behind(site.answer, "\"cache_misses\":"), 1);
}

static void sigterm_ends_it_with_status_0(void **state)
{
    (void)state;
    (void)get("/post/1");
    assert_int_equal(site_signal_and_wait(&site, SIGTERM), 0);
}

static void without_a_cache_it_serves_all_the_same(void **state)
{
    (void)state;
    site_start(&site, "null://", NULL);
    assert_has(get("/"), "X-Cache: MISS");
    assert_has(get("/"), "X-Cache: MISS");
    assert_has(get("/post/1"), "Why cache at all?");
}

#define blog_test(name) cmocka_unit_test_setup_teardown(name, start_in_memory, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        blog_test(the_home_page_is_a_miss_then_a_hit),
        blog_test(an_etag_that_still_holds_is_answered_without_a_body),
        blog_test(the_second_reading_of_a_post_asks_no_database),
        blog_test(what_is_not_there_is_not_found),
        blog_test(head_has_the_headers_and_no_body),
        blog_test(a_new_post_is_on_the_home_page_at_once),
        blog_test(what_a_user_wrote_is_escaped),
        blog_test(a_wrong_post_gets_its_form_back),
        blog_test(what_is_no_request_is_refused_and_the_blog_goes_on),
        blog_test(statistics_tell_the_hit_rate),
        blog_test(sigterm_ends_it_with_status_0),
        cmocka_unit_test_teardown(without_a_cache_it_serves_all_the_same, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
