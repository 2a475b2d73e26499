/* test_lease_exact.c - checks the same as test_lease.c, on a store that can compare and set: if a key changes, no
 * computation that began before may store its result. Two handles on one store stand for two processes. */
#include "gate.h"

static cache_t *open_one(void)
{
    return test_open_with_clock("fakecompare://", &now_ms);
}

static void open_two(cache_t **first, cache_t **second)
{
    fake_store_reset();
    now_ms = 1000000;
    *first = open_one();
    *second = open_one();
}

static cache_fetch_options locked(double wait, double lock_ttl)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.lock = true;
    options.wait = wait;
    options.lock_ttl = lock_ttl;
    return options;
}

static void start_locked(struct caller *caller, cache_t *cache, struct gate *gate, cache_fetch_options options)
{
    *caller = (struct caller){ .cache = cache, .key = "k", .options = options, .compute = through_gate, .ctx = gate };
    const int before = atomic_load(&gate->inside);
    assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
    while (atomic_load(&gate->inside) == before)
        nap();
}

static void two_processes_compute_once(void **state)
{
    (void)state;
    cache_t *first = NULL, *second = NULL;
    open_two(&first, &second);
    struct gate gate = { 0 };
    struct caller here, there = { .cache = second, .key = "k", .options = locked(10, 0), .compute = through_gate,
                                  .ctx = &gate };
    start_locked(&here, first, &gate, locked(10, 0));
    const int gets = fake_store_calls(FAKE_GET);
    assert_int_equal(pthread_create(&there.thread, NULL, call, &there), 0);
    while (fake_store_calls(FAKE_GET) < gets + 3)    /* it waits */
        nap();
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    finish(&there, CACHE_OK, "v1");
    assert_int_equal(there.info.source, CACHE_SOURCE_SHARED);
    assert_int_equal(atomic_load(&gate.runs), 1);
    cache_close(first);
    cache_close(second);
}

enum change { DELETE, SET, ADD, DELETE_MANY, CLEAR, BEHIND_ITS_BACK, CHANGES };

static void make(cache_t *cache, enum change change)
{
    const char *keys[] = { "k" };
    switch (change) {
    case DELETE: (void)cache_delete(cache, "k"); break;
    case SET: assert_status(CACHE_OK, cache_set_string(cache, "k", "set", 60)); break;
    case ADD: (void)cache_delete(cache, "k");
              assert_status(CACHE_OK, cache_add(cache, "k", "set", 3, 60)); break;
    case DELETE_MANY: assert_status(CACHE_OK, cache_delete_many(cache, keys, 1, NULL)); break;
    case CLEAR: assert_status(CACHE_OK, cache_clear(cache)); break;
    default: fake_store_poke(KEY, NULL, 0); break;
    }
}

/* `old`: there is a stale value at first, or none. */
static void change_meanwhile(enum change change, bool old)
{
    cache_t *first = NULL, *second = NULL;
    open_two(&first, &second);
    struct gate gate = { 0 };
    struct caller here, follower = { .cache = first, .key = "k", .options = locked(10, 0), .compute = quick };
    cache_fetch_options options = locked(10, 0);
    char text[16];
    options.ttl = 10;
    options.stale = 10;
    if (old) {
        assert_status(CACHE_OK, fetch_text(first, &options, text));
        now_ms += 10000;
    }
    start_locked(&here, first, &gate, options);
    make(second, change);
    const int gets = fake_store_calls(FAKE_GET);
    assert_int_equal(pthread_create(&follower.thread, NULL, call, &follower), 0);    /* it asks after the change */
    while (fake_store_calls(FAKE_GET) == gets)
        nap();
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    assert_false(here.info.stored);
    const bool is_set = change == SET || change == ADD;
    finish(&follower, CACHE_OK, is_set ? "set" : "quick");
    assert_text(first, "k", is_set ? "set" : "quick");
    cache_close(first);
    cache_close(second);
}

static void what_changes_the_key_in_another_process_wins(void **state)
{
    (void)state;
    for (enum change change = DELETE; change < CHANGES; change++)
        for (int old = 0; old < 2; old++)
            change_meanwhile(change, old);
}

static void work_that_outlasts_its_lease_is_stored_if_nobody_else_was_quicker(void **state)
{
    (void)state;
    cache_t *first = NULL, *second = NULL;
    open_two(&first, &second);
    struct gate gate = { 0 };
    struct caller here;
    start_locked(&here, first, &gate, locked(10, 0.3));
    now_ms += 500;
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    assert_true(here.info.stored);
    assert_text(second, "k", "v1");
    cache_close(first);
    cache_close(second);
}

