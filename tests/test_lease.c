/* test_lease.c - checks that one process at a time computes a key. Two handles on one store stand for two processes:
 * all that they know of each other is in the store. */
#include "gate.h"

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

static void who_lost_the_lease_to_one_that_still_computes_does_not_store(void **state)
{
    (void)state;
    cache_t *first = open_fake(), *second = test_open_with_clock("fake://", &now_ms);
    struct gate gate = { 0 }, later_gate = { 0 };
    struct caller here, later;
    start_locked_inside(&here, first, &gate, 0);
    now_ms += 10001;    /* lock_ttl is as wait, 10 s */
    start_locked_inside(&later, second, &later_gate, 0);
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    assert_text(second, "k", NULL);
    atomic_store(&later_gate.open, true);
    finish(&later, CACHE_OK, "v1");
    assert_text(first, "k", "v1");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(under_a_lock_two_processes_compute_once),
        cmocka_unit_test(without_a_lock_each_process_computes),
        cmocka_unit_test(waiting_for_another_process_is_bounded_and_its_lease_runs_out),
        cmocka_unit_test(who_lost_the_lease_to_one_that_still_computes_does_not_store),
        cmocka_unit_test(a_delete_in_another_process_keeps_a_locked_computation_from_being_stored),
        cmocka_unit_test(a_delete_of_many_in_another_process_does_too_in_two_round_trips),
        cmocka_unit_test(a_delete_in_another_process_in_the_instant_before_the_store_wins),
        cmocka_unit_test(a_stale_value_is_served_at_once_while_another_process_recomputes),
        cmocka_unit_test(who_followed_a_caller_that_took_the_stale_value_gets_the_new_one),
        cmocka_unit_test(a_users_key_named_like_a_lease_is_only_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
