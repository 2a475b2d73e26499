/* test_fetch.c - checks the effect of each option of cache_fetch, and that it is absent without the option. The other
 * test_fetch_*.c check more. */
#include "fetch_work.h"

#include "envelope.h"

/* ---- ttl --------------------------------------------------------------------------------------------------------- */

static void a_value_is_computed_once_until_its_ttl_has_passed(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 9999;
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 1;
    expect(cache, &options, &work, CACHE_OK, "v2");
    cache_close(cache);
}

static void without_options_the_ttl_is_the_handles(void **state)
{
    (void)state;
    fake_store_reset();
    now_ms = 1;
    cache_t *cache = test_open_with_clock("fake://?default_ttl=20", &now_ms);
    struct work work = { 0 };
    expect(cache, NULL, &work, CACHE_OK, "v1");
    now_ms += 19999;
    expect(cache, NULL, &work, CACHE_OK, "v1");
    now_ms += 1;
    expect(cache, NULL, &work, CACHE_OK, "v2");
    cache_close(cache);
}

/* Nothing but its size filled in: a value must not stay for ever by accident. */
static void a_zeroed_struct_has_the_handles_ttl(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = { .size = sizeof options, .negative_ttl = 5 };
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 299999;
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 1;
    expect(cache, &options, &work, CACHE_OK, "v2");
    cache_close(cache);
}

/* CACHE_TTL_FOREVER is -1, and one second past its TTL a stale value has no -1 left. */
static void a_second_after_its_ttl_a_value_is_not_taken_for_one_for_ever(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_info info;
    cache_fetch_options options = with_ttl(10);
    options.stale_if_error = 60;
    options.info = &info;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    work.status = CACHE_ERR_IO;
    now_ms += 11000;
    expect(cache, &options, &work, CACHE_OK, "v1");
    assert_true(info.ttl_left < -1 && info.ttl_left > -1.01);
    options.ttl = CACHE_TTL_FOREVER;
    options.force = true;
    work.status = CACHE_OK;
    expect(cache, &options, &work, CACHE_OK, "v3");
    assert_true(info.ttl_left == CACHE_TTL_FOREVER);
    cache_close(cache);
}

static void a_value_for_ever_stays(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(CACHE_TTL_FOREVER);
    options.stale = 5;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += INT64_C(50) * 365 * 86400 * 1000;
    expect(cache, &options, &work, CACHE_OK, "v1");
    cache_close(cache);
}

static void the_computation_may_set_the_ttl_or_refuse_to_be_stored(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work shorter = { .ttl = 2 };
    expect(cache, &options, &shorter, CACHE_OK, "v1");
    now_ms += 2000;
    expect(cache, &options, &shorter, CACHE_OK, "v2");
    now_ms += 2000;
    struct work unstored = { .no_store = true, .text = "u" };
    expect(cache, &options, &unstored, CACHE_OK, "u1");
    expect(cache, &options, &unstored, CACHE_OK, "u2");
    cache_close(cache);
}

static void get_shows_the_payload_alone_and_only_while_it_is_fresh(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.stale = 10;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    assert_text(cache, "k", "v1");
    now_ms += 10000;
    assert_text(cache, "k", NULL);
    cache_close(cache);
}

static void a_value_of_cache_set_is_a_hit(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct work work = { 0 };
    assert_status(CACHE_OK, cache_set_string(cache, "k", "set", 60));
    expect(cache, NULL, &work, CACHE_OK, "set");
    assert_int_equal(work.runs, 0);
    cache_close(cache);
}

/* ---- force, unless, validate, type ------------------------------------------------------------------------------- */

static void force_recomputes_and_stores(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    options.force = true;
    expect(cache, &options, &work, CACHE_OK, "v2");
    options.force = false;
    expect(cache, &options, &work, CACHE_OK, "v2");
    cache_close(cache);
}

static void unless_neither_reads_nor_stores(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.unless = true;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    expect(cache, &options, &work, CACHE_OK, "v2");
    for (int op = 0; op < FAKE_OPS; op++)
        assert_int_equal(fake_store_calls((enum fake_op)op), 0);
    cache_close(cache);
}

static bool begins_with_v2(void *ctx, const cache_value *value)
{
    (void)ctx;
    return value->size == 2 && memcmp(value->data, "v2", 2) == 0;
}

static void a_value_that_does_not_validate_is_a_miss(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.validate = begins_with_v2;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    expect(cache, &options, &work, CACHE_OK, "v2");
    expect(cache, &options, &work, CACHE_OK, "v2");
    cache_close(cache);
}

static void a_value_of_another_type_is_a_miss(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    struct work work = { 0 };
    options.type = "int";
    expect(cache, &options, &work, CACHE_OK, "v1");
    expect(cache, &options, &work, CACHE_OK, "v1");
    options.type = "long";
    expect(cache, &options, &work, CACHE_OK, "v2");
    cache_close(cache);
}

/* ---- info -------------------------------------------------------------------------------------------------------- */

