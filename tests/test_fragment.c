/* test_fragment.c - checks that a fragment is rendered once per vary parts, and is never stored when it must not be,
 * whichever way its body is left. */
#include "stores.h"

#include <pthread.h>
#include <sched.h>

static atomic_int rendered;

static void *store;                            /* what the test runs on, to open it otherwise */

static int open_cache(void **state)
{
    rendered = 0;
    store = *state;
    *state = test_store_open(state, NULL);
    return 0;
}

static int close_cache(void **state)
{
    cache_close(*state);
    return 0;
}

static void assert_written(cache_writer *out, const char *expected)
{
    assert_string_equal(cache_writer_data(out, NULL), expected);
    cache_writer_free(out);
}

static void render(cache_t *cache, cache_writer *out, const char *user, bool fail)
{
    cache_writer_puts(out, "<");
    CACHE_FRAGMENT(cache, out, 60, "outer", user) {
        rendered++;
        cache_writer_puts(out, "o");
        CACHE_FRAGMENT(cache, out, 60, "inner", user, "part") {
            rendered++;
            cache_writer_puts(out, user);
            if (fail)
                cache_fragment_fail(out);
        }
    }
    cache_writer_puts(out, ">");
}

static void assert_rendered(cache_t *cache, const char *user, bool fail, const char *expected)
{
    cache_writer *out = cache_writer_new();
    render(cache, out, user, fail);
    assert_written(out, expected);
}

static void a_fragment_is_rendered_once_per_vary_part(void **state)
{
    assert_rendered(*state, "ann", false, "<oann>");
    assert_rendered(*state, "ann", false, "<oann>");
    assert_int_equal(rendered, 2);
    assert_rendered(*state, "bob", false, "<obob>");
    assert_int_equal(rendered, 4);
    assert_status(CACHE_OK, cache_fragment_forget(*state, (const char *const[]){ "outer", "ann" }, 2));
    assert_rendered(*state, "ann", false, "<oann>");
    assert_int_equal(rendered, 5);    /* the inner one is still there */
}

static void without_a_cache_a_fragment_is_rendered(void **state)
{
    (void)state;
    assert_rendered(NULL, "ann", false, "<oann>");
    assert_rendered(NULL, "ann", false, "<oann>");
    assert_int_equal(rendered, 4);
}

static void a_vary_part_that_is_null_does_not_hide_those_behind_it(void **state)
{
    static const char *const users[] = { "admin", "guest" };
    cache_writer *out = cache_writer_new();
    for (int i = 0; i < 2; i++)
        CACHE_FRAGMENT(*state, out, 60, "p", NULL, users[i])
            cache_writer_puts(out, users[i]);
    assert_written(out, "adminguest");
}

