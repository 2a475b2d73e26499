/* test_fetch_many_old.c - old values among many keys: soft_timeout, refresh_after, error_ttl and computations in the
 * background hold for them as for one key. */
#include "failing.h"
#include "gate.h"

#include <limits.h>

static pthread_t main_thread, worker;
static atomic_int spawned, calls, loaded, copies, frees;
static struct gate gate;

struct task {
    void (*run)(void *arg);
    void *arg;
};
static struct task task;

static void *run_task(void *arg)
{
    (void)arg;
    task.run(task.arg);
    return NULL;
}

/* Runs the task on a thread of its own. */
static bool spawn(void *ctx, void (*run)(void *arg), void *arg)
{
    (void)ctx;
    task = (struct task){ run, arg };
    atomic_fetch_add(&spawned, 1);
    return pthread_create(&worker, NULL, run_task, NULL) == 0;
}

/* Keeps the task until the test runs it. */
static bool keep(void *ctx, void (*run)(void *arg), void *arg)
{
    (void)ctx;
    task = (struct task){ run, arg };
    atomic_fetch_add(&spawned, 1);
    return true;
}

static bool run_at_once(void *ctx, void (*run)(void *arg), void *arg)
{
    (void)ctx;
    atomic_fetch_add(&spawned, 1);
    run(arg);
    return true;
}

static bool refuse(void *ctx, void (*run)(void *arg), void *arg)
{
    (void)ctx, (void)run, (void)arg;
    return false;
}

/* Each value is the number of the call that made it. On other threads than the test's it stops in the middle until the
 * gate is open. */
static cache_status load(void *ctx, cache_missing missing[], size_t n)
{
    const int call = atomic_fetch_add(&calls, 1) + 1;
    atomic_fetch_add(&loaded, (int)n);
    atomic_fetch_add(&gate.inside, 1);
    while (!pthread_equal(pthread_self(), main_thread) && !atomic_load(&gate.open))
        nap();
    atomic_fetch_sub(&gate.inside, 1);
    if (ctx != NULL)
        assert_string_equal(ctx, "context");
    for (size_t i = 0; i < n; i++)
        (void)cache_writer_printf(missing[i].out, "%s by %d", missing[i].key, call);
    return gate.status;
}

static cache_t *open_with(bool (*how)(void *ctx, void (*run)(void *arg), void *arg))
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    fake_store_reset();
    now_ms = 1000000;
    main_thread = pthread_self();
    spawned = calls = loaded = copies = frees = 0;
    gate.open = true;
    gate.status = CACHE_OK;
    config.url = "fakemany://";
    config.clock = test_clock(&now_ms);
    config.spawn = how;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    return cache;
}

static cache_fetch_options with_ttl(double ttl, double stale, double soft_timeout)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = ttl;
    options.stale = stale;
    options.soft_timeout = soft_timeout;
    return options;
}

static const char *const four[] = { "k1", "k2", "k3", "k4" };

/* Fetches the first `n` keys, which must have been made by the given calls. */
static void expect(cache_t *cache, const cache_fetch_options *options, void *ctx, size_t n, const int by[],
                   cache_source source)
{
    cache_fetch_options known = *options;
    cache_fetch_info info[4];
    cache_value out[4];
    char text[32];
    known.info = info;
    assert_status(CACHE_OK, cache_fetch_many(cache, four, n, &known, load, ctx, out));
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(text, sizeof text, "%s by %d", four[i], by[i]);
        assert_non_null(out[i].data);
        assert_string_equal(out[i].data, text);
        cache_value_release(&out[i]);
    }
    assert_int_equal(info[0].source, source);
}

static const int first[] = { 1, 1, 1, 1 }, second[] = { 2, 2, 2, 2 };

