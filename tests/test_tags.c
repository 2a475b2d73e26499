/* test_tags.c - checks that one write makes everything under a tag a miss, in every process, and nothing else. */
#include "fake_store.h"

static int runs;

static cache_status run(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_printf(out, "v%d", ++runs);
}

static cache_t *open_fake(void)
{
    fake_store_reset();
    runs = 0;
    return test_open("fake://");
}

static cache_fetch_options tagged(const char *const *tags, size_t n)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.tags = tags;
    options.n_tags = n;
    return options;
}

static void expect(cache_t *cache, const char *key, const cache_fetch_options *options, const char *text)
{
    cache_value value;
    assert_status(CACHE_OK, cache_fetch(cache, key, options, run, NULL, &value));
    assert_string_equal(value.data, text);
    cache_value_release(&value);
}

static const char *const news[] = { "news", "post:7" };

static void invalidating_a_tag_makes_all_values_under_it_misses(void **state)
{
    (void)state;
    cache_t *cache = open_fake(), *elsewhere = test_open("fake://");
    const cache_fetch_options both = tagged(news, 2), second = tagged(news + 1, 1), none = CACHE_FETCH_OPTIONS_INIT;
    expect(cache, "a", &both, "v1");
    expect(cache, "b", &second, "v2");
    expect(cache, "c", &none, "v3");
    expect(cache, "a", &both, "v1");
    assert_status(CACHE_OK, cache_invalidate_tag(elsewhere, "news"));
    expect(cache, "a", &both, "v4");
    expect(cache, "b", &second, "v2");
    assert_status(CACHE_OK, cache_invalidate_tag(elsewhere, "post:7"));
    expect(cache, "a", &both, "v5");
    expect(cache, "b", &second, "v6");
    expect(cache, "c", &none, "v3");
    cache_close(cache);
    cache_close(elsewhere);
}

static uint64_t items_of(cache_t *cache)
{
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    return counters.items;
}

/* So no eviction can make values under a tag miss, and its end leaves nothing behind. */
static void a_tag_of_a_store_in_memory_is_no_item_of_it(void **state)
{
    (void)state;
    runs = 0;
    cache_t *cache = test_open("memory://?max_items=100"), *part = NULL;
    const cache_fetch_options both = tagged(news, 2);
    assert_status(CACHE_OK, cache_with_prefix(cache, "part:", &part));
    expect(cache, "a", &both, "v1");
    expect(part, "a", &both, "v2");
    assert_int_equal(items_of(cache), 2);
    for (int i = 0; i < 1000; i++) {
        char tag[32];
        (void)snprintf(tag, sizeof tag, "other:%d", i);
        assert_status(CACHE_OK, cache_invalidate_tag(part, tag));
    }
    assert_status(CACHE_OK, cache_invalidate_tag(part, "news"));
    assert_int_equal(items_of(cache), 2);
    expect(part, "a", &both, "v3");
    cache_value value;
    assert_status(CACHE_OK, cache_get(part, "a", &value));
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "post:7"));
    assert_status(CACHE_MISS, cache_get(cache, "a", &value));
    assert_status(CACHE_OK, cache_get(part, "a", &value));
    cache_value_release(&value);
    cache_close(part);
    cache_close(cache);
}

static void get_knows_of_tags_too(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = tagged(news, 2);
    expect(cache, "a", &options, "v1");
    assert_text(cache, "a", "v1");
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "post:7"));
    assert_text(cache, "a", NULL);
    cache_close(cache);
}

static void a_caller_that_names_no_tags_does_not_get_an_invalidated_value(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = tagged(news, 2), none = CACHE_FETCH_OPTIONS_INIT;
    expect(cache, "a", &options, "v1");
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "news"));
    expect(cache, "a", &none, "v2");
    cache_close(cache);
}

