/* test_memoize_options.c - checks the options of memoized functions: tags, names, validation, and recomputation in the
 * background. */
#include "memo_work.h"

static cache_status load_length(const char *text, int *out)
{
    computed++;
    *out = text != NULL ? (int)strlen(text) : -1;
    return CACHE_OK;
}

static cache_status load_stale_text(const char *name, int n, struct product *pool, char **out)
{
    (void)pool;
    *out = malloc(64);
    (void)snprintf(*out, 64, "%s %d #%d", name, n, ++computed);
    return CACHE_OK;
}

static cache_status load_stale_ignoring(int n, struct product *context, int *out)
{
    *out = n + context->id + ++computed;
    return CACHE_OK;
}

static const char *const shop_tags[] = { "products", "shelf" };
static const cache_fetch_options in_the_shop = {
    .size = sizeof(cache_fetch_options), .ttl = 60, .tags = shop_tags, .n_tags = 2, .name = "shop 2"
};

static const cache_fetch_options stale_for_a_minute = { .size = sizeof(cache_fetch_options), .ttl = 10, .stale = 60 };

CACHE_MEMOIZE(get_answer, load_answer, CACHE_TTL_FOREVER, int)
CACHE_MEMOIZE(get_weather, load_length, 60, int, (const char *, city), CACHE_TAG("weather:%s", city))
CACHE_MEMOIZE_WITH(get_tagged, load_product, &in_the_shop, struct product, (int, id), CACHE_TAG("product:%d", id))
CACHE_MEMOIZE_STRING_WITH(get_stale_text, load_stale_text, &stale_for_a_minute, (const char *, name), (int, n),
                          CACHE_SHARED(struct product *, pool))
CACHE_MEMOIZE_WITH(get_stale_ignoring, load_stale_ignoring, &stale_for_a_minute, int, (int, n),
                   CACHE_IGNORE(struct product *, context))
CACHE_MEMOIZE_CODEC_WITH(get_stale_list, load_list, &stale_for_a_minute, struct list, encode_list, decode_list,
                         (int, n))

static void *store;                            /* what the test runs on, to open it otherwise */

static int open_cache(void **state)
{
    computed = 0;
    store = *state;
    *state = test_store_open(state, NULL);
    return 0;
}

static int close_cache(void **state)
{
    cache_close(*state);
    return 0;
}

/* A text of `size` bytes of `fill`, for the caller to free. */
static char *long_text(size_t size, char fill)
{
    char *text = calloc(1, size + 1);
    memset(text, fill, size);
    return text;
}

/* ---- options, tags, names ---------------------------------------------------------------------------------------- */

static void tags_of_the_options_and_of_the_arguments_and_forget_all_each_invalidate(void **state)
{
    struct product product;
    int expected = 0;
    const char *const tags[] = { "products", "shelf", "product:7" };
    for (size_t i = 0; i < 3; i++) {
        assert_status(CACHE_OK, get_tagged(*state, 7, &product));
        assert_status(CACHE_OK, get_tagged(*state, 7, &product));
        assert_int_equal(computed, ++expected);
        assert_status(CACHE_OK, cache_invalidate_tag(*state, tags[i]));
    }
    assert_status(CACHE_OK, get_tagged(*state, 7, &product));
    assert_int_equal(computed, ++expected);
    assert_status(CACHE_OK, cache_invalidate_tag(*state, "product:8"));
    assert_status(CACHE_OK, get_tagged(*state, 7, &product));
    assert_int_equal(computed, expected);
    assert_status(CACHE_OK, get_tagged_forget_all(*state));
    assert_status(CACHE_OK, get_tagged(*state, 7, &product));
    assert_int_equal(computed, ++expected);
}

static void what_one_process_forgets_is_forgotten_in_all(void **state)
{
    struct product product;
    cache_t *cache = test_store_open(&store, NULL);
    cache_t *other = test_store_is_shared(&store) ? test_store_open_again(&store, NULL) : cache;
    (void)state;
    assert_status(CACHE_OK, get_tagged(cache, 7, &product));
    assert_status(CACHE_OK, get_tagged(other, 7, &product));
    assert_int_equal(computed, 1);
    assert_status(CACHE_OK, get_tagged_forget(other, 7));
    assert_status(CACHE_OK, get_tagged(cache, 7, &product));
    assert_int_equal(computed, 2);
    assert_status(CACHE_OK, get_tagged_forget_all(other));
    assert_status(CACHE_OK, get_tagged(cache, 7, &product));
    assert_int_equal(computed, 3);
    assert_status(CACHE_OK, cache_invalidate_tag(other, "product:7"));
    assert_status(CACHE_OK, get_tagged(cache, 7, &product));
    assert_int_equal(computed, 4);
    if (other != cache)
        cache_close(other);
    cache_close(cache);
}

static void a_tag_that_is_too_long_keeps_the_result_out_of_the_cache(void **state)
{
    char *city = long_text(600, 'c');
    int result = 0;
    for (int i = 0; i < 2; i++)
        assert_status(CACHE_OK, get_weather(*state, city, &result));
    assert_int_equal(computed, 2);
    for (int i = 0; i < 2; i++)
        assert_status(CACHE_OK, get_weather(*state, "Rome", &result));
    assert_int_equal(computed, 3);
    free(city);
}

static void a_name_sets_functions_of_one_name_apart(void **state)
{
    char key[256];
    (void)state;
    assert_status(CACHE_OK, get_tagged_key(7, key, sizeof key));
    assert_memory_equal(key, "memo/get_tagged@shop 2/struct product/", 38);
}