static void old_values_are_recomputed_by_one_task_while_the_missing_ones_are_computed_here(void **state)
{
    (void)state;
    cache_t *cache = open_with(spawn);
    const cache_fetch_options options = with_ttl(10, 10, 0);
    expect(cache, &options, NULL, 3, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    gate.open = false;
    cache_value out[4];
    assert_status(CACHE_OK, cache_fetch_many(cache, four, 4, &options, load, NULL, out));
    for (int i = 0; i < 4; i++) {
        const char *by = strstr(out[i].data, "by ");
        assert_true(i == 3 ? strcmp(by, "by 1") != 0 : strcmp(by, "by 1") == 0);
        cache_value_release(&out[i]);
    }
    gate.open = true;
    pthread_join(worker, NULL);
    assert_int_equal(spawned, 1);
    assert_int_equal(calls, 3);
    assert_int_equal(loaded, 3 + 1 + 3);
    assert_status(CACHE_OK, cache_fetch_many(cache, four, 4, &options, load, NULL, out));
    for (int i = 0; i < 4; i++) {
        assert_null(strstr(out[i].data, "by 1"));
        cache_value_release(&out[i]);
    }
    assert_int_equal(calls, 3);
    cache_close(cache);
}

static void successors_that_come_in_time_are_waited_for(void **state)
{
    (void)state;
    cache_t *cache = open_with(spawn);
    const cache_fetch_options options = with_ttl(10, 10, 20);
    expect(cache, &options, NULL, 3, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    expect(cache, &options, NULL, 3, second, CACHE_SOURCE_SHARED);
    pthread_join(worker, NULL);
    cache_close(cache);
}

static void successors_that_do_not_are_computed_on_while_the_old_values_are_served(void **state)
{
    (void)state;
    cache_t *cache = open_with(spawn);
    const cache_fetch_options options = with_ttl(10, 10, 0.001);
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    gate.open = false;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_STALE);
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_STALE);    /* and who follows does not wait longer either */
    gate.open = true;
    pthread_join(worker, NULL);
    expect(cache, &options, NULL, 4, second, CACHE_SOURCE_HIT);
    assert_int_equal(spawned, 1);
    cache_close(cache);
}

struct other {
    cache_t *cache;
    cache_fetch_options options;
};

static void *fetch_elsewhere(void *arg)
{
    const struct other *other = arg;
    expect(other->cache, &other->options, NULL, 3, second, CACHE_SOURCE_COMPUTED);
    return NULL;
}

static void without_spawn_the_thread_that_leads_computes_and_the_others_have_short_patience(void **state)
{
    static const double stale[] = { 100, 0 };    /* and values that are kept for errors */
    (void)state;
    for (int i = 0; i < 2; i++) {
        cache_t *cache = open_with(NULL);
        struct other other = { cache, with_ttl(10, stale[i], 0.001) };
        pthread_t leader;
        other.options.stale_if_error = 100;
        expect(cache, &other.options, NULL, 3, first, CACHE_SOURCE_COMPUTED);
        now_ms += 20000;
        gate.open = false;
        assert_int_equal(pthread_create(&leader, NULL, fetch_elsewhere, &other), 0);
        while (atomic_load(&gate.inside) == 0)
            nap();
        expect(cache, &other.options, NULL, 3, first, CACHE_SOURCE_STALE);
        gate.open = true;
        pthread_join(leader, NULL);
        expect(cache, &other.options, NULL, 3, second, CACHE_SOURCE_HIT);
        cache_close(cache);
    }
}

static void a_read_past_a_part_of_the_ttl_begins_the_successors_once(void **state)
{
    (void)state;
    cache_t *cache = open_with(spawn);
    cache_fetch_options options = with_ttl(100, 0, 0);
    options.refresh_after = 0.8;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_COMPUTED);
    now_ms += 79999;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_HIT);
    assert_int_equal(spawned, 0);
    now_ms += 1;
    gate.open = false;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_HIT);
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_HIT);
    assert_int_equal(spawned, 1);
    gate.open = true;
    pthread_join(worker, NULL);
    expect(cache, &options, NULL, 4, second, CACHE_SOURCE_HIT);
    assert_int_equal(calls, 2);
    cache_close(cache);
}

