/* One computation a key at a time: in the process, among processes under a lease, when the key changes meanwhile. */
#include "fake_store.h"
#include "flight.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEY "libcache:k"

static _Atomic int64_t now_ms;

static cache_t *open_fake(void)
{
    fake_store_reset();
    now_ms = 1000000;
    return test_open_with_clock("fake://", &now_ms);
}

static void nap(void)
{
    const struct timespec ms = { 0, 1000000 };
    nanosleep(&ms, NULL);
}

/* A computation that stops in the middle until the test lets it go on. */
struct gate {
    atomic_int runs, inside;
    atomic_bool open;
    cache_status status;
};

static cache_status through_gate(void *ctx, cache_writer *out)
{
    struct gate *gate = ctx;
    const int run = atomic_fetch_add(&gate->runs, 1) + 1;
    atomic_fetch_add(&gate->inside, 1);
    while (!atomic_load(&gate->open))
        nap();
    atomic_fetch_sub(&gate->inside, 1);
    return gate->status != CACHE_OK ? gate->status : cache_writer_printf(out, "v%d", run);
}

struct caller {
    pthread_t thread;
    cache_t *cache;
    const char *key;
    cache_fetch_options options;
    cache_compute_fn *compute;
    void *ctx;
    cache_status status;
    cache_value value;
    cache_fetch_info info;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    caller->options.info = &caller->info;
    caller->status = cache_fetch(caller->cache, caller->key, &caller->options, caller->compute, caller->ctx,
                                 &caller->value);
    return NULL;
}

static void start(struct caller *caller, cache_t *cache, const char *key, cache_compute_fn *compute, void *ctx)
{
    *caller = (struct caller){ .cache = cache, .key = key, .compute = compute, .ctx = ctx,
                               .options = CACHE_FETCH_OPTIONS_INIT };
    assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void start_inside(struct caller *caller, cache_t *cache, struct gate *gate)
{
    start(caller, cache, "k", through_gate, gate);
    while (atomic_load(&gate->inside) == 0)
        nap();
}

static void finish(struct caller *caller, cache_status status, const char *text)
{
    pthread_join(caller->thread, NULL);
    assert_int_equal(caller->status, status);
    if (text != NULL)
        assert_string_equal(caller->value.data, text);
    else
        assert_null(caller->value.data);
    cache_value_release(&caller->value);
}

static cache_status quick(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "quick");
}

static cache_status fetch_text(cache_t *cache, const cache_fetch_options *options, char text[16])
{
    cache_value value;
    const cache_status status = cache_fetch(cache, "k", options, quick, NULL, &value);
    (void)snprintf(text, 16, "%s", value.data != NULL ? (const char *)value.data : "");
    cache_value_release(&value);
    return status;
}

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

/* ---- invalidation beats a computation that began before it ------------------------------------------------------- */

enum change { DELETE, SET, ADD, CLEAR, DELETE_MANY };

static void make(cache_t *cache, enum change change)
{
    const char *keys[] = { "k" };
    switch (change) {
    case DELETE: assert_status(CACHE_MISS, cache_delete(cache, "k")); break;
    case SET: assert_status(CACHE_OK, cache_set_string(cache, "k", "set", 60)); break;
    case ADD: assert_status(CACHE_OK, cache_add(cache, "k", "set", 3, 60)); break;
    case CLEAR: assert_status(CACHE_OK, cache_clear(cache)); break;
    case DELETE_MANY: assert_status(CACHE_OK, cache_delete_many(cache, keys, 1, NULL)); break;
    }
}

static void what_changes_a_key_keeps_a_running_computation_from_being_stored(void **state)
{
    (void)state;
    for (enum change change = DELETE; change <= DELETE_MANY; change++) {
        cache_t *cache = open_fake();
        struct gate gate = { 0 };
        struct caller leader;
        start_inside(&leader, cache, &gate);
        make(cache, change);
        atomic_store(&gate.open, true);
        finish(&leader, CACHE_OK, "v1");    /* who waited has an answer all the same */
        assert_text(cache, "k", change == SET || change == ADD ? "set" : NULL);
        cache_close(cache);
    }
}

static void who_comes_after_a_delete_does_not_join_the_old_computation(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    char text[16];
    start_inside(&leader, cache, &gate);
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    assert_string_equal(text, "quick");
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    assert_text(cache, "k", "quick");    /* and the old one does not replace the new one */
    cache_close(cache);
}

static void another_key_is_not_disturbed(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    start_inside(&leader, cache, &gate);
    assert_status(CACHE_MISS, cache_delete(cache, "kk"));
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    assert_text(cache, "k", "v1");
    cache_close(cache);
}

