/* test_inspect_entry.c - checks what cache_inspect shows of each kind of entry: in memory, in files, and in a store
 * that processes share. */
#include "fake_store.h"
#include "server.h"

static _Atomic int64_t now_ms = 1700000000000;

static cache_status compute(void *ctx, cache_writer *out)
{
    return ctx == NULL ? CACHE_MISS : cache_writer_puts(out, ctx);
}

struct seen {
    int calls;
    cache_entry entry;
    char value[64], type[32], tags[64];
};

static void look(void *ctx, const cache_entry *entry)
{
    struct seen *seen = ctx;
    seen->calls++;
    seen->entry = *entry;
    assert_true(entry->size < sizeof seen->value);
    memcpy(seen->value, entry->data, entry->size);
    (void)snprintf(seen->type, sizeof seen->type, "%s", entry->type);
    for (size_t i = 0; i < entry->n_tags; i++)
        (void)snprintf(seen->tags + strlen(seen->tags), sizeof seen->tags - strlen(seen->tags), "[%s]", entry->tags[i]);
}

static struct seen inspect(cache_t *cache, const char *key)
{
    struct seen seen = { 0 };
    assert_status(CACHE_OK, cache_inspect(cache, key, look, &seen));
    assert_int_equal(seen.calls, 1);
    return seen;
}

static bool near(double a, double b)
{
    return a > b - 0.01 && a < b + 0.01;
}

static void fetch(cache_t *cache, const char *key, const char *text, cache_fetch_options *options)
{
    cache_value value;
    assert_status(text != NULL ? CACHE_OK : CACHE_MISS,
                  cache_fetch(cache, key, options, compute, (void *)(uintptr_t)text, &value));
    cache_value_release(&value);
}

static void computed_values_have_age_times_and_tags(cache_t *cache)
{
    const char *const tags[] = { "posts", "user:7" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = 10;
    options.stale = 50;
    options.type = "page";
    options.tags = tags;
    options.n_tags = 2;
    fetch(cache, "c", "hello", &options);
    now_ms += 4000;
    struct seen seen = inspect(cache, "c");
    assert_int_equal(seen.entry.kind, CACHE_ENTRY_COMPUTED);
    assert_true(seen.entry.shown && !seen.entry.invalidated && !seen.entry.has_stale);
    assert_string_equal(seen.value, "hello");
    assert_string_equal(seen.type, "page");
    assert_string_equal(seen.tags, "[posts][user:7]");
    assert_true(near(seen.entry.age, 4));
    assert_true(near(seen.entry.ttl_left, 6));
    assert_true(seen.entry.kept == 0 || near(seen.entry.kept, 56));
    assert_true(seen.entry.raw_size > seen.entry.size);
    now_ms += 7000;
    seen = inspect(cache, "c");
    assert_false(seen.entry.shown);
    assert_true(near(seen.entry.ttl_left, -1) && seen.entry.ttl_left != CACHE_TTL_FOREVER);
    now_ms -= 7000;
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "posts"));
    seen = inspect(cache, "c");
    assert_true(seen.entry.invalidated && !seen.entry.shown);
}

static void plain_values_are_what_was_set(cache_t *cache)
{
    assert_status(CACHE_OK, cache_set_string(cache, "p", "plain", 10));
    struct seen seen = inspect(cache, "p");
    assert_int_equal(seen.entry.kind, CACHE_ENTRY_PLAIN);
    assert_true(seen.entry.shown && seen.entry.n_tags == 0 && seen.entry.raw_size == 5);
    assert_string_equal(seen.value, "plain");
    assert_true(seen.entry.kept == 0 || near(seen.entry.kept, 10));
    assert_true(seen.entry.ttl_left == seen.entry.kept);
    /* One that begins as an envelope does is shown as it was set. */
    assert_status(CACHE_OK, cache_set(cache, "p", "\223lcache\001 mine", 13, CACHE_TTL_FOREVER));
    seen = inspect(cache, "p");
    assert_int_equal(seen.entry.kind, CACHE_ENTRY_PLAIN);
    assert_true(seen.entry.shown);
    assert_memory_equal(seen.value, "\223lcache\001 mine", 13);
}

