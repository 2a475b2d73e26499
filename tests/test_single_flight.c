/* test_single_flight.c - checks that one thread of a process at a time computes a key: who computes, who waits, and
 * what the others get. */
#include "flight.h"
#include "gate.h"

/* ---- many callers ------------------------------------------------------------------------------------------------ */

enum { CROWD = 100 };

static void crowd(cache_status status, const char *text)
{
    cache_t *cache = open_fake();
    static struct caller callers[CROWD];
    struct gate gate = { .status = status };
    for (size_t i = 0; i < CROWD; i++)
        start(&callers[i], cache, "k", through_gate, &gate);
    while (fake_store_calls(FAKE_GET) < CROWD)    /* all have missed */
        nap();
    atomic_store(&gate.open, true);
    int computed = 0, shared = 0;
    for (size_t i = 0; i < CROWD; i++) {
        finish(&callers[i], status, text);
        computed += callers[i].info.source == CACHE_SOURCE_COMPUTED;
        shared += callers[i].info.source == CACHE_SOURCE_SHARED || callers[i].info.source == CACHE_SOURCE_HIT;
    }
    if (status == CACHE_OK) {
        assert_int_equal(atomic_load(&gate.runs), 1);
        assert_int_equal(computed, 1);
        assert_int_equal(shared, CROWD - 1);
    } else
        assert_in_range(atomic_load(&gate.runs), 1, CROWD);
    cache_close(cache);
}

static void a_hundred_threads_on_a_cold_key_compute_once(void **state)
{
    (void)state;
    crowd(CACHE_OK, "v1");
}

static void a_failure_wakes_all_who_wait(void **state)
{
    (void)state;
    crowd(CACHE_ERR_COMPUTE, NULL);
}

static cache_status fail_with_words(void *ctx, cache_writer *out)
{
    (void)out;
    (void)through_gate(ctx, out);
    return cache_fail(CACHE_ERR_IO, "db: disk I/O error on table 'posts'");
}

/* cache_last_error is a thread's own. */
static void *call_and_note_error(void *arg)
{
    struct caller *caller = arg;
    (void)call(caller);
    (void)snprintf(caller->ctx, 100, "%s", cache_last_error());
    return NULL;
}

static void who_waits_gets_the_words_of_the_one_that_failed(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader, follower;
    char words[100] = "";
    start(&leader, cache, "k", fail_with_words, &gate);
    while (atomic_load(&gate.inside) == 0)
        nap();
    follower = (struct caller){ .cache = cache, .key = "k", .compute = quick, .ctx = words,
                                .options = CACHE_FETCH_OPTIONS_INIT };
    const int gets = fake_store_calls(FAKE_GET);
    assert_int_equal(pthread_create(&follower.thread, NULL, call_and_note_error, &follower), 0);
    while (fake_store_calls(FAKE_GET) == gets)
        nap();
    for (int i = 0; i < 20; i++)    /* from its read to its wait */
        nap();
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_ERR_IO, NULL);
    finish(&follower, CACHE_ERR_IO, NULL);
    assert_string_equal(words, "db: disk I/O error on table 'posts'");
    cache_close(cache);
}

static void waiting_is_bounded(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    start_inside(&leader, cache, &gate);
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.wait = 0.02;
    char text[16];
    assert_status(CACHE_ERR_TIMEOUT, fetch_text(cache, &options, text));
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    cache_close(cache);
}

/* ---- cycles ------------------------------------------------------------------------------------------------------ */

struct chain {
    cache_t *cache;
    const char *next;              /* the key that the computation asks for */
    struct chain *inner;           /* how that one is computed */
    atomic_int *begun;             /* NULL, or counted up, and waited for until it is 2 */
    cache_status answer;
};

static cache_status ask_next(void *ctx, cache_writer *out)
{
    struct chain *chain = ctx;
    if (chain->begun != NULL) {
        atomic_fetch_add(chain->begun, 1);
        while (atomic_load(chain->begun) < 2)
            nap();
    }
    cache_value value;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.wait = 5;
    chain->answer = cache_fetch(chain->cache, chain->next, &options, ask_next, chain->inner, &value);
    cache_value_release(&value);
    return chain->answer == CACHE_OK ? cache_writer_puts(out, "x") : chain->answer;
}

