/* test_view_stale.c - checks pages after their TTL: which thread makes the new page, and who gets the old one. */
#include "site.h"

#include <time.h>

static const cache_request get = { .method = "GET", .path = "/p" };

/* ---- a handler that fails ---------------------------------------------------------------------------------------- */

static void a_failing_handler_is_covered_by_the_stale_page(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.stale_if_error = 100;
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    site.status = 503;
    assert_get(&site, "STALE", "/p run 1");
    site.status = 200;
    site.result = CACHE_ERR_IO;
    assert_get(&site, "STALE", "/p run 1");
    assert_int_equal(site.runs, 2);    /* it was not tried again at once */
    site_pass(&site, 2);
    assert_get(&site, "STALE", "/p run 1");
    assert_int_equal(site.runs, 3);
    site_pass(&site, 100);
    cache_page page;
    assert_status(CACHE_ERR_IO, cache_view_serve(site.cache, &site.view, &get, site_handler, &site, &page));
    assert_null(page.owner);
    site.result = CACHE_OK;
    assert_get(&site, "MISS", "/p run 5");
    site_close(&site);
}

static void a_failing_handler_without_a_stale_page_is_the_callers(void **state)
{
    struct site site;
    site_open(&site, state);
    site.status = 503;
    cache_page page = site_serve(&site, &get);
    assert_page(&page, "MISS", "/p run 1");
    assert_int_equal(page.status, 503);
    cache_page_release(&page);
    static const cache_status results[] = { CACHE_ERR_IO, CACHE_ERR_COMPUTE, CACHE_MISS, CACHE_ERR_NOMEM };
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        site.result = results[i];
        assert_status(results[i], cache_view_serve(site.cache, &site.view, &get, site_handler, &site, &page));
        assert_null(page.owner);
    }
    site_close(&site);
}

static void what_may_not_be_served_stale_does_not_cover_a_failure(void **state)
{
    static const struct { const char *control; int status; } cases[] = {
        { "must-revalidate", 200 }, { "proxy-revalidate", 200 }, { "s-maxage=60", 200 }, { "stale-if-error=0", 200 },
        { "max-age=60", 404 }, { "max-age=60", 410 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct site site;
        site_open(&site, state);
        site.view.stale_if_error = site.view.negative_ttl = 100;
        site.headers[0] = (struct pair){ "Cache-Control", cases[i].control };
        site.status = cases[i].status;
        assert_get(&site, "MISS", "/p run 1");
        assert_get(&site, "HIT", "/p run 1");
        site_pass(&site, 70);
        site.status = 503;
        assert_get(&site, "MISS", "/p run 2");
        site_close(&site);
    }
}

static void an_uncacheable_successor_is_not_replaced_by_the_stale_page(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.stale = site.view.stale_if_error = 100;
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    site.personal = true;
    assert_get(&site, "MISS", "/p run 2");
    site.status = 503;
    site.personal = false;
    assert_get(&site, "MISS", "/p run 3");    /* nor is the old one there any more */
    site_close(&site);
}

/* ---- the response's own word: RFC 5861 --------------------------------------------------------------------------- */

static void stale_if_error_of_the_response_covers_a_failure_though_the_view_does_not(void **state)
{
    struct site site;
    site_open(&site, state);
    site.headers[0] = (struct pair){ "Cache-Control", "max-age=60, stale-if-error=30" };
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    site.status = 500;
    assert_get(&site, "STALE", "/p run 1");
    site_pass(&site, 30);
    assert_get(&site, "MISS", "/p run 3");
    site_close(&site);
}

static void stale_while_revalidate_of_the_response_goes_before_the_views_stale(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.stale = 500;
    site.headers[0] = (struct pair){ "Cache-Control", "max-age=60, stale-while-revalidate=0" };
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    site.result = CACHE_ERR_IO;
    cache_page page;
    assert_status(CACHE_ERR_IO, cache_view_serve(site.cache, &site.view, &get, site_handler, &site, &page));
    site_close(&site);
}

/* ---- one makes it anew, the others do not wait ------------------------------------------------------------------- */

static atomic_int served;

static void *be_served(void *arg)
{
    struct visitor *visitor = arg;
    const cache_request request = { .method = "GET", .path = "/p" };
    cache_page page = { 0 };
    visitor->status =
        cache_view_serve(visitor->site->cache, &visitor->site->view, &request, site_handler, visitor->site, &page);
    (void)snprintf(visitor->body, sizeof visitor->body, "%.*s", (int)page.body_size, (const char *)page.body);
    cache_page_release(&page);
    atomic_fetch_add(&served, 1);
    return NULL;
}

static atomic_int in_handler, gave_up;

/* The second run ends only when seven others were served. */
static void wait_for_the_others(struct site *site, const cache_request *request, cache_response *response)
{
    (void)request, (void)response;
    if (atomic_load(&site->runs) == 1)
        return;
    atomic_fetch_add(&in_handler, 1);
    if (!site_wait_for(&served, 7))
        atomic_store(&gave_up, 1);
}

static void while_one_recomputes_the_others_get_the_stale_page_at_once(void **state)
{
    struct site site;
    struct visitor visitors[8];
    pthread_t threads[8];
    site_open(&site, state);
    site.view.stale = 100;
    site.inside = wait_for_the_others;
    atomic_store(&served, 0);
    atomic_store(&in_handler, 0);
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    for (int i = 0; i < 8; i++) {
        visitors[i] = (struct visitor){ .site = &site };
        assert_int_equal(pthread_create(&threads[i], NULL, be_served, &visitors[i]), 0);
        if (i == 0)
            assert_true(site_wait_for(&in_handler, 1));
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&gave_up), 0);
    assert_int_equal(site.runs, 2);
    assert_string_equal(visitors[0].body, "/p run 2");
    for (int i = 1; i < 8; i++)
        assert_string_equal(visitors[i].body, "/p run 1");
    assert_get(&site, "HIT", "/p run 2");
    site_close(&site);
}

