/* test_wrong_replies.c - behind a proxy that repeats, delays, cuts and garbles replies no operation is given another
 * key's value, and no counter counts twice. */
#include "test.h"

#include "proxy.h"
#include "server.h"

#include <pthread.h>

enum { THREADS = 8, KEYS = 64 };

static struct test_server server;
static struct test_proxy proxy;
static cache_t *cache;
static atomic_int wrong, good, failed;
static int n_operations;

static int start(void **state)
{
    (void)state;
    test_server_start_redis(&server, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&server);
    return 0;
}

/* Every value is its key, four times. */
static void value_of(const char *key, char out[160])
{
    (void)snprintf(out, 160, "%s %s %s %s", key, key, key, key);
}

static void judge(cache_status status, const char *key, const char *data, size_t size)
{
    char value[160];
    value_of(key, value);
    if (status < 0)
        atomic_fetch_add(&failed, 1);
    else if (status == CACHE_OK && (size != strlen(value) || memcmp(data, value, size) != 0))
        atomic_fetch_add(&wrong, 1);
    else
        atomic_fetch_add(&good, 1);
}

static void read_two(const char *const keys[2])
{
    cache_value values[2];
    const cache_status status = cache_get_many(cache, keys, 2, values);
    for (int i = 0; i < 2; i++) {
        if (status == CACHE_OK && values[i].data != NULL)
            judge(CACHE_OK, keys[i], values[i].data, values[i].size);
        cache_value_release(&values[i]);
    }
}

static void *work(void *arg)
{
    unsigned seed = (unsigned)(intptr_t)arg;
    for (int i = 0; i < n_operations; i++) {
        char key[32], other[32], value[160];
        (void)snprintf(key, sizeof key, "key-%u", (seed = seed * 1664525 + 1013904223) >> 16 & (KEYS - 1));
        (void)snprintf(other, sizeof other, "key-%u", seed >> 8 & (KEYS - 1));
        value_of(key, value);
        if (i % 8 == 0)
            (void)cache_set_string(cache, key, value, 600);
        else if (i % 8 == 1)
            read_two((const char *const[]){ key, other });
        else {
            cache_value got;
            const cache_status status = cache_get(cache, key, &got);
            judge(status, key, got.data, got.size);
            cache_value_release(&got);
        }
    }
    return NULL;
}

static void open_behind_proxy(const char *options)
{
    char url[160];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?timeout=1&retry_after=0.01&%s", proxy.port, options);
    cache = test_open(url);
}

static void in_threads(void *(*run)(void *), int n)
{
    pthread_t threads[THREADS];
    n_operations = n;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)(intptr_t)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void try_fault(const char *name, enum proxy_fault fault, int every, int n, const char *options)
{
    test_proxy_start(&proxy, server.port);
    open_behind_proxy(options);
    wrong = good = failed = 0;
    assert_status(CACHE_OK, cache_set_string(cache, "before", "1", 60));
    proxy.every = every;
    proxy.fault = fault;
    in_threads(work, n);
    print_message("%-12s %-12s %6d good, %6d failed, %6u faults, %u connections\n", name, options, good, failed,
                  proxy.faults, proxy.connections);
    assert_int_equal(wrong, 0);
    assert_true(proxy.faults > 0);
    cache_close(cache);
    test_proxy_stop(&proxy);
}

static void no_operation_gets_the_value_of_another_key(void **state)
{
    static const struct { const char *name; enum proxy_fault fault; int every, n; } faults[] = {
        { "late twice", PROXY_LATE_TWICE, 20, 12500 }, { "late once", PROXY_LATE_ONCE, 50, 400 },
        { "unasked", PROXY_UNASKED, 20, 4000 },        { "half", PROXY_HALF, 20, 2000 },
        { "bytes", PROXY_BYTES, 4, 500 },              { "garbage", PROXY_GARBAGE, 20, 2000 },
        { "absurd", PROXY_ABSURD, 10, 100 },           { "cut", PROXY_CUT, 20, 2000 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        try_fault(faults[i].name, faults[i].fault, faults[i].every, faults[i].n, i % 2 == 0 ? "pool=4" : "pool=1");
    try_fault("late twice", PROXY_LATE_TWICE, 20, 2000, "gather=off");
}

static atomic_int counted;

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < n_operations; i++) {
        int64_t number = 0;
        const cache_status status = cache_inc(cache, "n", 1, &number);
        atomic_fetch_add(&counted, status == CACHE_OK);
        atomic_fetch_add(&failed, status < 0);
    }
    return NULL;
}

/* An inc whose answer was lost may have been done, and is not sent again: the counter is at least the answers, and at
 * most the calls. */
static void no_inc_is_done_twice(void **state)
{
    int64_t number = 0;
    (void)state;
    test_proxy_start(&proxy, server.port);
    open_behind_proxy("pool=2");
    failed = counted = 0;
    assert_true(cache_delete(cache, "n") >= 0);
    proxy.every = 10;
    proxy.fault = PROXY_CUT;
    in_threads(count, 1000);
    proxy.fault = PROXY_NONE;
    assert_status(CACHE_OK, cache_inc(cache, "n", 0, &number));
    print_message("%d counted, %d failed, the counter is at %d\n", counted, failed, (int)number);
    assert_int_equal(counted + failed, THREADS * 1000);
    assert_in_range(number, counted, counted + failed);
    assert_true(failed > 0);
    cache_close(cache);
    test_proxy_stop(&proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_operation_gets_the_value_of_another_key),
        cmocka_unit_test(no_inc_is_done_twice),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
