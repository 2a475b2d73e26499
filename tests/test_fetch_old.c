/* test_fetch_old.c - checks cache_fetch after the TTL: who recomputes the value, and who gets the old one meanwhile. */
#include "fetch_work.h"

#include <pthread.h>

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
    now_ms += 1001;    /* error_ttl is over */
    expect(cache, &options, &work, CACHE_OK, "v3");
    now_ms += 70000;
    work.status = CACHE_ERR_COMPUTE;
    expect(cache, &options, &work, CACHE_ERR_COMPUTE, NULL);
    cache_close(cache);
}

static void what_is_down_is_asked_once_in_error_ttl(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = with_ttl(10);
    struct work work = { 0 };
    options.stale_if_error = 600;
    for (int i = 0; i < 2; i++) {
        options.error_ttl = i == 0 ? 0 : 30;    /* a second, and 30 */
        const int64_t error_ms = i == 0 ? 1000 : 30000;
        work = (struct work){ 0 };
        options.force = true;
        expect(cache, &options, &work, CACHE_OK, "v1");
        options.force = false;
        now_ms += 11000;
        work.status = CACHE_ERR_CONNECT;
        for (int request = 0; request < 200; request++)
            expect(cache, &options, &work, CACHE_OK, "v1");
        assert_int_equal(work.runs, 2);
        now_ms += error_ms + 16;
        for (int request = 0; request < 200; request++)
            expect(cache, &options, &work, CACHE_OK, "v1");
        assert_int_equal(work.runs, 3);
        work.status = CACHE_OK;
        now_ms += error_ms + 16;
        expect(cache, &options, &work, CACHE_OK, "v4");
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_one_caller_recomputes_the_others_get_the_stale_value),
        cmocka_unit_test(past_its_stale_time_a_value_is_not_served),
        cmocka_unit_test(with_spawn_nobody_waits_for_a_stale_values_successor),
        cmocka_unit_test(a_context_without_a_copy_is_not_used_on_another_thread),
        cmocka_unit_test(a_pool_that_refuses_leaves_the_work_to_the_caller),
        cmocka_unit_test(stale_if_error_serves_the_old_value_when_recomputing_fails),
        cmocka_unit_test(what_is_down_is_asked_once_in_error_ttl),
        cmocka_unit_test(without_stale_if_error_a_failure_is_returned_and_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
