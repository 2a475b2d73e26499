/* test_memcached_parts.c - cache_clear of handles of cache_with_prefix: Memcached lists no keys, so that a part of them
 * gets a generation of its own. */
#include "test.h"

#include "backends/memcached/record.h"
#include "memcached_hosts.h"

#include <pthread.h>

static cache_t *part_of(cache_t *cache, const char *prefix)
{
    cache_t *part = NULL;
    assert_status(CACHE_OK, cache_with_prefix(cache, prefix, &part));
    return part;
}

static void put(cache_t *cache, const char *text)
{
    assert_status(CACHE_OK, cache_set_string(cache, "k", text, 60));
}

static void a_part_is_cleared_with_its_own_parts_and_no_others(void **state)
{
    (void)state;
    cache_t *all = open_hosts(1, "prefix=nested:");
    cache_t *a = part_of(all, "a:"), *ab = part_of(a, "b:"), *c = part_of(all, "c"), *ac = part_of(a, "c:x");
    cache_t *const handles[] = { all, a, ab, c, ac };
    static const char *const names[] = { "all", "a", "ab", "c", "ac" };
    /* Which of the handles are empty after each has been cleared. */
    static const bool empty[5][5] = {
        { 1, 1, 1, 1, 1 }, { 0, 1, 1, 0, 1 }, { 0, 0, 1, 0, 0 }, { 0, 0, 0, 1, 0 }, { 0, 0, 0, 0, 1 },
    };
    for (int round = 0; round < 2; round++)
        for (int i = 4; i >= 0; i--) {
            for (int k = 0; k < 5; k++)
                put(handles[k], names[k]);
            assert_status(CACHE_OK, cache_clear(handles[i]));
            for (int k = 0; k < 5; k++)
                assert_text(handles[k], "k", empty[i][k] ? NULL : names[k]);
        }
    for (int i = 4; i >= 0; i--)
        cache_close(handles[i]);
}

static void the_handle_above_reads_and_clears_the_same_keys(void **state)
{
    (void)state;
    cache_t *all = open_hosts(1, "prefix=above:"), *part = part_of(all, "part:");
    assert_status(CACHE_OK, cache_clear(part));
    put(part, "v");
    assert_text(all, "part:k", "v");
    assert_status(CACHE_OK, cache_set_string(all, "part:k", "w", 60));
    assert_text(part, "k", "w");
    assert_status(CACHE_OK, cache_clear(part));
    assert_text(all, "part:k", NULL);
    cache_close(part);
    cache_close(all);
}

static void every_operation_meets_an_empty_part(void **state)
{
    int64_t number = 0;
    (void)state;
    cache_t *all = open_hosts(1, "prefix=every:"), *part = part_of(all, "part:");
    assert_status(CACHE_OK, cache_inc(part, "n", 41, &number));
    put(part, "v");
    assert_status(CACHE_OK, cache_clear(part));
    assert_status(CACHE_MISS, cache_has(part, "k"));
    assert_status(CACHE_MISS, cache_touch(part, "k", 60));
    assert_status(CACHE_MISS, cache_delete(part, "k"));
    assert_status(CACHE_OK, cache_inc(part, "n", 1, &number));
    assert_int_equal(number, 1);
    assert_status(CACHE_OK, cache_add(part, "k", "w", 1, 60));
    assert_text(part, "k", "w");
    cache_close(part);
    cache_close(all);
}

static void many_keys_on_three_hosts_are_cleared_by_their_part(void **state)
{
    enum { KEYS = 60 };
    char names[KEYS][24];
    const char *keys[KEYS];
    cache_item items[KEYS];
    cache_value values[KEYS];
    (void)state;
    cache_t *all = open_hosts(3, "prefix=hosts:"), *part = part_of(all, "odd:");
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s:%d", i % 2 == 1 ? "odd" : "even", i);
        keys[i] = names[i];
        items[i] = (cache_item){ names[i], names[i], strlen(names[i]) };
    }
    for (int round = 0; round < 2; round++) {    /* in the second one the part has a generation already */
        assert_status(CACHE_OK, cache_set_many(all, items, KEYS, 60));
        assert_status(CACHE_OK, cache_clear(part));
        assert_status(CACHE_OK, cache_get_many(all, keys, KEYS, values));
        for (int i = 0; i < KEYS; i++) {
            if (i % 2 == 1)
                assert_null(values[i].data);
            else
                assert_memory_equal(values[i].data, names[i], strlen(names[i]));
            cache_value_release(&values[i]);
        }
    }
    cache_close(part);
    cache_close(all);
}