static void a_computation_that_asks_for_its_own_key_is_an_error(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct chain self = { .cache = cache, .next = "k" }, there = { .cache = cache, .next = "a" };
    struct chain back = { .cache = cache, .next = "k", .inner = &there };
    there.inner = &back;
    cache_value value;
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "k", NULL, ask_next, &self, &value));
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "k", NULL, ask_next, &there, &value));    /* k, a, k */
    cache_close(cache);
}

static void two_threads_that_wait_for_each_other_are_told_and_do_not_hang(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    atomic_int begun = 0;
    struct chain a = { .cache = cache, .next = "b", .begun = &begun };
    struct chain b = { .cache = cache, .next = "a", .begun = &begun };
    struct caller callers[2];
    start(&callers[0], cache, "a", ask_next, &a);
    start(&callers[1], cache, "b", ask_next, &b);
    finish(&callers[0], CACHE_ERR_INVALID, NULL);
    finish(&callers[1], CACHE_ERR_INVALID, NULL);
    cache_close(cache);
}

/* ---- values of a store's own ------------------------------------------------------------------------------------- */

struct owned {
    cache_owner owner;
    struct cache_flights *flights;
    atomic_int references;
};

/* As a store in another language may do: its lock is held by a thread that asks the cache for something meanwhile. */
static void retain_owned(cache_owner *owner)
{
    struct owned *owned = (struct owned *)owner;
    cache_flights_invalidate(owned->flights, (cache_bytes){ "another", 7 });
    atomic_fetch_add(&owned->references, 1);
}

static void release_owned(cache_owner *owner)
{
    struct owned *owned = (struct owned *)owner;
    cache_flights_invalidate(owned->flights, (cache_bytes){ "another", 7 });
    atomic_fetch_sub(&owned->references, 1);
}

static const cache_owner_ops owned_ops = { retain_owned, release_owned };

struct follower {
    struct cache_flights *flights;
    atomic_bool follows;
    bool landed;
};

static void *follow(void *arg)
{
    struct follower *follower = arg;
    const struct cache_flight_request request = { .key = { "k", 1 } };
    struct cache_flight *flight = NULL;
    struct cache_outcome outcome;
    bool cycle = false;
    const bool follows = cache_flight_join(follower->flights, &request, &flight) == FLIGHT_FOLLOW;
    atomic_store(&follower->follows, true);
    follower->landed = follows && cache_flight_wait(flight, cache_now_ns() + UINT64_C(60000000000), &outcome, &cycle);
    if (follower->landed)
        cache_value_release(&outcome.value);
    return NULL;
}

static void the_owner_of_a_shared_value_is_called_under_no_lock(void **state)
{
    (void)state;
    cache_config config = CACHE_CONFIG_INIT;
    cache_env env;
    cache_env_init(&env, &config);
    struct cache_flights *flights = cache_flights_new(&env);
    struct owned owned = { { &owned_ops }, flights, 1 };
    const struct cache_flight_request request = { .key = { "k", 1 } }, other = { .key = { "other", 5 } };
    struct cache_flight *flight = NULL, *under_way = NULL;
    assert_int_equal(cache_flight_join(flights, &other, &under_way), FLIGHT_LEAD);
    assert_int_equal(cache_flight_join(flights, &request, &flight), FLIGHT_LEAD);
    struct follower follower = { .flights = flights };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, follow, &follower), 0);
    while (!atomic_load(&follower.follows))
        nap();
    struct cache_outcome outcome = { .status = CACHE_OK, .value = { "v", 1, &owned.owner } };
    cache_flight_complete(flight, &outcome);    /* were it called under the lock, this would hang */
    pthread_join(thread, NULL);
    assert_true(follower.landed);
    cache_value_release(&outcome.value);
    assert_int_equal(owned.references, 0);
    cache_flight_complete(under_way, &(struct cache_outcome){ .status = CACHE_MISS });
    cache_flights_free(flights);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_hundred_threads_on_a_cold_key_compute_once),
        cmocka_unit_test(a_failure_wakes_all_who_wait),
        cmocka_unit_test(who_waits_gets_the_words_of_the_one_that_failed),
        cmocka_unit_test(waiting_is_bounded),
        cmocka_unit_test(a_computation_that_asks_for_its_own_key_is_an_error),
        cmocka_unit_test(two_threads_that_wait_for_each_other_are_told_and_do_not_hang),
        cmocka_unit_test(the_owner_of_a_shared_value_is_called_under_no_lock),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
