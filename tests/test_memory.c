/* The memory store: its limits, its order of eviction, expiry, pinned values, and many threads on the same keys. */
#include "test.h"

#include "number.h"

#include <pthread.h>
#include <time.h>

static uint64_t items_of(cache_t *cache)
{
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    return counters.items;
}

static uint64_t bytes_of(cache_t *cache)
{
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    return counters.bytes;
}

static void set_numbered(cache_t *cache, const char *kind, int i, double ttl)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s%d", kind, i);
    assert_status(CACHE_OK, cache_set_string(cache, key, key, ttl));
}

static bool has_numbered(cache_t *cache, const char *kind, int i)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s%d", kind, i);
    return cache_has(cache, key) == CACHE_OK;
}

/* ---- limits -------------------------------------------------------------------------------------------------------- */

static void max_items_is_never_exceeded_after_a_call(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://?max_items=50");
    for (int i = 0; i < 500; i++) {
        set_numbered(cache, "k", i, 60);
        assert_true(items_of(cache) <= 50);
        assert_true(has_numbered(cache, "k", i));    /* what was just set can be read */
    }
    assert_int_equal(items_of(cache), 50);
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "n%d", i);
        assert_status(CACHE_OK, cache_inc(cache, key, 1, NULL));
        assert_true(items_of(cache) <= 50);
    }
    cache_close(cache);
}

static void max_bytes_is_never_exceeded_and_counts_key_value_and_overhead(void **state)
{
    static char value[3000];
    (void)state;
    cache_t *cache = test_open("memory://?max_bytes=20000");
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set(cache, key, value, (size_t)(i * 37 % 3000), 60));
        assert_true(bytes_of(cache) <= 20000);
        assert_true(has_numbered(cache, "k", i));
    }
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(bytes_of(cache), 0);
    assert_status(CACHE_OK, cache_set(cache, "key", value, 1000, 60));
    assert_true(bytes_of(cache) > 1003);
    cache_close(cache);
}

static void a_value_over_max_bytes_is_refused_and_the_old_one_stays(void **state)
{
    static char value[8000];
    (void)state;
    cache_t *cache = test_open("memory://?max_bytes=4kb");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    assert_status(CACHE_ERR_TOO_LARGE, cache_set(cache, "k", value, sizeof value, 60));
    assert_non_null(strstr(cache_last_error(), "4096"));
    assert_text(cache, "k", "old");
    cache_close(cache);
}

static void a_hundred_items_of_room_hold_at_least_ninety(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://?max_items=100");
    int held = 0;
    for (int i = 0; i < 100; i++)
        set_numbered(cache, "k", i, 60);
    for (int i = 0; i < 100; i++)
        held += has_numbered(cache, "k", i);
    assert_true(held >= 90);
    cache_close(cache);
}

static void limits_hold_over_many_shards(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://?max_items=20000");
    for (int i = 0; i < 60000; i++)
        set_numbered(cache, "k", i, 60);
    assert_int_equal(items_of(cache), 20000);
    cache_close(cache);
}

/* ---- the order of eviction ----------------------------------------------------------------------------------------- */

static void what_was_hit_survives_a_scan(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://?max_items=100");
    int survived = 0;
    for (int i = 0; i < 20; i++)
        set_numbered(cache, "hot", i, 60);
    for (int i = 0; i < 20; i++)
        for (int hits = 0; hits < 3; hits++) {
            char key[16], value[16];
            (void)snprintf(key, sizeof key, "hot%d", i);
            assert_status(CACHE_OK, cache_get_copy(cache, key, value, sizeof value, NULL));
        }
    for (int i = 0; i < 1000; i++)
        set_numbered(cache, "scan", i, 60);
    for (int i = 0; i < 20; i++)
        survived += has_numbered(cache, "hot", i);
    assert_int_equal(survived, 20);
    cache_close(cache);
}

static void expired_items_go_before_live_ones(void **state)
{
    _Atomic int64_t now = 1000000;
    (void)state;
    cache_t *cache = test_open_with_clock("memory://?max_items=100", &now);
    for (int i = 0; i < 50; i++)
        set_numbered(cache, "live", i, 3600);
    for (int i = 0; i < 50; i++)
        set_numbered(cache, "dead", i, 1);
    atomic_store(&now, 1002000);
    for (int i = 0; i < 50; i++)
        set_numbered(cache, "new", i, 3600);
    for (int i = 0; i < 50; i++)
        assert_true(has_numbered(cache, "live", i) && has_numbered(cache, "new", i));
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.evictions, 0);
    assert_int_equal(counters.expirations, 50);
    cache_close(cache);
}

struct evicted {
    int n;
    char last[64];
};

