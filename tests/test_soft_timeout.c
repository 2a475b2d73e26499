/* test_soft_timeout.c - checks soft_timeout and refresh_after: callers that stop waiting, and recomputations that begin
 * early. */
#include "gate.h"

static struct caller worker;

/* Runs each task on a thread of its own. */
static void *run_task(void *arg)
{
    void **task = arg;
    void (*run)(void *) = NULL;
    memcpy(&run, &task[0], sizeof run);
    run(task[1]);
    free(task);
    return NULL;
}

static atomic_int spawned;

static bool spawn(void *ctx, void (*task)(void *arg), void *arg)
{
    void **both = malloc(2 * sizeof *both);
    (void)ctx;
    if (both == NULL)
        return false;
    memcpy(&both[0], &task, sizeof task);
    both[1] = arg;
    atomic_fetch_add(&spawned, 1);
    return pthread_create(&worker.thread, NULL, run_task, both) == 0;
}

static struct gate *the_gate;

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    return through_gate(the_gate, out);
}

static cache_t *open_spawning(struct gate *gate)
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    fake_store_reset();
    now_ms = 1000000;
    spawned = 0;
    the_gate = gate;
    config.url = "fake://";
    config.clock = test_clock(&now_ms);
    config.spawn = spawn;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    return cache;
}

static void expect(cache_t *cache, const cache_fetch_options *options, const char *text, cache_source source)
{
    cache_fetch_options known = *options;
    cache_fetch_info info;
    cache_value value;
    known.info = &info;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &known, compute, NULL, &value));
    assert_string_equal(value.data, text);
    assert_int_equal(info.source, source);
    cache_value_release(&value);
}

static cache_fetch_options with_ttl(double ttl, double stale, double soft_timeout)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = ttl;
    options.stale = stale;
    options.soft_timeout = soft_timeout;
    return options;
}

static void a_successor_that_comes_in_time_is_waited_for(void **state)
{
    (void)state;
    struct gate gate = { .open = true };
    cache_t *cache = open_spawning(&gate);
    const cache_fetch_options options = with_ttl(10, 10, 20);
    expect(cache, &options, "v1", CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    expect(cache, &options, "v2", CACHE_SOURCE_SHARED);
    pthread_join(worker.thread, NULL);
    cache_close(cache);
}

static void a_successor_that_does_not_is_computed_on(void **state)
{
    (void)state;
    struct gate gate = { .open = true };
    cache_t *cache = open_spawning(&gate);
    const cache_fetch_options options = with_ttl(10, 10, 0.001);
    expect(cache, &options, "v1", CACHE_SOURCE_COMPUTED);
    now_ms += 10000;
    atomic_store(&gate.open, false);
    expect(cache, &options, "v1", CACHE_SOURCE_STALE);
    expect(cache, &options, "v1", CACHE_SOURCE_STALE);    /* and who follows does not wait longer either */
    atomic_store(&gate.open, true);
    pthread_join(worker.thread, NULL);
    expect(cache, &options, "v2", CACHE_SOURCE_HIT);
    assert_int_equal(spawned, 1);
    cache_close(cache);
}

static void who_follows_has_short_patience_if_a_value_is_kept_for_errors(void **state)
{
    (void)state;
    struct gate gate = { .open = true };
    cache_t *cache = open_fake();
    struct caller leader;
    cache_fetch_options options = with_ttl(10, 0, 0.001);
    the_gate = &gate;
    options.stale_if_error = 100;
    expect(cache, &options, "v1", CACHE_SOURCE_COMPUTED);
    now_ms += 20000;
    atomic_store(&gate.open, false);
    leader = (struct caller){ .cache = cache, .key = "k", .options = options, .compute = compute };
    assert_int_equal(pthread_create(&leader.thread, NULL, call, &leader), 0);
    while (atomic_load(&gate.inside) == 0)
        nap();
    expect(cache, &options, "v1", CACHE_SOURCE_STALE);
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v2");
    cache_close(cache);
}

static void a_read_past_a_part_of_the_ttl_begins_the_successor_once(void **state)
{
    (void)state;
    struct gate gate = { .open = true };
    cache_t *cache = open_spawning(&gate);
    cache_fetch_options options = with_ttl(100, 0, 0);
    options.refresh_after = 0.8;
    expect(cache, &options, "v1", CACHE_SOURCE_COMPUTED);
    now_ms += 79999;
    expect(cache, &options, "v1", CACHE_SOURCE_HIT);
    assert_int_equal(spawned, 0);
    now_ms += 1;
    atomic_store(&gate.open, false);
    expect(cache, &options, "v1", CACHE_SOURCE_HIT);
    expect(cache, &options, "v1", CACHE_SOURCE_HIT);
    assert_int_equal(spawned, 1);
    atomic_store(&gate.open, true);
    pthread_join(worker.thread, NULL);
    expect(cache, &options, "v2", CACHE_SOURCE_HIT);
    now_ms += 79999;    /* the successor's own time counts */
    expect(cache, &options, "v2", CACHE_SOURCE_HIT);
    assert_int_equal(spawned, 1);
    cache_close(cache);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_value value;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.refresh_after = 1.5;
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "k", &options, quick, NULL, &value));
    options.refresh_after = 0;
    options.soft_timeout = -1;
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "k", &options, quick, NULL, &value));
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_successor_that_comes_in_time_is_waited_for),
        cmocka_unit_test(a_successor_that_does_not_is_computed_on),
        cmocka_unit_test(who_follows_has_short_patience_if_a_value_is_kept_for_errors),
        cmocka_unit_test(a_read_past_a_part_of_the_ttl_begins_the_successor_once),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
