/* test_names.c - checks statistics by name: what is counted under the name of a function or view, for whom, and how
 * many names there may be. */
#include "fake_store.h"

#include <pthread.h>

struct found {
    const char *wanted;
    cache_counters counters;
    size_t names;
    char last[CACHE_MAX_NAME + 1];
    bool is_there, is_ordered;
};

static void look(void *ctx, const char *name, const cache_counters *counters)
{
    struct found *found = ctx;
    found->is_ordered = found->is_ordered && (found->names == 0 || strcmp(found->last, name) < 0);
    found->names++;
    (void)snprintf(found->last, sizeof found->last, "%s", name);
    if (found->wanted != NULL && strcmp(name, found->wanted) == 0) {
        assert_false(found->is_there);
        found->is_there = true;
        found->counters = *counters;
    }
}

/* The counters of `name`; every one 0 if nothing was counted under it. */
static struct found find(cache_t *cache, const char *name)
{
    struct found found = { .wanted = name, .is_ordered = true };
    assert_status(CACHE_OK, cache_stats_names(cache, look, &found));
    assert_true(found.is_ordered);
    return found;
}

static cache_status compute(void *ctx, cache_writer *out)
{
    const cache_status status = ctx != NULL ? *(cache_status *)ctx : CACHE_OK;
    return status == CACHE_OK ? cache_writer_puts(out, "computed") : status;
}

static cache_status fetch(cache_t *cache, const char *key, const char *name, double stale, cache_status answer)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.name = name;
    options.ttl = 10;
    options.stale = stale;
    const cache_status status = cache_fetch(cache, key, &options, compute, &answer, &value);
    cache_value_release(&value);
    return status;
}

static void a_name_has_the_counts_of_its_own_fetches(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    cache_t *cache = test_open_with_clock("memory://", &now);
    assert_status(CACHE_OK, fetch(cache, "a1", "a", 100, CACHE_OK));
    assert_status(CACHE_OK, fetch(cache, "a1", "a", 100, CACHE_OK));
    assert_status(CACHE_OK, fetch(cache, "a2", "a", 100, CACHE_OK));
    assert_status(CACHE_ERR_IO, fetch(cache, "a3", "a", 100, CACHE_ERR_IO));
    assert_status(CACHE_MISS, fetch(cache, "a4", "a", 100, CACHE_MISS));
    assert_status(CACHE_OK, fetch(cache, "b1", "b", 0, CACHE_OK));
    assert_status(CACHE_OK, fetch(cache, "c1", NULL, 0, CACHE_OK));
    assert_status(CACHE_OK, fetch(cache, "c1", "", 0, CACHE_OK));
    now += 11 * 1000;
    assert_status(CACHE_OK, fetch(cache, "a1", "a", 100, CACHE_ERR_IO));    /* stale, since recomputing fails */

    const struct found a = find(cache, "a"), b = find(cache, "b");
    assert_int_equal(a.names, 2);
    assert_int_equal(a.counters.hits, 2);
    assert_int_equal(a.counters.stale_hits, 1);
    assert_int_equal(a.counters.misses, 4);
    assert_int_equal(a.counters.computations, 5);
    assert_int_equal(a.counters.compute_errors, 2);
    assert_int_equal(a.counters.sets, 2);
    assert_int_equal(a.counters.errors, 0);
    assert_int_equal(a.counters.compute.count, 5);
    assert_int_equal(a.counters.set.count, 2);
    assert_int_equal(b.counters.misses, 1);

    cache_counters total;
    assert_status(CACHE_OK, cache_stats(cache, &total));
    assert_int_equal(total.hits, 3);
    assert_int_equal(total.misses, 6);
    assert_int_equal(total.computations, 7);
    assert_int_equal(total.compute_errors, 2);
    cache_close(cache);
}

static void a_name_is_its_text_and_not_its_address(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    char name[] = "first";
    assert_status(CACHE_OK, fetch(cache, "k", name, 0, CACHE_OK));
    strcpy(name, "secon");    /* in the same place, another text */
    assert_status(CACHE_OK, fetch(cache, "k", name, 0, CACHE_OK));
    assert_int_equal(find(cache, "first").counters.misses, 1);
    assert_int_equal(find(cache, "secon").counters.hits, 1);
    cache_close(cache);
}

static void a_stores_failures_are_counted_for_the_name_that_met_them(void **state)
{
    (void)state;
    fake_store_reset();
    cache_t *cache = test_open("fake://");
    fake_store_fail(FAKE_GET, CACHE_ERR_CONNECT);
    assert_status(CACHE_OK, fetch(cache, "k", "met", 0, CACHE_OK));
    fake_store_fail(FAKE_GET, CACHE_OK);
    assert_status(CACHE_OK, fetch(cache, "k", "not", 0, CACHE_OK));
    assert_int_equal(find(cache, "met").counters.errors, 1);
    assert_int_equal(find(cache, "not").counters.errors, 0);
    assert_int_equal(find(cache, "not").counters.get.count, 1);    /* a store outside the process is timed each time */
    cache_close(cache);
}