static void note_eviction(void *ctx, const cache_event *event)
{
    struct evicted *evicted = ctx;
    if (event->type == CACHE_EVENT_EVICT) {
        evicted->n++;
        (void)snprintf(evicted->last, sizeof evicted->last, "%s", event->key);
    }
}

static void an_eviction_is_an_event_with_the_users_key(void **state)
{
    struct evicted evicted = { 0, "" };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)state;
    config.url = "memory://?max_items=3&prefix=hidden:";
    config.event = note_eviction;
    config.event_ctx = &evicted;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    for (int i = 0; i < 4; i++)
        set_numbered(cache, "k", i, 60);
    assert_int_equal(evicted.n, 1);
    assert_string_equal(evicted.last, "k0");
    cache_close(cache);
}

/* ---- expiry ---------------------------------------------------------------------------------------------------------- */

static void an_item_lives_to_the_millisecond(void **state)
{
    _Atomic int64_t now = 5000;
    (void)state;
    cache_t *cache = test_open_with_clock("memory://", &now);
    const int64_t ttls[] = { 1, 15, 16, 17, 999, 1000, 65537, INT64_C(86400000), INT64_C(40) * 86400000 };
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", (double)ttls[i] / 1000));
        atomic_fetch_add(&now, ttls[i] - 1);
        assert_text(cache, "k", "x");
        atomic_fetch_add(&now, 1);
        assert_text(cache, "k", NULL);
    }
    cache_close(cache);
}

static void dead_items_leave_memory_though_nobody_reads_them(void **state)
{
    static const int64_t jumps[] = { 100, 5000, 100000, INT64_C(3) * 86400000 };
    _Atomic int64_t now = 777;
    (void)state;
    for (size_t j = 0; j < sizeof jumps / sizeof jumps[0]; j++) {
        cache_t *cache = test_open_with_clock("memory://?max_items=100", &now);    /* one shard: its writes sweep it all */
        for (int i = 0; i < 90; i++)
            set_numbered(cache, "dead", i, (double)jumps[j] / 1000 * (i + 1) / 90);
        atomic_fetch_add(&now, jumps[j]);
        for (int i = 0; i < 40; i++)
            set_numbered(cache, "one", 0, 0);
        assert_int_equal(items_of(cache), 1);
        cache_close(cache);
    }
}

/* ---- pinned values ----------------------------------------------------------------------------------------------- */

static void a_pinned_value_outlives_everything(void **state)
{
    cache_value values[5];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=10");
    for (int i = 0; i < 5; i++) {
        char key[16];
        set_numbered(cache, "k", i, 60);
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_get(cache, key, &values[i]));
    }
    assert_status(CACHE_OK, cache_set_string(cache, "k0", "replaced", 60));
    assert_status(CACHE_OK, cache_delete(cache, "k1"));
    for (int i = 0; i < 100; i++)
        set_numbered(cache, "more", i, 60);
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
    for (int i = 0; i < 5; i++) {
        char expected[16];
        (void)snprintf(expected, sizeof expected, "k%d", i);
        assert_string_equal(values[i].data, expected);
        cache_value_release(&values[i]);
    }
}

static void a_counter_that_is_being_read_is_not_changed_under_the_reader(void **state)
{
    cache_value value;
    (void)state;
    cache_t *cache = test_open("memory://");
    assert_status(CACHE_OK, cache_inc(cache, "n", 41, NULL));
    assert_status(CACHE_OK, cache_get(cache, "n", &value));
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, NULL));
    assert_string_equal(value.data, "41");
    cache_value_release(&value);
    assert_text(cache, "n", "42");
    cache_close(cache);
}

/* ---- threads ------------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, KEYS = 50, STEPS = 20000 };

struct worker {
    pthread_t thread;
    cache_t *cache;
    unsigned random;
    int wrong;
};

static unsigned next_random(struct worker *worker)
{
    return worker->random = worker->random * 1664525u + 1013904223u;
}

static void run_threads(void *(*body)(void *), cache_t *cache, struct worker workers[THREADS])
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .cache = cache, .random = i + 1 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Each value begins with its key, so that a mixed-up one shows. */
static void *mix(void *arg)
{
    struct worker *worker = arg;
    const double until = seconds_now() + 2;
    for (int i = 0; i % 64 != 0 || seconds_now() < until; i++) {
        char key[16], text[64];
        cache_value value;
        const int size = snprintf(key, sizeof key, "k%u", next_random(worker) / 65536 % KEYS);
        switch (next_random(worker) / 65536 % 8) {
        case 0:
        case 1:
            (void)snprintf(text, sizeof text, "%s=%u", key, worker->random);
            worker->wrong += cache_set_string(worker->cache, key, text, worker->random % 3 == 0 ? 0.001 : 60) != CACHE_OK;
            break;
        case 2: worker->wrong += cache_delete(worker->cache, key) < 0; break;
        case 3: worker->wrong += cache_inc(worker->cache, "counter", 1, NULL) != CACHE_OK; break;
        case 4: worker->wrong += cache_touch(worker->cache, key, 60) < 0; break;
        case 5: worker->wrong += worker->random % 512 == 0 && cache_clear(worker->cache) != CACHE_OK; break;
        default:
            if (cache_get(worker->cache, key, &value) == CACHE_OK)
                worker->wrong += strncmp(value.data, key, (size_t)size) != 0;
            cache_value_release(&value);
        }
        cache_counters counters;
        if (i % 16 == 0)
            worker->wrong += cache_stats(worker->cache, &counters) != CACHE_OK || counters.items > 30 + THREADS;
    }
    return NULL;
}

