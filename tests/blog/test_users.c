/* test_users.c - checks that users can log in and out, and that each gets pages of their own. */
#include "test.h"

#include "site.h"

#include <pthread.h>
#include <signal.h>

static struct site site;

static int start(void **state)
{
    static const char *const threads[] = { "--threads", "4", NULL };
    (void)state;
    site_start_on_store(&site, threads);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_stop(&site);
    return 0;
}

static const char *get_as(const char *user, const char *path)
{
    return site_ask(&site, "GET", path, user, "");
}

/* ---- logging in and out ------------------------------------------------------------------------------------------ */

static void a_user_logs_in_and_out(void **state)
{
    (void)state;
    assert_has(get_as("", "/dashboard"), "Location: /login?next=/dashboard");
    assert_has(get_as("", "/login?next=/dashboard"), "name=\"password\"");
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    assert_has(site.answer, "Location: /dashboard");
    assert_has(site.answer, "HttpOnly");
    assert_has(site.answer, "SameSite=Lax");
    assert_has(get_as(ada, "/dashboard"), "Hello, ada");
    assert_has(site.answer, "private");
    assert_has(get_as(ada, "/dashboard"), "X-Cache: HIT");
    assert_has(site_post(&site, "/logout", ada, ""), "Max-Age=0");
    assert_has(get_as(ada, "/dashboard"), "Location: /login");
}

static void a_wrong_password_opens_nothing(void **state)
{
    static const char *const wrong[] = {
        "username=ada&password=wrong", "username=nobody&password=wrong", "username=ada%27--&password=x",
        "username=ADA&password=a+password+for+ada", "username=ada&password=a+password+for+grace",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_has(site_post(&site, "/login", "", wrong[i]), "401 Unauthorized");
        assert_has_not(site.answer, "Set-Cookie");
    }
    static const char *const broken[] = { "", "username=ada", "username=&password=x", "username=ada&password=%00" };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_has(site_post(&site, "/login", "", broken[i]), "400 Bad Request");
}

static void after_ten_failures_a_user_must_wait(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_has(site_post(&site, "/login", "", "username=ada&password=wrong"), "401 Unauthorized");
    assert_has(site_post(&site, "/login", "", "username=ada&password=a+password+for+ada"), "429 Too Many Requests");
    (void)site_log_in(&site, "grace", GRACE_PASSWORD);
}

static void a_login_leads_to_no_other_site(void **state)
{
    static const char *const elsewhere[] = { "//evil.example", "http://evil.example", "/%5Cevil.example", "evil",
                                             "/%0Ax:y" };
    char body[200];
    (void)state;
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        (void)snprintf(body, sizeof body, "username=ada&password=a+password+for+ada&next=%s", elsewhere[i]);
        assert_has(site_post(&site, "/login", "", body), "Location: /dashboard\r\n");
    }
    assert_has(site_post(&site, "/login", "", "username=ada&password=a+password+for+ada&next=/edit-post/1"),
               "Location: /edit-post/1\r\n");
}

static void a_session_outlives_a_restart_and_the_cache(void **state)
{
    static struct site again;
    char db[128];
    (void)state;
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    (void)snprintf(db, sizeof db, "%s/blog.db", site.server.directory);
    assert_int_equal(site_signal_and_wait(&site, SIGTERM), 0);
    const char *const same[] = { "--db", db, NULL };
    site_start(&again, "memory://", same);
    assert_has(site_ask(&again, "GET", "/dashboard", ada, ""), "Hello, ada");
    site_stop(&again);
}