static void invalidating_costs_one_write_and_a_hit_one_round_trip(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = tagged(news, 2);
    expect(cache, "a", &options, "v1");
    const int many = fake_store_calls(FAKE_GET_MANY), gets = fake_store_calls(FAKE_GET);
    const int sets = fake_store_calls(FAKE_SET);
    expect(cache, "a", &options, "v1");
    assert_int_equal(fake_store_calls(FAKE_GET_MANY) - many, 1);
    assert_int_equal(fake_store_calls(FAKE_GET) - gets, 0);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "news"));
    assert_int_equal(fake_store_calls(FAKE_SET) - sets, 1);
    assert_int_equal(fake_store_calls(FAKE_GET) - gets, 0);
    cache_close(cache);
}

static cache_status invalidate_meanwhile(void *ctx, cache_writer *out)
{
    cache_t *elsewhere = ctx;
    assert_status(CACHE_OK, cache_invalidate_tag(elsewhere, "news"));
    return cache_writer_puts(out, "old");
}

static void a_tag_invalidated_while_computing_anywhere_makes_the_result_a_miss(void **state)
{
    (void)state;
    cache_t *cache = open_fake(), *elsewhere = test_open("fake://");
    const cache_fetch_options options = tagged(news, 2);
    cache_t *const from[] = { cache, elsewhere };
    for (int i = 0; i < 2; i++) {
        cache_value value;
        assert_status(CACHE_OK, cache_fetch(cache, "a", &options, invalidate_meanwhile, from[i], &value));
        assert_string_equal(value.data, "old");
        cache_value_release(&value);
        assert_text(cache, "a", NULL);
    }
    cache_close(cache);
    cache_close(elsewhere);
}

struct lost { char key[64]; };

static void remember_tag_key(void *ctx, enum fake_op op, cache_bytes key)
{
    struct lost *lost = ctx;
    if (op == FAKE_SET && fake_key_ends(key, "tag/news"))
        (void)snprintf(lost->key, sizeof lost->key, "%.*s", (int)key.size, key.data);
}

static void a_version_that_the_store_lost_makes_values_miss_and_never_brings_old_ones_back(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = tagged(news, 1);
    struct lost lost = { "" };
    fake_store_hook(remember_tag_key, &lost);
    expect(cache, "a", &options, "v1");
    fake_store_hook(NULL, NULL);
    assert_true(lost.key[0] != '\0');
    fake_store_poke(lost.key, NULL, 0);
    assert_text(cache, "a", NULL);
    expect(cache, "b", &options, "v2");    /* makes a new version */
    assert_text(cache, "a", NULL);
    expect(cache, "a", &options, "v3");
    cache_close(cache);
}

static void a_users_key_named_like_a_tag_is_only_a_key(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = tagged(news, 1);
    expect(cache, "a", &options, "v1");
    assert_status(CACHE_OK, cache_set_string(cache, "tag/news", "mine", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "\001tag/news", "mine", 60));
    expect(cache, "a", &options, "v1");
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "news"));
    assert_text(cache, "tag/news", "mine");
    assert_text(cache, "\001tag/news", "mine");
    cache_close(cache);
}

static void versions_that_cannot_be_read_cost_a_computation(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const cache_fetch_options options = tagged(news, 2);
    expect(cache, "a", &options, "v1");
    fake_store_fail(FAKE_GET_MANY, CACHE_ERR_TIMEOUT);
    expect(cache, "a", &options, "v2");
    cache_close(cache);
}

struct heard {
    int n, strange;
};

static void hear(void *ctx, const cache_event *event)
{
    struct heard *heard = ctx;
    heard->n++;
    heard->strange += strcmp(event->key, "a") != 0 && strcmp(event->key, "b") != 0;
}

static cache_t *open_and_hear(const char *url, struct heard *heard)
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    config.url = url;
    config.event = hear;
    config.event_ctx = heard;
    *heard = (struct heard){ 0, 0 };
    runs = 0;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    return cache;
}

static void events_are_of_the_users_keys_and_not_of_tags(void **state)
{
    (void)state;
    struct heard heard;
    /* A value and its two tags, of which the second value evicts some. */
    cache_t *cache = open_and_hear("memory://?max_items=3", &heard);
    const cache_fetch_options both = tagged(news, 2), none = CACHE_FETCH_OPTIONS_INIT;
    expect(cache, "a", &both, "v1");
    expect(cache, "a", &both, "v1");
    assert_text(cache, "a", "v1");
    assert_status(CACHE_OK, cache_delete(cache, "a"));
    expect(cache, "a", &none, "v2");
    expect(cache, "b", &none, "v3");
    assert_true(heard.n > 0);
    assert_int_equal(heard.strange, 0);
    cache_close(cache);

    cache = open_and_hear("null://", &heard);    /* without get_many: each key is asked for alone */
    expect(cache, "a", &both, "v1");
    assert_true(heard.n > 0);
    assert_int_equal(heard.strange, 0);
    cache_close(cache);
}

