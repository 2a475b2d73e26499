/* cache_fetch: each option's effect, and that it is not there without it, on a clock that the test moves. */
#include "fake_store.h"

#include "envelope.h"

#include <pthread.h>

#define KEY "libcache:k"

static _Atomic int64_t now_ms;

/* A computation that a test sets, and that counts its runs. */
struct work {
    int runs;
    cache_status status;
    const char *text;
    double ttl;                    /* above 0: cache_writer_set_ttl */
    bool no_store;
};

static cache_status run(void *ctx, cache_writer *out)
{
    struct work *work = ctx;
    work->runs++;
    if (work->ttl > 0)
        (void)cache_writer_set_ttl(out, work->ttl);
    if (work->no_store)
        cache_writer_no_store(out);
    if (work->status != CACHE_OK)
        return work->status;
    return cache_writer_printf(out, "%s%d", work->text != NULL ? work->text : "v", work->runs);
}

static cache_t *open_fake(void)
{
    fake_store_reset();
    now_ms = 1000000;
    return test_open_with_clock("fake://", &now_ms);
}

static cache_fetch_options with_ttl(double ttl)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = ttl;
    return options;
}

/* Fetches "k", and expects this text; NULL: `status`. */
static void expect(cache_t *cache, const cache_fetch_options *options, struct work *work, cache_status status,
                   const char *text)
{
    cache_value value;
    const cache_status got = cache_fetch(cache, "k", options, run, work, &value);
    if (got != status)
        fail_msg("%s (%s), not %s", cache_strerror(got), cache_last_error(), cache_strerror(status));
    if (text != NULL)
        assert_string_equal(value.data, text);
    else
        assert_null(value.data);
    cache_value_release(&value);
}

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

/* ---- stale ------------------------------------------------------------------------------------------------------- */

struct meanwhile {
    cache_t *cache;
    const cache_fetch_options *options;
    cache_status status;
    char text[16];
};

static void *another_caller(void *arg)
{
    struct meanwhile *meanwhile = arg;
    struct work none = { .text = "other" };
    cache_value value;
    meanwhile->status = cache_fetch(meanwhile->cache, "k", meanwhile->options, run, &none, &value);
    (void)snprintf(meanwhile->text, sizeof meanwhile->text, "%s", value.data != NULL ? (const char *)value.data : "");
    cache_value_release(&value);
    return NULL;
}

/* While this computes, another thread asks for the same key, and has its answer before this is done. */
static cache_status ask_meanwhile(void *ctx, cache_writer *out)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, another_caller, ctx), 0);
    pthread_join(thread, NULL);
    return cache_writer_puts(out, "new");
}

static void while_one_caller_recomputes_the_others_get_the_stale_value(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.stale = 5;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 14999;
    struct meanwhile meanwhile = { .cache = cache, .options = &options };
    cache_value value;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, ask_meanwhile, &meanwhile, &value));
    assert_string_equal(value.data, "new");
    cache_value_release(&value);
    assert_status(CACHE_OK, meanwhile.status);
    assert_string_equal(meanwhile.text, "v1");
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.stale_hits, 1);
    cache_close(cache);
}

static void past_its_stale_time_a_value_is_not_served(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.stale = 5;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    int64_t ttl_ms = 0;
    char bytes[256];
    assert_true(fake_store_peek(KEY, bytes, sizeof bytes, &ttl_ms) > 0);
    assert_int_equal(ttl_ms, 15000);
    now_ms += 15000;
    work.status = CACHE_ERR_COMPUTE;
    expect(cache, &options, &work, CACHE_ERR_COMPUTE, NULL);
    cache_close(cache);
}

struct pool { void (*task)(void *); void *arg; int spawned; bool refuse; };

static bool spawn(void *ctx, void (*task)(void *), void *arg)
{
    struct pool *pool = ctx;
    pool->spawned++;
    pool->task = task;
    pool->arg = arg;
    return !pool->refuse;
}

static int alive;    /* copies of a context that are not freed yet */
static struct work *copied;

static void *copy_ctx(void *ctx)
{
    alive++;
    copied = ctx;
    return &copied;
}

static void free_ctx(void *ctx)
{
    assert_ptr_equal(ctx, &copied);
    alive--;
}

static cache_status run_copied(void *ctx, cache_writer *out)
{
    return run(ctx == &copied ? copied : ctx, out);
}

static cache_t *open_with_pool(struct pool *pool)
{
    fake_store_reset();
    now_ms = 1000000;
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    config.url = "fake://";
    config.clock = test_clock(&now_ms);
    config.spawn = spawn;
    config.spawn_ctx = pool;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    return cache;
}

