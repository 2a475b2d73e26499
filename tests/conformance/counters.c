/* counters.c - inc and dec: exact, at every limit, whatever stood there before. */
#include "conformance.h"

#include <inttypes.h>
#include <unistd.h>

static void assert_inc(cache_t *cache, const char *key, int64_t delta, int64_t expected)
{
    int64_t number = 0;
    char text[24];
    assert_status(CACHE_OK, cache_inc(cache, key, delta, &number));
    assert_true(number == expected);
    (void)snprintf(text, sizeof text, "%" PRId64, expected);
    assert_text(cache, key, text);
}

static void a_missing_counter_begins_at_delta(void **state)
{
    assert_inc(*state, "up", 1, 1);
    assert_inc(*state, "down", -3, -3);
    assert_inc(*state, "zero", 0, 0);
}

static void a_counter_goes_below_zero_and_back(void **state)
{
    cache_t *cache = *state;
    int64_t number = 0;
    assert_inc(cache, "n", 2, 2);
    assert_status(CACHE_OK, cache_dec(cache, "n", 5, &number));
    assert_int_equal(number, -3);
    assert_inc(cache, "n", -7, -10);
    assert_inc(cache, "n", 25, 15);
}

static void a_counter_reaches_both_limits_and_not_beyond(void **state)
{
    cache_t *cache = *state;
    assert_inc(cache, "max", INT64_MAX, INT64_MAX);
    assert_status(CACHE_ERR_RANGE, cache_inc(cache, "max", 1, NULL));
    assert_inc(cache, "max", -1, INT64_MAX - 1);
    assert_inc(cache, "min", INT64_MIN, INT64_MIN);
    assert_status(CACHE_ERR_RANGE, cache_inc(cache, "min", -1, NULL));
    assert_status(CACHE_ERR_RANGE, cache_inc(cache, "min", INT64_MIN, NULL));
    assert_inc(cache, "min", 1, INT64_MIN + 1);
    assert_inc(cache, "min", INT64_MAX, 0);
}

static void digits_past_2_to_the_53_are_kept(void **state)
{
    assert_inc(*state, "n", INT64_C(9007199254740993), INT64_C(9007199254740993));
    assert_inc(*state, "n", 2, INT64_C(9007199254740995));
}

static void dec_of_the_smallest_number_is_out_of_range(void **state)
{
    assert_status(CACHE_ERR_RANGE, cache_dec(*state, "n", INT64_MIN, NULL));
    assert_text(*state, "n", NULL);
}

static void a_text_that_is_a_number_can_be_counted_on(void **state)
{
    cache_t *cache = *state;
    assert_status(CACHE_OK, cache_set_string(cache, "n", "41", 60));
    assert_inc(cache, "n", 1, 42);
    assert_status(CACHE_OK, cache_set_string(cache, "n", "-5", 60));
    assert_inc(cache, "n", 3, -2);
    assert_inc(cache, "n", 3, 1);
    assert_status(CACHE_OK, cache_set_string(cache, "n", "10", 60));
    assert_inc(cache, "n", -1, 9);
    assert_status(CACHE_OK, cache_set_string(cache, "n", "-9223372036854775808", 60));
    assert_inc(cache, "n", 0, INT64_MIN);
}

static void what_is_no_number_is_refused_and_stays(void **state)
{
    cache_t *cache = *state;
    const char *const texts[] = { "text", "", "1.5", "+1", "0x10", "12a", "1 2", "--1", "-", "9223372036854775808",
                                  "-9223372036854775809", "99999999999999999999999" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_status(CACHE_OK, cache_set_string(cache, "n", texts[i], 60));
        int64_t number = 77;
        const cache_status status = cache_inc(cache, "n", 1, &number);
        if (status != CACHE_ERR_TYPE && status != CACHE_ERR_RANGE)
            fail_msg("inc of '%s': %s", texts[i], cache_strerror(status));
        if (strstr(cache_last_error(), "'n'") == NULL)
            fail_msg("inc of '%s': '%s' does not name the key", texts[i], cache_last_error());
        assert_int_equal(number, 77);
        assert_text(cache, "n", texts[i]);
    }
}

static void digits_with_other_bytes_around_are_no_number(void **state)
{
    static const struct { const char *bytes; size_t size; } values[] = {
        { "5\0", 2 }, { "5\0junk", 6 }, { "\0005", 2 }, { "5\n", 2 }, { "\t5", 2 }, { "-0", 2 }, { "007", 3 },
    };
    cache_t *cache = *state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        cache_value value;
        assert_status(CACHE_OK, cache_set(cache, "n", values[i].bytes, values[i].size, 60));
        if (cache_inc(cache, "n", 1, NULL) != CACHE_ERR_TYPE)
            fail_msg("number %zu was counted on", i);
        assert_status(CACHE_OK, cache_get(cache, "n", &value));
        assert_int_equal(value.size, values[i].size);
        assert_memory_equal(value.data, values[i].bytes, value.size);
        cache_value_release(&value);
    }
}

static void a_counter_can_be_set_added_deleted_and_read_in_many(void **state)
{
    cache_t *cache = *state;
    const char *const keys[] = { "n" };
    cache_value value;
    assert_inc(cache, "n", -12, -12);
    assert_status(CACHE_OK, cache_get_many(cache, keys, 1, &value));
    assert_string_equal(value.data, "-12");
    cache_value_release(&value);
    assert_status(CACHE_NOT_STORED, cache_add(cache, "n", "1", 1, 60));
    assert_status(CACHE_OK, cache_set_string(cache, "n", "100", 60));
    assert_inc(cache, "n", -1, 99);
    assert_status(CACHE_OK, cache_delete(cache, "n"));
    assert_inc(cache, "n", 4, 4);
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

enum { THREADS = 8, PROCESSES = 4, STEPS = 200 };

static void count(cache_t *cache, int thread)
{
    for (int i = 0; i < STEPS; i++)
        (void)cache_inc(cache, "sum", thread % 2 == 0 ? 3 : -1, NULL);
}

static void threads_count_to_an_exact_sum(void **state)
{
    in_threads(THREADS, count, *state);
    assert_inc(*state, "sum", 0, (int64_t)THREADS / 2 * STEPS * 2);
}

static bool count_in_process(cache_t *cache, int process)
{
    (void)process;
    in_threads(THREADS, count, cache);
    return true;
}

static void processes_with_threads_count_to_an_exact_sum(void **state)
{
    if (!target.shared)
        return;
    char options[64];
    (void)snprintf(options, sizeof options, "prefix=conf%ld:", (long)getpid());
    in_processes(PROCESSES, count_in_process, options);
    assert_inc(*state, "sum", 0, (int64_t)PROCESSES * THREADS / 2 * STEPS * 2);
}

int run_counters(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(a_missing_counter_begins_at_delta),
        conformance_test(a_counter_goes_below_zero_and_back),
        conformance_test(a_counter_reaches_both_limits_and_not_beyond),
        conformance_test(digits_past_2_to_the_53_are_kept),
        conformance_test(dec_of_the_smallest_number_is_out_of_range),
        conformance_test(a_text_that_is_a_number_can_be_counted_on),
        conformance_test(what_is_no_number_is_refused_and_stays),
        conformance_test(digits_with_other_bytes_around_are_no_number),
        conformance_test(a_counter_can_be_set_added_deleted_and_read_in_many),
        conformance_test(threads_count_to_an_exact_sum),
        conformance_test(processes_with_threads_count_to_an_exact_sum),
    };
    return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
