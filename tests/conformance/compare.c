/* compare.c - checks compare_and_set, if a store has it: by it the core stores results that another process may have
 * outdated. */
#include "conformance.h"

#include "cache_internal.h"

static cache_status compare_and_set(cache_t *cache, const char *expected, const char *value, int64_t ttl_ms)
{
    struct cache_full_key full;
    assert_status(CACHE_OK, cache_key_make(cache, "k", &full));
    const cache_bytes to = { value, value != NULL ? strlen(value) : 0 };
    return cache_store_compare_and_set(cache, full.bytes, (cache_bytes){ expected, strlen(expected) }, to, ttl_ms);
}

static bool can_compare(const cache_t *cache)
{
    return cache->store->ops.compare_and_set != NULL;
}

static void only_what_begins_as_expected_is_replaced(void **state)
{
    cache_t *cache = *state;
    if (!can_compare(cache))
        return;
    assert_int_equal(compare_and_set(cache, "", "x", 60000), CACHE_NOT_STORED);
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "first value", 60));
    assert_int_equal(compare_and_set(cache, "second", "x", 60000), CACHE_NOT_STORED);
    assert_int_equal(compare_and_set(cache, "first value and more", "x", 60000), CACHE_NOT_STORED);
    assert_text(cache, "k", "first value");
    assert_status(CACHE_OK, compare_and_set(cache, "first", "second value", 60000));
    assert_text(cache, "k", "second value");
    assert_status(CACHE_OK, compare_and_set(cache, "second value", "third", 0));
    assert_text(cache, "k", "third");
}

static void only_what_begins_as_expected_is_removed(void **state)
{
    cache_t *cache = *state;
    if (!can_compare(cache))
        return;
    assert_int_equal(compare_and_set(cache, "", NULL, 0), CACHE_NOT_STORED);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
    assert_int_equal(compare_and_set(cache, "other", NULL, 0), CACHE_NOT_STORED);
    assert_text(cache, "k", "value");
    assert_status(CACHE_OK, compare_and_set(cache, "val", NULL, 0));
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_add(cache, "k", "new", 3, 60));
    assert_text(cache, "k", "new");
}

enum { THREADS = 4, STEPS = 50 };

static void count_up(cache_t *cache, int thread)
{
    (void)thread;
    for (int done = 0; done < STEPS;) {
        char now[32] = "", next[32];
        size_t size = 0;
        assert_status(CACHE_OK, cache_get_copy(cache, "k", now, sizeof now - 1, &size));
        now[size] = '\0';
        (void)snprintf(next, sizeof next, "n%04d", atoi(now + 1) + 1);
        done += compare_and_set(cache, now, next, 60000) == CACHE_OK;
    }
}

static void of_those_that_expect_the_same_one_wins(void **state)
{
    cache_t *cache = *state;
    char last[32];
    if (!can_compare(cache))
        return;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "n0000", 60));
    in_threads(THREADS, count_up, cache);
    (void)snprintf(last, sizeof last, "n%04d", THREADS * STEPS);
    assert_text(cache, "k", last);
}

/* ---- what rests on it ------------------------------------------------------------------------------------------- */

static cache_status forty_one(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "41");
}

static cache_status nothing(void *ctx, cache_writer *out)
{
    (void)ctx, (void)out;
    return CACHE_MISS;
}

static void what_a_fetch_stored_counts_and_what_it_did_not_find_is_not_there(void **state)
{
    cache_t *cache = *state;
    cache_value value;
    int64_t number = 0;
    if (!can_compare(cache))
        return;
    assert_status(CACHE_OK, cache_fetch(cache, "k", NULL, forty_one, NULL, &value));
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_inc(cache, "k", 1, &number));
    assert_int_equal(number, 42);
    assert_text(cache, "k", "42");
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.negative_ttl = 60;
    for (int how = 0; how < 2; how++) {
        assert_status(CACHE_OK, cache_delete(cache, "k"));
        assert_status(CACHE_MISS, cache_fetch(cache, "k", &options, nothing, NULL, &value));
        assert_status(CACHE_MISS, cache_has(cache, "k"));
        assert_status(CACHE_OK, how == 0 ? cache_add(cache, "k", "7", 1, 60) : cache_inc(cache, "k", 7, NULL));
        assert_text(cache, "k", "7");
    }
}

static cache_status change_and_compute(void *ctx, cache_writer *out)
{
    cache_t *other = ctx;
    (void)cache_set_string(other, "k", "set", 60);
    return cache_writer_puts(out, "computed");
}

static cache_status delete_and_compute(void *ctx, cache_writer *out)
{
    cache_t *other = ctx;
    (void)cache_delete(other, "k");
    return cache_writer_puts(out, "computed");
}

static void a_change_by_another_process_beats_a_locked_computation(void **state)
{
    (void)state;
    if (!target.shared)
        return;
    cache_t *cache = target_open("prefix=locked:"), *other = target_open("prefix=locked:");
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.lock = true;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, delete_and_compute, other, &value));
    cache_value_release(&value);
    assert_text(cache, "k", NULL);
    if (can_compare(cache)) {
        assert_status(CACHE_OK, cache_fetch(cache, "k", &options, change_and_compute, other, &value));
        cache_value_release(&value);
        assert_text(cache, "k", "set");
    }
    (void)cache_delete(other, "k");
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, forty_one, NULL, &value));
    cache_value_release(&value);
    assert_text(other, "k", "41");
    (void)cache_clear(cache);
    cache_close(other);
    cache_close(cache);
}

int run_compare(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(only_what_begins_as_expected_is_replaced),
        conformance_test(only_what_begins_as_expected_is_removed),
        conformance_test(of_those_that_expect_the_same_one_wins),
        conformance_test(what_a_fetch_stored_counts_and_what_it_did_not_find_is_not_there),
        cmocka_unit_test(a_change_by_another_process_beats_a_locked_computation),
    };
    return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
