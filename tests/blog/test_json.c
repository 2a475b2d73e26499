/* test_json.c - checks what the blog answers in JSON: products, lookups, the API and statistics, each cached in its own
 * way. */
#include "test.h"

#include "site.h"

#include <sqlite3.h>
#include <stdio.h>

static struct site site;

static int start(void **state)
{
    (void)state;
    site_start_on_store(&site, NULL);
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

static const char *post(const char *path, const char *body)
{
    return site_post(&site, path, "", body);
}

static void warm(const char *path)
{
    (void)get(path);
    assert_has(get(path), "X-Cache: HIT");
}

static long queries(void)
{
    return number_behind(get("/cache-stats"), "\"db_queries\":");
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

static void an_updated_product_is_new_wherever_it_is_shown(void **state)
{
    (void)state;
    warm("/products");
    warm("/api/products");
    warm("/api/products/2");
    assert_has(get("/product/2"), "\"name\":\"Notebook\"");
    assert_has(get("/search?q=notebook"), "Notebook");
    assert_has(post("/update-product/2", "{\"name\":\"Sketchbook\",\"price\":12.34}"), "200 OK");
    assert_has(site.answer, "application/json");
    assert_has(site.answer,
               "\"name\":\"Sketchbook\",\"description\":\"For what is not worth a database.\",\"price\":12.34}");
    static const char *const pages[] = { "/products", "/api/products", "/api/products/2", "/product/2",
                                         "/search?q=sketchbook" };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        assert_has(get(pages[i]), "Sketchbook");
        assert_has_not(site.answer, "Notebook");
    }
    assert_has(get("/search?q=notebook"), "\"count\":0");
    assert_has(post("/update-product/2", "{\"price\":0} \n"), "\"name\":\"Sketchbook\"");
    assert_has(post("/update-product/2", "{\"price\":1}{\"price\":2}"), "400 Bad Request");
    assert_has(post("/update-product/2", "{\"price\":1},"), "400 Bad Request");
    assert_has(get("/product/2"), "\"price\":0}");
}

/* Straight into the database: there is no form that adds a product. */
static void add_many(int n)
{
    char file[128], sql[400];
    sqlite3 *db = NULL;
    (void)snprintf(file, sizeof file, "%s/blog.db", site.server.directory);
    (void)snprintf(sql, sizeof sql, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                                    "INSERT INTO products (name, cents) SELECT 'Number ' || i || '.', i FROM n;"
                                    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                                    "INSERT INTO posts (title, content) SELECT 'Number ' || i || '.', 'c' FROM n",
                                    n, n);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void lists_go_on_on_a_second_page(void **state)
{
    static const char *const wrong[] = { "/products.json?page=0", "/api/posts?page=x", "/api/products?page=-1" };
    (void)state;
    assert_has(get("/api/products"), "\"next\":null");
    site_stop(&site);
    site_start_on_store(&site, NULL);    /* an empty cache */
    add_many(110);
    assert_has(get("/api/products"), "\"next\":\"/api/products?page=2\"");
    assert_has_not(site.answer, "Number 110.");
    assert_has(get("/api/products?page=2"), "Number 110.");
    assert_has(site.answer, "\"next\":null");
    assert_has(get("/api/products?page=2&other=1"), "X-Cache: HIT");
    assert_has(get("/api/posts"), "\"next\":\"/api/posts?page=2\"");
    assert_has(get("/api/posts?page=2"), "Number 1.");
    assert_has(get("/products.json"), "\"next\":\"/products.json?page=2\"");
    assert_has(get("/products.json?page=2"), "Number 20.");
    assert_has(site_ask(&site, "GET", "/products?page=2", "Accept: text/html\r\n", ""), "rel=\"next\">More products");
    assert_has(site.answer, "/products.json?page=2");
    assert_has(site_ask(&site, "GET", "/products?page=99", "Accept: text/html\r\n", ""), "404 Not Found");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_has(get(wrong[i]), "page must be a number");
}

static void an_update_leaves_other_products_cached(void **state)
{
    (void)state;
    assert_has(get("/product/1"), "Mug");
    assert_has(post("/update-product/2", "{\"price\":1}"), "200 OK");
    const long before = queries();
    assert_has(get("/product/1"), "Mug");
    assert_int_equal(queries(), before);
}

static void a_broken_update_changes_nothing(void **state)
{
    static const char *const broken[] = {
        "", "{", "[]", "null", "\"x\"", "{}", "{\"other\":1}", "{\"price\":\"1\"}", "{\"price\":-1}",
        "{\"price\":1e10}",
        "{\"price\":null}", "{\"name\":\"\"}", "{\"name\":5}", "name=x&price=1"
    };
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_has(post("/update-product/1", broken[i]), "400 Bad Request");
        assert_has(site.answer, "{\"error\":\"");
    }
    assert_has(get("/product/1"), "\"name\":\"Mug\",\"description\":\"Holds what is hot.\",\"price\":12.5}");
    assert_has(post("/update-product/99", "{\"price\":1}"), "404 Not Found");
    assert_has(post("/update-product/x", "{\"price\":1}"), "400 Bad Request");
    assert_has(site_post(&site, "/update-product/1", "Origin: http://evil.example\r\n", "{\"price\":1}"),
               "403 Forbidden");
    assert_has(get("/update-product/1"), "405 Method Not Allowed");
    assert_has(site.answer, "Allow: POST\r\n");
}

/* ---- lookups ----------------------------------------------------------------------------------------------------- */

static void browsers_get_pages_and_programs_json(void **state)
{
    static const char browser[] = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    static const char *const paths[] = { "/products", "/product/1", "/search?q=mug" };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_has(get(paths[i]), "application/json");
        assert_has(site.answer, "Vary: Accept");
        assert_has(site_ask(&site, "GET", paths[i], browser, ""), "text/html");
        assert_has(site.answer, "Vary: Accept");
        assert_has(site.answer, "Mug");
        assert_has(get(paths[i]), "application/json");
    }
    /* One page for all browsers, however they put it. */
    assert_has(site_ask(&site, "GET", "/products", "Accept: text/html\r\n", ""), "X-Cache: HIT");
    assert_has(site_ask(&site, "GET", "/products.json", browser, ""), "application/json");
    assert_has(site_ask(&site, "GET", "/product/1.json", browser, ""), "\"name\":\"Mug\"");
    assert_has(site_ask(&site, "GET", "/search.json?q=mug", browser, ""), "\"count\":1");
    assert_has(site_ask(&site, "GET", "/search", browser, ""), "<input id=\"q\"");
    assert_has(site_ask(&site, "GET", "/product/4711", browser, ""), "<h1>Page not found</h1>");
    assert_has(post("/update-product/1", "{\"name\":\"<b>Cup\"}"), "200 OK");
    assert_has(site_ask(&site, "GET", "/products", browser, ""), "&lt;b&gt;Cup");
}

