/* test_prefix.c - checks that another prefix is another cache, whatever the two prefixes are; and how events name the
 * keys of each. */
#include "fake_store.h"

static const char *const prefixes[] = { "app", "app2", "app:", "app:2", "app%:", "app%", "app::", "app:2:", "a", ":",
                                        "::", "%", "%3A", "%25", "user1", "user10", "libcache", "\001",
                                        "\001\001tag/" };
enum { PREFIXES = sizeof prefixes / sizeof prefixes[0] };

/* What comes behind one prefix in the other, and so might be read as a key there. */
static void expect_disjoint(cache_t *const caches[], size_t a, size_t b)
{
    static const char *const keys[] = { "k", "2k", ":k", ":2k", "2:k", "0:name", "0name", "%:k", "pp:k", "\001k", ":",
                                        "%" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_status(CACHE_OK, cache_set_string(caches[a], keys[i], "a", CACHE_TTL_FOREVER));
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            assert_text(caches[b], keys[k], NULL);
        assert_status(CACHE_OK, cache_set_string(caches[b], keys[i], "b", CACHE_TTL_FOREVER));
        assert_status(CACHE_OK, cache_clear(caches[b]));
        assert_text(caches[a], keys[i], "a");
        assert_status(CACHE_OK, cache_delete(caches[a], keys[i]));
    }
}

static void every_pair_of_prefixes_is_two_caches(void **state)
{
    (void)state;
    cache_t *caches[PREFIXES];
    fake_store_reset();
    for (size_t i = 0; i < PREFIXES; i++) {
        char url[100] = "fake://?prefix=";
        for (const char *at = prefixes[i]; *at != '\0'; at++)
            (void)snprintf(url + strlen(url), 4, "%%%02x", (unsigned)(unsigned char)*at);
        caches[i] = test_open(url);
    }
    for (size_t a = 0; a < PREFIXES; a++)
        for (size_t b = 0; b < PREFIXES; b++)
            if (a != b)
                expect_disjoint(caches, a, b);
    for (size_t i = 0; i < PREFIXES; i++)
        cache_close(caches[i]);
}

static void every_pair_of_further_prefixes_is_two_caches(void **state)
{
    (void)state;
    cache_t *caches[PREFIXES];
    fake_store_reset();
    cache_t *cache = test_open("fake://");
    for (size_t i = 0; i < PREFIXES; i++)
        assert_status(CACHE_OK, cache_with_prefix(cache, prefixes[i], &caches[i]));
    for (size_t a = 0; a < PREFIXES; a++)
        for (size_t b = 0; b < PREFIXES; b++)
            if (a != b)
                expect_disjoint(caches, a, b);
    for (size_t i = 0; i < PREFIXES; i++) {
        assert_status(CACHE_OK, cache_set_string(caches[i], "k", "x", CACHE_TTL_FOREVER));
        assert_status(CACHE_OK, cache_clear(cache));    /* of which they are parts */
        assert_text(caches[i], "k", NULL);
        cache_close(caches[i]);
    }
    cache_close(cache);
}

static void what_one_would_write_oneself_is_stored_as_it_is(void **state)
{
    (void)state;
    static const struct { const char *url, *stored; } as[] = {
        { "fake://", "libcache:k" }, { "fake://?prefix=v1:", "v1:k" }, { "fake://?prefix=", "k" },
        { "fake://?prefix=app", "app%:k" }, { "fake://?prefix=app:v1:", "app%3Av1%3A%:k" },
        { "fake://?prefix=50%25off:", "50%off:k" },
        { "fake://?prefix=50%25:", "50%25%3A%:k" },
    };
    for (size_t i = 0; i < sizeof as / sizeof as[0]; i++) {
        fake_store_reset();
        cache_t *cache = test_open(as[i].url);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
        assert_int_equal(fake_store_peek(as[i].stored, NULL, 0, NULL), 1);
        cache_close(cache);
    }
    fake_store_reset();
    cache_t *cache = test_open("fake://"), *further = NULL;
    assert_status(CACHE_OK, cache_with_prefix(cache, "users:", &further));
    assert_status(CACHE_OK, cache_set_string(further, "7", "x", 60));
    assert_int_equal(fake_store_peek("libcache:users:7", NULL, 0, NULL), 1);
    assert_text(cache, "users:7", "x");
    cache_close(further);
    cache_close(cache);
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

struct seen {
    char keys[8][32], prefix[32];
    int n;
};

static void note(void *ctx, const cache_event *event)
{
    struct seen *seen = ctx;
    if (seen->n < 8)
        (void)snprintf(seen->keys[seen->n++], 32, "%s", event->key);
    (void)snprintf(seen->prefix, sizeof seen->prefix, "%s", event->prefix);
}

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "x");
}

static void events_name_a_key_in_one_way(void **state)
{
    (void)state;
    struct seen seen = { .n = 0 };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL, *further = NULL;
    cache_value value;
    config.url = "memory://?max_items=1&prefix=app:";
    config.event = note;
    config.event_ctx = &seen;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_status(CACHE_OK, cache_with_prefix(cache, "users:", &further));
    assert_status(CACHE_OK, cache_fetch(further, "7", NULL, compute, NULL, &value));    /* miss, compute, set, fetch */
    cache_value_release(&value);
    assert_int_equal(seen.n, 4);
    assert_status(CACHE_OK, cache_set_string(cache, "other", "x", 60));    /* evicts it */
    assert_true(seen.n >= 6);
    for (int i = 0; i < seen.n; i++)
        assert_string_equal(seen.keys[i], i == 4 || i == 5 ? seen.keys[i] : "users:7");
    assert_true(strcmp(seen.keys[4], "users:7") == 0 || strcmp(seen.keys[5], "users:7") == 0);
    assert_string_equal(seen.prefix, "app:");
    cache_close(further);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(every_pair_of_prefixes_is_two_caches),
        cmocka_unit_test(every_pair_of_further_prefixes_is_two_caches),
        cmocka_unit_test(what_one_would_write_oneself_is_stored_as_it_is),
        cmocka_unit_test(events_name_a_key_in_one_way),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
