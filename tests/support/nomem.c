/* nomem.c - see nomem.h. */
#include "nomem.h"

#include "failing.h"
#include "fake_store.h"
#include "cache_internal.h"

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
    if (first == CACHE_OK && second == CACHE_ERR_NOMEM) {
        const cache_status has = cache_has(cache, "k");
        good(has);
        assert_int_not_equal(has, CACHE_MISS);    /* the old value is not lost */
    }
    good(cache_add(cache, "added", "x", 1, 60));
    const cache_status touched = cache_touch(cache, "k", 60);
    if (touched != CACHE_ERR_UNSUPPORTED)    /* the fake store cannot */
        good(touched);
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

/* Every value that came is right, whatever else could not be had. */
static cache_status compute_many(void *ctx, cache_missing missing[], size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        (void)cache_writer_printf(missing[i].out, "value of %s", missing[i].key);
    return CACHE_OK;
}

static void fetch_many(cache_t *cache)
{
    static const char *const keys[] = { "f1", "f2", "f1", "f3" };
    static const char *const tags[] = { "one" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value values[4];
    options.name = "many";
    options.tags = tags;
    options.n_tags = 1;
    for (int round = 0; round < 2; round++) {
        good(cache_fetch_many(cache, keys, 4, &options, compute_many, NULL, values));
        for (int i = 0; i < 4; i++) {
            if (values[i].data != NULL)
                assert_string_equal((const char *)values[i].data + strlen("value of "), keys[i]);
            cache_value_release(&values[i]);
        }
    }
}

/* All that a fetch can meet: a lease, nothing, a stale value, one of another type, a value that looks like an
 * envelope. */
static void fetch_every_way(cache_t *cache, _Atomic int64_t *now_ms)
{
    static char text[] = "fresh";
    char magic[32] = { 0 };
    cache_fetch_info info;
    cache_value value;
    memcpy(magic, "\x93lcache\x01", 8);
    const cache_status wrapped = cache_set(cache, "magic", magic, sizeof magic, 60);
    good(wrapped);
    if (cache_get(cache, "magic", &value) == CACHE_OK)
        assert_memory_equal(value.data, magic, sizeof magic);
    cache_value_release(&value);
    for (int way = 0; way < 6; way++) {
        cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
        options.ttl = 10;
        options.lock = true;
        options.lock_ttl = 0.01;    /* a lease that could not be given back ends soon */
        options.info = &info;
        options.negative_ttl = 5;
        options.stale = way == 1 ? 100 : 0;
        options.force = way == 2;
        options.unless = way == 3;
        options.type = way == 4 ? "another" : NULL;
        options.name = "every way";
        const cache_status status = cache_fetch(cache, way == 5 ? "magic" : "ways", &options, compute, text, &value);
        good(status);
        if (status == CACHE_OK && way != 5)
            assert_string_equal(value.data, text);
        cache_value_release(&value);
        if (way == 0)
            *now_ms += 11000;
    }
}

/* ---- memoized functions and fragments ---------------------------------------------------------------------------- */

static cache_status load_number(int of, long *out)
{
    *out = of * 2L;
    return CACHE_OK;
}

static cache_status load_name(const char *of, char **out)
{
    const size_t size = strlen(of) + 8;
    *out = malloc(size);
    assert_non_null(*out);
    (void)snprintf(*out, size, "name %s", of);
    return CACHE_OK;
}

static cache_status encode_name(char *const *name, cache_writer *out)
{
    return cache_writer_puts(out, *name);
}

static cache_status decode_name(const void *data, size_t size, char **out)
{
    *out = malloc(size + 1);
    assert_non_null(*out);
    memcpy(*out, data, size);
    (*out)[size] = '\0';
    return CACHE_OK;
}

CACHE_MEMOIZE(get_number, load_number, 60, long, (int, of))
CACHE_MEMOIZE_STRING(get_name, load_name, 60, (const char *, of))
typedef char *name_text;
CACHE_MEMOIZE_CODEC(get_coded, load_name, 60, name_text, encode_name, decode_name, (const char *, of))

static void memoized(cache_t *cache)
{
    for (int round = 0; round < 2; round++) {
        long number = 0;
        char *name = NULL, *coded = NULL;
        cache_status status = get_number(cache, 21, &number);
        good(status);
        assert_int_equal(number, status == CACHE_OK ? 42 : 0);
        status = get_name(cache, "x", &name);
        good(status);
        if (status == CACHE_OK)
            assert_string_equal(name, "name x");
        free(name);
        status = get_coded(cache, "y", &coded);
        good(status);
        if (status == CACHE_OK) {
            assert_string_equal(coded, "name y");
            free(coded);
        }
    }
    good(get_number_forget(cache, 21));
    good(get_name_forget_all(cache));
}

static void fragments(cache_t *cache)
{
    cache_writer out;
    static const char whole[] = "before, inner after";
    for (int round = 0; round < 2; round++) {
        cache_writer_init(&out, cache_env_allocator(&cache->store->env));
        CACHE_FRAGMENT(cache, &out, 60, "outer", "user 7") {
            (void)cache_writer_puts(&out, "before, ");
            CACHE_FRAGMENT(cache, &out, 60, "inner")
                (void)cache_writer_puts(&out, "inner");
            (void)cache_writer_puts(&out, " after");
        }
        good(cache_writer_status(&out));
        if (cache_writer_status(&out) == CACHE_OK)
            assert_string_equal(cache_writer_data(&out, NULL), whole);
        cache_writer_release(&out);
    }
    static const char *const parts[] = { "inner" };
    good(cache_fragment_forget(cache, parts, 1));
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

static void nothing(void *ctx, const char *name, const cache_counters *counters)
{
    (void)ctx, (void)name, (void)counters;
}

static void statistics(cache_t *cache)
{
    cache_writer *out = cache_writer_new();
    good(cache_stats_names(cache, nothing, NULL));
    good(cache_stats_json(cache, out));
    good(cache_stats_prometheus(cache, out));
    cache_writer_free(out);
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

bool nomem_run(const char *url, long until_failure, bool for_good)
{
    struct failing failing = { .until_failure = until_failure, .for_good = for_good };
    _Atomic int64_t now_ms = 1000;
    const cache_allocator allocator = { failing_alloc, failing_resize, failing_free, &failing };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    config.url = url;
    config.allocator = &allocator;
    config.clock = test_clock(&now_ms);
    fake_store_reset();
    const cache_status status = cache_open_config(&config, &cache);
    good(status);
    if (status == CACHE_OK) {
        write_and_read(cache);
        many(cache);
        fetch(cache);
        fetch_many(cache);
        fetch_every_way(cache, &now_ms);
        memoized(cache);
        fragments(cache);
        statistics(cache);
        layers(cache);
        the_rest(cache);
    }
    cache_close(cache);
    assert_int_equal(failing.out, 0);
    return !failing.failed;
}

void nomem_survives(const char *url)
{
    for (int for_good = 0; for_good < 2; for_good++) {
        long n = 0;
        while (!nomem_run(url, n, for_good))
            n++;
        assert_true(n > 100);    /* it did fail, in many places */
    }
}
