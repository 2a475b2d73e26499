/* test_fragment_waits.c - checks fragments that contain each other: no thread waits for a text that is written only
 * after that thread goes on. */
#include "stores.h"
#include "telling_store.h"

#include "cache_internal.h"
#include "flight_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { LONG_S = 20, SHORT_S = 5 };     /* a wait that nothing ends, and much less */

static const cache_fetch_options patient = { .size = sizeof(cache_fetch_options), .ttl = 60, .wait = LONG_S };

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct pair_of_cards {
    cache_t *cache;
    pthread_barrier_t *both_run;
    const char *outer, *inner;
    bool right;
};

static void *render_cards(void *arg)
{
    struct pair_of_cards *cards = arg;
    char expected[8];
    cache_writer *out = cache_writer_new();
    CACHE_FRAGMENT_WITH(cards->cache, out, &patient, "card", cards->outer) {
        cache_writer_puts(out, cards->outer);
        pthread_barrier_wait(cards->both_run);
        CACHE_FRAGMENT_WITH(cards->cache, out, &patient, "card", cards->inner) {
            cache_writer_puts(out, cards->inner);
        }
    }
    /* The inner text is this thread's own, or the other thread's, which contains this thread's in turn. */
    (void)snprintf(expected, sizeof expected, "%s%s", cards->outer, cards->inner);
    cards->right = strncmp(cache_writer_data(out, NULL), expected, strlen(expected)) == 0;
    cache_writer_free(out);
    return NULL;
}

static void two_threads_whose_fragments_contain_each_other_do_not_wait(void **state)
{
    cache_t *cache = test_store_open(state, NULL);
    pthread_barrier_t both_run;
    assert_int_equal(pthread_barrier_init(&both_run, NULL, 2), 0);
    struct pair_of_cards one = { cache, &both_run, "a", "b", false }, two = { cache, &both_run, "b", "a", false };
    pthread_t thread;
    const double begun = seconds_now();
    assert_int_equal(pthread_create(&thread, NULL, render_cards, &two), 0);
    render_cards(&one);
    pthread_join(thread, NULL);
    assert_true(seconds_now() - begun < SHORT_S);
    assert_true(one.right && two.right);
    pthread_barrier_destroy(&both_run);
    cache_close(cache);
}

struct recursion {
    cache_t *cache;
    int depth;
};

static cache_status fetch_page(void *ctx, cache_writer *out);

static void render_with_page(struct recursion *at, cache_writer *out)
{
    CACHE_FRAGMENT_WITH(at->cache, out, &patient, "f") {
        cache_value page = { NULL, 0, NULL };
        cache_writer_printf(out, "f%d", at->depth);
        if (at->depth < 2 && cache_fetch(at->cache, "page", &patient, fetch_page, at, &page) == CACHE_OK)
            cache_writer_append(out, page.data, page.size);
        cache_value_release(&page);
    }
}

static cache_status fetch_page(void *ctx, cache_writer *out)
{
    struct recursion *at = ctx;
    struct recursion next = { at->cache, 2 };
    cache_writer_puts(out, "p");
    render_with_page(&next, out);
    return CACHE_OK;
}

static void a_fragment_inside_a_value_of_its_own_body_does_not_wait_for_itself(void **state)
{
    cache_t *cache = test_store_open(state, NULL);
    cache_writer *out = cache_writer_new();
    struct recursion first = { cache, 1 };
    const double begun = seconds_now();
    render_with_page(&first, out);
    assert_true(seconds_now() - begun < SHORT_S);
    assert_string_equal(cache_writer_data(out, NULL), "f1pf2");
    cache_writer_free(out);
    cache_close(cache);
}

/* A thread begins a body and ends, another one ends the body. */
struct left_body {
    cache_t *cache;
    cache_writer *out;
    cache_fragment fragment;
};

static void *begin_body(void *arg)
{
    struct left_body *body = arg;
    body->fragment = cache_fragment_begin(body->cache, body->out, &patient, (const char *const[]){ "f" }, 1);
    return NULL;
}

