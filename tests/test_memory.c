/* test_memory.c - checks the memory store: its limits, its order of eviction, expiry and pinned values.
 * test_memory_threads.c checks its threads. */
#include "test.h"

#include "backends/memory/memory.h"
#include "cache_internal.h"
#include "number.h"

#include <stdatomic.h>
#include <stdlib.h>

static bool has_numbered(cache_t *cache, const char *kind, int i)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s%d", kind, i);
    return cache_has(cache, key) == CACHE_OK;
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void max_items_is_never_exceeded_after_a_call(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://?max_items=50");
    for (int i = 0; i < 500; i++) {
        test_set_numbered(cache, "k", i, 60);
        assert_true(test_counters(cache).items <= 50);
        assert_true(has_numbered(cache, "k", i));    /* what was just set can be read */
    }
    assert_int_equal(test_counters(cache).items, 50);
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "n%d", i);
        assert_status(CACHE_OK, cache_inc(cache, key, 1, NULL));
        assert_true(test_counters(cache).items <= 50);
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
        assert_true(test_counters(cache).bytes <= 20000);
        assert_true(has_numbered(cache, "k", i));
    }
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(test_counters(cache).bytes, 0);
    assert_status(CACHE_OK, cache_set(cache, "key", value, 1000, 60));
    assert_true(test_counters(cache).bytes > 1003);
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
        test_set_numbered(cache, "k", i, 60);
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
        test_set_numbered(cache, "k", i, 60);
    assert_int_equal(test_counters(cache).items, 20000);
    cache_close(cache);
}

static void a_much_smaller_value_gives_memory_back(void **state)
{
    static char value[5000];
    (void)state;
    cache_t *cache = test_open("memory://");
    assert_status(CACHE_OK, cache_set(cache, "k", value, sizeof value, 60));
    assert_true(test_counters(cache).bytes > 5000);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "small", 60));
    assert_true(test_counters(cache).bytes < 500);
    assert_text(cache, "k", "small");
    cache_close(cache);
}

/* An allocator that counts its calls. */
static void *counting_alloc(void *ctx, size_t size)
{
    ++*(int *)ctx;
    return malloc(size);
}

static void *counting_resize(void *ctx, void *block, size_t size)
{
    ++*(int *)ctx;
    return realloc(block, size);
}

static void counting_free(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

static void what_is_there_is_read_counted_and_touched_without_an_allocation(void **state)
{
    int calls = 0;
    char buffer[16];
    cache_value value;
    const cache_allocator allocator = { counting_alloc, counting_resize, counting_free, &calls };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)state;
    config.url = "memory://";
    config.allocator = &allocator;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_status(CACHE_OK, cache_set_string(cache, "k", "eight ch", 60));
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, NULL));
    const int before = calls;
    for (int i = 0; i < 1000; i++) {
        assert_status(CACHE_OK, cache_inc(cache, "n", INT64_C(9000000000000000), NULL));
        assert_status(CACHE_OK, cache_get(cache, "k", &value));
        cache_value_release(&value);
        assert_status(CACHE_OK, cache_get_copy(cache, "k", buffer, sizeof buffer, NULL));
        assert_status(CACHE_OK, cache_touch(cache, "k", 60));
        assert_status(CACHE_OK, cache_has(cache, "k"));
    }
    assert_int_equal(calls, before);
    cache_close(cache);
}

/* ---- the order of eviction --------------------------------------------------------------------------------------- */

static void what_was_hit_survives_a_scan(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://?max_items=100");
    int survived = 0;
    for (int i = 0; i < 20; i++)
        test_set_numbered(cache, "hot", i, 60);
    for (int i = 0; i < 20; i++)
        for (int hits = 0; hits < 3; hits++) {
            char key[16], value[16];
            (void)snprintf(key, sizeof key, "hot%d", i);
            assert_status(CACHE_OK, cache_get_copy(cache, key, value, sizeof value, NULL));
        }
    for (int i = 0; i < 1000; i++)
        test_set_numbered(cache, "scan", i, 60);
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
        test_set_numbered(cache, "live", i, 3600);
    for (int i = 0; i < 50; i++)
        test_set_numbered(cache, "dead", i, 1);
    atomic_store(&now, 1002000);
    for (int i = 0; i < 50; i++)
        test_set_numbered(cache, "new", i, 3600);
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
        test_set_numbered(cache, "k", i, 60);
    assert_int_equal(evicted.n, 1);
    assert_string_equal(evicted.last, "k0");
    cache_close(cache);
}

