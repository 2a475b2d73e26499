/* test_view_share.c - checks which clients share a page, and which wait for each other. */
#include "site.h"

/* ---- one handler a key ------------------------------------------------------------------------------------------- */

static void a_cold_page_is_made_once_for_32_threads(void **state)
{
    struct site site;
    struct visitor visitors[SITE_VISITORS];
    for (int with_lock = 0; with_lock < 2; with_lock++) {
        site_open(&site, state);
        site.view.lock = with_lock != 0;
        site_visit(&site, visitors, SITE_VISITORS);
        assert_int_equal(site.runs, 1);
        for (int i = 0; i < SITE_VISITORS; i++)
            assert_string_equal(visitors[i].body, "/p run 1");
        site_close(&site);
    }
}

struct crowd_of {
    struct site *site;
    struct visitor visitors[8];
};

static void *visit_as_a_process(void *arg)
{
    struct crowd_of *crowd = arg;
    site_visit(crowd->site, crowd->visitors, 8);
    return NULL;
}

static void with_lock_a_cold_page_is_made_once_by_all_processes(void **state)
{
    struct site sites[2];
    struct crowd_of crowds[2] = { { .site = &sites[0] }, { .site = &sites[1] } };
    pthread_t thread;
    if (!test_store_is_shared(state))
        return;
    site_open(&sites[0], state);
    site_init(&sites[1]);
    sites[1].cache = test_store_open_again(state, &sites[1].config);
    sites[0].view.lock = sites[1].view.lock = true;
    assert_int_equal(pthread_create(&thread, NULL, visit_as_a_process, &crowds[0]), 0);
    (void)visit_as_a_process(&crowds[1]);
    pthread_join(thread, NULL);
    assert_int_equal(sites[0].runs + sites[1].runs, 1);
    for (int i = 0; i < 16; i++)
        assert_string_equal(crowds[i / 8].visitors[i % 8].body, "/p run 1");
    site_close(&sites[0]);
    site_close(&sites[1]);
}

/* The handler of each of the `inside_ctx` requests waits until all of them are in it. */
static atomic_int inside, gave_up;

static void meet(struct site *site, const cache_request *request, cache_response *response)
{
    (void)request, (void)response;
    atomic_fetch_add(&inside, 1);
    if (!site_wait_for(&inside, *(const int *)site->inside_ctx))
        atomic_store(&gave_up, 1);
}

static void requests_of_a_page_that_is_not_stored_do_not_wait_for_each_other(void **state)
{
    struct site site;
    struct visitor visitors[SITE_VISITORS];
    int n = 8;
    for (int with_lock = 0; with_lock < 2; with_lock++) {
        site_open(&site, state);
        site.view.lock = with_lock != 0;
        site.personal = true;
        assert_get(&site, "MISS", "/p run 1");    /* tells what kind of page it is */
        atomic_store(&inside, 0);
        site.inside = meet;
        site.inside_ctx = &n;
        site_visit(&site, visitors, (unsigned)n);
        assert_int_equal(atomic_load(&gave_up), 0);
        assert_int_equal(site.runs, 1 + n);
        site_close(&site);
    }
}

static void ten_seconds_later_they_would_wait_again(void **state)
{
    struct site site;
    struct visitor visitors[SITE_VISITORS];
    site_open(&site, state);
    site.personal = true;
    assert_get(&site, "MISS", "/p run 1");
    site.personal = false;
    site_pass(&site, 11);
    site_visit(&site, visitors, 8);
    assert_int_equal(site.runs, 2);
    site_close(&site);
}

static void a_page_that_may_be_stored_again_ends_that_at_once(void **state)
{
    struct site site;
    struct visitor visitors[SITE_VISITORS];
    site_open(&site, state);
    site.personal = true;
    assert_get(&site, "MISS", "/p run 1");
    site.personal = false;
    assert_get(&site, "MISS", "/p run 2");
    assert_get(&site, "HIT", "/p run 2");
    assert_status(CACHE_OK, cache_delete(site.cache, "view//p"));
    site_visit(&site, visitors, 8);
    assert_int_equal(site.runs, 3);
    site_close(&site);
}

/* ---- one response a request -------------------------------------------------------------------------------------- */