static void a_cookie_that_is_no_session_is_nobodys(void **state)
{
    static const char *const cookies[] = {
        "Cookie: session=\r\n", "Cookie: session=x\r\n", "Cookie: session=' OR 1=1 --\r\n", "Cookie: session\r\n",
        "Cookie: ;;;=;session\r\n", "Cookie: xsession=00000000000000000000000000000000\r\n",
        "Cookie: session=00000000000000000000000000000000\r\n", "Cookie: session=000000000000000000000000000000000\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cookies / sizeof cookies[0]; i++)
        assert_has(get_as(cookies[i], "/dashboard"), "Location: /login");
    char beside[300];
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    (void)snprintf(beside, sizeof beside, "Cookie: theme=dark; %.*s; a=b\r\n", (int)strcspn(ada + 8, "\r"), ada + 8);
    assert_has(get_as(beside, "/dashboard"), "Hello, ada");
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

static void a_dashboard_shows_at_once_what_its_user_did(void **state)
{
    (void)state;
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    (void)get_as(ada, "/dashboard");
    assert_has(get_as(ada, "/dashboard"), "X-Cache: HIT");
    assert_int_equal(count(site.answer, "<li>Logged in "), 1);
    const char *again = site_log_in(&site, "ada", ADA_PASSWORD);
    assert_int_equal(count(get_as(again, "/dashboard"), "<li>Logged in "), 2);
    assert_int_equal(count(get_as(ada, "/dashboard"), "<li>Logged in "), 2);
}

/* ---- pages of their own ------------------------------------------------------------------------------------------ */

struct reader {
    const char *name, *header;
    struct site *site;                 /* with an answer of its own */
    size_t wrong, hits;
};

enum { READERS = 6, READINGS = 150 };

static void *read_dashboard(void *arg)
{
    struct reader *reader = arg;
    char greeting[40];
    (void)snprintf(greeting, sizeof greeting, "<h1>Hello, %s</h1>", reader->name);
    for (int i = 0; i < READINGS; i++) {
        const char *answer = site_ask(reader->site, "GET", "/dashboard", reader->header, "");
        const bool own = reader->header[0] != '\0' ? strstr(answer, greeting) != NULL
                                                   : strstr(answer, "Hello") == NULL && strstr(answer, " 303 ") != NULL;
        reader->wrong += own ? 0 : 1;
        reader->hits += strstr(answer, "X-Cache: HIT") != NULL;
        if (i % 30 == 0)    /* forgets the user's pages under way */
            (void)site_post(reader->site, "/new-post", reader->header, "title=t&content=c");
    }
    return NULL;
}

static void no_user_ever_gets_anothers_page_under_load(void **state)
{
    struct reader readers[READERS];
    pthread_t threads[READERS];
    (void)state;
    static const char *const names[] = { "ada", "grace", "" };
    static const char *const passwords[] = { ADA_PASSWORD, GRACE_PASSWORD };
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){ names[i % 3], "", test_malloc(sizeof site), 0, 0 };
        if (i % 3 < 2)
            readers[i].header = site_log_in(&site, names[i % 3], passwords[i % 3]);
        memcpy(readers[i].site, &site, sizeof site);
    }
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_dashboard, &readers[i]), 0);
    size_t wrong = 0, hits = 0;
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        wrong += readers[i].wrong;
        hits += readers[i].hits;
        test_free(readers[i].site);
    }
    assert_int_equal(wrong, 0);
    assert_true(hits > 0);
}

static void pages_that_are_for_all_are_shared_by_all(void **state)
{
    (void)state;
    const char *ada = site_log_in(&site, "ada", ADA_PASSWORD);
    (void)get_as(ada, "/");
    assert_has(get_as("", "/"), "X-Cache: HIT");
    assert_has_not(site.answer, "Hello");
}

/* ---- passwords --------------------------------------------------------------------------------------------------- */

static void a_password_that_nobody_gave_is_told_once(void **state)
{
    (void)state;
    FILE *told = NULL;
    char command[500], line[200], first[200] = "", directory[100];
    size_t lines = 0;
    test_directory_make(directory, sizeof directory);
    (void)snprintf(command, sizeof command,
                   "cd '%s' && unset BLOG_ADA_PASSWORD && for i in 1 2; do '%s' --port 0 --db b >out$i & p=$!; "
                   "until [ -s out$i ]; do :; done; kill $p; wait $p; done; cat out1 out2", directory, site_program());
    told = popen(command, "r");
    assert_non_null(told);
    while (fgets(line, sizeof line, told) != NULL) {
        if (strncmp(line, "Log in as ada with the password ", 32) == 0)
            (void)snprintf(first, sizeof first, "%s", line);
        lines++;
    }
    assert_int_equal(pclose(told), 0);
    assert_int_equal(lines, 3);    /* two addresses, one password */
    assert_true(strspn(first + 32, "abcdefghijkmnpqrstuvwxyz23456789") == 16);
    test_directory_remove(directory);
}

#define user_test(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        user_test(a_user_logs_in_and_out),
        user_test(a_wrong_password_opens_nothing),
        user_test(after_ten_failures_a_user_must_wait),
        user_test(a_login_leads_to_no_other_site),
        user_test(a_session_outlives_a_restart_and_the_cache),
        user_test(a_cookie_that_is_no_session_is_nobodys),
        user_test(a_dashboard_shows_at_once_what_its_user_did),
        user_test(no_user_ever_gets_anothers_page_under_load),
        user_test(pages_that_are_for_all_are_shared_by_all),
        user_test(a_password_that_nobody_gave_is_told_once),
    };
    site_store_choose(argc, argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    site_store_release();
    return failed;
}