static void another_process_sees_the_clear_of_a_part_within_a_second(void **state)
{
    _Atomic int64_t now = 1000;
    (void)state;
    cache_t *all = open_hosts(1, "prefix=seen:"), *part = part_of(all, "part:");
    cache_t *other = open_hosts_with_clock(1, "prefix=seen:", &now);
    put(part, "old");
    put(all, "stays");
    assert_text(other, "part:k", "old");
    assert_status(CACHE_OK, cache_clear(part));
    now += 1000;
    assert_text(other, "part:k", NULL);
    assert_text(other, "k", "stays");
    put(part, "new");
    assert_text(other, "part:k", "new");
    cache_close(other);
    cache_close(part);
    cache_close(all);
}

/* ---- the record is shared ---------------------------------------------------------------------------------------- */

enum { CLEARERS = 4, PARTS_EACH = 12 };

struct clearer {
    cache_t *cache;                    /* two share one, as threads do; two have others, as processes do */
    int number;
    cache_status status;
};

static void *clear_parts(void *arg)
{
    struct clearer *clearer = arg;
    for (int i = 0; i < PARTS_EACH && clearer->status == CACHE_OK; i++) {
        char name[16];
        cache_t *part = NULL;
        (void)snprintf(name, sizeof name, "p%d-%d:", clearer->number, i);
        clearer->status = cache_with_prefix(clearer->cache, name, &part);
        if (clearer->status == CACHE_OK)
            clearer->status = cache_clear(part);
        cache_value value;
        if (clearer->status == CACHE_OK && cache_get(part, "k", &value) != CACHE_MISS)
            clearer->status = CACHE_ERR_PROTOCOL;    /* its own clear is seen at once */
        cache_close(part);
    }
    return NULL;
}

static void parts_that_are_cleared_at_once_are_all_cleared(void **state)
{
    struct clearer clearers[CLEARERS];
    pthread_t threads[CLEARERS];
    (void)state;
    cache_t *shared = open_hosts(1, "prefix=race:");
    for (int i = 0; i < CLEARERS; i++) {
        clearers[i] = (struct clearer){ i < 2 ? shared : open_hosts(1, "prefix=race:"), i, CACHE_OK };
        for (int k = 0; k < PARTS_EACH; k++) {
            char key[32];
            (void)snprintf(key, sizeof key, "p%d-%d:k", i, k);
            assert_status(CACHE_OK, cache_set_string(shared, key, "old", 60));
        }
    }
    put(shared, "stays");
    for (int i = 0; i < CLEARERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, clear_parts, &clearers[i]), 0);
    for (int i = 0; i < CLEARERS; i++)
        pthread_join(threads[i], NULL);
    cache_t *fresh = open_hosts(1, "prefix=race:");
    for (int i = 0; i < CLEARERS; i++) {
        assert_int_equal(clearers[i].status, CACHE_OK);
        for (int k = 0; k < PARTS_EACH; k++) {
            char key[32];
            (void)snprintf(key, sizeof key, "p%d-%d:k", i, k);
            assert_text(fresh, key, NULL);
        }
    }
    assert_text(fresh, "k", "stays");
    cache_close(fresh);
    for (int i = 2; i < CLEARERS; i++)
        cache_close(clearers[i].cache);
    cache_close(shared);
}

static void a_lost_record_brings_no_part_back(void **state)
{
    _Atomic int64_t now = 1000;
    (void)state;
    cache_t *all = open_hosts_with_clock(1, "prefix=lost:", &now), *part = part_of(all, "part:");
    cache_t *raw = open_hosts(1, "prefix=&generation=off");
    put(part, "older");
    assert_status(CACHE_OK, cache_clear(part));
    put(part, "old");
    assert_status(CACHE_OK, cache_delete(raw, "lost:generation"));
    now += 1000;
    assert_text(part, "k", NULL);
    put(part, "new");
    assert_status(CACHE_OK, cache_delete(raw, "lost:generation"));
    assert_status(CACHE_OK, cache_clear(part));    /* makes the record */
    assert_text(part, "k", NULL);
    cache_close(raw);
    cache_close(part);
    cache_close(all);
}