static void keys_differ_by_their_parts(void **state)
{
    static const char *const lists[][3] = {
        { "f", "a", "b" }, { "f", "a/1:b" }, { "f/1:a", "b" }, { "f/1:a/1:b" }, { "f%2F1:a", "b" }, { "f", "" },
        { "f/0:" }, { "f/n" }, { "f%252Fn" },
    };
    enum { LISTS = sizeof lists / sizeof lists[0] };
    char keys[LISTS + 1][64];
    (void)state;
    for (size_t i = 0; i < LISTS; i++) {
        size_t n = 0;
        while (n < 3 && lists[i][n] != NULL)
            n++;
        assert_status(CACHE_OK, cache_fragment_key(lists[i], n, keys[i], sizeof keys[i]));
    }
    assert_status(CACHE_OK, cache_fragment_key((const char *const[]){ "f", NULL }, 2, keys[LISTS], sizeof keys[0]));
    for (size_t i = 0; i <= LISTS; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(keys[i], keys[k]);
    assert_string_equal(keys[0], "fragment/f/1:a/1:b");
}

static void a_key_that_does_not_fit_is_refused(void **state)
{
    static const char *const parts[] = { "a/b", "xy", NULL };
    static const char whole[] = "fragment/a%2Fb/2:xy/n";
    char key[64];
    (void)state;
    for (size_t cap = 0; cap <= sizeof whole; cap++)
        assert_status(cap < sizeof whole ? CACHE_ERR_TOO_LARGE : CACHE_OK, cache_fragment_key(parts, 3, key, cap));
    assert_string_equal(key, whole);
    assert_status(CACHE_ERR_INVALID, cache_fragment_key((const char *const[]){ "" }, 1, key, 8));
}

static void a_name_counts_on_its_own(void *ctx, const char *name, const cache_counters *counters)
{
    if (strcmp(name, "outer") != 0)
        return;
    *(int *)ctx += 1;
    assert_int_equal(counters->hits, 2);
    assert_int_equal(counters->misses, 1);
    assert_int_equal(counters->computations, 1);
}

static void statistics_count_under_the_fragments_name(void **state)
{
    int names = 0;
    for (int i = 0; i < 3; i++)
        assert_rendered(*state, "ann", false, "<oann>");
    assert_status(CACHE_OK, cache_stats_names(*state, a_name_counts_on_its_own, &names));
    assert_int_equal(names, 1);
}

/* ---- bodies that fail, or are left ------------------------------------------------------------------------------- */

static void a_failing_body_leaves_nothing_behind(void **state)
{
    assert_rendered(*state, "ann", true, "<o>");
    assert_rendered(*state, "ann", false, "<oann>");    /* neither it nor what is around it was stored */
    assert_int_equal(rendered, 4);
}

static void a_body_that_fails_and_breaks_off_is_taken_back(void **state)
{
    cache_writer *out = cache_writer_new();
    for (int i = 0; i < 2; i++)
        CACHE_FRAGMENT(*state, out, 60, "f") {
            cache_writer_printf(out, "[%d]", i);
            if (i == 0) {
                cache_fragment_fail(out);
                break;
            }
        }
    assert_written(out, "[1]");
}

static void what_a_body_wrote_that_is_left_by_break_stays_and_is_not_stored(void **state)
{
    cache_writer *out = cache_writer_new();
    for (int i = 0; i < 3; i++)
        CACHE_FRAGMENT(*state, out, 60, "f") {
            cache_writer_printf(out, "[%d]", i);
            if (i == 0)
                break;
        }
    assert_written(out, "[0][1][1]");
}

static void a_body_left_by_continue_is_whole(void **state)
{
    cache_writer *out = cache_writer_new();
    for (int i = 0; i < 2; i++)
        CACHE_FRAGMENT(*state, out, 60, "f") {
            cache_writer_printf(out, "[%d]", i);
            if (i == 0)
                continue;
            cache_writer_puts(out, "never");
        }
    assert_written(out, "[0][0]");
}

static void render_and_return(cache_t *cache, cache_writer *out)
{
    CACHE_FRAGMENT(cache, out, 60, "outer") {
        CACHE_FRAGMENT(cache, out, 60, "inner") {
            cache_writer_puts(out, "half ");
            return;
        }
    }
}

static void a_body_left_by_return_ends_with_its_writer(void **state)
{
    cache_writer *left = cache_writer_new(), *out = cache_writer_new();
    render_and_return(*state, left);
    assert_string_equal(cache_writer_data(left, NULL), "half ");
    cache_writer_free(left);
    for (int i = 0; i < 2; i++)
        CACHE_FRAGMENT(*state, out, 60, "inner")    /* nobody's turn: this does not wait */
            cache_writer_printf(out, "whole %d ", i);
    assert_written(out, "whole 0 whole 0 ");
}

static void a_fragment_around_it_ends_a_body_left_by_goto(void **state)
{
    cache_writer *out = cache_writer_new();
    CACHE_FRAGMENT(*state, out, 60, "outer") {
        CACHE_FRAGMENT(*state, out, 60, "inner") {
            cache_writer_puts(out, "[half]");
            goto left;
        }
    left:
        cache_writer_puts(out, "[rest]");
    }
    CACHE_FRAGMENT(*state, out, 60, "inner")
        cache_writer_puts(out, "[whole]");
    assert_written(out, "[half][rest][whole]");
}

static void the_cache_may_be_closed_before_the_writer_of_a_body_that_was_left(void **state)
{
    cache_t *cache = test_store_open(&store, NULL);
    cache_writer *out = cache_writer_new();
    (void)state;
    render_and_return(cache, out);
    cache_close(cache);
    cache_writer_free(out);
}

static void a_page_that_is_not_stored_may_hold_fragments_that_are(void **state)
{
    for (int i = 0; i < 2; i++) {
        cache_writer *out = cache_writer_new();
        cache_writer_no_store(out);
        CACHE_FRAGMENT(*state, out, 60, "f")
            rendered++;
        CACHE_FRAGMENT(*state, out, 60, "g") {
            rendered++;
            cache_writer_no_store(out);
        }
        cache_writer_free(out);
    }
    assert_int_equal(rendered, 3);
}

static void render_itself(cache_t *cache, cache_writer *out, int depth)
{
    CACHE_FRAGMENT(cache, out, 60, "tree") {
        cache_writer_puts(out, "(");
        if (depth > 0)
            render_itself(cache, out, depth - 1);
        cache_writer_puts(out, ")");
    }
}

static void a_fragment_inside_itself_does_not_wait_for_itself(void **state)
{
    cache_writer *out = cache_writer_new();
    render_itself(*state, out, 3);
    assert_written(out, "(((())))");
}

/* ---- invalidation ------------------------------------------------------------------------------------------------ */

enum invalidation { BY_FORGET, BY_TAG, BY_CLEAR, BY_SET };

static void invalidate(cache_t *cache, enum invalidation how)
{
    char key[64];
    switch (how) {
    case BY_FORGET:
        (void)cache_fragment_forget(cache, (const char *const[]){ "post", "7" }, 2);
        break;
    case BY_TAG:
        assert_status(CACHE_OK, cache_invalidate_tag(cache, "post:7"));
        break;
    case BY_CLEAR:
        assert_status(CACHE_OK, cache_clear(cache));
        break;
    case BY_SET:
        assert_status(CACHE_OK, cache_fragment_key((const char *const[]){ "post", "7" }, 2, key, sizeof key));
        assert_status(CACHE_OK, cache_set_string(cache, key, "new", 60));
        break;
    }
}

static void an_invalidation_beats_a_body_that_began_before_it(void **state)
{
    static const char *const afterwards[] = { "old;2;", "old;2;", "old;2;", "old;new" };
    for (enum invalidation how = BY_FORGET; how <= BY_SET; how++) {
        cache_writer *out = cache_writer_new();
        for (int i = 1; i <= 2; i++)
            CACHE_FRAGMENT_TAGGED(*state, out, 60, ("post:7", "posts"), "post", "7") {
                if (i == 1) {
                    cache_writer_puts(out, "old;");    /* read from the database, and then … */
                    invalidate(*state, how);
                } else
                    cache_writer_printf(out, "%d;", i);
            }
        assert_written(out, afterwards[how]);
        assert_status(CACHE_OK, cache_clear(*state));
    }
}

static void a_tag_makes_its_fragments_misses(void **state)
{
    const char *author = "author:3";
    cache_writer *out = cache_writer_new();
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            assert_status(CACHE_OK, cache_invalidate_tag(*state, author));
        CACHE_FRAGMENT_TAGGED(*state, out, 60, ("post:7", author), "post", "7")
            cache_writer_printf(out, "%d", i);
    }
    assert_written(out, "0022");
}

