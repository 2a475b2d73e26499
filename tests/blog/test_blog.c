/* The blog, from outside: the real program on a free port, asked over HTTP. */
#include "test.h"

#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct site {
    struct test_server server;
    char answer[256 * 1024];
};

static struct site site;

static void start(const char *cache_url)
{
    char port[8], db[128];
    memset(&site, 0, sizeof site);
    test_directory_make(site.server.directory, sizeof site.server.directory);
    const int number = test_free_port();
    (void)snprintf(port, sizeof port, "%d", number);
    (void)snprintf(db, sizeof db, "%s/blog.db", site.server.directory);
    const char *const argv[] = { BLOG_PROGRAM, "--port", port, "--db", db, "--cache", cache_url, NULL };
    test_server_start(&site.server, number, argv);
}

static int start_in_memory(void **state)
{
    (void)state;
    start("memory://");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&site.server);
    return 0;
}

/* Send bytes as they are, and read all that comes back until the server closes. */
static const char *talk(const char *bytes)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)site.server.port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t size = 0;
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    for (ssize_t n; size < sizeof site.answer - 1 && (n = recv(fd, site.answer + size, sizeof site.answer - 1 - size, 0)) > 0;)
        size += (size_t)n;
    site.answer[size] = '\0';
    close(fd);
    return site.answer;
}

static const char *ask(const char *method, const char *path, const char *headers, const char *body)
{
    static char bytes[100 * 1024];
    (void)snprintf(bytes, sizeof bytes, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
                   method, path, strlen(body), headers, body);
    return talk(bytes);
}

static const char *get(const char *path)
{
    return ask("GET", path, "", "");
}

static void assert_has(const char *answer, const char *text)
{
    if (strstr(answer, text) == NULL)
        fail_msg("'%s' is not in: %.600s", text, answer);
}

static long number_behind(const char *answer, const char *name)
{
    const char *at = strstr(answer, name);
    assert_non_null(at);
    return strtol(at + strlen(name), NULL, 10);
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
    const long begun = queries();
    assert_has(get("/post/1"), "Why cache at all?");
    assert_true(queries() > begun);
    /* Its view is counted by the writer, in three statements, some time later: only then does the count stand still. */
    while (queries() < begun + 4)
        continue;
    const long before = queries();
    assert_has(get("/post/1"), "Why cache at all?");
    const long after = queries();    /* the second view may be written by now, in three statements, but none reads */
    assert_true(after == before || after == before + 3);
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
    (void)talk("nonsense\r\n\r\n");
    (void)talk("GET / HTTP/9.9\r\n\r\n");
    (void)talk("GET /%00%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
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
    int status = -1;
    (void)state;
    (void)get("/post/1");
    assert_int_equal(kill(site.server.pid, SIGTERM), 0);
    assert_int_equal(waitpid(site.server.pid, &status, 0), site.server.pid);
    site.server.pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void without_a_cache_it_serves_all_the_same(void **state)
{
    (void)state;
    start("null://");
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