static void *wait_for_body(void *arg)
{
    struct left_body *body = arg;
    cache_writer *out = cache_writer_new();
    CACHE_FRAGMENT_WITH(body->cache, out, &patient, "f") {
        cache_writer_puts(out, "own");
    }
    return out;
}

static void a_body_may_outlive_the_thread_that_began_it(void **state)
{
    struct left_body body = { .cache = test_store_open(state, NULL), .out = cache_writer_new() };
    pthread_t beginner, waiter;
    void *waited = NULL;
    assert_int_equal(pthread_create(&beginner, NULL, begin_body, &body), 0);
    pthread_join(beginner, NULL);
    assert_true(body.fragment.running);
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_body, &body), 0);
    cache_writer_puts(body.out, "theirs");
    body.fragment.whole = true;
    cache_fragment_end(&body.fragment);
    pthread_join(waiter, &waited);
    assert_string_equal(cache_writer_data(waited, NULL), "theirs");
    cache_writer_free(waited);
    cache_writer_free(body.out);
    cache_close(body.cache);
}

/* ---- three threads that find nothing ------------------------------------------------------------------------------ */

static cache_t *shared;
static atomic_int n_rendered;
static atomic_bool last_has_read, second_leads;

static void *render_part(void *unused)
{
    (void)unused;
    cache_writer *out = cache_writer_new();
    CACHE_FRAGMENT_WITH(shared, out, &patient, "part") {
        atomic_fetch_add(&n_rendered, 1);
        cache_writer_puts(out, "text");
    }
    const bool right = strcmp(cache_writer_data(out, NULL), "text") == 0;
    cache_writer_free(out);
    return right ? shared : NULL;
}

static void at_next_get(void (*act)(void))
{
    pthread_mutex_lock(&stub.lock);
    stub.inside_get = act;
    pthread_mutex_unlock(&stub.lock);
}

static bool is_followed(void)
{
    cache_flights_lock(shared->store->flights);
    const struct cache_flight *flight = shared->store->flights->all;
    const bool followed = flight != NULL && flight->references > 1;
    pthread_mutex_unlock(&cache_flight_lock);
    return followed;
}

static void wait_until_followed(void)
{
    second_leads = true;
    while (!is_followed())
        sched_yield();
}

/* The second thread has found nothing. Before it takes the lead, the first one renders and stores the text. So the
 * second one reads again, and now the last one follows it. */
static void let_first_render(void)
{
    pthread_t first;
    assert_int_equal(pthread_create(&first, NULL, render_part, NULL), 0);
    pthread_join(first, NULL);
    at_next_get(wait_until_followed);
}

static void wait_for_second(void)
{
    last_has_read = true;
    while (!second_leads)
        sched_yield();
}

static void who_waited_for_a_thread_that_found_the_text_finds_it_too(void **state)
{
    pthread_t second, last;
    void *right[2] = { NULL, NULL };
    (void)state;
    n_rendered = 0;
    last_has_read = second_leads = false;
    shared = test_open("telling://");
    at_next_get(wait_for_second);
    assert_int_equal(pthread_create(&last, NULL, render_part, NULL), 0);
    while (!last_has_read)
        sched_yield();
    at_next_get(let_first_render);
    assert_int_equal(pthread_create(&second, NULL, render_part, NULL), 0);
    pthread_join(second, &right[0]);
    pthread_join(last, &right[1]);
    assert_non_null(right[0]);
    assert_non_null(right[1]);
    assert_int_equal(n_rendered, 1);
    cache_close(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_whose_fragments_contain_each_other_do_not_wait),
        cmocka_unit_test(a_fragment_inside_a_value_of_its_own_body_does_not_wait_for_itself),
        cmocka_unit_test(a_body_may_outlive_the_thread_that_began_it),
    };
    const struct CMUnitTest own_store[] = {
        cmocka_unit_test_setup(who_waited_for_a_thread_that_found_the_text_finds_it_too, telling_store_reset),
    };
    if (cache_register_backend(&telling_ops) != CACHE_OK)
        return 1;
    const int failed = test_on_stores(tests, sizeof tests / sizeof tests[0]);
    return cmocka_run_group_tests(own_store, NULL, NULL) + failed;
}