static void a_task_that_is_refused_is_run_by_the_caller(void **state)
{
    (void)state;
    cache_t *cache = open_with(refuse);
    const cache_fetch_options options = with_ttl(10, 10, 0);
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_STALE);
    expect(cache, &options, NULL, 4, second, CACHE_SOURCE_HIT);
    cache_close(cache);
}

/* The task is left what nobody took over. */
static void a_caller_without_an_old_value_does_not_wait_for_the_task_to_begin(void **state)
{
    static const int by[] = { 2, 3, 3, 3 };
    (void)state;
    cache_t *cache = open_with(keep);
    const cache_fetch_options options = with_ttl(10, 10, 0), strict = with_ttl(10, 0, 0);
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_STALE);
    expect(cache, &strict, NULL, 1, second, CACHE_SOURCE_COMPUTED);
    task.run(task.arg);
    expect(cache, &options, NULL, 4, by, CACHE_SOURCE_HIT);
    assert_int_equal(loaded, 4 + 1 + 3);
    cache_close(cache);
}

/* ---- the context ------------------------------------------------------------------------------------------------- */

static void *copy(void *ctx)
{
    assert_string_equal(ctx, "context");
    atomic_fetch_add(&copies, 1);
    return strdup(ctx);
}

static void free_copy(void *ctx)
{
    atomic_fetch_add(&frees, 1);
    free(ctx);
}

static void the_task_has_a_copy_of_the_context(void **state)
{
    (void)state;
    char context[] = "context";
    cache_t *cache = open_with(keep);
    cache_fetch_options options = with_ttl(10, 10, 0);
    static const char *const tags[] = { "tag" };
    options.tags = tags;
    options.n_tags = 1;
    options.type = "text";
    expect(cache, &options, context, 4, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    expect(cache, &options, context, 4, second, CACHE_SOURCE_COMPUTED);    /* it cannot be copied */
    options.ctx_copy = copy;
    options.ctx_free = free_copy;
    now_ms += 10000;
    expect(cache, &options, context, 4, second, CACHE_SOURCE_STALE);
    memset(context, 0, sizeof context);
    task.run(task.arg);
    assert_int_equal(copies, 1);
    assert_int_equal(frees, 1);
    (void)strcpy(context, "context");
    assert_int_equal(calls, 3);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "tag"));
    static const int fourth[] = { 4, 4, 4, 4 };
    expect(cache, &options, context, 4, fourth, CACHE_SOURCE_COMPUTED);
    cache_close(cache);
}

static cache_status leave(void *ctx, cache_writer *out)
{
    (void)ctx, (void)out;
    atomic_fetch_add(&gate.inside, 1);
    while (!atomic_load(&gate.open))
        nap();
    atomic_fetch_sub(&gate.inside, 1);
    pthread_exit(NULL);
}

static void *lead_and_leave(void *arg)
{
    struct other *other = arg;
    cache_value value;
    (void)cache_fetch(other->cache, "k1", &other->options, leave, "not NULL", &value);
    return NULL;
}

static void *follow(void *arg)
{
    struct other *other = arg;
    expect(other->cache, &other->options, "context", 1, second, CACHE_SOURCE_COMPUTED);
    return NULL;
}

static atomic_int reads;

static void count_reads(void *ctx, enum fake_op op, cache_bytes key)
{
    (void)ctx, (void)key;
    if (op == FAKE_GET_MANY)
        atomic_fetch_add(&reads, 1);
}