static void a_record_that_somebody_wrote_over_is_replaced(void **state)
{
    static const char *const written[] = { "12 ", "12 5", "12 5 6 ", "12 6 6 5 6", "12 5 6 5 7", "12  5 6", " 12",
                                           "12 5 x", "12 99999999999999999999 6" };
    _Atomic int64_t now = 1000;
    (void)state;
    cache_t *raw = open_hosts(1, "prefix=&generation=off");
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        cache_t *all = open_hosts_with_clock(1, "prefix=over:", &now), *part = part_of(all, "part:");
        put(part, "old");
        assert_status(CACHE_OK, cache_set_string(raw, "over:generation", written[i], CACHE_TTL_FOREVER));
        now += 1000;
        assert_text(part, "k", NULL);
        assert_status(CACHE_OK, cache_set_string(raw, "over:generation", written[i], CACHE_TTL_FOREVER));
        put(part, "new");
        assert_status(CACHE_OK, cache_clear(part));
        assert_text(part, "k", NULL);
        cache_close(part);
        cache_close(all);
    }
    cache_close(raw);
}

/* More parts than the record has room for: all keys are cleared, and it begins anew. */
static void a_full_record_clears_everything_and_brings_nothing_back(void **state)
{
    char name[24];
    (void)state;
    cache_t *all = open_hosts(1, "prefix=full:"), *first = part_of(all, "first:");
    put(first, "old");
    assert_status(CACHE_OK, cache_clear(first));
    for (int i = 1; i < MC_MAX_PARTS; i++) {
        (void)snprintf(name, sizeof name, "p%d:", i);
        cache_t *part = part_of(all, name);
        assert_status(CACHE_OK, cache_clear(part));
        cache_close(part);
    }
    put(all, "stays");
    assert_status(CACHE_OK, cache_clear(first));    /* it has its place already */
    assert_text(all, "k", "stays");
    cache_t *last = part_of(all, "last:");
    put(last, "old");
    assert_status(CACHE_OK, cache_clear(last));
    assert_text(last, "k", NULL);
    assert_text(first, "k", NULL);
    assert_text(all, "k", NULL);
    put(all, "new");
    assert_status(CACHE_OK, cache_clear(last));
    assert_text(all, "k", "new");
    cache_close(last);
    cache_close(first);
    cache_close(all);
}

static void a_host_that_missed_the_clear_of_a_part_is_cleared_when_it_is_back(void **state)
{
    cache_value value;
    (void)state;
    cache_t *all = open_hosts(1, "prefix=missed:&timeout=0.3&retry_after=0.001"), *part = part_of(all, "part:");
    cache_t *patient = open_hosts(1, "prefix=missed:");
    assert_status(CACHE_OK, cache_set_string(patient, "part:k", "old", 60));
    cache_status status;
    do                                 /* on a busy machine 0.3 s may be too short */
        status = cache_get(part, "k", &value);
    while (status < 0);
    assert_status(CACHE_OK, status);
    cache_value_release(&value);
    test_server_pause(&servers[0]);
    assert_true(cache_clear(part) < 0);
    test_server_resume(&servers[0]);
    do
        status = cache_get(part, "k", &value);
    while (status < 0);
    assert_status(CACHE_MISS, status);
    cache_close(patient);
    cache_close(part);
    cache_close(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_cleared_with_its_own_parts_and_no_others),
        cmocka_unit_test(the_handle_above_reads_and_clears_the_same_keys),
        cmocka_unit_test(every_operation_meets_an_empty_part),
        cmocka_unit_test(many_keys_on_three_hosts_are_cleared_by_their_part),
        cmocka_unit_test(another_process_sees_the_clear_of_a_part_within_a_second),
        cmocka_unit_test(parts_that_are_cleared_at_once_are_all_cleared),
        cmocka_unit_test(a_lost_record_brings_no_part_back),
        cmocka_unit_test(a_record_that_somebody_wrote_over_is_replaced),
        cmocka_unit_test(a_full_record_clears_everything_and_brings_nothing_back),
        cmocka_unit_test(a_host_that_missed_the_clear_of_a_part_is_cleared_when_it_is_back),
    };
    return cmocka_run_group_tests(tests, start_hosts, stop_hosts);
}