static void info_tells_what_was_read(void **state)
{
    (void)state;
    fake_store_reset();
    now_ms = 0;    /* a clock may begin anywhere */
    cache_t *cache = test_open_with_clock("fake://", &now_ms);
    cache_fetch_info info;
    cache_fetch_options options = with_ttl(10);
    options.stale = 1;
    options.info = &info;
    struct work work = { .no_store = true };
    expect(cache, &options, &work, CACHE_OK, "v1");
    assert_int_equal(info.source, CACHE_SOURCE_COMPUTED);
    assert_true(info.age == 0 && info.ttl_left == 10 && !info.stored);
    work.no_store = false;
    expect(cache, &options, &work, CACHE_OK, "v2");
    now_ms += 4000;
    expect(cache, &options, &work, CACHE_OK, "v2");
    assert_int_equal(info.source, CACHE_SOURCE_HIT);
    assert_true(info.age == 4 && info.ttl_left == 6 && info.stored);
    now_ms += 6000;
    work.status = CACHE_ERR_IO;
    expect(cache, &options, &work, CACHE_OK, "v2");
    assert_int_equal(info.source, CACHE_SOURCE_STALE);
    assert_true(info.age == 10 && info.ttl_left < 0);    /* in its last millisecond it is not one for ever */
    options.force = true;
    expect(cache, &options, &work, CACHE_ERR_IO, NULL);
    assert_true(info.source == CACHE_SOURCE_NONE && !info.stored && info.ttl_left == 0);
    cache_close(cache);
}

/* ---- has --------------------------------------------------------------------------------------------------------- */

/* memory:// has an operation for it, the fake stores have none. */
static void has_agrees_with_get_where_nobody_shares_the_store(void **state)
{
    (void)state;
    static const char *const urls[] = { "memory://", "fakelocal://", "fake://" };
    static const char *const tags[] = { "tag" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        fake_store_reset();
        now_ms = 1000;
        cache_t *cache = test_open_with_clock(urls[i], &now_ms);
        cache_fetch_options options = with_ttl(10);
        options.stale = 100;
        options.negative_ttl = 100;
        struct work work = { 0 };
        expect(cache, &options, &work, CACHE_OK, "v1");
        assert_status(CACHE_OK, cache_has(cache, "k"));
        now_ms += 10000;
        assert_text(cache, "k", NULL);
        assert_status(CACHE_MISS, cache_has(cache, "k"));

        options.force = true;
        options.tags = tags;
        options.n_tags = 1;
        expect(cache, &options, &work, CACHE_OK, "v2");
        assert_status(CACHE_OK, cache_has(cache, "k"));
        assert_status(CACHE_OK, cache_invalidate_tag(cache, "tag"));
        assert_status(CACHE_MISS, cache_has(cache, "k"));

        work.status = CACHE_MISS;
        expect(cache, &options, &work, CACHE_MISS, NULL);
        assert_status(CACHE_MISS, cache_has(cache, "k"));
        cache_close(cache);
    }
}

/* ---- a store that fails ------------------------------------------------------------------------------------------ */

static void a_store_that_fails_costs_a_computation_and_no_error(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work work = { 0 };
    fake_store_fail(FAKE_GET, CACHE_ERR_CONNECT);
    fake_store_fail(FAKE_SET, CACHE_ERR_TIMEOUT);
    expect(cache, &options, &work, CACHE_OK, "v1");
    expect(cache, &options, &work, CACHE_OK, "v2");
    cache_fetch_options locked = options;
    locked.lock = true;
    expect(cache, &locked, &work, CACHE_OK, "v3");
    cache_close(cache);
}

static void bytes_that_only_look_like_an_envelope_are_a_miss(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct work work = { 0 };
    fake_store_poke(KEY, cache_envelope_magic, ENVELOPE_MAGIC_SIZE);
    expect(cache, NULL, &work, CACHE_OK, "v1");
    expect(cache, NULL, &work, CACHE_OK, "v1");
    cache_close(cache);
}

static void wrong_options_are_refused_by_name(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct work work = { 0 };
    cache_value value;
    const struct { double ttl, stale, jitter, beta; const char *name; } wrong[] = {
        { -3, 0, 0, 0, "ttl" }, { 1, -1, 0, 0, "stale" }, { 1, 0, 1.5, 0, "jitter" }, { 1, 0, 0, -1, "beta" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cache_fetch_options options = with_ttl(wrong[i].ttl);
        options.stale = wrong[i].stale;
        options.jitter = wrong[i].jitter;
        options.beta = wrong[i].beta;
        assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "k", &options, run, &work, &value));
        assert_non_null(strstr(cache_last_error(), wrong[i].name));
    }
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "k", NULL, NULL, NULL, &value));
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "", NULL, run, &work, &value));
    assert_int_equal(work.runs, 0);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_computed_once_until_its_ttl_has_passed),
        cmocka_unit_test(without_options_the_ttl_is_the_handles),
        cmocka_unit_test(a_zeroed_struct_has_the_handles_ttl),
        cmocka_unit_test(a_second_after_its_ttl_a_value_is_not_taken_for_one_for_ever),
        cmocka_unit_test(a_value_for_ever_stays),
        cmocka_unit_test(the_computation_may_set_the_ttl_or_refuse_to_be_stored),
        cmocka_unit_test(get_shows_the_payload_alone_and_only_while_it_is_fresh),
        cmocka_unit_test(a_value_of_cache_set_is_a_hit),
        cmocka_unit_test(force_recomputes_and_stores),
        cmocka_unit_test(unless_neither_reads_nor_stores),
        cmocka_unit_test(a_value_that_does_not_validate_is_a_miss),
        cmocka_unit_test(a_value_of_another_type_is_a_miss),
        cmocka_unit_test(info_tells_what_was_read),
        cmocka_unit_test(has_agrees_with_get_where_nobody_shares_the_store),
        cmocka_unit_test(a_store_that_fails_costs_a_computation_and_no_error),
        cmocka_unit_test(bytes_that_only_look_like_an_envelope_are_a_miss),
        cmocka_unit_test(wrong_options_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