/* The caller that followed it computes then, alone, with the context that it was given. */
static void a_leader_that_ends_without_a_result_leaves_the_context_of_others_alone(void **state)
{
    (void)state;
    cache_t *cache = open_with(keep);
    struct other leader = { cache, with_ttl(10, 100, 20) }, follower = leader;
    pthread_t threads[2];
    follower.options.ctx_copy = copy;
    follower.options.ctx_free = free_copy;
    expect(cache, &leader.options, NULL, 1, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    gate.open = false;
    assert_int_equal(pthread_create(&threads[0], NULL, lead_and_leave, &leader), 0);
    while (atomic_load(&gate.inside) == 0)
        nap();
    reads = 0;
    fake_store_hook(count_reads, NULL);
    assert_int_equal(pthread_create(&threads[1], NULL, follow, &follower), 0);
    while (atomic_load(&reads) == 0)
        nap();
    for (int i = 0; i < 20; i++)    /* it follows by now; if not, it leads itself, and this test sees nothing */
        nap();
    gate.open = true;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    fake_store_hook(NULL, NULL);
    assert_int_equal(copies, 0);
    cache_close(cache);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void after_a_failure_the_old_values_are_served_for_error_ttl(void **state)
{
    (void)state;
    cache_t *cache = open_with(NULL);
    cache_fetch_options options = with_ttl(10, 100, 0);
    options.error_ttl = 5;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    gate.status = CACHE_ERR_IO;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_STALE);
    assert_int_equal(calls, 2);
    gate.status = CACHE_OK;
    now_ms += 4900;
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_STALE);
    assert_int_equal(calls, 2);
    now_ms += 200;
    static const int third[] = { 3, 3, 3, 3 };
    expect(cache, &options, NULL, 4, third, CACHE_SOURCE_COMPUTED);
    cache_close(cache);
}

/* Fetches old values once while the allocator fails at its n-th call. Returns true if it did not get so far. */
static bool survives(long until_failure)
{
    struct failing failing = { .until_failure = LONG_MAX };
    const cache_allocator allocator = { failing_alloc, failing_resize, failing_free, &failing };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    cache_value out[4];
    const cache_fetch_options options = with_ttl(10, 10, 0);
    main_thread = pthread_self();
    spawned = calls = 0;
    config.url = "memory://";
    config.clock = test_clock(&now_ms);
    config.spawn = run_at_once;
    config.allocator = &allocator;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    expect(cache, &options, NULL, 4, first, CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    failing.until_failure = until_failure;
    const cache_status status = cache_fetch_many(cache, four, 4, &options, load, NULL, out);
    assert_true(status == CACHE_OK || status == CACHE_ERR_NOMEM);
    failing.until_failure = LONG_MAX;
    for (int i = 0; i < 4; i++)
        cache_value_release(&out[i]);
    assert_status(CACHE_OK, cache_fetch_many(cache, four, 4, &options, load, NULL, out));    /* no flight was left */
    for (int i = 0; i < 4; i++) {
        assert_non_null(out[i].data);
        cache_value_release(&out[i]);
    }
    cache_close(cache);
    assert_int_equal(failing.out, 0);
    return !failing.failed;
}

static void no_memory_for_the_task_leaves_nothing_behind(void **state)
{
    (void)state;
    long n = 0;
    gate.open = true;
    gate.status = CACHE_OK;
    while (!survives(n))
        n++;
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_values_are_recomputed_by_one_task_while_the_missing_ones_are_computed_here),
        cmocka_unit_test(successors_that_come_in_time_are_waited_for),
        cmocka_unit_test(successors_that_do_not_are_computed_on_while_the_old_values_are_served),
        cmocka_unit_test(without_spawn_the_thread_that_leads_computes_and_the_others_have_short_patience),
        cmocka_unit_test(a_read_past_a_part_of_the_ttl_begins_the_successors_once),
        cmocka_unit_test(a_task_that_is_refused_is_run_by_the_caller),
        cmocka_unit_test(a_caller_without_an_old_value_does_not_wait_for_the_task_to_begin),
        cmocka_unit_test(the_task_has_a_copy_of_the_context),
        cmocka_unit_test(a_leader_that_ends_without_a_result_leaves_the_context_of_others_alone),
        cmocka_unit_test(after_a_failure_the_old_values_are_served_for_error_ttl),
        cmocka_unit_test(no_memory_for_the_task_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