/* A delete in the instant between the last question and the store. */
static void delete_before_set(void *ctx, enum fake_op op, cache_bytes key)
{
    if (op == FAKE_SET && key.size == strlen(KEY) && memcmp(key.data, KEY, key.size) == 0)
        (void)cache_delete(ctx, "k");
}

static void a_delete_in_the_instant_before_the_store_wins(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    char text[16];
    fake_store_hook(delete_before_set, cache);
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    fake_store_hook(NULL, NULL);
    assert_text(cache, "k", NULL);
    cache_close(cache);
}

/* ---- among processes: two opens of one store know nothing of each other but what is in it ------------------------ */

static cache_fetch_options locked(double wait)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.lock = true;
    options.wait = wait;
    return options;
}

static void start_locked_inside(struct caller *caller, cache_t *cache, struct gate *gate, double stale)
{
    *caller = (struct caller){ .cache = cache, .key = "k", .options = locked(10), .compute = through_gate,
                               .ctx = gate };
    caller->options.stale = stale;
    caller->options.ttl = 10;
    assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
    while (atomic_load(&gate->inside) == 0)
        nap();
}

static void under_a_lock_two_processes_compute_once(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    struct gate gate = { 0 };
    struct caller here, there;
    start_locked_inside(&here, first, &gate, 0);
    there = (struct caller){ .cache = second, .key = "k", .options = locked(10), .compute = through_gate,
                             .ctx = &gate };
    const int sets = fake_store_calls(FAKE_SET);
    assert_int_equal(pthread_create(&there.thread, NULL, call, &there), 0);
    while (fake_store_calls(FAKE_SET) == sets)    /* it has asked for the lease */
        nap();
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    finish(&there, CACHE_OK, "v1");
    assert_int_equal(there.info.source, CACHE_SOURCE_SHARED);
    assert_int_equal(atomic_load(&gate.runs), 1);
    cache_close(first);
    cache_close(second);
}

static void without_a_lock_each_process_computes(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    struct gate gate = { 0 };
    struct caller here;
    char text[16];
    start_inside(&here, first, &gate);
    assert_status(CACHE_OK, fetch_text(second, NULL, text));
    assert_string_equal(text, "quick");
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    cache_close(first);
    cache_close(second);
}

static void waiting_for_another_process_is_bounded_and_its_lease_runs_out(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    struct gate gate = { 0 };
    struct caller here;
    char text[16];
    start_locked_inside(&here, first, &gate, 0);
    const cache_fetch_options options = locked(0.02);
    assert_status(CACHE_ERR_TIMEOUT, fetch_text(second, &options, text));
    now_ms += 10001;    /* as if the first had died: lock_ttl is as wait, 10 s */
    assert_status(CACHE_OK, fetch_text(second, &options, text));
    assert_string_equal(text, "quick");
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    assert_text(second, "k", "quick");    /* who lost the lease does not store */
    cache_close(first);
    cache_close(second);
}

static void a_delete_in_another_process_keeps_a_locked_computation_from_being_stored(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    struct gate gate = { 0 };
    struct caller here;
    start_locked_inside(&here, first, &gate, 0);
    assert_status(CACHE_MISS, cache_delete(second, "k"));
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    assert_text(first, "k", NULL);
    cache_close(first);
    cache_close(second);
}

static void a_delete_of_many_in_another_process_does_too_in_two_round_trips(void **state)
{
    (void)state;
    static const char *const urls[] = { "fake://", "fakemany://" };
    static const char *const keys[] = { "other", "k", "\001odd" };
    for (size_t i = 0; i < 2; i++) {
        fake_store_reset();
        cache_t *first = test_open_with_clock(urls[i], &now_ms), *second = test_open_with_clock(urls[i], &now_ms);
        struct gate gate = { 0 };
        struct caller here;
        size_t deleted = 9;
        start_locked_inside(&here, first, &gate, 0);
        assert_status(CACHE_OK, cache_delete_many(second, keys, 3, &deleted));
        assert_int_equal(deleted, 0);    /* a lease is no value */
        assert_int_equal(fake_store_calls(i == 1 ? FAKE_REMOVE_MANY : FAKE_REMOVE), i == 1 ? 2 : 6);
        atomic_store(&gate.open, true);
        finish(&here, CACHE_OK, "v1");
        assert_text(first, "k", NULL);
        cache_close(first);
        cache_close(second);
    }
}

static void a_delete_in_another_process_in_the_instant_before_the_store_wins(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    const cache_fetch_options options = locked(1);
    char text[16];
    fake_store_hook(delete_before_set, second);
    assert_status(CACHE_OK, fetch_text(first, &options, text));
    fake_store_hook(NULL, NULL);
    assert_text(first, "k", NULL);
    cache_close(first);
    cache_close(second);
}

