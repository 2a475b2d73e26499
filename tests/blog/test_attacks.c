/* test_attacks.c - attacks the blog over HTTP: what a visitor with bad intentions sends, and what it must not do.
 * test_http.c sends requests that are not HTTP; test_posts.c checks what scripts and other sites try. */
#include "test.h"

#include "site.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct site site;

static void start_with(const char *cache_url, const char *const extra[])
{
    site_start(&site, cache_url, extra);
}

static int start(void **state)
{
    (void)state;
    start_with("memory://", NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    setenv("BLOG_PASSWORD_COST", "1", 1);
    site_stop(&site);
    return 0;
}

static const char *get(const char *path)
{
    return site_get(&site, path);
}

static const char *get_with(const char *headers, const char *path)
{
    return site_ask(&site, "GET", path, headers, "");
}

static const char *post(const char *headers, const char *path, const char *body)
{
    return site_post(&site, path, headers, body);
}

/* Run statements on the blog's database, beside the blog. */
static void change_database(const char *sql)
{
    char file[128];
    sqlite3 *db = NULL;
    (void)snprintf(file, sizeof file, "%s/blog.db", site.server.directory);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* ---- guessing passwords ------------------------------------------------------------------------------------------ */

static void fail_to_log_in(const char *headers, const char *name, int times)
{
    char body[100];
    (void)snprintf(body, sizeof body, "username=%s&password=wrong", name);
    for (int i = 0; i < times; i++)
        assert_has(post(headers, "/login", body), "401 Unauthorized");
}

static const char right[] = "username=ada&password=a+password+for+ada";

static void wrong_passwords_stay_counted_whatever_the_cache_forgets(void **state)
{
    (void)state;
    const char *admin = site_log_in(&site, "admin", ADMIN_PASSWORD);
    fail_to_log_in("", "ada", 5);
    assert_has(post(admin, "/admin/clear", "all=yes"), "303 See Other");
    fail_to_log_in("", "ada", 5);
    assert_has(post(admin, "/admin/clear", "all=yes"), "303 See Other");
    assert_has(post("", "/login", right), "429 Too Many Requests");
}

static void without_a_cache_guesses_are_counted_too(void **state)
{
    (void)state;
    start_with("null://", NULL);
    fail_to_log_in("", "ada", 10);
    assert_has(post("", "/login", right), "429 Too Many Requests");
}

static void a_login_that_cannot_be_counted_is_refused(void **state)
{
    (void)state;
    change_database("DROP TABLE attempts");
    assert_has(post("", "/login", "username=ada&password=wrong"), "500 Internal Server Error");
    assert_has(post("", "/login", right), "500 Internal Server Error");
    assert_has_not(site.answer, "Set-Cookie");
    assert_has(get("/"), "200 OK");
}

static void strangers_do_not_lock_an_owner_out(void **state)
{
    static const char *const proxied[] = { "--behind-proxy", NULL };
    (void)state;
    start_with("memory://", proxied);
    fail_to_log_in("X-Forwarded-For: 10.0.0.2, 10.0.0.1\r\n", "ada", 10);
    /* The last address is the proxy's word; those before it are the client's own, and count for nothing. */
    assert_has(post("X-Forwarded-For: 10.0.0.3, 10.0.0.1\r\n", "/login", right), "429 Too Many Requests");
    assert_has(post("X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "/login", right), "303 See Other");
    /* Who has one address of an IPv6 network has them all. */
    fail_to_log_in("X-Forwarded-For: 2001:db8::1\r\n", "grace", 10);
    assert_has(post("X-Forwarded-For: 2001:db8::2\r\n", "/login", "username=grace&password=a+password+for+grace"),
               "429 Too Many Requests");
}

static void an_address_cannot_try_one_password_with_every_name(void **state)
{
    char body[60];
    (void)state;
    for (int i = 0; i < 3; i++)
        (void)site_log_in(&site, "grace", GRACE_PASSWORD);    /* which does not count */
    for (int i = 0; i < 100; i++) {
        (void)snprintf(body, sizeof body, "username=user%d&password=123456", i);
        assert_has(post("", "/login", body), "401 Unauthorized");
    }
    assert_has(post("", "/login", right), "429 Too Many Requests");
}

static void many_logins_at_once_hold_up_nobody_else(void **state)
{
    enum { LOGINS = 60, AT_MOST = 2 + 16 + 2 };
    static const char request[] = "POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 27\r\n\r\n"
                                  "username=nobody&password=xx";
    int fds[LOGINS], busy = 0, wrong = 0;
    (void)state;
    setenv("BLOG_PASSWORD_COST", "7", 1);
    start_with("memory://", NULL);
    for (int i = 0; i < LOGINS; i++)
        site_say(fds[i] = site_connect(&site), request);
    assert_has(get("/style.css"), "200 OK");
    for (int i = 0; i < LOGINS; i++) {
        const char *answer = site_read_all(&site, fds[i]);
        wrong += strstr(answer, " 401 ") != NULL || strstr(answer, " 429 ") != NULL;
        busy += strstr(answer, " 503 ") != NULL && strstr(answer, "Retry-After: ") != NULL;
    }
    assert_int_equal(busy + wrong, LOGINS);
    assert_in_range(wrong, 2, AT_MOST);
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static void a_session_in_the_database_is_no_cookie(void **state)
{
    char sql[200];
    (void)state;
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    const char *token = strstr(ada, "session=") + 8;
    (void)snprintf(sql, sizeof sql, "CREATE TABLE seen AS SELECT 1 FROM sessions WHERE token = '%.32s'", token);
    change_database(sql);
    change_database("INSERT INTO posts (title, content) SELECT 'Seen it', 'x' FROM seen");
    assert_has_not(get("/"), "Seen it");
    assert_has(get_with(ada, "/dashboard"), "200 OK");
}

static void a_login_gives_another_session_than_the_one_that_was_planted(void **state)
{
    static const char planted[] = "Cookie: session=0123456789abcdef0123456789abcdef\r\n";
    (void)state;
    assert_has(post(planted, "/login", right), "Set-Cookie: session=");
    assert_has_not(site.answer, "0123456789abcdef0123456789abcdef");
    assert_has(get_with(planted, "/dashboard"), "Location: /login");
}

static void a_next_that_no_header_can_hold_leads_to_the_dashboard(void **state)
{
    static const char *const nexts[] = { "/%01", "/a%1b", "/%7f", "/%c2%85", "/%e2%80%ae", "/%0d%0aX:y", "/%ff" };
    char body[200];
    (void)state;
    for (size_t i = 0; i < sizeof nexts / sizeof nexts[0]; i++) {
        (void)snprintf(body, sizeof body, "%s&next=%s", right, nexts[i]);
        assert_has(post("", "/login", body), "303 See Other");
        assert_has(site.answer, "Location: /dashboard\r\n");
        assert_has(site.answer, "Set-Cookie: session=");
    }
}

static void behind_tls_the_cookie_is_secure(void **state)
{
    static const char *const proxied[] = { "--behind-proxy", NULL };
    (void)state;
    start_with("memory://", proxied);
    assert_has(post("X-Forwarded-Proto: https\r\n", "/login", right), "; Secure");
    assert_has_not(post("X-Forwarded-Proto: http\r\n", "/login", right), "; Secure");
}

/* ---- work that does not end -------------------------------------------------------------------------------------- */

/* In place of the products stands a list that never comes to its end. */
static void make_an_endless_list(void)
{
    change_database("DROP TABLE products;"
                    "CREATE VIEW products AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                    "SELECT i AS id, 'x' AS name, 'y' AS description, 1 AS cents FROM n WHERE i < 0;"
                    "CREATE TRIGGER products_text_add INSTEAD OF INSERT ON products BEGIN SELECT 1; END;"
                    "CREATE TRIGGER products_text_change INSTEAD OF UPDATE ON products BEGIN SELECT 1; END;");
}

static void a_question_that_takes_too_long_is_given_up(void **state)
{
    (void)state;
    make_an_endless_list();
    const int fd = site_connect(&site);
    site_say(fd, "GET /products HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 20; i++) {    /* neither readers nor a writer wait for it */
        assert_has(get("/post/1"), "200 OK");
        assert_has(post("", "/new-post", "title=Meanwhile&content=c"), "303 See Other");
    }
    assert_has(site_read_all(&site, fd), "503 Service Unavailable");
}

static void the_end_does_not_wait_for_a_question(void **state)
{
    struct timespec begun, ended;
    (void)state;
    make_an_endless_list();
    const long queries = number_behind(get("/cache-stats"), "\"db_queries\":");
    const int fd = site_connect(&site);
    site_say(fd, "GET /products HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    while (number_behind(get("/cache-stats"), "\"db_queries\":") == queries)
        continue;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    assert_int_equal(site_signal_and_wait(&site, SIGTERM), 0);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true((ended.tv_sec - begun.tv_sec) * 1000 + (ended.tv_nsec - begun.tv_nsec) / 1000000 < 1500);
    close(fd);
}

static void a_search_finds_words_however_many_letters_it_has(void **state)
{
    char path[300] = "/search?q=";
    (void)state;
    assert_has(get("/search?q=two+hard+thin"), "Why cache at all?");
    assert_has(get("/search?q=CACHES+caf%C3%A9"), "\"count\":0");
    assert_has(get("/search?q=%22+OR+*+NEAR(a+NOT+title:x"), "200 OK");
    memset(path + 10, 'a', 200);
    assert_has(get(path), "\"count\":0");
    change_database("INSERT INTO posts (title, content) VALUES ('Caf\xC3\xA9', 'x')");
    assert_has(get("/search?q=CAFE"), "\"count\":1");
}

static void random_questions_do_not_fill_the_memory(void **state)
{
    char path[64];
    (void)state;
    start_with("memory://?max_bytes=1mb", NULL);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(path, sizeof path, "/search?q=%dxxxxxxxxxxxxxxxxxxxxxxxxxx", i);
        assert_has(get(path), "200 OK");
    }
    assert_true(number_behind(get("/cache-stats"), "\"bytes\":") <= 1024 * 1024);
}

static void an_address_posts_so_often_and_not_more(void **state)
{
    static const char *const three[] = { "--post-limit", "3", NULL };
    (void)state;
    start_with("memory://", three);
    for (int i = 0; i < 3; i++)
        assert_has(post("", "/new-post", "title=t&content=c"), "303 See Other");
    assert_has(post("", "/new-post", "title=t&content=kept"), "429 Too Many Requests");
    assert_has(site.answer, "kept");
    assert_has(post("", "/update-product/1", "{\"price\":1}"), "429 Too Many Requests");
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    assert_has(post(ada, "/new-post", "title=t&content=c"), "303 See Other");
}

/* A link that is defined once and used a thousand times repeats its address a thousand times. */
static void write_bomb(char *text, const char *blank)
{
    char *at = text + sprintf(text, "[x]:%shttp://x/", blank);
    memset(at, 'a', 4000);
    at += 4000;
    at += sprintf(at, "%s", blank[0] == ' ' ? "\n\n" : "%0A%0A");
    for (int i = 0; i < 1200; i++)
        at += sprintf(at, "[x]%s", blank);
}

static void a_short_post_does_not_become_a_long_page(void **state)
{
    static char body[20000], sql[20000];
    (void)state;
    const int head = sprintf(body, "title=t&content=");
    write_bomb(body + head, "+");
    assert_has(post("", "/new-post", body), "400 Bad Request");
    /* One that is in the database already is shown as it was typed. */
    const int begin = sprintf(sql, "INSERT INTO posts (title, content) VALUES ('Bomb', '");
    write_bomb(sql + begin, " ");
    strcat(sql, "')");
    change_database(sql);
    assert_has(get("/post/11"), "[x] [x]");
    assert_true(number_behind(site.answer, "Content-Length: ") < 50000);
}

static void an_address_holds_so_many_connections_and_not_more(void **state)
{
    static const char *const five[] = { "--per-address", "5", NULL };
    char byte;
    int fds[5];
    (void)state;
    start_with("memory://", five);
    for (int i = 0; i < 5; i++) {
        fds[i] = site_connect(&site);
        site_say(fds[i], "GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(recv(fds[i], &byte, 1, 0), 1);    /* so that the server has taken it */
    }
    const int sixth = site_connect(&site);
    site_say(sixth, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(site_read_all(&site, sixth), "");
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    while (strstr(get("/"), "200 OK") == NULL)
        continue;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void parameters_and_cookies_have_a_number_that_is_told(void **state)
{
    static char text[16000];
    static const int numbers[] = { 101, 250, 1300 };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *at = text + sprintf(text, "/?");
        for (int n = 0; n < numbers[i]; n++)
            at += sprintf(at, "a&");
        assert_has(get(text), "HTTP/1.1 414 ");
    }
    static const int cookies[] = { 51, 400, 1500, 3000 };
    for (size_t i = 0; i < 4; i++) {
        char *at = text + sprintf(text, "Cookie: a=");
        for (int n = 0; n < cookies[i]; n++)
            at += sprintf(at, "; a=");
        strcpy(at, "\r\n");
        assert_has(get_with(text, "/"), "HTTP/1.1 431 ");
    }
    assert_has(get("/?a=1&b=2"), "200 OK");
    assert_has(get_with("Cookie: a=1; b=2\r\n", "/"), "200 OK");
}

static void every_response_forbids_guessing_its_type(void **state)
{
    static const char *const paths[] = {
        "/", "/post/1", "/nothing", "/style.css", "/icon.svg", "/products", "/search?q=x", "/search", "/api/posts",
        "/metrics", "/cache-stats", "/login", "/dashboard", "/weather/Oslo", "/user/1", "/%00",
    };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        for (int time = 0; time < 2; time++)    /* from the cache too */
            assert_has(get(paths[i]), "X-Content-Type-Options: nosniff\r\n");
    assert_has(site_ask(&site, "DELETE", "/", "", ""), "X-Content-Type-Options: nosniff\r\n");
    assert_has(post("", "/new-post", "title=t&content=c"), "X-Content-Type-Options: nosniff\r\n");
}

static void the_host_that_a_client_claims_is_on_no_page(void **state)
{
    static const char claims[] = "X-Forwarded-Host: evil.example\r\nX-Host: evil.example\r\nX-Original-URL: /admin\r\n"
                                 "X-Rewrite-URL: /admin\r\nForwarded: host=evil.example\r\n";
    static const char *const paths[] = { "/", "/popular", "/post/1", "/login", "/products" };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_has_not(get_with(claims, paths[i]), "evil");
        assert_has_not(get(paths[i]), "evil");
        (void)site_talk(&site, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert_has_not(site.answer, "evil");
    }
    assert_has_not(get_with(claims, "/dashboard"), "evil");
}

static void a_users_page_is_not_kept_under_a_files_name(void **state)
{
    static const char *const names[] = { "/dashboard/x.css", "/dashboard%2fx.css", "/dashboard;x.css", "/dashboard.css",
                                         "/dashboard%00.css", "/admin/x.js", "/dashboard/" };
    (void)state;
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_has_not(get_with(ada, names[i]), "Hello, ada");
        assert_has_not(get(names[i]), "ada");
    }
    assert_has(get_with(ada, "/dashboard?x.css"), "Hello, ada");
    assert_has_not(get("/dashboard?x.css"), "ada");
}

static void no_address_becomes_a_header(void **state)
{
    static const char *const paths[] = {
        "/author/a%0d%0aX-Evil:%20y", "/tag/a%0d%0aX-Evil:%20y", "/weather/a%0d%0aX-Evil:%20y",
        "/search?q=a%0d%0aX-Evil:%20y", "/edit-post/1%0d%0aX-Evil:%20y", "/login?next=/%0d%0aX-Evil:%20y",
        "/%0d%0aX-Evil:%20y", "/?%0d%0aX-Evil:%20y",
    };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_has_not(get(paths[i]), "\nX-Evil:");
}

static void sql_is_text(void **state)
{
    static const char *const paths[] = {
        "/author/ada'--", "/author/x'%20OR%20'1'='1", "/tag/x'%20OR%201=1--", "/search?q='%20UNION%20SELECT%201,2,3--",
        "/post/1%20OR%201=1", "/user/1;DROP%20TABLE%20users", "/data/1'", "/product/1%20UNION%20SELECT%201",
    };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_has_not(get(paths[i]), "$y$");
        assert_has_not(site.answer, "200 OK\r\nContent-Type: text/html");
        assert_has_not(site.answer, " 500 ");
    }
    assert_has(post("", "/new-post", "title='),('x','y')--&content='&tags=x"), "303 See Other");
    assert_has(get("/post/11"), "&#39;),(&#39;x&#39;");
    assert_has(get("/post/12"), "404 Not Found");
}

/* ---- letters ----------------------------------------------------------------------------------------------------- */

static void letters_that_turn_the_line_round_are_refused(void **state)
{
    static const char *const hidden[] = { "%e2%80%ae", "%e2%81%a6", "%e2%80%8f", "%d8%9c", "%c2%9b", "%1b",
                                          "%e2%80%a8" };
    char body[200];
    (void)state;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        (void)snprintf(body, sizeof body, "title=txt.%sexe&content=c", hidden[i]);
        assert_has(post("", "/new-post", body), "400 Bad Request");
        (void)snprintf(body, sizeof body, "title=t&content=c&tags=a%sb", hidden[i]);
        assert_has(post("", "/new-post", body), "400 Bad Request");
    }
    assert_has(post("", "/new-post", "title=%D7%A9%D7%9C%D7%95%D7%9D+%E2%80%93+%F0%9F%98%80&content=c"),
               "303 See Other");
}

static void a_product_is_utf8_or_refused(void **state)
{
    static const char *const names[] = { "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf", "a\x1b[31m", "\xE2\x80\xAE" };
    char body[100];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(body, sizeof body, "{\"name\":\"%s\"}", names[i]);
        assert_has(post("", "/update-product/1", body), "400 Bad Request");
        (void)snprintf(body, sizeof body, "{\"description\":\"%s\"}", names[i]);
        assert_has(post("", "/update-product/1", body), "400 Bad Request");
    }
    assert_has(get("/product/1"), "\"name\":\"Mug\"");
}

#define attack(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define attack_on_another_site(name) cmocka_unit_test_teardown(name, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        attack(wrong_passwords_stay_counted_whatever_the_cache_forgets),
        attack_on_another_site(without_a_cache_guesses_are_counted_too),
        attack(a_login_that_cannot_be_counted_is_refused),
        attack_on_another_site(strangers_do_not_lock_an_owner_out),
        attack(an_address_cannot_try_one_password_with_every_name),
        attack_on_another_site(many_logins_at_once_hold_up_nobody_else),
        attack(a_session_in_the_database_is_no_cookie),
        attack(a_login_gives_another_session_than_the_one_that_was_planted),
        attack(a_next_that_no_header_can_hold_leads_to_the_dashboard),
        attack_on_another_site(behind_tls_the_cookie_is_secure),
        attack(a_question_that_takes_too_long_is_given_up),
        attack(the_end_does_not_wait_for_a_question),
        attack(a_search_finds_words_however_many_letters_it_has),
        attack_on_another_site(random_questions_do_not_fill_the_memory),
        attack_on_another_site(an_address_posts_so_often_and_not_more),
        attack(a_short_post_does_not_become_a_long_page),
        attack_on_another_site(an_address_holds_so_many_connections_and_not_more),
        attack(parameters_and_cookies_have_a_number_that_is_told),
        attack(every_response_forbids_guessing_its_type),
        attack(the_host_that_a_client_claims_is_on_no_page),
        attack(a_users_page_is_not_kept_under_a_files_name),
        attack(no_address_becomes_a_header),
        attack(sql_is_text),
        attack(letters_that_turn_the_line_round_are_refused),
        attack(a_product_is_utf8_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