/* ---- expiry ------------------------------------------------------------------------------------------------------ */

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
        /* One shard: its writes sweep it all. */
        cache_t *cache = test_open_with_clock("memory://?max_items=100", &now);
        for (int i = 0; i < 90; i++)
            test_set_numbered(cache, "dead", i, (double)jumps[j] / 1000 * (i + 1) / 90);
        atomic_fetch_add(&now, jumps[j]);
        for (int i = 0; i < 40; i++)
            test_set_numbered(cache, "one", 0, CACHE_TTL_FOREVER);
        assert_int_equal(test_counters(cache).items, 1);
        cache_close(cache);
    }
}

static void the_last_deadline_given_counts(void **state)
{
    _Atomic int64_t now = 5000;
    (void)state;
    cache_t *cache = test_open_with_clock("memory://?max_items=100", &now);
    for (int i = 0; i < 30; i++)
        test_set_numbered(cache, "k", i, 1);
    for (int i = 0; i < 10; i++) {    /* later, by a set */
        test_set_numbered(cache, "k", i, 100);
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", 10 + i);
        assert_status(CACHE_OK, cache_touch(cache, key, i % 2 ? 100 : CACHE_TTL_FOREVER));    /* later */
    }
    atomic_fetch_add(&now, 1000);
    for (int i = 0; i < 20; i++)
        test_set_numbered(cache, "one", 0, CACHE_TTL_FOREVER);
    for (int i = 0; i < 30; i++)
        assert_int_equal(has_numbered(cache, "k", i), i < 20);
    assert_int_equal(test_counters(cache).items, 21);
    test_set_numbered(cache, "k", 0, 0.5);    /* sooner */
    atomic_fetch_add(&now, 500);
    test_set_numbered(cache, "one", 0, CACHE_TTL_FOREVER);
    assert_int_equal(test_counters(cache).items, 20);
    atomic_fetch_add(&now, 100000);
    for (int i = 0; i < 20; i++)
        test_set_numbered(cache, "one", 0, CACHE_TTL_FOREVER);
    assert_int_equal(test_counters(cache).items, 6);    /* the five that were touched for ever, and "one" */
    cache_close(cache);
}

static void what_died_in_one_shard_goes_though_all_traffic_is_in_another(void **state)
{
    _Atomic int64_t now = 5000;
    (void)state;
    cache_t *cache = test_open_with_clock("memory://", &now);
    for (int i = 0; i < 5000; i++)
        test_set_numbered(cache, "dead", i, 1);
    test_set_numbered(cache, "read", 0, CACHE_TTL_FOREVER);
    atomic_fetch_add(&now, 2000);
    for (int i = 0; i < 10000000 && test_counters(cache).items > 1; i++)
        for (int reads = 0; reads < 10000; reads++)
            assert_true(has_numbered(cache, "read", 0));
    assert_int_equal(test_counters(cache).items, 1);
    cache_close(cache);
}

static void what_died_in_two_stores_goes_though_they_are_used_in_turns(void **state)
{
    _Atomic int64_t now = 5000;
    (void)state;
    cache_t *first = test_open_with_clock("memory://", &now), *second = test_open_with_clock("memory://", &now);
    for (int i = 0; i < 500; i++) {
        test_set_numbered(first, "dead", i, 1);
        test_set_numbered(second, "dead", i, 1);
    }
    test_set_numbered(first, "read", 0, CACHE_TTL_FOREVER);
    test_set_numbered(second, "read", 0, CACHE_TTL_FOREVER);
    atomic_fetch_add(&now, 2000);
    for (int i = 0; i < 2000 && test_counters(first).items + test_counters(second).items > 2; i++)
        for (int reads = 0; reads < 1000; reads++) {
            assert_true(has_numbered(first, "read", 0));
            assert_true(has_numbered(second, "read", 0));
        }
    assert_int_equal(test_counters(first).items, 1);
    assert_int_equal(test_counters(second).items, 1);
    cache_close(second);
    cache_close(first);
}

/* ---- looking into it --------------------------------------------------------------------------------------------- */

static void the_time_left_is_that_of_the_value(void **state)
{
    _Atomic int64_t now = 5000;
    double left = 0;
    (void)state;
    cache_t *cache = test_open_with_clock("memory://", &now);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "for ever", "x", CACHE_TTL_FOREVER));
    atomic_fetch_add(&now, 20000);
    assert_status(CACHE_OK, cache_ttl_left(cache, "k", &left));
    assert_true(left == 40);
    assert_status(CACHE_OK, cache_ttl_left(cache, "for ever", &left));
    assert_true(left == CACHE_TTL_FOREVER);
    assert_status(CACHE_MISS, cache_ttl_left(cache, "nothing", &left));
    cache_close(cache);
}