static void count_names(void *ctx, const char *name, const cache_counters *counters)
{
    int *seen = ctx;
    if (strcmp(name, "get_tagged@shop 2") == 0)
        seen[0] += (int)counters->computations;
    else if (strcmp(name, "get_answer") == 0)
        seen[1] += (int)counters->computations;
    else
        fail_msg("%s was not called", name);
}

static void statistics_count_under_the_function_and_its_name(void **state)
{
    struct product product;
    int answer = 0, seen[2] = { 0, 0 };
    assert_status(CACHE_OK, get_tagged(*state, 7, &product));
    assert_status(CACHE_OK, get_answer(*state, &answer));
    assert_status(CACHE_OK, cache_stats_names(*state, count_names, seen));
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 1);
}

static bool is_cheap(void *ctx, const cache_value *value)
{
    struct product product;
    assert_int_equal(value->size, sizeof product);
    memcpy(&product, value->data, sizeof product);
    return product.price < *(const double *)ctx;
}

static double limit;
static const cache_fetch_options while_cheap = {
    .size = sizeof(cache_fetch_options), .ttl = 60, .validate = is_cheap, .validate_ctx = &limit
};
CACHE_MEMOIZE_WITH(get_cheap, load_product, &while_cheap, struct product, (int, id))

static void validate_is_asked_on_each_hit(void **state)
{
    struct product product;
    limit = 100;
    assert_status(CACHE_OK, get_cheap(*state, 4, &product));
    assert_status(CACHE_OK, get_cheap(*state, 4, &product));
    assert_int_equal(computed, 1);
    limit = 5;
    assert_status(CACHE_OK, get_cheap(*state, 4, &product));
    assert_int_equal(computed, 2);
}


/* ---- in the background ------------------------------------------------------------------------------------------- */

static struct {
    void (*task)(void *arg);
    void *arg;
    int spawned;
} queue;

static bool queue_up(void *ctx, void (*task)(void *arg), void *arg)
{
    (void)ctx;
    assert_null(queue.task);
    queue.task = task;
    queue.arg = arg;
    queue.spawned++;
    return true;
}

static void run_queued(void)
{
    queue.task(queue.arg);
    queue.task = NULL;
}

static cache_t *open_with_spawn(_Atomic int64_t *now_ms)
{
    cache_config config = CACHE_CONFIG_INIT;
    memset(&queue, 0, sizeof queue);
    config.clock = test_clock(now_ms);
    config.spawn = queue_up;
    return test_store_open(&store, &config);
}

static void a_stale_results_successor_is_computed_from_copies_of_the_arguments(void **state)
{
    _Atomic int64_t now_ms = 1000;
    cache_t *cache = open_with_spawn(&now_ms);
    char name[] = "Anna", *text = NULL;
    (void)state;
    assert_status(CACHE_OK, get_stale_text(cache, name, 1, NULL, &text));
    free(text);
    atomic_fetch_add(&now_ms, 15 * 1000);
    assert_status(CACHE_OK, get_stale_text(cache, name, 1, NULL, &text));    /* the old one, at once */
    assert_string_equal(text, "Anna 1 #1");
    free(text);
    assert_int_equal(queue.spawned, 1);
    assert_int_equal(computed, 1);
    memcpy(name, "Ben!", sizeof name);    /* the caller's text is another by now */
    run_queued();
    assert_int_equal(computed, 2);
    assert_status(CACHE_OK, get_stale_text(cache, "Anna", 1, NULL, &text));
    assert_string_equal(text, "Anna 1 #2");
    free(text);
    assert_int_equal(computed, 2);
    cache_close(cache);
}

static void what_is_ignored_may_be_the_callers_so_the_caller_computes(void **state)
{
    _Atomic int64_t now_ms = 1000;
    cache_t *cache = open_with_spawn(&now_ms);
    struct product context = { .id = 3 };
    int result = 0;
    (void)state;
    assert_status(CACHE_OK, get_stale_ignoring(cache, 1, &context, &result));
    atomic_fetch_add(&now_ms, 15 * 1000);
    assert_status(CACHE_OK, get_stale_ignoring(cache, 1, &context, &result));
    assert_int_equal(queue.spawned, 0);
    assert_int_equal(computed, 2);
    cache_close(cache);
}

static void a_stale_result_with_pointers_is_recomputed_by_the_caller(void **state)
{
    _Atomic int64_t now_ms = 1000;
    cache_t *cache = open_with_spawn(&now_ms);
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct list list = { 0, NULL };
        assert_status(CACHE_OK, get_stale_list(cache, 5, &list));
        assert_int_equal(list.numbers[4], 16);
        free(list.numbers);
        atomic_fetch_add(&now_ms, 15 * 1000);
    }
    assert_int_equal(queue.spawned, 0);
    assert_int_equal(computed, 2);
    cache_close(cache);
}

#define memoize_test(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        memoize_test(tags_of_the_options_and_of_the_arguments_and_forget_all_each_invalidate),
        memoize_test(what_one_process_forgets_is_forgotten_in_all),
        memoize_test(a_tag_that_is_too_long_keeps_the_result_out_of_the_cache),
        memoize_test(a_name_sets_functions_of_one_name_apart),
        memoize_test(statistics_count_under_the_function_and_its_name),
        memoize_test(validate_is_asked_on_each_hit),
        memoize_test(a_stale_results_successor_is_computed_from_copies_of_the_arguments),
        memoize_test(what_is_ignored_may_be_the_callers_so_the_caller_computes),
        memoize_test(a_stale_result_with_pointers_is_recomputed_by_the_caller),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