static void a_tag_that_another_process_invalidates_beats_a_body_that_runs(void **state)
{
    cache_t *cache = test_store_open(&store, NULL);
    cache_t *other = test_store_is_shared(&store) ? test_store_open_again(&store, NULL) : NULL;
    cache_writer *out = cache_writer_new();
    (void)state;
    for (int i = 0; i < 3; i++)
        CACHE_FRAGMENT_TAGGED(cache, out, 60, ("post:7"), "post", "7") {
            cache_writer_printf(out, "%d", i);
            if (i == 0)
                assert_status(CACHE_OK, cache_invalidate_tag(other != NULL ? other : cache, "post:7"));
        }
    assert_written(out, "011");
    cache_close(other);
    cache_close(cache);
}

static void render_locked(cache_t *cache, cache_writer *out, const char *text, void (*meanwhile)(cache_t *),
                          cache_t *other)
{
    static const cache_fetch_options locked = {
        .size = sizeof(cache_fetch_options), .ttl = 60, .stale = 60, .lock = true
    };
    CACHE_FRAGMENT_WITH(cache, out, &locked, "locked") {
        cache_writer_puts(out, text);
        if (meanwhile != NULL)
            meanwhile(other);
    }
}

static void forget_locked(cache_t *cache)
{
    (void)cache_fragment_forget(cache, (const char *const[]){ "locked" }, 1);
}

static void visit_from_another_process(cache_t *cache)
{
    cache_writer *out = cache_writer_new();
    render_locked(cache, out, "theirs", NULL, NULL);
    assert_written(out, "theirs");
}

static void with_a_lock_another_processs_forget_beats_a_body_too(void **state)
{
    cache_t *cache = test_store_open(&store, NULL);
    cache_t *other = test_store_is_shared(&store) ? test_store_open_again(&store, NULL) : cache;
    cache_writer *out = cache_writer_new();
    (void)state;
    render_locked(cache, out, "a", forget_locked, other);
    render_locked(cache, out, "b", NULL, NULL);
    render_locked(cache, out, "c", NULL, NULL);
    assert_written(out, "abb");
    if (other != cache)
        cache_close(other);
    cache_close(cache);
}