/* ---- in the background ------------------------------------------------------------------------------------------- */

/* What the application's pool was asked to run. */
struct pool {
    void (*task)(void *arg);
    void *arg;
    int asked;
    bool refuses;
};

static bool spawn(void *ctx, void (*task)(void *arg), void *arg)
{
    struct pool *pool = ctx;
    pool->asked++;
    if (pool->refuses || pool->task != NULL)
        return false;
    pool->task = task;
    pool->arg = arg;
    return true;
}

static void *run_task(void *ctx)
{
    struct pool *pool = ctx;
    pool->task(pool->arg);
    pool->task = NULL;
    return NULL;
}

static void run_in_another_thread(struct pool *pool)
{
    pthread_t thread;
    assert_non_null(pool->task);
    assert_int_equal(pthread_create(&thread, NULL, run_task, pool), 0);
    pthread_join(thread, NULL);
}

static void open_with_pool(struct site *site, struct pool *pool, void **state)
{
    *pool = (struct pool){ .refuses = false };
    site_init(site);
    site->config.spawn = spawn;
    site->config.spawn_ctx = pool;
    site->view.stale = 100;
    site->view.detached = true;
    site_open_as(site, state);
}

static void a_stale_page_is_made_anew_in_the_background(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    assert_get(&site, "MISS", "/p run 1");
    assert_int_equal(pool.asked, 0);
    site_pass(&site, 70);
    assert_get(&site, "STALE", "/p run 1");
    assert_int_equal(site.runs, 1);
    assert_get(&site, "STALE", "/p run 1");
    assert_int_equal(pool.asked, 1);    /* one is enough */
    run_in_another_thread(&pool);
    assert_int_equal(site.runs, 2);
    assert_get(&site, "HIT", "/p run 2");
    site_close(&site);
}

