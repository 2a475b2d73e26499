/* test_operating.c - checks the blog as its operator sees it: logs, signals, health, and the names that dashboards and
 * alerts use. */
#include "test.h"

#include "site.h"

#include <ctype.h>
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

static struct site site;
static char directory[64], log_file[96], access_file[96];

static int start(void **state)
{
    (void)state;
    test_directory_make(directory, sizeof directory);
    (void)snprintf(log_file, sizeof log_file, "%s/log", directory);
    (void)snprintf(access_file, sizeof access_file, "%s/access", directory);
    const char *const logs[] = { "--log", log_file, "--access-log", access_file, NULL };
    site_start(&site, "memory://", logs);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    test_directory_remove(directory);
    return 0;
}

/* The file's text, to be freed; "" if there is none. */
static char *read_file(const char *file)
{
    FILE *in = fopen(file, "r");
    char *text = test_malloc(256 * 1024);
    const size_t size = in != NULL ? fread(text, 1, 256 * 1024 - 1, in) : 0;
    text[size] = '\0';
    if (in != NULL)
        fclose(in);
    return text;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

static void break_database(const char *sql)
{
    char file[128];
    sqlite3 *db = NULL;
    (void)snprintf(file, sizeof file, "%s/blog.db", site.server.directory);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static void a_failure_is_logged_with_time_and_level(void **state)
{
    (void)state;
    break_database("DROP TABLE products");
    assert_has(site_get(&site, "/products"), "500 Internal Server Error");
    assert_has(site.answer, "<h1>Something went wrong</h1>");
    assert_has_not(site.answer, "SELECT");
    char *text = read_file(log_file);
    unsigned year, month, day, hour, minute;
    double second;
    char rest[100];
    assert_int_equal(sscanf(text, "%4u-%2u-%2uT%2u:%2u:%lfZ %99[^\n]", &year, &month, &day, &hour, &minute, &second,
                            rest), 7);
    assert_has(rest, "blog: error: database: no such table: products");
    assert_has(text, "GET /products");
    test_free(text);
}

static void what_repeats_is_left_out(void **state)
{
    (void)state;
    break_database("DROP TABLE products");
    for (int i = 0; i < 100; i++)
        assert_has(site_get(&site, "/products"), "500 Internal Server Error");
    char *text = read_file(log_file);
    assert_in_range(count(text, "\n"), 2, 20);
    test_free(text);
}

static void a_visitor_writes_no_line_of_his_own(void **state)
{
    (void)state;
    break_database("DROP TABLE users");
    assert_has(site_get(&site, "/author/x%0a2030-01-01T00:00:00.000Z%20blog:%20error:%20forged"), "500 ");
    char *text = read_file(log_file);
    assert_has(text, "forged");
    assert_has_not(text, "\n2030");
    test_free(text);
}

static void logs_that_were_moved_away_begin_anew(void **state)
{
    char old_log[100], old_access[100], *text = NULL;
    (void)state;
    (void)snprintf(old_log, sizeof old_log, "%s.1", log_file);
    (void)snprintf(old_access, sizeof old_access, "%s.1", access_file);
    (void)site_get(&site, "/before");
    assert_int_equal(rename(log_file, old_log), 0);
    assert_int_equal(rename(access_file, old_access), 0);
    assert_int_equal(kill(site.server.pid, SIGHUP), 0);
    while (access(log_file, F_OK) != 0 || access(access_file, F_OK) != 0)
        continue;
    break_database("DROP TABLE products");
    (void)site_get(&site, "/products");
    text = read_file(log_file);
    assert_has(text, "no such table");
    test_free(text);
    assert_int_equal(site_signal_and_wait(&site, SIGTERM), 0);
    text = read_file(access_file);
    assert_has(text, "GET /products 500");
    assert_has_not(text, "/before");
    test_free(text);
    text = read_file(old_access);
    assert_has(text, "GET /before 404");
    test_free(text);
}

/* ---- health ------------------------------------------------------------------------------------------------------ */

static void health_is_the_databases(void **state)
{
    (void)state;
    assert_has(site_get(&site, "/healthz"), "200 OK");
    assert_has(site.answer, "database: answers\ncache: answers\n");
    break_database("PRAGMA foreign_keys = OFF; DROP TABLE posts");
    assert_has(site_get(&site, "/healthz"), "503 Service Unavailable");
    assert_has(site.answer, "database: failed\n");
}

static void a_cache_that_is_away_takes_no_blog_out_of_service(void **state)
{
    char url[60];
    (void)state;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", test_free_port());
    site_start(&site, url, NULL);
    assert_has(site_get(&site, "/healthz"), "200 OK");
    assert_has(site.answer, "cache: away");
    site_stop(&site);
}

static void the_version_is_told(void **state)
{
    char command[300], line[100] = "";
    (void)state;
    (void)snprintf(command, sizeof command, "'%s' --version", site_program());
    FILE *told = popen(command, "r");
    assert_non_null(told);
    assert_non_null(fgets(line, sizeof line, told));
    assert_int_equal(pclose(told), 0);
    assert_int_equal(strncmp(line, "blog 0.", 7), 0);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Every libcache_… and blog_… in the file is a metric that the blog has. Returns how many there are. */
static size_t assert_metrics_exist(const char *file, const char *metrics)
{
    char *text = read_file(file), name[100];
    size_t n = 0;
    for (const char *at = text; *at != '\0'; at++) {
        const bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
        const size_t size = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        if (!begins || (strncmp(at, "libcache_", 9) != 0 && strncmp(at, "blog_", 5) != 0))
            continue;
        (void)snprintf(name, sizeof name, "\n%.*s", (int)size, at);
        const char *found = strstr(metrics, name);
        if (found == NULL || strchr("{ ", found[strlen(name)]) == NULL)
            fail_msg("%s: there is no metric '%s'", file, name + 1);
        n++;
    }
    test_free(text);
    return n;
}

static void dashboards_and_alerts_ask_for_what_there_is(void **state)
{
    (void)state;
    (void)site_get(&site, "/");
    const char *metrics = site_get(&site, "/metrics");
    assert_true(assert_metrics_exist(EXAMPLES "/grafana.json", metrics) > 20);
    assert_true(assert_metrics_exist(EXAMPLES "/prometheus-alerts.yml", metrics) > 5);
}

#define operating_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        operating_test(a_failure_is_logged_with_time_and_level),
        operating_test(what_repeats_is_left_out),
        operating_test(a_visitor_writes_no_line_of_his_own),
        operating_test(logs_that_were_moved_away_begin_anew),
        operating_test(health_is_the_databases),
        cmocka_unit_test(a_cache_that_is_away_takes_no_blog_out_of_service),
        cmocka_unit_test(the_version_is_told),
        operating_test(dashboards_and_alerts_ask_for_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
