/* test_view_forget.c - checks that pages are forgotten by key, by path and by tag, also while they are being made. */
#include "site.h"

static void delete_by_path_forgets_a_plain_page(void **state)
{
    struct site site;
    site_open(&site, state);
    assert_get(&site, "MISS", "/p run 1");
    assert_status(CACHE_OK, cache_delete(site.cache, "view//p"));
    assert_get(&site, "MISS", "/p run 2");
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    assert_get(&site, "MISS", "/p run 3");
    site_close(&site);
}

static void forget_takes_one_variant_and_forget_path_all(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.query_string = true;
    const cache_request a = { .method = "GET", .path = "/p", .query = "a" };
    const cache_request b = { .method = "GET", .path = "/p", .query = "b" };
    const cache_request other = { .method = "GET", .path = "/p/q", .query = "a" };
    assert_request(&site, &a, "MISS", "/p run 1");
    assert_request(&site, &b, "MISS", "/p run 2");
    assert_request(&site, &other, "MISS", "/p/q run 3");
    assert_status(CACHE_OK, cache_view_forget(site.cache, &site.view, &a));
    assert_status(CACHE_MISS, cache_view_forget(site.cache, &site.view, &a));
    assert_request(&site, &a, "MISS", "/p run 4");
    assert_request(&site, &b, "HIT", "/p run 2");
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    assert_request(&site, &a, "MISS", "/p run 5");
    assert_request(&site, &b, "MISS", "/p run 6");
    assert_request(&site, &other, "HIT", "/p/q run 3");
    site_close(&site);
}

static void head_forgets_the_page_of_get(void **state)
{
    struct site site;
    site_open(&site, state);
    assert_get(&site, "MISS", "/p run 1");
    assert_status(CACHE_OK,
                  cache_view_forget(site.cache, &site.view, &(cache_request){ .method = "HEAD", .path = "/p" }));
    assert_get(&site, "MISS", "/p run 2");
    site_close(&site);
}

static void an_unsafe_method_that_succeeds_forgets_the_path(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.query_string = true;
    const cache_request variant = { .method = "GET", .path = "/p", .query = "a" };
    const cache_request post = { .method = "POST", .path = "/p" }, options = { .method = "OPTIONS", .path = "/p" };
    const cache_request trace = { .method = "TRACE", .path = "/p" };
    assert_get(&site, "MISS", "/p run 1");
    assert_request(&site, &variant, "MISS", "/p run 2");
    site.status = 403;
    assert_request(&site, &post, "BYPASS", "/p run 3");
    site.status = 200;
    assert_request(&site, &options, "BYPASS", "/p run 4");
    assert_request(&site, &trace, "BYPASS", "/p run 5");
    assert_get(&site, "HIT", "/p run 1");
    assert_request(&site, &post, "BYPASS", "/p run 6");
    assert_get(&site, "MISS", "/p run 7");
    assert_request(&site, &variant, "MISS", "/p run 8");
    site_close(&site);
}

/* ---- tags -------------------------------------------------------------------------------------------------------- */

static void a_tag_of_the_view_forgets_its_pages_in_every_process(void **state)
{
    struct site site;
    site_open(&site, state);
    static const char *const tags[] = { "news", "post:7", NULL };
    site.view.tags = tags;
    cache_t *elsewhere = test_store_is_shared(state) ? test_store_open_again(state, &site.config) : site.cache;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    assert_status(CACHE_OK, cache_invalidate_tag(elsewhere, "post:8"));
    assert_get(&site, "HIT", "/p run 1");
    assert_status(CACHE_OK, cache_invalidate_tag(elsewhere, "post:7"));
    assert_get(&site, "MISS", "/p run 2");
    if (elsewhere != site.cache)
        cache_close(elsewhere);
    site_close(&site);
}

/* The tag of "/post/7" is "post:7", and every page has "all". */
static cache_status tag_by_post(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    const cache_status *result = ctx;
    (void)cache_tag_list_add(tags, "all");
    if (strncmp(request->path, "/post/", 6) == 0)
        (void)cache_tag_list_add(tags, "post:%d", atoi(request->path + 6));
    return *result;
}