static void threads_that_do_everything_to_the_same_keys_get_no_wrong_value(void **state)
{
    struct worker workers[THREADS];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=30");
    run_threads(mix, cache, workers);
    assert_true(items_of(cache) <= 30);
    cache_close(cache);
}

static void *count_and_read(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < STEPS; i++) {
        cache_value value;
        worker->wrong += cache_inc(worker->cache, "n", 1, NULL) != CACHE_OK;
        if (cache_get(worker->cache, "n", &value) == CACHE_OK) {
            int64_t number = 0;
            worker->wrong += !cache_number_parse(value.data, value.size, &number) || number < i + 1;
        } else
            worker->wrong++;
        cache_value_release(&value);
    }
    return NULL;
}

static void no_step_of_a_counter_is_lost_while_others_read_it(void **state)
{
    struct worker workers[THREADS];
    int64_t number = 0;
    (void)state;
    cache_t *cache = test_open("memory://?default_ttl=0");
    run_threads(count_and_read, cache, workers);
    assert_status(CACHE_OK, cache_inc(cache, "n", 0, &number));
    assert_int_equal(number, THREADS * STEPS);
    cache_close(cache);
}

static void *fill(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < STEPS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key %u", next_random(worker));
        worker->wrong += cache_set_string(worker->cache, key, key, 60) != CACHE_OK;
    }
    return NULL;
}

static void limits_hold_after_many_threads_filled_it(void **state)
{
    struct worker workers[THREADS];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=5000&max_bytes=1mb");
    run_threads(fill, cache, workers);
    assert_true(items_of(cache) <= 5000);
    assert_true(bytes_of(cache) <= 1 << 20);
    assert_true(items_of(cache) > 1000);
    cache_close(cache);
}

/* ---- numbers ------------------------------------------------------------------------------------------------------- */

static void a_number_is_read_as_it_is_written_and_nothing_else_is_one(void **state)
{
    static const int64_t numbers[] = { 0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1 };
    static const char *const others[] = { "", "-", "+1", "01", "-0", "-01", "00", " 1", "1 ", "1a", "0x1", "1.0",
                                          "9223372036854775808", "-9223372036854775809", "99999999999999999999" };
    int64_t number = 0;
    char text[NUMBER_MAX_SIZE + 1];
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const size_t size = cache_number_format(numbers[i], text);
        assert_int_equal(size, strlen(text));
        assert_true(cache_number_parse(text, size, &number));
        assert_true(number == numbers[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(cache_number_parse(others[i], strlen(others[i]), &number));
    assert_false(cache_number_add(INT64_MAX, 1, &number));
    assert_false(cache_number_add(INT64_MIN, -1, &number));
    assert_true(cache_number_add(INT64_MAX, INT64_MIN, &number));
    assert_int_equal(number, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_items_is_never_exceeded_after_a_call),
        cmocka_unit_test(max_bytes_is_never_exceeded_and_counts_key_value_and_overhead),
        cmocka_unit_test(a_value_over_max_bytes_is_refused_and_the_old_one_stays),
        cmocka_unit_test(a_hundred_items_of_room_hold_at_least_ninety),
        cmocka_unit_test(limits_hold_over_many_shards),
        cmocka_unit_test(what_was_hit_survives_a_scan),
        cmocka_unit_test(expired_items_go_before_live_ones),
        cmocka_unit_test(an_eviction_is_an_event_with_the_users_key),
        cmocka_unit_test(an_item_lives_to_the_millisecond),
        cmocka_unit_test(dead_items_leave_memory_though_nobody_reads_them),
        cmocka_unit_test(a_pinned_value_outlives_everything),
        cmocka_unit_test(a_counter_that_is_being_read_is_not_changed_under_the_reader),
        cmocka_unit_test(threads_that_do_everything_to_the_same_keys_get_no_wrong_value),
        cmocka_unit_test(no_step_of_a_counter_is_lost_while_others_read_it),
        cmocka_unit_test(limits_hold_after_many_threads_filled_it),
        cmocka_unit_test(a_number_is_read_as_it_is_written_and_nothing_else_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