static void who_takes_over_a_lease_that_ran_out_does_not_keep_the_first_from_storing(void **state)
{
    (void)state;
    cache_t *first = NULL, *second = NULL;
    open_two(&first, &second);
    struct gate gate = { 0 }, other_gate = { 0 };
    struct caller here, there;
    start_locked(&here, first, &gate, locked(10, 0.3));
    now_ms += 300;
    start_locked(&there, second, &other_gate, locked(10, 0.3));    /* computes, too */
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    assert_true(here.info.stored);
    atomic_store(&other_gate.open, true);
    finish(&there, CACHE_OK, "v1");
    assert_false(there.info.stored);
    cache_close(first);
    cache_close(second);
}

static void a_delete_counts_against_all_who_hold_or_held_the_lease(void **state)
{
    (void)state;
    cache_t *first = NULL, *second = NULL;
    open_two(&first, &second);
    struct gate gate = { 0 }, other_gate = { 0 };
    struct caller here, there;
    start_locked(&here, first, &gate, locked(10, 0.3));
    now_ms += 300;
    start_locked(&there, second, &other_gate, locked(10, 0.3));
    fake_store_poke(KEY, NULL, 0);
    atomic_store(&gate.open, true);
    atomic_store(&other_gate.open, true);
    finish(&here, CACHE_OK, "v1");
    finish(&there, CACHE_OK, "v1");
    assert_text(first, "k", NULL);
    cache_close(first);
    cache_close(second);
}

static void a_lease_of_a_clock_that_was_ahead_holds_nobody_up(void **state)
{
    (void)state;
    cache_t *first = NULL, *second = NULL;
    open_two(&first, &second);
    struct gate gate = { 0 };
    struct caller here;
    char text[16];
    now_ms += INT64_C(4) * 366 * 24 * 3600 * 1000;
    start_locked(&here, first, &gate, locked(10, 0));
    now_ms = 1000000;
    const cache_fetch_options options = locked(0.05, 0);
    assert_status(CACHE_OK, fetch_text(second, &options, text));
    assert_string_equal(text, "quick");
    atomic_store(&gate.open, true);
    finish(&here, CACHE_OK, "v1");
    cache_close(first);
    cache_close(second);
}

static void a_failed_computation_leaves_no_lease(void **state)
{
    (void)state;
    cache_t *first = NULL, *second = NULL;
    open_two(&first, &second);
    struct gate gate = { .open = true, .status = CACHE_ERR_COMPUTE };
    char text[16];
    cache_fetch_options options = locked(0.05, 0);
    cache_value value;
    assert_status(CACHE_ERR_COMPUTE, cache_fetch(first, "k", &options, through_gate, &gate, &value));
    assert_int_equal(fake_store_peek(KEY, NULL, 0, NULL), -1);
    assert_status(CACHE_OK, fetch_text(second, &options, text));
    assert_string_equal(text, "quick");
    cache_close(first);
    cache_close(second);
}

static void what_the_store_refuses_leaves_neither_lease_nor_old_value(void **state)
{
    (void)state;
    for (int old = 0; old < 2; old++) {
        cache_t *first = NULL, *second = NULL;
        open_two(&first, &second);
        cache_fetch_options options = locked(0.05, 0);
        char text[16];
        options.ttl = 10;
        options.stale = 100;
        if (old) {
            assert_status(CACHE_OK, cache_set_string(first, "k", "old", 60));
            options.force = true;
        }
        struct gate gate = { 0 };
        struct caller here;
        start_locked(&here, first, &gate, options);
        fake_store_fail(FAKE_SET, CACHE_ERR_IO);
        atomic_store(&gate.open, true);
        finish(&here, CACHE_OK, "v1");
        fake_store_fail(FAKE_SET, CACHE_OK);
        options.force = false;
        assert_status(CACHE_OK, fetch_text(second, &options, text));
        cache_close(first);
        cache_close(second);
    }
}

/* ---- what nobody is shown is not there -------------------------------------------------------------------------- */

static cache_status nothing(void *ctx, cache_writer *out)
{
    (void)ctx, (void)out;
    return CACHE_MISS;
}

static cache_status forty_one(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "41");
}

enum dead { NEGATIVE, STALE, UNTAGGED, DEADS };