static void a_tag_of_the_request_forgets_its_pages_alone(void **state)
{
    struct site site;
    cache_status result = CACHE_OK;
    site_open(&site, state);
    site.view.make_tags = tag_by_post;
    site.view.ctx = &result;
    const cache_request seven = { .method = "GET", .path = "/post/7" }, eight = { .method = "GET", .path = "/post/8" };
    assert_request(&site, &seven, "MISS", "/post/7 run 1");
    assert_request(&site, &eight, "MISS", "/post/8 run 2");
    assert_get(&site, "MISS", "/p run 3");
    assert_status(CACHE_OK, cache_invalidate_tag(site.cache, "post:7"));
    assert_request(&site, &seven, "MISS", "/post/7 run 4");
    assert_request(&site, &eight, "HIT", "/post/8 run 2");
    assert_status(CACHE_OK, cache_invalidate_tag(site.cache, "all"));
    assert_request(&site, &seven, "MISS", "/post/7 run 5");
    assert_request(&site, &eight, "MISS", "/post/8 run 6");
    assert_get(&site, "MISS", "/p run 7");
    site_close(&site);
}

static void a_make_tags_that_fails_fails_the_request(void **state)
{
    struct site site;
    cache_status result = CACHE_ERR_IO;
    site_open(&site, state);
    site.view.make_tags = tag_by_post;
    site.view.ctx = &result;
    cache_page page;
    const cache_request request = { .method = "GET", .path = "/p" };
    assert_status(CACHE_ERR_IO, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    assert_int_equal(site.runs, 0);
    site_close(&site);
}

static cache_status add_many(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)request;
    for (int i = 0; i < *(const int *)ctx; i++)
        (void)cache_tag_list_add(tags, "a rather long name of a tag, so many need room: %d", i);
    return CACHE_OK;
}

static cache_status add_empty(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx, (void)request;
    (void)cache_tag_list_add(tags, "%s", "");
    (void)cache_tag_list_add(tags, "good");
    return CACHE_OK;
}

static cache_status add_with_a_nul(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx, (void)request;
    (void)cache_tag_list_add(tags, "a%cb", '\0');
    return CACHE_OK;
}

static cache_status add_null(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    const char *volatile none = NULL;
    (void)ctx, (void)request;
    assert_status(CACHE_ERR_INVALID, cache_tag_list_add(tags, none, 0));
    return CACHE_OK;
}

static void sixty_four_tags_are_fine_and_with_more_or_an_empty_one_nothing_is_stored(void **state)
{
    struct site site;
    int n = 64;
    site_open(&site, state);
    site.view.make_tags = add_many;
    site.view.ctx = &n;
    assert_get(&site, "MISS", "/p run 1");
    assert_get(&site, "HIT", "/p run 1");
    assert_status(CACHE_OK, cache_invalidate_tag(site.cache, "a rather long name of a tag, so many need room: 63"));
    assert_get(&site, "MISS", "/p run 2");
    n = 65;
    assert_get(&site, "BYPASS", "/p run 3");
    site.view.make_tags = add_empty;
    assert_get(&site, "BYPASS", "/p run 4");
    assert_status(CACHE_ERR_INVALID, cache_tag_list_add(NULL, "x"));
    site.view.make_tags = add_with_a_nul;
    assert_get(&site, "BYPASS", "/p run 5");
    site.view.make_tags = add_null;
    assert_get(&site, "HIT", "/p run 2");
    site.view.make_tags = NULL;
    site.view.tags = (const char *const[]){ "", "b", NULL };
    assert_get(&site, "BYPASS", "/p run 6");
    site_close(&site);
}

/* ---- while the page is being made -------------------------------------------------------------------------------- */

enum way { BY_DELETE, BY_FORGET, BY_PATH, BY_TAG, BY_CLEAR, BY_POST, WAYS };

struct meddler {
    cache_t *cache;                    /* this process's handle, or another's */
    enum way way;
};

static cache_status answer_nothing(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    cache_response_set_status(response, 204);
    return CACHE_OK;
}