static void files_that_every_site_is_asked_for_are_there(void **state)
{
    (void)state;
    assert_has(get("/favicon.ico"), "image/svg+xml");
    assert_has(get("/robots.txt"), "Disallow: /admin");
    assert_has(get("/healthz"), "200 OK");
    assert_has(site.answer, "database: answers\ncache: answers\n");
}

static void a_page_tells_a_script_what_the_cache_did(void **state)
{
    (void)state;
    assert_has(get("/"), "Server-Timing: cache;desc=\"MISS\"");
    assert_has(site.answer, "Server-Timing: made;dur=");
    assert_has(get("/"), "Server-Timing: cache;desc=\"HIT\"");
    assert_has(site.answer, "Server-Timing: made;dur=");
    assert_has(site.answer, "Server-Timing: age;desc=\"");
}

static void a_search_says_where_its_answer_is_from(void **state)
{
    (void)state;
    assert_has(get("/search?q=cache"), "\"source\":\"fresh\"");
    assert_has(site.answer, "{\"type\":\"post\",\"title\":\"Why cache at all?\",\"url\":\"/post/1\"}");
    const long before = queries();
    assert_has(get("/search?x=1&q=cache"), "\"source\":\"cache\"");
    assert_int_equal(queries(), before);
    assert_has(get("/search?q=CACHE"), "\"source\":\"fresh\"");
    assert_has(get("/search?q=%22quoted%22%20%25_%5c"), "\"query\":\"\\\"quoted\\\" %_\\\\\",\"count\":0");
    assert_has(get("/search?q=100%25"), "\"count\":0");
    static const char *const bad[] = { "/search", "/search?q=", "/search?q=%ff", "/search?p=x" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_has(get(bad[i]), "400 Bad Request");
    assert_has(post("/new-post", "title=Cache+the+cache&content=c"), "303 See Other");
    assert_has(get("/search?q=cache"), "\"source\":\"fresh\"");
    assert_has(site.answer, "Cache the cache");
}

static void data_says_where_it_is_from_and_follows_its_post(void **state)
{
    (void)state;
    assert_has(post("/new-post", "title=t&content=one+two%0Athree"), "Location: /post/11");
    assert_has(get("/data/11"), "\"source\":\"fresh\"");
    assert_has(site.answer, "\"bytes\":13,\"words\":3,\"lines\":2}");
    assert_has(get("/data/11"), "\"source\":\"cache\"");
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    assert_has(site_post(&site, "/edit-post/11", ada, "title=t&content=one"), "303 See Other");
    assert_has(get("/data/11"), "\"source\":\"fresh\"");
    assert_has(site.answer, "\"words\":1");
    assert_has(site_post(&site, "/delete-post/11", ada, ""), "303 See Other");
    assert_has(get("/data/11"), "404 Not Found");
    assert_has(get("/data/x"), "400 Bad Request");
}

static void a_user_is_told_about_without_secrets(void **state)
{
    (void)state;
    assert_has(get("/user/2"), "{\"id\":2,\"name\":\"ada\",\"joined\":\"20");
    assert_has_not(site.answer, "$y$");
    assert_has(get("/user/2"), "X-Cache: HIT");
    assert_has(get("/user-info/2"), "\"posts\":5");
    const long before = queries();
    assert_has(get("/user-info/2"), "\"posts\":5");
    assert_int_equal(queries(), before);
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    assert_has(site_post(&site, "/new-post", ada, "title=t&content=c"), "303 See Other");
    assert_has(get("/user-info/2"), "\"posts\":6");
}

static void what_is_missing_is_not_found_and_what_is_no_id_is_refused(void **state)
{
    static const char *const kinds[] = {
        "/product/", "/user/", "/user-info/", "/data/", "/api/posts/", "/api/products/"
    };
    static const char *const wrong[] = { "0", "-1", "1x", "x", "", "99999999999999999999", "1/2", "%27" };
    char path[100];
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        (void)snprintf(path, sizeof path, "%s4711", kinds[i]);
        assert_has(get(path), "404 Not Found");
        assert_has(site.answer, "{\"error\":\"there is no ");
        for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++) {
            (void)snprintf(path, sizeof path, "%s%s", kinds[i], wrong[j]);
            assert_has(get(path), "400 Bad Request");
            assert_has(site.answer, "{\"error\":\"");
        }
    }
}