static void each_kind_on(const char *url)
{
    fake_store_reset();
    cache_t *cache = test_open_with_clock(url, &now_ms);
    struct seen seen = { 0 };
    assert_status(CACHE_MISS, cache_inspect(cache, "c", look, &seen));
    assert_int_equal(seen.calls, 0);
    computed_values_have_age_times_and_tags(cache);
    plain_values_are_what_was_set(cache);
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.negative_ttl = 30;
    fetch(cache, "n", NULL, &options);
    seen = inspect(cache, "n");
    assert_int_equal(seen.entry.kind, CACHE_ENTRY_NOTHING);
    assert_true(!seen.entry.shown && near(seen.entry.ttl_left, 30));
    assert_true(test_counters(cache).misses == 2);    /* of the two fetches */
    cache_close(cache);
}

static void every_kind_of_entry_is_told_in_memory(void **state)
{
    (void)state;
    each_kind_on("memory://");
}

static void every_kind_of_entry_is_told_in_a_shared_store(void **state)
{
    (void)state;
    each_kind_on("fakemany://");
    each_kind_on("fake://");
}

static void every_kind_of_entry_is_told_in_files(void **state)
{
    (void)state;
    char directory[128], url[160];
    test_directory_make(directory, sizeof directory);
    (void)snprintf(url, sizeof url, "file://%s/cache", directory);
    each_kind_on(url);
    test_directory_remove(directory);
}

static void a_clock_that_was_ahead_shows_as_a_negative_age(void **state)
{
    (void)state;
    fake_store_reset();
    cache_t *cache = test_open_with_clock("fakemany://", &now_ms);
    fetch(cache, "k", "x", NULL);
    now_ms -= 10000;
    assert_true(near(inspect(cache, "k").entry.age, -10));
    now_ms += 10000;
    cache_close(cache);
}

static void what_was_moved_from_another_key_is_unreadable(void **state)
{
    (void)state;
    char bytes[256];
    fake_store_reset();
    cache_t *cache = test_open_with_clock("fakemany://?prefix=p:", &now_ms);
    fetch(cache, "a", "x", NULL);
    const long size = fake_store_peek("p:a", bytes, sizeof bytes, NULL);
    assert_true(size > 0);
    fake_store_poke("p:b", bytes, (size_t)size);
    const struct seen seen = inspect(cache, "b");
    assert_int_equal(seen.entry.kind, CACHE_ENTRY_UNREADABLE);
    assert_true(!seen.entry.shown && seen.entry.size == 0 && seen.entry.raw_size == (size_t)size);
    cache_close(cache);
}

static void wrong_arguments_and_failures_are_said(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    fake_store_reset();
    cache_t *cache = test_open("fake://");
    assert_status(CACHE_ERR_INVALID, cache_inspect(cache, "k", NULL, NULL));
    assert_status(CACHE_ERR_INVALID, cache_inspect(cache, "", look, &seen));
    assert_status(CACHE_MISS, cache_inspect(NULL, "k", look, &seen));
    fake_store_fail(FAKE_GET, CACHE_ERR_TIMEOUT);
    assert_status(CACHE_ERR_TIMEOUT, cache_inspect(cache, "k", look, &seen));
    assert_int_equal(seen.calls, 0);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_entry_is_told_in_memory),
        cmocka_unit_test(every_kind_of_entry_is_told_in_a_shared_store),
        cmocka_unit_test(every_kind_of_entry_is_told_in_files),
        cmocka_unit_test(a_clock_that_was_ahead_shows_as_a_negative_age),
        cmocka_unit_test(what_was_moved_from_another_key_is_unreadable),
        cmocka_unit_test(wrong_arguments_and_failures_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