/* Forgets the page once its handler has read what it shows. */
static void forget_meanwhile(struct site *site, const cache_request *request, cache_response *response)
{
    struct meddler *meddler = site->inside_ctx;
    (void)cache_writer_printf(cache_response_body(response), "%s run %d", request->path, site->runs);
    cache_page page;
    switch (meddler->way) {
    case BY_DELETE:
        (void)cache_delete(meddler->cache, "view//p");
        break;
    case BY_FORGET:
        (void)cache_view_forget(meddler->cache, &site->view, request);
        break;
    case BY_PATH:
        (void)cache_view_forget_path(meddler->cache, "/p");
        break;
    case BY_TAG:
        (void)cache_invalidate_tag(meddler->cache, "post:7");
        break;
    case BY_CLEAR:
        (void)cache_clear(meddler->cache);
        break;
    default:
        (void)cache_view_serve(meddler->cache, NULL, &(cache_request){ .method = "POST", .path = "/p" }, answer_nothing,
                               NULL, &page);
        cache_page_release(&page);
    }
    site->inside = NULL;
}

static void a_page_forgotten_while_it_is_made_is_handed_out_and_not_stored(void **state)
{
    static const char *const tags[] = { "post:7", NULL };
    for (enum way way = BY_DELETE; way < WAYS; way++)
        for (int variants = 0; variants < 2; variants++) {
            struct site site;
            if (way == BY_DELETE && variants)
                continue;    /* its key is not "view//p" */
            site_open(&site, state);
            struct meddler meddler = { site.cache, way };
            const cache_request request = { .method = "GET", .path = "/p", .query = variants ? "a=1" : NULL };
            site.view.tags = tags;
            site.view.query_string = variants != 0;
            site.inside = forget_meanwhile;
            site.inside_ctx = &meddler;
            assert_request(&site, &request, "MISS", "/p run 1");
            assert_request(&site, &request, "MISS", "/p run 2");
            assert_request(&site, &request, "HIT", "/p run 2");
            site_close(&site);
        }
}

/* Another process knows nothing of our handlers: a tag's version, the path's too, is compared at the store, and a
 * lock's lease. */
static void so_it_is_when_another_process_forgets_it(void **state)
{
    static const char *const tags[] = { "post:7", NULL };
    if (!test_store_is_shared(state))
        return;
    for (int i = BY_DELETE; i < 2 * WAYS; i++) {
        struct site site;
        const enum way way = (enum way)(i % WAYS);
        const bool variants = i >= WAYS;
        if (way == BY_CLEAR || (way == BY_DELETE && variants))
            continue;    /* clears what is there; "view//p" is not its key */
        site_open(&site, state);
        struct meddler meddler = { test_store_open_again(state, &site.config), way };
        site.view.tags = tags;
        site.view.query_string = variants;
        site.view.lock = way == BY_DELETE || way == BY_FORGET || (!variants && (way == BY_PATH || way == BY_POST));
        site.inside = forget_meanwhile;
        site.inside_ctx = &meddler;
        assert_get(&site, "MISS", "/p run 1");
        assert_get(&site, "MISS", "/p run 2");
        cache_close(meddler.cache);
        site_close(&site);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delete_by_path_forgets_a_plain_page),
        cmocka_unit_test(forget_takes_one_variant_and_forget_path_all),
        cmocka_unit_test(head_forgets_the_page_of_get),
        cmocka_unit_test(an_unsafe_method_that_succeeds_forgets_the_path),
        cmocka_unit_test(a_tag_of_the_view_forgets_its_pages_in_every_process),
        cmocka_unit_test(a_tag_of_the_request_forgets_its_pages_alone),
        cmocka_unit_test(a_make_tags_that_fails_fails_the_request),
        cmocka_unit_test(sixty_four_tags_are_fine_and_with_more_or_an_empty_one_nothing_is_stored),
        cmocka_unit_test(a_page_forgotten_while_it_is_made_is_handed_out_and_not_stored),
        cmocka_unit_test(so_it_is_when_another_process_forgets_it),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