/* ---- the API ----------------------------------------------------------------------------------------------------- */

static void the_api_is_cached_and_follows_every_change(void **state)
{
    (void)state;
    assert_has(get("/api/posts"), "X-Cache: MISS");
    assert_has(site.answer, "{\"posts\":[{\"id\":10,");
    assert_has(get("/api/posts"), "X-Cache: HIT");
    assert_has(get("/api/posts/4"), "\"title\":\"Naming things\",\"author\":\"grace\"");
    assert_has(site.answer, "\"tags\":[\"basics\",\"keys\"]");
    assert_has(get("/api/posts/4"), "X-Cache: HIT");
    const char *grace = site_log_in(&site, "grace", GRACE_PASSWORD);
    assert_has(site_post(&site, "/edit-post/4", grace, "title=Renamed&content=%22%09%E2%82%AC"), "303 See Other");
    assert_has(get("/api/posts"), "\"title\":\"Renamed\"");
    assert_has(get("/api/posts/4"), "\"content\":\"\\\"\\t\xE2\x82\xAC\"");
    assert_has(site_post(&site, "/delete-post/4", grace, ""), "303 See Other");
    assert_has_not(get("/api/posts"), "Renamed");
    assert_has(get("/api/posts/4"), "404 Not Found");
    assert_has(get("/api/nothing"), "404 Not Found");
    assert_has(post("/api/posts", "{}"), "405 Method Not Allowed");
    assert_has(site_ask(&site, "HEAD", "/api/posts", "", ""), "200 OK");
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

static void statistics_are_told_by_name(void **state)
{
    (void)state;
    warm("/");
    (void)get("/post/1");
    (void)get("/post/1");
    assert_has(get("/cache-stats"), "\"hit_rate\":\"");
    assert_has(site.answer, "\"home\":");
    assert_has(site.answer, "\"get_post\":");
    assert_has(get("/metrics"), "text/plain; version=0.0.4");
    assert_has(site.answer, "# TYPE blog_db_queries_total counter");
    assert_has(site.answer, "name=\"get_post\"");
}

#define json_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        json_test(an_updated_product_is_new_wherever_it_is_shown),
        json_test(lists_go_on_on_a_second_page),
        json_test(an_update_leaves_other_products_cached),
        json_test(a_broken_update_changes_nothing),
        json_test(browsers_get_pages_and_programs_json),
        json_test(files_that_every_site_is_asked_for_are_there),
        json_test(a_page_tells_a_script_what_the_cache_did),
        json_test(a_search_says_where_its_answer_is_from),
        json_test(data_says_where_it_is_from_and_follows_its_post),
        json_test(a_user_is_told_about_without_secrets),
        json_test(what_is_missing_is_not_found_and_what_is_no_id_is_refused),
        json_test(the_api_is_cached_and_follows_every_change),
        json_test(statistics_are_told_by_name),
    };
    site_store_choose(argc, argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    site_store_release();
    return failed;
}