enum { LISTED = 20000 };

struct seen {
    unsigned char key[LISTED];
    int others;
};

static void note_key(void *ctx, const char *key)
{
    struct seen *seen = ctx;
    int i = 0;
    if (sscanf(key, "k%d", &i) == 1 && i >= 0 && i < LISTED)
        seen->key[i]++;
    else
        seen->others++;
}

/* While the tables grow, and shrink, between the steps. */
static void a_listing_has_every_key_that_stays(void **state)
{
    static struct seen seen;
    cache_cursor cursor = { 0 };
    (void)state;
    cache_t *cache = test_open("memory://?max_items=4000000");
    for (int i = 0; i < LISTED; i++)
        test_set_numbered(cache, "k", i, 60);
    for (int step = 0; !cursor.done; step++) {
        assert_status(CACHE_OK, cache_keys(cache, "k", &cursor, note_key, &seen));
        for (int i = 0; i < 100; i++)
            test_set_numbered(cache, "other", step * 100 + i, 60);
    }
    assert_int_equal(seen.others, 0);
    for (int i = 0; i < LISTED; i++)
        assert_int_equal(seen.key[i], 1);
    cache_close(cache);
}

/* A step looks at so many hashes as usually belong to a few hundred keys. These keys have neighbouring hashes. */
static void a_listing_has_every_key_however_their_hashes_lie(void **state)
{
    static struct seen seen;
    cache_cursor cursor = { 0 };
    unsigned number = 0;
    (void)state;
    cache_t *cache = test_open("memory://?max_items=4000");
    const struct memory *memory = cache->store->self;
    memset(&seen, 0, sizeof seen);
    for (int i = 0; i < 3000; i++) {
        char key[32];
        struct place place;
        do {
            (void)snprintf(key, sizeof key, "k%d-%u", i, number++);
            place = memory_place(memory, (cache_bytes){ key, strlen(key) });
        } while (place.shard != 0 || place.hash >= UINT32_MAX / 64);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
    }
    while (!cursor.done)
        assert_status(CACHE_OK, cache_keys(cache, "k", &cursor, note_key, &seen));
    assert_int_equal(seen.others, 0);
    for (int i = 0; i < LISTED; i++)
        assert_int_equal(seen.key[i], i < 3000);
    cache_close(cache);
}

/* ---- pinned values ----------------------------------------------------------------------------------------------- */

static void a_pinned_value_outlives_everything(void **state)
{
    cache_value values[5];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=10");
    for (int i = 0; i < 5; i++) {
        char key[16];
        test_set_numbered(cache, "k", i, 60);
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_get(cache, key, &values[i]));
    }
    assert_status(CACHE_OK, cache_set_string(cache, "k0", "replaced", 60));
    assert_status(CACHE_OK, cache_delete(cache, "k1"));
    for (int i = 0; i < 100; i++)
        test_set_numbered(cache, "more", i, 60);
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

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

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
        cmocka_unit_test(a_much_smaller_value_gives_memory_back),
        cmocka_unit_test(what_is_there_is_read_counted_and_touched_without_an_allocation),
        cmocka_unit_test(what_was_hit_survives_a_scan),
        cmocka_unit_test(expired_items_go_before_live_ones),
        cmocka_unit_test(an_eviction_is_an_event_with_the_users_key),
        cmocka_unit_test(an_item_lives_to_the_millisecond),
        cmocka_unit_test(dead_items_leave_memory_though_nobody_reads_them),
        cmocka_unit_test(the_last_deadline_given_counts),
        cmocka_unit_test(what_died_in_one_shard_goes_though_all_traffic_is_in_another),
        cmocka_unit_test(what_died_in_two_stores_goes_though_they_are_used_in_turns),
        cmocka_unit_test(the_time_left_is_that_of_the_value),
        cmocka_unit_test(a_listing_has_every_key_that_stays),
        cmocka_unit_test(a_listing_has_every_key_however_their_hashes_lie),
        cmocka_unit_test(a_pinned_value_outlives_everything),
        cmocka_unit_test(a_counter_that_is_being_read_is_not_changed_under_the_reader),
        cmocka_unit_test(a_number_is_read_as_it_is_written_and_nothing_else_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