static void wrong_tags_are_refused(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    const char *const empty[] = { "" };
    const cache_fetch_options options = tagged(empty, 1), missing = tagged(NULL, 1);
    cache_value value;
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "a", &options, run, NULL, &value));
    assert_status(CACHE_ERR_INVALID, cache_fetch(cache, "a", &missing, run, NULL, &value));
    assert_status(CACHE_ERR_INVALID, cache_invalidate_tag(cache, ""));
    assert_status(CACHE_ERR_INVALID, cache_invalidate_tag(cache, NULL));
    cache_close(cache);
}

/* ---- tags that cannot be ---------------------------------------------------------------------------------------- */

static char told[300];

static void note_log(void *ctx, cache_log_level level, const char *message)
{
    (void)ctx, (void)level;
    (void)snprintf(told, sizeof told, "%s", message);
}

static cache_status count_runs(void *ctx, cache_writer *out)
{
    return cache_writer_printf(out, "v%d", ++*(int *)ctx);
}

static cache_status count_runs_many(void *ctx, cache_missing missing[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)count_runs(ctx, missing[i].out);
    return CACHE_OK;
}

static void a_value_whose_tags_cannot_be_is_computed_and_not_stored(void **state)
{
    (void)state;
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    static const char *many[300], *key = "k";
    static char longest[CACHE_MAX_KEY + 2];
    const char *const odd[] = { "t", longest };
    memset(longest, 't', CACHE_MAX_KEY + 1);
    for (size_t i = 0; i < 300; i++)
        many[i] = "t";
    const struct { const char *const *tags; size_t n; } kinds[] = { { many, 300 }, { odd, 2 } };
    config.url = "memory://";
    config.log = note_log;
    for (size_t i = 0; i < 2; i++) {
        assert_status(CACHE_OK, cache_open_config(&config, &cache));
        cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
        cache_value value;
        int turns = 0;
        options.tags = kinds[i].tags;
        options.n_tags = kinds[i].n;
        told[0] = '\0';
        for (int turn = 1; turn <= 2; turn++) {
            assert_status(CACHE_OK, cache_fetch(cache, key, &options, count_runs, &turns, &value));
            assert_int_equal(turns, turn);
            cache_value_release(&value);
            assert_text(cache, key, NULL);
        }
        assert_non_null(strstr(told, "'k'"));
        assert_status(CACHE_OK, cache_fetch_many(cache, &key, 1, &options, count_runs_many, &turns, &value));
        assert_string_equal(value.data, "v3");
        cache_value_release(&value);
        cache_close(cache);
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(invalidating_a_tag_makes_all_values_under_it_misses),
        cmocka_unit_test(a_tag_of_a_store_in_memory_is_no_item_of_it),
        cmocka_unit_test(get_knows_of_tags_too),
        cmocka_unit_test(a_caller_that_names_no_tags_does_not_get_an_invalidated_value),
        cmocka_unit_test(invalidating_costs_one_write_and_a_hit_one_round_trip),
        cmocka_unit_test(a_tag_invalidated_while_computing_anywhere_makes_the_result_a_miss),
        cmocka_unit_test(a_version_that_the_store_lost_makes_values_miss_and_never_brings_old_ones_back),
        cmocka_unit_test(a_users_key_named_like_a_tag_is_only_a_key),
        cmocka_unit_test(versions_that_cannot_be_read_cost_a_computation),
        cmocka_unit_test(events_are_of_the_users_keys_and_not_of_tags),
        cmocka_unit_test(wrong_tags_are_refused),
        cmocka_unit_test(a_value_whose_tags_cannot_be_is_computed_and_not_stored),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
