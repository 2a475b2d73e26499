/* test_far_deadline.c - a deadline that is far away is not compared with a clock at each read, and is seen in time all
 * the same. */
#include "test.h"

#include "hooks.h"

#include <time.h>

static time_t second = 1000;           /* of the wall clock, which only this test moves */
static cache_env env;

time_t time(time_t *out)
{
    if (out != NULL)
        *out = second;
    return second;
}

static int64_t now_ms(void)
{
    return cache_env_monotonic_ms(&env);
}

static void a_far_deadline_needs_no_clock_within_a_second(void **state)
{
    (void)state;
    const int64_t deadline = now_ms() + 60000;
    second++;
    assert_false(cache_env_deadline_reached(&env, deadline));
    assert_int_equal(second, cache_env_last_look.second);
    cache_env_last_look.recent_ms -= 5;    /* to see whether the clock is read */
    const int64_t noted = cache_env_last_look.recent_ms;
    assert_false(cache_env_deadline_reached(&env, deadline));
#ifdef __GLIBC__
    assert_int_equal(noted, cache_env_last_look.recent_ms);
#endif
    second++;
    assert_false(cache_env_deadline_reached(&env, deadline));
    assert_true(noted < cache_env_last_look.recent_ms);
}

static void a_deadline_that_was_far_is_reached_in_a_later_second(void **state)
{
    (void)state;
    const int64_t deadline = now_ms();
    cache_env_last_look = (struct cache_last_look){ second, deadline - 10000 };    /* ten seconds ago, by the clock */
    second += 10;
    while (now_ms() <= deadline + 20)
        continue;
    assert_true(cache_env_deadline_reached(&env, deadline));
}

static void a_near_deadline_is_exact_within_a_second(void **state)
{
    (void)state;
    const int64_t deadline = now_ms() + 30;
    while (now_ms() < deadline)
        continue;
    assert_true(cache_env_deadline_reached(&env, deadline));
    assert_false(cache_env_deadline_reached(&env, deadline + 60000));
}

static int64_t clock_of_test(void *ctx)
{
    return *(const int64_t *)ctx;
}

static void a_replaced_clock_is_asked_each_time(void **state)
{
    (void)state;
    int64_t test_ms = 0;
    const cache_config config = { .size = sizeof config, .clock = { clock_of_test, &test_ms } };
    cache_env replaced;
    cache_env_init(&replaced, &config);
    const int64_t deadline = now_ms() + 60000;
    assert_false(cache_env_deadline_reached(&env, deadline));
    assert_false(cache_env_deadline_reached(&replaced, deadline));
    test_ms = deadline;
    assert_true(cache_env_deadline_reached(&replaced, deadline));
}

static int set_up(void **state)
{
    (void)state;
    const cache_config config = { .size = sizeof config };
    cache_env_init(&env, &config);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_far_deadline_needs_no_clock_within_a_second),
        cmocka_unit_test(a_deadline_that_was_far_is_reached_in_a_later_second),
        cmocka_unit_test(a_near_deadline_is_exact_within_a_second),
        cmocka_unit_test(a_replaced_clock_is_asked_each_time),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
