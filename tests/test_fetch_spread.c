/* test_fetch_spread.c - checks that jitter spreads the times at which values expire, and that beta lets computations
 * begin early. */
#include "fetch_work.h"

#include "envelope.h"
#include "hooks.h"

static void jitter_takes_at_most_its_part_off_the_ttl(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(100);
    options.jitter = 0.25;
    options.force = true;
    struct work work = { 0 };
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 200; i++) {
        int64_t ttl_ms = 0;
        char bytes[256];
        expect(cache, &options, &work, CACHE_OK, (snprintf(bytes, sizeof bytes, "v%d", i + 1), bytes));
        assert_true(fake_store_peek(KEY, bytes, sizeof bytes, &ttl_ms) > 0);
        least = ttl_ms < least ? ttl_ms : least;
        most = ttl_ms > most ? ttl_ms : most;
    }
    assert_true(least >= 75000 && most <= 100000);
    assert_true(most - least > 10000);    /* 200 draws within 40 % of the range: never in a lifetime */
    cache_close(cache);
}

static void without_jitter_every_ttl_is_the_same(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(100);
    options.force = true;
    struct work work = { 0 };
    for (int i = 0; i < 20; i++) {
        int64_t ttl_ms = 0;
        char bytes[256];
        expect(cache, &options, &work, CACHE_OK, (snprintf(bytes, sizeof bytes, "v%d", i + 1), bytes));
        assert_true(fake_store_peek(KEY, bytes, sizeof bytes, &ttl_ms) > 0);
        assert_int_equal(ttl_ms, 100000);
    }
    cache_close(cache);
}

/* A value that expires in 10 s and took this long to compute. */
static void poke_costly(uint64_t cost_us)
{
    cache_writer writer;
    cache_writer_init(&writer, &cache_allocator_default);
    const struct cache_envelope envelope = {
        .created_ms = now_ms, .expires_ms = now_ms + 10000, .cost_us = cost_us, .payload = { "old", 3 },
    };
    assert_status(CACHE_OK, cache_envelope_encode(&envelope, (cache_bytes){ KEY, strlen(KEY) }, &writer));
    fake_store_poke(KEY, writer.data, writer.size);
    cache_writer_release(&writer);
}

/* How many of 300 callers recompute a value of that cost ahead of its expiry. */
static int early_ones(cache_t *cache, double beta, uint64_t cost_us)
{
    cache_fetch_options options = with_ttl(100);
    options.beta = beta;
    struct work work = { 0 };
    for (int i = 0; i < 300; i++) {
        cache_value value;
        poke_costly(cost_us);
        assert_status(CACHE_OK, cache_fetch(cache, "k", &options, run, &work, &value));
        cache_value_release(&value);
    }
    return work.runs;
}

static void beta_recomputes_early_the_likelier_the_costlier(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    /* The chance is exp(-left / (cost * beta)): 10 s left, so cost 10 s is 1/e, or 110 of 300. */
    const int likely = early_ones(cache, 1, 10 * 1000 * 1000);
    assert_in_range(likely, 60, 165);
    assert_int_equal(early_ones(cache, 1, 100 * 1000), 0);         /* exp(-100) */
    assert_int_equal(early_ones(cache, 0, 1000 * 1000 * 1000), 0); /* off */
    assert_in_range(early_ones(cache, 2, 10 * 1000 * 1000), likely, 300);
    cache_close(cache);
}

static void an_early_recomputation_that_fails_leaves_the_fresh_value(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(100);
    options.beta = 1000;
    poke_costly(UINT64_C(1) << 50);
    struct work work = { .status = CACHE_ERR_COMPUTE };
    expect(cache, &options, &work, CACHE_OK, "old");
    assert_int_equal(work.runs, 1);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jitter_takes_at_most_its_part_off_the_ttl),
        cmocka_unit_test(without_jitter_every_ttl_is_the_same),
        cmocka_unit_test(beta_recomputes_early_the_likelier_the_costlier),
        cmocka_unit_test(an_early_recomputation_that_fails_leaves_the_fresh_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