static void a_stale_value_is_served_at_once_while_another_process_recomputes(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    struct gate gate = { .open = true };
    struct caller here;
    start(&here, first, "k", through_gate, &gate);
    pthread_join(here.thread, NULL);
    cache_value_release(&here.value);
    now_ms += 301000;    /* past the default TTL: it is gone; begin again with a stale time */
    cache_fetch_options options = locked(10);
    options.ttl = 10;
    options.stale = 5;
    char text[16];
    assert_status(CACHE_OK, fetch_text(first, &options, text));
    now_ms += 10000;
    atomic_store(&gate.open, false);
    start_locked_inside(&here, first, &gate, 5);
    const int before = fake_store_calls(FAKE_GET);
    assert_status(CACHE_OK, fetch_text(second, &options, text));
    assert_string_equal(text, "quick");
    assert_in_range(fake_store_calls(FAKE_GET) - before, 1, 2);    /* it did not poll */
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v2");
    cache_close(first);
    cache_close(second);
}

/* The leader's first question for the lease starts a caller that has no use for a stale value, and joins the leader. */
static void start_follower(void *ctx, enum fake_op op, cache_bytes key)
{
    struct caller *follower = ctx;
    if (op != FAKE_SET || !fake_key_ends(key, "lease/k") || follower->key != NULL)
        return;
    const int gets = fake_store_calls(FAKE_GET);
    follower->key = "k";
    assert_int_equal(pthread_create(&follower->thread, NULL, call, follower), 0);
    while (fake_store_calls(FAKE_GET) == gets)
        nap();
    for (int i = 0; i < 20; i++)    /* from its read to its wait; should it come late, it leads, and the answer is the
                                     * same */
        nap();
}

static void who_followed_a_caller_that_took_the_stale_value_gets_the_new_one(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    struct gate gate = { 0 };
    struct caller here, follower = { .cache = second, .options = locked(10), .compute = quick };
    cache_fetch_options options = locked(10);
    options.ttl = 10;
    options.stale = 5;
    char text[16];
    assert_status(CACHE_OK, fetch_text(first, &options, text));
    now_ms += 10000;
    start_locked_inside(&here, first, &gate, 5);
    fake_store_hook(start_follower, &follower);
    assert_status(CACHE_OK, fetch_text(second, &options, text));
    assert_string_equal(text, "quick");
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    finish(&follower, CACHE_OK, "v1");
    fake_store_hook(NULL, NULL);
    cache_close(first);
    cache_close(second);
}

static void a_users_key_named_like_a_lease_is_only_a_key(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = locked(0.02);
    char text[16];
    assert_status(CACHE_OK, cache_set_string(cache, "lease/k", "mine", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "\001lease/k", "mine too", 60));
    assert_status(CACHE_OK, fetch_text(cache, &options, text));
    assert_text(cache, "lease/k", "mine");
    assert_text(cache, "\001lease/k", "mine too");
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

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static void a_child_does_not_wait_for_its_parents_computations(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    start_inside(&leader, cache, &gate);
    const pid_t child = fork();
    if (child == 0) {
        char text[16];
        const bool right = fetch_text(cache, NULL, text) == CACHE_OK && strcmp(text, "quick") == 0;
        _exit(right ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_threads_on_a_cold_key_compute_once),
        cmocka_unit_test(a_failure_wakes_all_who_wait),
        cmocka_unit_test(waiting_is_bounded),
        cmocka_unit_test(a_computation_that_asks_for_its_own_key_is_an_error),
        cmocka_unit_test(two_threads_that_wait_for_each_other_are_told_and_do_not_hang),
        cmocka_unit_test(what_changes_a_key_keeps_a_running_computation_from_being_stored),
        cmocka_unit_test(who_comes_after_a_delete_does_not_join_the_old_computation),
        cmocka_unit_test(another_key_is_not_disturbed),
        cmocka_unit_test(a_delete_in_the_instant_before_the_store_wins),
        cmocka_unit_test(under_a_lock_two_processes_compute_once),
        cmocka_unit_test(without_a_lock_each_process_computes),
        cmocka_unit_test(waiting_for_another_process_is_bounded_and_its_lease_runs_out),
        cmocka_unit_test(a_delete_in_another_process_keeps_a_locked_computation_from_being_stored),
        cmocka_unit_test(a_delete_of_many_in_another_process_does_too_in_two_round_trips),
        cmocka_unit_test(a_delete_in_another_process_in_the_instant_before_the_store_wins),
        cmocka_unit_test(a_stale_value_is_served_at_once_while_another_process_recomputes),
        cmocka_unit_test(who_followed_a_caller_that_took_the_stale_value_gets_the_new_one),
        cmocka_unit_test(a_users_key_named_like_a_lease_is_only_a_key),
        cmocka_unit_test(the_owner_of_a_shared_value_is_called_under_no_lock),
        cmocka_unit_test(a_child_does_not_wait_for_its_parents_computations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
