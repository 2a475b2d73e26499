/* test_admin.c - checks the dashboard of the admin, over HTTP: who may see it, what it shows, and what its buttons
 * do. */
#include "test.h"

#include "site.h"

#include <signal.h>

static struct site site;
static const char *admin;

static int start(void **state)
{
    (void)state;
    site_start_on_store(&site, NULL);
    admin = site_log_in(&site, "admin", ADMIN_PASSWORD);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    return 0;
}

static const char *get(const char *path)
{
    return site_get(&site, path);
}

static const char *get_as_admin(const char *path)
{
    return site_ask(&site, "GET", path, admin, "");
}

static void warm(const char *path)
{
    (void)get(path);
    assert_has(get(path), "X-Cache: HIT");
}

static void it_is_the_admins_alone(void **state)
{
    static const struct { const char *method, *path; } pages[] = {
        { "GET", "/admin" }, { "GET", "/admin/numbers" }, { "POST", "/admin/clear" }, { "GET", "/admin/clear" },
        { "GET", "/lab" }, { "GET", "/lab/result" }, { "POST", "/lab/run" },
    };
    (void)state;
    warm("/");
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        assert_has(site_ask(&site, pages[i].method, pages[i].path, "", "all=yes"), "Location: /login");
        assert_has(site_ask(&site, pages[i].method, pages[i].path, ada, "all=yes"), "403 Forbidden");
    }
    assert_has(get("/"), "X-Cache: HIT");
    assert_has(get_as_admin("/admin"), "200 OK");
}

static void it_tells_what_the_cache_did(void **state)
{
    (void)state;
    warm("/");
    (void)get("/post/1");
    assert_has(get_as_admin("/admin"), "<th scope=\"row\">get_post</th>");
    assert_has(site.answer, "<th scope=\"row\">home</th>");
    assert_has(site.answer, "answers</span>");
    assert_has(site.answer, "%</dd>");
    assert_has(get_as_admin("/admin/numbers"), "\"state\":\"answers\"");
    assert_has(site.answer, "\"hit_rate\":\"");
    const long misses = number_behind(get("/cache-stats"), "\"cache_misses\":");
    for (int i = 0; i < 10; i++)
        (void)get_as_admin("/admin/numbers");
    /* Looking does not change it. */
    assert_int_equal(number_behind(get("/cache-stats"), "\"cache_misses\":"), misses);
    while (strstr(get_as_admin("/admin/numbers"), "\"seconds_ago\":[0]") == NULL)
        continue;
}

/* Keys may tell of users, so only the admin sees them. */
static void the_admin_sees_the_hot_keys_and_nobody_else_does(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++)    /* one read in 61 is counted */
        (void)get("/products");
    const char *hot = strstr(get_as_admin("/admin"), "<table id=\"hot\">");
    assert_non_null(hot);
    assert_non_null(strstr(hot, "/products"));
    assert_has_not(get("/metrics"), "/products");
    assert_has_not(get("/cache-stats"), "/products");
}

static void a_tag_is_forgotten_and_nothing_else(void **state)
{
    (void)state;
    warm("/");
    warm("/products");
    assert_has(site_post(&site, "/admin/clear", admin, "tag=+posts+"), "Location: /admin\r\n");
    assert_has(get("/"), "X-Cache: MISS");
    assert_has(get("/products"), "X-Cache: HIT");
}

static void all_is_cleared_and_the_admin_stays_logged_in(void **state)
{
    (void)state;
    warm("/");
    warm("/products");
    assert_has(site_post(&site, "/admin/clear", admin, "all=yes"), "303 See Other");
    assert_has(get("/"), "X-Cache: MISS");
    assert_has(get("/products"), "X-Cache: MISS");
    assert_has(get_as_admin("/admin"), "200 OK");
}

static void clearing_all_asks_first(void **state)
{
    (void)state;
    warm("/");
    assert_has(get_as_admin("/admin"), "href=\"/admin/clear\"");
    assert_has(get_as_admin("/admin/clear"), "name=\"all\" value=\"yes\"");
    assert_has(get("/"), "X-Cache: HIT");
    assert_has(site_post(&site, "/admin/clear", admin, "all=yes"), "Set-Cookie: said=cleared");
}