static void names_past_the_limit_and_what_is_no_name_count_as_other(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    char name[CACHE_MAX_NAME + 2];
    for (int i = 0; i < CACHE_MAX_NAMES + 5; i++) {
        (void)snprintf(name, sizeof name, "name %d", i);
        assert_status(CACHE_OK, fetch(cache, "k", name, 0, CACHE_OK));
    }
    assert_int_equal(find(cache, CACHE_NAME_OTHER).names, CACHE_MAX_NAMES + 1);
    assert_int_equal(find(cache, CACHE_NAME_OTHER).counters.hits, 5);
    assert_int_equal(find(cache, "name 999").counters.hits, 1);
    assert_false(find(cache, "name 1000").is_there);
    assert_status(CACHE_OK, fetch(cache, "k", "name 999", 0, CACHE_OK));    /* who is in stays in */
    assert_int_equal(find(cache, "name 999").counters.hits, 2);
    cache_close(cache);

    cache = test_open("memory://");
    static const char *const bad[] = { "\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80",
                                       "other" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_status(CACHE_OK, fetch(cache, "k", bad[i], 0, CACHE_OK));
    memset(name, 'n', CACHE_MAX_NAME + 1);
    name[CACHE_MAX_NAME + 1] = '\0';
    assert_status(CACHE_OK, fetch(cache, "k", name, 0, CACHE_OK));
    const struct found other = find(cache, CACHE_NAME_OTHER);
    assert_int_equal(other.names, 1);
    assert_int_equal(other.counters.hits + other.counters.misses, 8);
    name[CACHE_MAX_NAME] = '\0';
    assert_status(CACHE_OK, fetch(cache, "k", name, 0, CACHE_OK));
    assert_status(CACHE_OK, fetch(cache, "k", "\xf0\x9f\x8d\xaa \xe2\x82\xac \xc3\xa9", 0, CACHE_OK));
    assert_int_equal(find(cache, name).counters.hits, 1);
    assert_int_equal(find(cache, "\xf0\x9f\x8d\xaa \xe2\x82\xac \xc3\xa9").counters.hits, 1);
    cache_close(cache);
}

/* ---- whose names ------------------------------------------------------------------------------------------------- */

static cache_status load_square(int x, int *out)
{
    *out = x * x;
    return CACHE_OK;
}

CACHE_MEMOIZE(square, load_square, 60, int, (int, x))

static cache_status page(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx;
    (void)request;
    return cache_writer_puts(cache_response_body(response), "page");
}

static void memoized_functions_and_views_count_under_their_names(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    cache_view view = CACHE_VIEW_INIT;
    view.ttl = 60;
    view.name = "home";
    int nine = 0;
    for (int i = 0; i < 3; i++) {
        const cache_request request = { .method = "GET", .path = "/" };
        cache_page served;
        assert_status(CACHE_OK, square(cache, 3, &nine));
        assert_status(CACHE_OK, cache_view_serve(cache, &view, &request, page, NULL, &served));
        cache_page_release(&served);
    }
    assert_int_equal(find(cache, "square").counters.hits, 2);
    assert_int_equal(find(cache, "square").counters.computations, 1);
    assert_int_equal(find(cache, "home").counters.hits, 2);
    assert_int_equal(find(cache, "home").counters.computations, 1);
    cache_close(cache);
}

static void all_handles_on_a_store_share_its_names(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://"), *inner = NULL;
    assert_status(CACHE_OK, cache_with_prefix(cache, "inner:", &inner));
    assert_status(CACHE_OK, fetch(cache, "k", "f", 0, CACHE_OK));
    assert_status(CACHE_OK, fetch(inner, "k", "f", 0, CACHE_OK));
    assert_int_equal(find(cache, "f").counters.misses, 2);
    cache_close(inner);
    cache_close(cache);
}

static void bad_arguments_are_named(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    assert_status(CACHE_ERR_INVALID, cache_stats_names(cache, NULL, NULL));
    assert_non_null(strstr(cache_last_error(), "each is NULL"));
    cache_close(cache);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 200, NAMES = 16 };

static void *count_all(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "name%d", i % NAMES);
        assert_status(CACHE_OK, fetch(arg, "k", name, 0, CACHE_OK));
    }
    return NULL;
}

static void no_count_is_lost_when_threads_bring_the_same_new_names(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    pthread_t threads[THREADS];
    assert_status(CACHE_OK, fetch(cache, "k", NULL, 0, CACHE_OK));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_all, cache), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(find(cache, NULL).names, NAMES);
    uint64_t hits = 0;
    for (int i = 0; i < NAMES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "name%d", i);
        hits += find(cache, name).counters.hits;
    }
    assert_int_equal(hits, THREADS * ROUNDS);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_the_counts_of_its_own_fetches),
        cmocka_unit_test(a_name_is_its_text_and_not_its_address),
        cmocka_unit_test(a_stores_failures_are_counted_for_the_name_that_met_them),
        cmocka_unit_test(names_past_the_limit_and_what_is_no_name_count_as_other),
        cmocka_unit_test(memoized_functions_and_views_count_under_their_names),
        cmocka_unit_test(all_handles_on_a_store_share_its_names),
        cmocka_unit_test(bad_arguments_are_named),
        cmocka_unit_test(no_count_is_lost_when_threads_bring_the_same_new_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