/* Under "k" stands what cache_get does not show. */
static void put_dead(cache_t *cache, enum dead dead)
{
    static const char *const tags[] = { "t" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.ttl = 10;
    options.stale = 1000;
    options.negative_ttl = 60;
    if (dead == UNTAGGED) {
        options.tags = tags;
        options.n_tags = 1;
    }
    const cache_status status = cache_fetch(cache, "k", &options, dead == NEGATIVE ? nothing : forty_one, NULL, &value);
    assert_int_equal(status, dead == NEGATIVE ? CACHE_MISS : CACHE_OK);
    cache_value_release(&value);
    if (dead == STALE)
        now_ms += 10000;
    if (dead == UNTAGGED)
        assert_status(CACHE_OK, cache_invalidate_tag(cache, "t"));
}

static void all_operations_agree_on_what_is_not_there(void **state)
{
    (void)state;
    for (enum dead dead = NEGATIVE; dead < DEADS; dead++) {
        cache_t *cache = NULL, *other = NULL;
        int64_t number = 0;
        open_two(&cache, &other);
        put_dead(cache, dead);
        assert_text(cache, "k", NULL);
        assert_status(CACHE_MISS, cache_has(cache, "k"));
        assert_status(CACHE_OK, cache_add(cache, "k", "added", 5, 60));
        assert_text(cache, "k", "added");
        assert_status(CACHE_NOT_STORED, cache_add(cache, "k", "again", 5, 60));
        assert_status(CACHE_OK, cache_delete(cache, "k"));
        put_dead(cache, dead);
        assert_status(CACHE_OK, cache_inc(cache, "k", 5, &number));
        assert_int_equal(number, 5);
        assert_text(cache, "k", "5");
        cache_close(cache);
        cache_close(other);
    }
}

static void a_number_that_a_fetch_stored_counts(void **state)
{
    (void)state;
    cache_t *cache = NULL, *other = NULL;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    static const char *const tags[] = { "t" };
    cache_value value;
    int64_t number = 0;
    open_two(&cache, &other);
    options.ttl = 10;
    options.tags = tags;
    options.n_tags = 1;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, forty_one, NULL, &value));
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_inc(cache, "k", 1, &number));
    assert_int_equal(number, 42);
    assert_text(cache, "k", "42");
    assert_status(CACHE_ERR_RANGE, cache_inc(cache, "k", INT64_MAX, &number));
    assert_text(cache, "k", "42");
    assert_status(CACHE_OK, cache_invalidate_tag(other, "t"));    /* it keeps its tags */
    assert_status(CACHE_OK, cache_inc(cache, "k", 1, &number));
    assert_int_equal(number, 1);
    assert_status(CACHE_OK, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, quick, NULL, &value));
    cache_value_release(&value);
    assert_status(CACHE_ERR_TYPE, cache_inc(cache, "k", 1, &number));
    assert_non_null(strstr(cache_last_error(), "cache_fetch"));
    now_ms += 10000;    /* its time is its own */
    assert_text(cache, "k", NULL);
    cache_close(cache);
    cache_close(other);
}

/* ---- the versions of tags --------------------------------------------------------------------------------------- */

static int64_t version_life(void)
{
    int64_t life_ms = -1;
    assert_true(fake_store_peek("libcache:\001tag/t", NULL, 0, &life_ms) > 0);
    return life_ms;
}

static void a_tags_version_lives_longer_than_its_values_and_not_for_ever(void **state)
{
    (void)state;
    cache_t *cache = NULL, *other = NULL;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    static const char *const tags[] = { "t" };
    const int64_t hour = 3600 * 1000;
    char text[16];
    open_two(&cache, &other);
    options.tags = tags;
    options.n_tags = 1;
    options.ttl = 10;
    assert_status(CACHE_OK, fetch_text(cache, &options, text));
    assert_in_range(version_life(), 10000, 2 * 10000 + hour);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "t"));
    assert_in_range(version_life(), 1, 2 * hour);
    options.ttl = 24 * 3600;
    options.stale = 3600;
    assert_status(CACHE_OK, fetch_text(cache, &options, text));
    assert_in_range(version_life(), 25 * hour, 51 * hour);
    now_ms += 24 * hour;    /* the value under it has been kept, and is served while its version is there */
    options.ttl = 48 * 3600;
    assert_status(CACHE_OK, fetch_text(cache, &options, text));
    assert_in_range(version_life(), 49 * hour, 99 * hour);
    now_ms += 48 * hour - 1;
    assert_text(cache, "k", "quick");
    cache_close(cache);
    cache_close(other);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(two_processes_compute_once),
        cmocka_unit_test(what_changes_the_key_in_another_process_wins),
        cmocka_unit_test(work_that_outlasts_its_lease_is_stored_if_nobody_else_was_quicker),
        cmocka_unit_test(who_takes_over_a_lease_that_ran_out_does_not_keep_the_first_from_storing),
        cmocka_unit_test(a_delete_counts_against_all_who_hold_or_held_the_lease),
        cmocka_unit_test(a_lease_of_a_clock_that_was_ahead_holds_nobody_up),
        cmocka_unit_test(a_failed_computation_leaves_no_lease),
        cmocka_unit_test(what_the_store_refuses_leaves_neither_lease_nor_old_value),
        cmocka_unit_test(all_operations_agree_on_what_is_not_there),
        cmocka_unit_test(a_number_that_a_fetch_stored_counts),
        cmocka_unit_test(a_tags_version_lives_longer_than_its_values_and_not_for_ever),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