static void with_spawn_nobody_waits_for_a_stale_values_successor(void **state)
{
    (void)state;
    struct pool pool = { 0 };
    cache_t *cache = open_with_pool(&pool);
    const char *tags[] = { "t" };
    cache_fetch_options options = with_ttl(10);
    options.stale = 5;
    options.type = "text";
    options.tags = tags;
    options.n_tags = 1;
    options.ctx_copy = copy_ctx;
    options.ctx_free = free_ctx;
    struct work work = { 0 };
    cache_value value;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, run_copied, &work, &value));
    cache_value_release(&value);
    now_ms += 10000;
    for (int i = 0; i < 3; i++) {
        assert_status(CACHE_OK, cache_fetch(cache, "k", &options, run_copied, &work, &value));
        assert_string_equal(value.data, "v1");
        cache_value_release(&value);
    }
    assert_int_equal(pool.spawned, 1);    /* one computes; the others know */
    assert_int_equal(work.runs, 1);
    cache_t *second = test_open_with_clock("fake://", &now_ms);
    cache_close(cache);                   /* the task has a handle of its own */
    pool.task(pool.arg);
    assert_int_equal(work.runs, 2);
    assert_int_equal(alive, 0);
    assert_text(second, "k", "v2");
    cache_close(second);
}

static void a_context_without_a_copy_is_not_used_on_another_thread(void **state)
{
    (void)state;
    struct pool pool = { 0 };
    cache_t *cache = open_with_pool(&pool);
    cache_fetch_options options = with_ttl(10);
    options.stale = 5;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 10000;
    expect(cache, &options, &work, CACHE_OK, "v2");
    assert_int_equal(pool.spawned, 0);
    cache_close(cache);
}

static void a_pool_that_refuses_leaves_the_work_to_the_caller(void **state)
{
    (void)state;
    struct pool pool = { .refuse = true };
    cache_t *cache = open_with_pool(&pool);
    cache_fetch_options options = with_ttl(10);
    options.stale = 5;
    options.ctx_copy = copy_ctx;
    options.ctx_free = free_ctx;
    struct work work = { 0 };
    cache_value value;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, run_copied, &work, &value));
    cache_value_release(&value);
    now_ms += 10000;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, run_copied, &work, &value));
    cache_value_release(&value);
    assert_int_equal(pool.spawned, 1);
    assert_int_equal(work.runs, 2);
    assert_int_equal(alive, 0);
    assert_text(cache, "k", "v2");
    cache_close(cache);
}

static void stale_if_error_serves_the_old_value_when_recomputing_fails(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_info info;
    cache_fetch_options options = with_ttl(10);
    options.stale_if_error = 60;
    options.info = &info;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 69999;
    work.status = CACHE_ERR_COMPUTE;
    expect(cache, &options, &work, CACHE_OK, "v1");
    assert_int_equal(info.source, CACHE_SOURCE_STALE);
    assert_int_equal(work.runs, 2);
    work.status = CACHE_OK;
    expect(cache, &options, &work, CACHE_OK, "v3");
    now_ms += 70000;
    work.status = CACHE_ERR_COMPUTE;
    expect(cache, &options, &work, CACHE_ERR_COMPUTE, NULL);
    cache_close(cache);
}

static void without_stale_if_error_a_failure_is_returned_and_not_stored(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work work = { .status = CACHE_ERR_AUTH };
    expect(cache, &options, &work, CACHE_ERR_AUTH, NULL);
    expect(cache, &options, &work, CACHE_ERR_AUTH, NULL);
    assert_int_equal(work.runs, 2);
    assert_int_equal(fake_store_calls(FAKE_SET), 0);
    cache_close(cache);
}

/* ---- nothing there ----------------------------------------------------------------------------------------------- */

static void negative_ttl_remembers_that_there_is_nothing(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_info info;
    cache_fetch_options options = with_ttl(10);
    options.negative_ttl = 3;
    options.info = &info;
    struct work work = { .status = CACHE_MISS };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    now_ms += 2999;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_true(info.negative);
    assert_int_equal(info.source, CACHE_SOURCE_HIT);
    assert_int_equal(work.runs, 1);
    assert_text(cache, "k", NULL);
    now_ms += 1;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 2);
    cache_close(cache);
}

static void the_computation_may_say_how_long_nothing_is_remembered(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.negative_ttl = 3;
    struct work work = { .status = CACHE_MISS, .ttl = 7 };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    now_ms += 6999;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 1);
    now_ms += 1;
    work.no_store = true;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 3);
    cache_close(cache);
}

