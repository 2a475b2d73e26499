/* No memory: the allocator fails at its n-th call, for every n of a scenario that uses each function once. Never a crash,
 * a leak, a wrong value or a lost old one; and every failure is CACHE_ERR_NOMEM. */
#include "failing.h"
#include "server.h"

static void good(cache_status status)
{
    if (status < 0 && status != CACHE_ERR_NOMEM)
        fail_msg("%s (%s), not out of memory", cache_strerror(status), cache_last_error());
}

/* The old text, the new one or nothing, as `status` of the write says. */
static void check(cache_t *cache, const char *key, const char *old, const char *new, cache_status status)
{
    cache_value value;
    const cache_status got = cache_get(cache, key, &value);
    good(got);
    if (got == CACHE_OK)
        assert_string_equal(value.data, status == CACHE_OK ? new : old);
    cache_value_release(&value);
}

static cache_status compute(void *ctx, cache_writer *out)
{
    return cache_writer_puts(out, ctx);
}

static void write_and_read(cache_t *cache)
{
    char buffer[16];
    int64_t number = 0;
    const cache_status first = cache_set_string(cache, "k", "old", 60);
    good(first);
    const cache_status second = cache_set_string(cache, "k", "new and longer than it was", 60);
    good(second);
    check(cache, "k", "old", "new and longer than it was", second);
    if (first == CACHE_OK && second == CACHE_ERR_NOMEM)
        assert_int_equal(cache_has(cache, "k"), CACHE_OK);    /* the old value is not lost */
    good(cache_add(cache, "added", "x", 1, 60));
    good(cache_touch(cache, "k", 60));
    good(cache_get_copy(cache, "added", buffer, sizeof buffer, NULL));
    const cache_status counted = cache_inc(cache, "n", 5, &number);
    good(counted);
    good(cache_dec(cache, "n", 2, &number));
    good(cache_delete(cache, "added"));
}

static void many(cache_t *cache)
{
    const char *const keys[] = { "k", "b", "missing" };
    const cache_item items[] = { { "b", "2", 1 }, { "c", "3", 1 } };
    cache_value values[3];
    good(cache_set_many(cache, items, 2, 60));
    good(cache_get_many(cache, keys, 3, values));
    for (int i = 0; i < 3; i++)
        cache_value_release(&values[i]);
    good(cache_delete_many(cache, keys, 3, NULL));
}

static void fetch(cache_t *cache)
{
    static char text[] = "computed";
    static const char *const tags[] = { "one", "two" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.ttl = 60;
    options.tags = tags;
    options.n_tags = 2;
    for (int i = 0; i < 2; i++) {
        const cache_status status = cache_fetch(cache, "computed", &options, compute, text, &value);
        good(status);
        if (status == CACHE_OK)
            assert_string_equal(value.data, text);
        cache_value_release(&value);
    }
    good(cache_invalidate_tag(cache, "one"));
}

static cache_status load_double(int n, int *out)
{
    *out = 2 * n;
    return CACHE_OK;
}

CACHE_MEMOIZE(get_double, load_double, 60, int, (int, n), CACHE_TAG("n:%d", n))

/* A page comes about whole, whatever could not be stored of it. */
static void layers(cache_t *cache)
{
    for (int i = 0; i < 3; i++) {
        int result = 0;
        const cache_status status = get_double(cache, 4, &result);
        good(status);
        assert_int_equal(result, status == CACHE_OK ? 8 : 0);
        cache_writer *out = cache_writer_new();
        CACHE_FRAGMENT_TAGGED(cache, out, 60, ("one", "two"), "outer") {
            cache_writer_puts(out, "a");
            CACHE_FRAGMENT(cache, out, 60, "inner", "part")
                cache_writer_puts(out, "b");
        }
        assert_string_equal(cache_writer_data(out, NULL), "ab");
        cache_writer_free(out);
    }
    good(get_double_forget(cache, 4));
}

static void the_rest(cache_t *cache)
{
    cache_t *inner = NULL;
    cache_counters counters;
    good(cache_with_prefix(cache, "inner:", &inner));
    if (inner != NULL)
        good(cache_set_string(inner, "k", "x", 60));
    cache_close(inner);
    good(cache_stats(cache, &counters));
    good(cache_clear(cache));
}

/* True if the scenario ran to its end without a failure. */
static bool run(const char *url, long until_failure)
{
    struct failing failing = { .until_failure = until_failure };
    const cache_allocator allocator = { failing_alloc, failing_resize, failing_free, &failing };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    config.url = url;
    config.allocator = &allocator;
    const cache_status status = cache_open_config(&config, &cache);
    good(status);
    if (status == CACHE_OK) {
        write_and_read(cache);
        many(cache);
        fetch(cache);
        layers(cache);
        the_rest(cache);
    }
    cache_close(cache);
    assert_int_equal(failing.out, 0);
    return !failing.failed;
}

static void survives(const char *url)
{
    long n = 0;
    while (!run(url, n))
        n++;
    assert_true(n > 10);    /* it did fail, in many places */
}

static void no_memory_at_any_call_loses_nothing_in_a_full_memory_store(void **state)
{
    (void)state;
    survives("memory://?max_items=100");
}

static void no_memory_at_any_call_loses_nothing_in_a_memory_store_without_limits(void **state)
{
    (void)state;
    survives("memory://");
}

static void no_memory_at_any_call_loses_nothing_in_a_filesystem_store(void **state)
{
    (void)state;
    bool ended = false;
    for (long n = 0; !ended; n++) {
        char directory[64], url[96];
        test_directory_make(directory, sizeof directory);    /* each time anew: the store outlives its handle */
        (void)snprintf(url, sizeof url, "file://%s?max_items=100", directory);
        ended = run(url, n);
        test_directory_remove(directory);
        assert_true(n > 10 || !ended);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_full_memory_store),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_memory_store_without_limits),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_filesystem_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