static void past_refresh_after_the_successor_is_made_in_the_background_once(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    site.view.refresh_after = 0.5;
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 29);
    assert_get(&site, "HIT", "/p run 1");
    assert_int_equal(pool.asked, 0);
    site_pass(&site, 2);
    assert_get(&site, "HIT", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    assert_int_equal(pool.asked, 1);
    run_in_another_thread(&pool);
    assert_get(&site, "HIT", "/p run 2");
    site_close(&site);
}

static pthread_t worker;

static bool spawn_thread(void *ctx, void (*task)(void *arg), void *arg)
{
    struct pool *pool = ctx;
    pool->asked++;
    pool->task = task;
    pool->arg = arg;
    return pthread_create(&worker, NULL, run_task, pool) == 0;
}

static atomic_bool goes_on;

static void wait_until_it_goes_on(struct site *site, const cache_request *request, cache_response *response)
{
    (void)site, (void)request, (void)response;
    while (!goes_on)
        nanosleep(&(const struct timespec){ 0, 1000000 }, NULL);
}

static void a_request_waits_soft_timeout_for_the_successor_of_a_stale_page(void **state)
{
    struct site site;
    struct pool pool;
    pool = (struct pool){ .refuses = false };
    site_init(&site);
    site.config.spawn = spawn_thread;
    site.config.spawn_ctx = &pool;
    site.view.stale = 100;
    site.view.detached = true;
    site.inside = wait_until_it_goes_on;
    site_open_as(&site, state);
    goes_on = true;
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    site.view.soft_timeout = 60;
    assert_get(&site, "HIT", "/p run 2");
    pthread_join(worker, NULL);
    site_pass(&site, 70);
    goes_on = false;
    site.view.soft_timeout = 0.001;
    assert_get(&site, "STALE", "/p run 2");
    assert_get(&site, "STALE", "/p run 2");
    goes_on = true;
    pthread_join(worker, NULL);
    assert_get(&site, "HIT", "/p run 3");
    assert_int_equal(pool.asked, 2);
    site_close(&site);
}

static void stale_while_revalidate_of_the_response_serves_it_though_the_view_does_not(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    site.view.stale = 0;
    site.headers[0] = (struct pair){ "Cache-Control", "max-age=60, stale-while-revalidate=30" };
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 89);
    assert_get(&site, "STALE", "/p run 1");
    run_in_another_thread(&pool);
    assert_get(&site, "HIT", "/p run 2");
    site_pass(&site, 91);
    assert_get(&site, "MISS", "/p run 3");
    site_close(&site);
}

static void the_task_may_outlive_the_handle(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    assert_get(&site, "STALE", "/p run 1");
    site_close(&site);
    run_in_another_thread(&pool);
    assert_int_equal(site.runs, 2);
}

static void a_pool_without_room_leaves_the_work_to_the_request(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    pool.refuses = true;
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    assert_get(&site, "STALE", "/p run 1");
    assert_int_equal(site.runs, 2);
    assert_get(&site, "HIT", "/p run 2");
    site_close(&site);
}

static void a_view_that_is_not_detached_is_never_made_in_the_background(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    site.view.detached = false;
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    assert_get(&site, "MISS", "/p run 2");
    assert_int_equal(pool.asked, 0);
    site_close(&site);
}

static void a_background_successor_that_may_not_be_stored_ends_the_stale_page(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    assert_get(&site, "STALE", "/p run 1");
    site.personal = true;
    run_in_another_thread(&pool);
    assert_get(&site, "MISS", "/p run 3");
    site_close(&site);
}

static void a_page_forgotten_before_the_task_ran_is_not_stored(void **state)
{
    struct site site;
    struct pool pool;
    open_with_pool(&site, &pool, state);
    assert_get(&site, "MISS", "/p run 1");
    site_pass(&site, 70);
    assert_get(&site, "STALE", "/p run 1");
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    run_in_another_thread(&pool);
    assert_get(&site, "MISS", "/p run 3");
    site_close(&site);
}