static void each_of_16_threads_gets_the_cookie_that_was_made_for_it(void **state)
{
    struct site site;
    struct visitor visitors[SITE_VISITORS];
    site_open(&site, state);
    site.personal = true;
    site_visit(&site, visitors, 16);
    assert_int_equal(site.runs, 16);
    for (int i = 0; i < 16; i++) {
        assert_string_not_equal(visitors[i].cookie, "");
        assert_string_equal(strrchr(visitors[i].body, ' ') + 1, strchr(visitors[i].cookie, '=') + 1);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(visitors[i].cookie, visitors[j].cookie);
    }
    assert_int_equal(cache_has(site.cache, "view//p"), CACHE_MISS);
    site_close(&site);
}

static void each_of_16_threads_gets_a_server_error_of_its_own(void **state)
{
    struct site site;
    struct visitor visitors[SITE_VISITORS];
    site_open(&site, state);
    site.status = 503;
    site_visit(&site, visitors, 16);
    assert_int_equal(site.runs, 16);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(visitors[i].status, CACHE_OK);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(visitors[i].body, visitors[j].body);
    }
    site_close(&site);
}

/* Statuses that the library itself uses between its parts are seen by nobody. */
static void see_status(void *ctx, const cache_event *event)
{
    if (event->status > CACHE_NOT_STORED || event->status < CACHE_ERR_COMPUTE)
        atomic_store((atomic_int *)ctx, 1);
}

static void events_of_pages_that_are_not_stored_have_public_statuses(void **state)
{
    struct site site;
    atomic_int wrong = 0;
    site_init(&site);
    site.config.event = see_status;
    site.config.event_ctx = &wrong;
    site_open_as(&site, state);
    site.personal = true;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "MISS", "/p run 2");
    site.status = 500;
    assert_get(&site, "MISS", "/p run 3");
    assert_int_equal(wrong, 0);
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(site.cache, &counters));
    assert_int_equal(counters.hits, 0);
    assert_int_equal(counters.misses, 3);
    assert_int_equal(counters.computations, 3);
    assert_int_equal(counters.sets, 0);
    site_close(&site);
}

struct found {
    const char *name;
    cache_counters counters;
};

static void find_name(void *ctx, const char *name, const cache_counters *counters)
{
    struct found *found = ctx;
    if (strcmp(name, found->name) == 0)
        found->counters = *counters;
}