static void with_a_lock_one_process_stores(void **state)
{
    (void)state;
    if (!test_store_is_shared(&store))
        return;    /* one process sees it */
    cache_t *cache = test_store_open(&store, NULL), *other = test_store_open_again(&store, NULL);
    cache_writer *out = cache_writer_new();
    render_locked(cache, out, "ours ", visit_from_another_process, other);
    render_locked(other, out, "never", NULL, NULL);
    assert_written(out, "ours ours ");
    cache_close(other);
    cache_close(cache);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static const cache_fetch_options stale_and_safe = {
    .size = sizeof(cache_fetch_options), .ttl = 10, .stale = 10, .stale_if_error = 100
};

static void render_at(cache_t *cache, cache_writer *out, const char *text, bool fail)
{
    CACHE_FRAGMENT_WITH(cache, out, &stale_and_safe, "f") {
        cache_writer_puts(out, text);
        if (fail)
            cache_fragment_fail(out);
    }
}

static void a_body_that_fails_shows_the_old_text(void **state)
{
    _Atomic int64_t now_ms = 1000;
    cache_config config = CACHE_CONFIG_INIT;
    config.clock = test_clock(&now_ms);
    cache_t *cache = test_store_open(&store, &config);
    cache_writer *out = cache_writer_new();
    (void)state;
    render_at(cache, out, "a", false);
    now_ms += 15000;
    render_at(cache, out, "b", true);
    render_at(cache, out, "c", false);
    render_at(cache, out, "d", false);
    now_ms += 50000;
    render_at(cache, out, "e", true);
    now_ms += 100000;
    render_at(cache, out, "f", true);
    assert_written(out, "aaccc");
    cache_close(cache);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 8 };

struct crowd {
    cache_t *cache;
    atomic_int here, inside;
    bool fail;
};

static void *join_the_crowd(void *arg)
{
    struct crowd *crowd = arg;
    cache_writer *out = cache_writer_new();
    atomic_fetch_add(&crowd->here, 1);
    CACHE_FRAGMENT(crowd->cache, out, 60, "crowd") {
        const bool first = atomic_fetch_add(&crowd->inside, 1) == 0;
        while (first && atomic_load(&crowd->here) < THREADS)
            sched_yield();
        for (int i = 0; first && i < 1000; i++)    /* the others come as far as they can */
            sched_yield();
        cache_writer_puts(out, "text");
        if (first && crowd->fail)
            cache_fragment_fail(out);
    }
    const bool right = strcmp(cache_writer_data(out, NULL), "text") == 0;
    cache_writer_free(out);
    return right ? crowd : NULL;
}

static int right_texts(struct crowd *crowd)
{
    pthread_t threads[THREADS];
    int right = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, join_the_crowd, crowd), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        right += result != NULL;
    }
    return right;
}

static void one_of_many_threads_runs_the_body(void **state)
{
    struct crowd crowd = { .cache = *state };
    assert_int_equal(right_texts(&crowd), THREADS);
    assert_int_equal(crowd.inside, 1);
}

static void the_others_render_their_own_when_the_body_fails(void **state)
{
    struct crowd crowd = { .cache = *state, .fail = true };
    assert_int_equal(right_texts(&crowd), THREADS - 1);
    const cache_counters counters = test_counters(crowd.cache);
    assert_int_equal(counters.hits + counters.misses, THREADS);
}

#define fragment_test(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fragment_test(a_fragment_is_rendered_once_per_vary_part),
        fragment_test(without_a_cache_a_fragment_is_rendered),
        fragment_test(a_vary_part_that_is_null_does_not_hide_those_behind_it),
        fragment_test(keys_differ_by_their_parts),
        fragment_test(a_key_that_does_not_fit_is_refused),
        fragment_test(statistics_count_under_the_fragments_name),
        fragment_test(a_failing_body_leaves_nothing_behind),
        fragment_test(a_body_that_fails_and_breaks_off_is_taken_back),
        fragment_test(what_a_body_wrote_that_is_left_by_break_stays_and_is_not_stored),
        fragment_test(a_body_left_by_continue_is_whole),
        fragment_test(a_body_left_by_return_ends_with_its_writer),
        fragment_test(a_fragment_around_it_ends_a_body_left_by_goto),
        fragment_test(the_cache_may_be_closed_before_the_writer_of_a_body_that_was_left),
        fragment_test(a_page_that_is_not_stored_may_hold_fragments_that_are),
        fragment_test(a_fragment_inside_itself_does_not_wait_for_itself),
        fragment_test(an_invalidation_beats_a_body_that_began_before_it),
        fragment_test(a_tag_makes_its_fragments_misses),
        fragment_test(a_tag_that_another_process_invalidates_beats_a_body_that_runs),
        fragment_test(with_a_lock_another_processs_forget_beats_a_body_too),
        fragment_test(with_a_lock_one_process_stores),
        fragment_test(a_body_that_fails_shows_the_old_text),
        fragment_test(one_of_many_threads_runs_the_body),
        fragment_test(the_others_render_their_own_when_the_body_fails),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
