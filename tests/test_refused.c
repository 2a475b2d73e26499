/* test_refused.c - checks that a store that refuses a new value does not go on serving the old one. */
#include "fetch_work.h"

static void an_old_value_that_could_not_be_replaced_is_gone(void **state)
{
    (void)state;
    const cache_status refusals[] = { CACHE_ERR_IO, CACHE_ERR_TOO_LARGE, CACHE_ERR_NOMEM };
    for (size_t i = 0; i < 3; i++)
        for (int forced = 0; forced < 2; forced++) {
            cache_t *cache = open_fake();
            struct work work = { 0 };
            cache_fetch_options options = with_ttl(10);
            options.stale = 100;
            expect(cache, &options, &work, CACHE_OK, "v1");
            if (!forced)
                now_ms += 10000;    /* its successor is computed by who asks */
            options.force = forced;
            fake_store_fail(FAKE_SET, refusals[i]);
            expect(cache, &options, &work, CACHE_OK, "v2");
            fake_store_fail(FAKE_SET, CACHE_OK);
            options.force = false;
            expect(cache, &options, &work, CACHE_OK, "v3");
            cache_close(cache);
        }
}

static void the_same_holds_for_many(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    assert_status(CACHE_OK, cache_set_string(cache, "a", "old", CACHE_TTL_FOREVER));
    cache_close(cache);
    cache = test_open("fake://?on_error=miss");
    const cache_item items[] = { { .key = "a", .data = "new", .size = 3 }, { .key = "b", .data = "new", .size = 3 } };
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "a", NULL);
    cache_close(cache);
}

static void the_same_holds_for_many_with_a_ttl_each(void **state)
{
    (void)state;
    cache_close(open_fake());
    cache_t *cache = test_open("fake://?on_error=miss");
    assert_status(CACHE_OK, cache_set_string(cache, "a", "old", CACHE_TTL_FOREVER));
    assert_status(CACHE_OK, cache_set_string(cache, "b", "old", CACHE_TTL_FOREVER));
    const cache_timed_item items[] = { { .key = "a", .data = "new", .size = 3, .ttl = 60 },
                                       { .key = "b", .data = "new", .size = 3, .ttl = 70 } };
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_set_many_timed(cache, items, 2));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "a", NULL);
    assert_text(cache, "b", NULL);
    cache_close(cache);
}

static void a_set_that_is_dropped_takes_the_old_value_along(void **state)
{
    (void)state;
    cache_close(open_fake());
    cache_t *cache = test_open("fake://?on_error=miss");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "new", 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "k", NULL);
    cache_close(cache);
}

static void a_set_that_reports_its_failure_may_leave_the_old_value(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "new", 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "k", "old");
    cache_close(cache);
}

static void an_add_that_is_dropped_takes_nothing_along(void **state)
{
    (void)state;
    cache_t *cache = test_open("fake://?on_error=miss");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    fake_store_fail(FAKE_SET, CACHE_ERR_IO);
    assert_status(CACHE_OK, cache_add(cache, "k", "new", 3, 60));
    fake_store_fail(FAKE_SET, CACHE_OK);
    assert_text(cache, "k", "old");
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(an_old_value_that_could_not_be_replaced_is_gone),
        cmocka_unit_test(the_same_holds_for_many),
        cmocka_unit_test(the_same_holds_for_many_with_a_ttl_each),
        cmocka_unit_test(a_set_that_is_dropped_takes_the_old_value_along),
        cmocka_unit_test(a_set_that_reports_its_failure_may_leave_the_old_value),
        cmocka_unit_test(an_add_that_is_dropped_takes_nothing_along),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