/* What the handler saw of the request, as text. */
static void describe(struct site *site, const cache_request *request, cache_response *response)
{
    (void)site;
    const char *language = request->header(request->lookup_ctx, "accept-language");
    const char *other = request->header(request->lookup_ctx, "X-Other");
    const char *theme = "from the header";
    if (request->cookie != NULL && request->cookie(request->lookup_ctx, "unlisted") == NULL)
        theme = request->cookie(request->lookup_ctx, "theme");
    (void)cache_writer_printf(cache_response_body(response), "%s %s?%s %s '%.*s' %s %s %s", request->method,
                              request->path, request->query, request->user, (int)request->body_size,
                              (const char *)request->body, language, theme, other != NULL ? other : "-");
}

static void the_handler_in_the_background_gets_a_copy_of_what_counts(void **state)
{
    struct site site;
    struct pool pool;
    static const char *const languages[] = { "Accept", "Accept-Language", NULL };
    static const char *const themes[] = { "size", "theme", NULL };
    open_with_pool(&site, &pool, state);
    site.inside = describe;
    site.view.vary_headers = languages;
    site.view.vary_cookies = themes;
    site.view.vary_user = site.view.query_string = site.view.post_by_body = true;
    char texts[][32] = { "POST", "/find", "q=1", "ann", "body", "de", "theme=dark; x=1", "other" };
    struct pair headers[] = { { "Accept-Language", texts[5] }, { "Cookie", texts[6] }, { "X-Other", texts[7] },
                              { NULL, NULL } };
    const cache_request request = { .method = texts[0], .path = texts[1], .query = texts[2], .user = texts[3],
                                    .body = texts[4], .body_size = 4, .header = find_pair, .lookup_ctx = headers };
    assert_request(&site, &request, "MISS", "POST /find?q=1 ann 'body' de from the header other");
    site_pass(&site, 70);
    assert_request(&site, &request, "STALE", "POST /find?q=1 ann 'body' de from the header other");
    char kept[sizeof texts];
    memcpy(kept, texts, sizeof texts);
    memset(texts, 'x', sizeof texts);    /* the connection is gone */
    headers[0].name = NULL;
    run_in_another_thread(&pool);
    memcpy(texts, kept, sizeof texts);
    headers[0].name = "Accept-Language";
    assert_request(&site, &request, "HIT", "POST /find?q=1 ann 'body' de dark -");
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_handler_is_covered_by_the_stale_page),
        cmocka_unit_test(a_failing_handler_without_a_stale_page_is_the_callers),
        cmocka_unit_test(what_may_not_be_served_stale_does_not_cover_a_failure),
        cmocka_unit_test(an_uncacheable_successor_is_not_replaced_by_the_stale_page),
        cmocka_unit_test(stale_if_error_of_the_response_covers_a_failure_though_the_view_does_not),
        cmocka_unit_test(stale_while_revalidate_of_the_response_goes_before_the_views_stale),
        cmocka_unit_test(while_one_recomputes_the_others_get_the_stale_page_at_once),
        cmocka_unit_test(a_stale_page_is_made_anew_in_the_background),
        cmocka_unit_test(past_refresh_after_the_successor_is_made_in_the_background_once),
        cmocka_unit_test(a_request_waits_soft_timeout_for_the_successor_of_a_stale_page),
        cmocka_unit_test(stale_while_revalidate_of_the_response_serves_it_though_the_view_does_not),
        cmocka_unit_test(the_task_may_outlive_the_handle),
        cmocka_unit_test(a_pool_without_room_leaves_the_work_to_the_request),
        cmocka_unit_test(a_view_that_is_not_detached_is_never_made_in_the_background),
        cmocka_unit_test(a_background_successor_that_may_not_be_stored_ends_the_stale_page),
        cmocka_unit_test(a_page_forgotten_before_the_task_ran_is_not_stored),
        cmocka_unit_test(the_handler_in_the_background_gets_a_copy_of_what_counts),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