/* What the lab says of a run of one of its experiments. */
static const char *experiment(const char *what)
{
    char body[40];
    (void)snprintf(body, sizeof body, "what=%s", what);
    assert_has(site_post(&site, "/lab/run", admin, body), "Location: /lab\r\n");
    while (strstr(get_as_admin("/lab/result"), "\"state\":\"done\"") == NULL)
        continue;
    return site.answer;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

/* How many readers asked after the invalidation and got the first computation's value. */
static size_t count_old(const char *result)
{
    const double forgotten_at = strtod(strstr(result, "\"forgotten_at\":") + 15, NULL);
    size_t n = 0;
    assert_true(forgotten_at > 0);
    for (const char *at = result; (at = strstr(at, "{\"begun\":")) != NULL; at++)
        n += strtod(at + 9, NULL) > forgotten_at && number_behind(at, "\"version\":") == 1;
    return n;
}

static void the_lab_shows_what_happens_to_two_hundred_readers(void **state)
{
    (void)state;
    assert_has(get_as_admin("/lab"), "name=\"what\" value=\"stampede\"");
    assert_has(get_as_admin("/lab/result"), "\"state\":\"none\"");
    const char *result = experiment("stampede");
    assert_int_equal(number_behind(result, "\"computations\":"), 1);
    assert_int_equal(count(result, "\"source\":\"computed\""), 1);
    assert_int_equal(count(result, "\"source\":\"error\""), 0);
    result = experiment("stale");
    assert_int_equal(count(result, "\"source\":\"stale\"") + count(result, "\"source\":\"hit\""), 200);
    assert_int_equal(number_behind(result, "\"computations\":"), 2);    /* with the old one */
    result = experiment("forget");
    /* Two, or three if a computation begins while the tag is being invalidated. */
    assert_in_range(number_behind(result, "\"computations\":"), 2, 3);
    assert_int_equal(count_old(result), 0);
    result = experiment("away");
    assert_int_equal(count(result, "\"source\":\"error\""), 0);
    assert_has(site_post(&site, "/lab/run", admin, "what=nothing"), "400 Bad Request");
}

static void the_lab_runs_one_experiment_at_a_time(void **state)
{
    (void)state;
    assert_has(site_post(&site, "/lab/run", admin, "what=stale"), "303 See Other");
    assert_has(site_post(&site, "/lab/run", admin, "what=stampede"), "409 Conflict");
    assert_int_equal(site_signal_and_wait(&site, SIGTERM), 0);    /* and its end is waited for */
}

static void a_button_without_a_tag_clears_nothing(void **state)
{
    (void)state;
    warm("/");
    assert_has(site_post(&site, "/admin/clear", admin, ""), "400 Bad Request");
    assert_has(site_post(&site, "/admin/clear", admin, "tag=++"), "400 Bad Request");
    assert_has(get("/"), "X-Cache: HIT");
}

static void another_site_cannot_press_the_buttons(void **state)
{
    char headers[300];
    (void)state;
    warm("/");
    (void)snprintf(headers, sizeof headers, "%sOrigin: http://evil.example\r\n", admin);
    assert_has(site_post(&site, "/admin/clear", headers, "all=yes"), "403 Forbidden");
    (void)snprintf(headers, sizeof headers, "%sSec-Fetch-Site: cross-site\r\n", admin);
    assert_has(site_post(&site, "/admin/clear", headers, "all=yes"), "403 Forbidden");
    assert_has(get("/"), "X-Cache: HIT");
}

static void pages_load_nothing_from_elsewhere(void **state)
{
    (void)state;
    assert_has(get_as_admin("/admin"), "Content-Security-Policy: default-src 'none'; script-src 'self';");
    assert_has(site.answer, "<script src=\"/chart.js\" defer></script>");
    assert_has_not(site.answer, "src=\"http");
    assert_has(get("/chart.js"), "Chart.js v");
    assert_has(site.answer, "text/javascript");
    assert_has(get("/admin.js"), "text/javascript");
    assert_has(get("/"), "Content-Security-Policy: default-src 'none'");
}

#define admin_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        admin_test(it_is_the_admins_alone),
        admin_test(it_tells_what_the_cache_did),
        admin_test(the_admin_sees_the_hot_keys_and_nobody_else_does),
        admin_test(a_tag_is_forgotten_and_nothing_else),
        admin_test(all_is_cleared_and_the_admin_stays_logged_in),
        admin_test(clearing_all_asks_first),
        admin_test(the_lab_shows_what_happens_to_two_hundred_readers),
        admin_test(the_lab_runs_one_experiment_at_a_time),
        admin_test(a_button_without_a_tag_clears_nothing),
        admin_test(another_site_cannot_press_the_buttons),
        admin_test(pages_load_nothing_from_elsewhere),
    };
    site_store_choose(argc, argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    site_store_release();
    return failed;
}