static void jitter_takes_a_part_off_negative_ttl_too(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.negative_ttl = 100;
    options.jitter = 0.5;
    struct work work = { .status = CACHE_MISS };
    int64_t first_ms = 0, ttl_ms = 0;
    bool differ = false;
    for (int i = 0; i < 20; i++) {
        char byte;
        fake_store_poke(KEY, NULL, 0);
        expect(cache, &options, &work, CACHE_MISS, NULL);
        assert_true(fake_store_peek(KEY, &byte, 1, &ttl_ms) > 0);
        assert_true(ttl_ms >= 50000 && ttl_ms <= 100000);
        first_ms = i == 0 ? ttl_ms : first_ms;
        differ = differ || ttl_ms != first_ms;
    }
    assert_true(differ);
    cache_close(cache);
}

static void a_computation_that_says_how_long_is_remembered_without_negative_ttl(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work work = { .status = CACHE_MISS, .ttl = 7 };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    now_ms += 6999;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 1);
    now_ms += 1;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 2);
    cache_close(cache);
}

static void a_clock_below_zero_is_a_clock_too(void **state)
{
    (void)state;
    static const char *const urls[] = { "fake://", "fakelocal://", "memory://" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        fake_store_reset();
        now_ms = -1000000;
        cache_t *cache = test_open_with_clock(urls[i], &now_ms);
        const cache_fetch_options options = with_ttl(10);
        struct work work = { 0 };
        expect(cache, &options, &work, CACHE_OK, "v1");
        now_ms += 9999;
        expect(cache, &options, &work, CACHE_OK, "v1");
        now_ms += 1;
        expect(cache, &options, &work, CACHE_OK, "v2");
        assert_status(CACHE_OK, cache_set_string(cache, "plain", "x", 5));
        assert_text(cache, "plain", "x");
        now_ms += 5000;
        assert_text(cache, "plain", NULL);
        cache_close(cache);
    }
}

static void without_negative_ttl_nothing_is_asked_for_each_time(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = with_ttl(10);
    struct work work = { .status = CACHE_MISS };
    expect(cache, &options, &work, CACHE_MISS, NULL);
    expect(cache, &options, &work, CACHE_MISS, NULL);
    assert_int_equal(work.runs, 2);
    cache_close(cache);
}

static void what_is_gone_is_not_served_stale_any_more(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    options.stale = options.stale_if_error = 60;
    struct work work = { 0 };
    expect(cache, &options, &work, CACHE_OK, "v1");
    now_ms += 10000;
    work.status = CACHE_MISS;
    expect(cache, &options, &work, CACHE_MISS, NULL);
    work.status = CACHE_ERR_COMPUTE;
    expect(cache, &options, &work, CACHE_ERR_COMPUTE, NULL);
    cache_close(cache);
}

/* ---- jitter and beta --------------------------------------------------------------------------------------------- */

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
        cmocka_unit_test(a_value_for_ever_stays),
        cmocka_unit_test(the_computation_may_set_the_ttl_or_refuse_to_be_stored),
        cmocka_unit_test(get_shows_the_payload_alone_and_only_while_it_is_fresh),
        cmocka_unit_test(a_value_of_cache_set_is_a_hit),
        cmocka_unit_test(while_one_caller_recomputes_the_others_get_the_stale_value),
        cmocka_unit_test(past_its_stale_time_a_value_is_not_served),
        cmocka_unit_test(with_spawn_nobody_waits_for_a_stale_values_successor),
        cmocka_unit_test(a_context_without_a_copy_is_not_used_on_another_thread),
        cmocka_unit_test(a_pool_that_refuses_leaves_the_work_to_the_caller),
        cmocka_unit_test(stale_if_error_serves_the_old_value_when_recomputing_fails),
        cmocka_unit_test(without_stale_if_error_a_failure_is_returned_and_not_stored),
        cmocka_unit_test(negative_ttl_remembers_that_there_is_nothing),
        cmocka_unit_test(the_computation_may_say_how_long_nothing_is_remembered),
        cmocka_unit_test(jitter_takes_a_part_off_negative_ttl_too),
        cmocka_unit_test(a_computation_that_says_how_long_is_remembered_without_negative_ttl),
        cmocka_unit_test(a_clock_below_zero_is_a_clock_too),
        cmocka_unit_test(without_negative_ttl_nothing_is_asked_for_each_time),
        cmocka_unit_test(what_is_gone_is_not_served_stale_any_more),
        cmocka_unit_test(jitter_takes_at_most_its_part_off_the_ttl),
        cmocka_unit_test(without_jitter_every_ttl_is_the_same),
        cmocka_unit_test(beta_recomputes_early_the_likelier_the_costlier),
        cmocka_unit_test(an_early_recomputation_that_fails_leaves_the_fresh_value),
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