static void each_view_is_counted_by_its_name(void **state)
{
    struct site site;
    struct found found = { .name = "front page" };
    site_open(&site, state);
    assert_get(&site, "MISS", "/p run 1");    /* without a name */
    site.view.name = "front page";
    assert_get(&site, "HIT", "/p run 1");
    const cache_request other = { .method = "GET", .path = "/other" };
    assert_request(&site, &other, "MISS", "/other run 2");
    assert_request(&site, &other, "HIT", "/other run 2");
    site.personal = true;
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/mine" }, "MISS", "/mine run 3");
    assert_status(CACHE_OK, cache_stats_names(site.cache, find_name, &found));
    assert_int_equal(found.counters.hits, 2);
    assert_int_equal(found.counters.misses, 2);
    assert_int_equal(found.counters.computations, 2);
    assert_int_equal(found.counters.sets, 1);
    site_close(&site);
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

static void requests_with_credentials_bypass_the_cache(void **state)
{
    struct site site;
    site_open(&site, state);
    struct pair headers[] = { { "Authorization", "Basic eA==" }, { NULL, NULL } };
    const cache_request named = { .method = "GET", .path = "/p", .user = "1" };
    const cache_request authorized = { .method = "GET", .path = "/p", .header = find_pair, .lookup_ctx = headers };
    assert_get(&site, "MISS", "/p run 1");
    assert_request(&site, &named, "BYPASS", "/p run 2");
    assert_request(&site, &authorized, "BYPASS", "/p run 3");
    site.view.vary_user = true;    /* whose the header is, nobody said */
    assert_request(&site, &authorized, "BYPASS", "/p run 4");
    site.view.vary_user = false;
    assert_get(&site, "HIT", "/p run 1");
    site_close(&site);
}

static void vary_user_gives_each_user_a_page(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.vary_user = true;
    const cache_request a = { .method = "GET", .path = "/p", .user = "a" };
    const cache_request b = { .method = "GET", .path = "/p", .user = "b" };
    const cache_request empty = { .method = "GET", .path = "/p", .user = "" };
    assert_request(&site, &a, "MISS", "/p run 1");
    assert_request(&site, &b, "MISS", "/p run 2");
    assert_get(&site, "MISS", "/p run 3");
    assert_request(&site, &empty, "MISS", "/p run 4");
    assert_request(&site, &a, "HIT", "/p run 1");
    assert_request(&site, &b, "HIT", "/p run 2");
    cache_page page = site_serve(&site, &a);
    assert_string_equal(page_header(&page, "Cache-Control"), "private, no-cache");
    assert_string_equal(page_header(&page, "Vary"), "Cookie");
    cache_page_release(&page);
    site_close(&site);
}

static void a_private_page_is_kept_for_a_user_and_not_for_nobody(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.vary_user = true;
    site.headers[0] = (struct pair){ "Cache-Control", "private, max-age=60" };
    const cache_request a = { .method = "GET", .path = "/p", .user = "a" };
    assert_request(&site, &a, "MISS", "/p run 1");
    assert_request(&site, &a, "HIT", "/p run 1");
    assert_get(&site, "MISS", "/p run 2");
    assert_get(&site, "MISS", "/p run 3");
    site_close(&site);
}

static const char *who(const char *user)
{
    return user != NULL ? user : "nobody";
}

static void write_user(struct site *site, const cache_request *request, cache_response *response)
{
    (void)site;
    (void)cache_writer_printf(cache_response_body(response), "for %s", who(request->user));
}

struct crowd {
    struct site *site;
    const char *user;                  /* NULL: nobody */
    int rounds;
    atomic_int *wrong;
};

static void *ask_often(void *arg)
{
    const struct crowd *crowd = arg;
    char expected[32];
    (void)snprintf(expected, sizeof expected, "for %s", who(crowd->user));
    for (int i = 0; i < crowd->rounds; i++) {
        struct site *site = crowd->site;
        const cache_request request = { .method = i % 3 != 0 ? "GET" : "HEAD", .path = "/dashboard",
                                        .user = crowd->user, .query = i % 2 != 0 ? "a=1" : NULL };
        cache_page page;
        if (cache_view_serve(site->cache, &site->view, &request, site_handler, site, &page) != CACHE_OK ||
            page.body_size != strlen(expected) || memcmp(page.body, expected, page.body_size) != 0)
            atomic_fetch_add(crowd->wrong, 1);
        cache_page_release(&page);
        if (i % 10 == 0)
            (void)cache_view_forget_path(site->cache, "/dashboard");
        atomic_fetch_add(&site->now_ms, 7);
    }
    return NULL;
}

static void one_user_never_gets_anothers_page_under_load(void **state)
{
    enum { THREADS = 9 };
    static const char *const users[] = { "ann", "bob", NULL };
    struct site site;
    struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    atomic_int wrong = 0;
    site_open(&site, state);
    site.inside = write_user;
    site.view.vary_user = site.view.query_string = true;
    site.view.ttl = 0.2;
    site.view.stale = 0.2;
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){ &site, users[i % 3], test_store_is_shared(state) ? 100 : 1000, &wrong };
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &crowds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cold_page_is_made_once_for_32_threads),
        cmocka_unit_test(with_lock_a_cold_page_is_made_once_by_all_processes),
        cmocka_unit_test(requests_of_a_page_that_is_not_stored_do_not_wait_for_each_other),
        cmocka_unit_test(ten_seconds_later_they_would_wait_again),
        cmocka_unit_test(a_page_that_may_be_stored_again_ends_that_at_once),
        cmocka_unit_test(each_of_16_threads_gets_the_cookie_that_was_made_for_it),
        cmocka_unit_test(each_of_16_threads_gets_a_server_error_of_its_own),
        cmocka_unit_test(events_of_pages_that_are_not_stored_have_public_statuses),
        cmocka_unit_test(each_view_is_counted_by_its_name),
        cmocka_unit_test(requests_with_credentials_bypass_the_cache),
        cmocka_unit_test(vary_user_gives_each_user_a_page),
        cmocka_unit_test(a_private_page_is_kept_for_a_user_and_not_for_nobody),
        cmocka_unit_test(one_user_never_gets_anothers_page_under_load),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
