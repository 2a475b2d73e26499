/* test_database.c - checks the blog's database: one that an older blog made, a file that is not a database, and one
 * that existed before. */
#include "test.h"

#include "site.h"

#include <signal.h>
#include <sqlite3.h>

static struct site site;
static char directory[64], file[96];

static int start(void **state)
{
    (void)state;
    test_directory_make(directory, sizeof directory);
    (void)snprintf(file, sizeof file, "%s/b.db", directory);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (site.server.pid > 0)
        site_stop(&site);
    test_directory_remove(directory);
    return 0;
}

static void start_site(void)
{
    const char *const same[] = { "--db", file, NULL };
    site_start(&site, "memory://", same);
}

static void make_database(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_database_from_before_there_were_users_is_taken_over(void **state)
{
    (void)state;
    make_database(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, content TEXT NOT NULL,"
        " created TEXT NOT NULL DEFAULT (datetime('now')), views INTEGER NOT NULL DEFAULT 0);"
        "INSERT INTO posts (title, content, views) VALUES ('From long ago', 'words', 7)");
    start_site();
    assert_has(site_get(&site, "/popular"), "7 views");
    assert_has(site_get(&site, "/post/1"), "From long ago");
    assert_has(site_get(&site, "/post/2"), "404 Not Found");
    assert_has(site_get(&site, "/products"), "Mug");
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    assert_has(site_post(&site, "/edit-post/1", ada, "title=Brought+up+to+date&content=c&tags=x"), "303 See Other");
    assert_has(site_get(&site, "/tag/x"), "Brought up to date");
}

static void what_was_written_is_there_after_a_restart_and_no_samples_come_back(void **state)
{
    (void)state;
    start_site();
    const char *admin = site_log_in(&site, "admin", ADMIN_PASSWORD);
    assert_has(site_post(&site, "/new-post", admin, "title=Kept&content=c"), "Location: /post/11");
    assert_has(site_post(&site, "/delete-post/1", admin, ""), "303 See Other");
    assert_has(site_get(&site, "/post/2"), "200 OK");
    assert_int_equal(site_signal_and_wait(&site, SIGTERM), 0);
    site_stop(&site);
    start_site();
    assert_has(site_get(&site, "/post/11"), "Kept");
    assert_has(site_get(&site, "/post/1"), "404 Not Found");
    assert_has(site_get(&site, "/post/12"), "404 Not Found");
    assert_has(site_post(&site, "/new-post", admin, "title=Next&content=c"), "Location: /post/12");
    assert_has(site_get(&site, "/popular"), "1 view<");    /* the reading of post 2 was written before the end */
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
    static const char text[] = "This is a letter, and no database, however long it may be: it says nothing of pages.";
    char command[300], read[sizeof text] = "";
    (void)state;
    FILE *letter = fopen(file, "w");
    assert_non_null(letter);
    assert_int_equal(fwrite(text, 1, sizeof text, letter), sizeof text);
    fclose(letter);
    (void)snprintf(command, sizeof command, "'%s' --port 0 --db '%s' 2>/dev/null", site_program(), file);
    FILE *told = popen(command, "r");
    assert_non_null(told);
    assert_int_equal(fgetc(told), EOF);    /* no address: it does not serve */
    assert_int_not_equal(pclose(told), 0);
    letter = fopen(file, "r");
    assert_non_null(letter);
    assert_int_equal(fread(read, 1, sizeof read, letter), sizeof read);
    fclose(letter);
    assert_memory_equal(read, text, sizeof text);
}

#define database_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        database_test(a_database_from_before_there_were_users_is_taken_over),
        database_test(what_was_written_is_there_after_a_restart_and_no_samples_come_back),
        database_test(a_file_that_is_no_database_is_refused_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
