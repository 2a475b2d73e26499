/* Memoized functions: computed once per set of arguments, forgotten when told, and never mixed up. */
#include "stores.h"

#include <math.h>

struct product {
    int id;
    double price;
    char name[32];
};

static int computed;

static cache_status load_product(int id, struct product *out)
{
    computed++;
    if (id < 0)
        return CACHE_ERR_COMPUTE;
    if (id == 0)
        return CACHE_MISS;
    *out = (struct product){ .id = id, .price = id * 1.5 };
    (void)snprintf(out->name, sizeof out->name, "product %d", id);
    return CACHE_OK;
}

static cache_status load_answer(int *out)
{
    computed++;
    *out = 42;
    return CACHE_OK;
}

static cache_status load_mixed(bool all, const char *city, double x, unsigned long long n, struct product *context,
                               int *out)
{
    computed++;
    *out = (all ? 1 : 0) + (city != NULL ? (int)strlen(city) : 100) + (int)x + (int)n + context->id;
    return CACHE_OK;
}

static cache_status load_greeting(const char *name, char **out)
{
    computed++;
    if (strcmp(name, "nobody") == 0)
        return CACHE_OK;    /* with no text: there is none */
    *out = malloc(64);
    (void)snprintf(*out, 64, "hello, %s", name);
    return CACHE_OK;
}

struct list {
    size_t n;
    int *numbers;
};

static cache_status load_list(int n, struct list *out)
{
    computed++;
    out->n = (size_t)n;
    out->numbers = malloc((size_t)n * sizeof *out->numbers);
    for (int i = 0; i < n; i++)
        out->numbers[i] = i * i;
    return CACHE_OK;
}

static cache_status encode_list(const struct list *list, cache_writer *out)
{
    return cache_writer_append(out, list->numbers, list->n * sizeof *list->numbers);
}

static cache_status decode_list(const void *data, size_t size, struct list *out)
{
    out->n = size / sizeof *out->numbers;
    out->numbers = malloc(size);
    memcpy(out->numbers, data, size);
    return CACHE_OK;
}

/* Arguments may have any name, those that the macros use for themselves too. */
static cache_status load_named(const char *key, int cache, int out, int buf, int cap, int status, int value,
                               int *result)
{
    *result = (int)strlen(key) + cache + out + buf + cap + status + value;
    return CACHE_OK;
}

static cache_status load_length(const char *text, int *out)
{
    computed++;
    *out = text != NULL ? (int)strlen(text) : -1;
    return CACHE_OK;
}

static cache_status compute_minus_one(void *ctx, cache_writer *out)
{
    const int result = -1;
    (void)ctx;
    return cache_writer_append(out, &result, sizeof result);
}

static cache_status load_half(double x, double *out)
{
    computed++;
    *out = x / 2;
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

#define identity(name, type)                            \
    static cache_status load_##name(type x, int *out)   \
    {                                                   \
        *out = (int)x;                                  \
        return CACHE_OK;                                \
    }                                                   \
    CACHE_MEMOIZE(name, load_##name, 60, int, (type, x))
identity(of_int, int)
identity(of_long, long)
identity(of_unsigned, unsigned)
identity(of_float, float)
identity(of_double, double)
identity(of_bool, bool)

static const char *const shop_tags[] = { "products", "shelf" };
static const cache_fetch_options in_the_shop = {
    .size = sizeof(cache_fetch_options), .ttl = 60, .tags = shop_tags, .n_tags = 2, .name = "shop 2"
};
static const cache_fetch_options stale_for_a_minute = { .size = sizeof(cache_fetch_options), .ttl = 10, .stale = 60 };
static const cache_fetch_options remember_nothing = { .size = sizeof(cache_fetch_options), .ttl = 60,
                                                      .negative_ttl = 10 };

CACHE_MEMOIZE(get_product, load_product, 60, struct product, (int, id))
CACHE_MEMOIZE(get_answer, load_answer, CACHE_TTL_FOREVER, int)
CACHE_MEMOIZE(get_mixed, load_mixed, 60, int, (bool, all), (const char *, city), (double, x), (unsigned long long, n),
              CACHE_IGNORE(struct product *, context))
CACHE_MEMOIZE(get_named, load_named, 60, int, (const char *, key), (int, cache), (int, out), (int, buf), (int, cap),
              (int, status), (int, value))
CACHE_MEMOIZE_STRING(get_greeting, load_greeting, 60, (const char *, name))
CACHE_MEMOIZE_CODEC(get_list, load_list, 60, struct list, encode_list, decode_list, (int, n))
CACHE_MEMOIZE(get_length, load_length, 60, int, (const char *, text))
CACHE_MEMOIZE(get_weather, load_length, 60, int, (const char *, city), CACHE_TAG("weather:%s", city))
CACHE_MEMOIZE(get_half, load_half, 60, double, (double, x))
CACHE_MEMOIZE_WITH(get_tagged, load_product, &in_the_shop, struct product, (int, id), CACHE_TAG("product:%d", id))
CACHE_MEMOIZE_STRING_WITH(get_stale_text, load_stale_text, &stale_for_a_minute, (const char *, name), (int, n),
                          CACHE_SHARED(struct product *, pool))
CACHE_MEMOIZE_WITH(get_stale_ignoring, load_stale_ignoring, &stale_for_a_minute, int, (int, n),
                   CACHE_IGNORE(struct product *, context))
CACHE_MEMOIZE_CODEC_WITH(get_stale_list, load_list, &stale_for_a_minute, struct list, encode_list, decode_list,
                         (int, n))
CACHE_MEMOIZE_WITH(get_product_or_nothing, load_product, &remember_nothing, struct product, (int, id))

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

static void a_function_is_computed_once_per_argument(void **state)
{
    struct product product;
    for (int i = 0; i < 3; i++)
        for (int id = 1; id <= 2; id++) {
            assert_status(CACHE_OK, get_product(*state, id, &product));
            assert_int_equal(product.id, id);
            assert_string_equal(product.name, id == 1 ? "product 1" : "product 2");
        }
    assert_int_equal(computed, 2);
}

static void a_function_without_arguments_is_computed_once(void **state)
{
    int answer = 0;
    assert_status(CACHE_OK, get_answer(*state, &answer));
    assert_status(CACHE_OK, get_answer(*state, &answer));
    assert_int_equal(answer, 42);
    assert_int_equal(computed, 1);
    assert_status(CACHE_OK, get_answer_forget(*state));
    assert_status(CACHE_OK, get_answer(*state, &answer));
    assert_int_equal(computed, 2);
}

static void forget_forgets_one_and_forget_all_all(void **state)
{
    struct product product;
    int answer = 0;
    for (int id = 1; id <= 3; id++)
        assert_status(CACHE_OK, get_product(*state, id, &product));
    assert_status(CACHE_OK, get_answer(*state, &answer));
    assert_status(CACHE_OK, get_product_forget(*state, 2));
    assert_status(CACHE_MISS, get_product_forget(*state, 2));
    for (int id = 1; id <= 3; id++)
        assert_status(CACHE_OK, get_product(*state, id, &product));
    assert_int_equal(computed, 5);
    assert_status(CACHE_OK, get_product_forget_all(*state));
    for (int id = 1; id <= 3; id++)
        assert_status(CACHE_OK, get_product(*state, id, &product));
    assert_status(CACHE_OK, get_answer(*state, &answer));
    assert_int_equal(computed, 8);
}

static void refresh_computes_and_stores_anew(void **state)
{
    struct product product;
    assert_status(CACHE_OK, get_product(*state, 1, &product));
    assert_status(CACHE_OK, get_product_refresh(*state, 1, &product));
    assert_status(CACHE_OK, get_product(*state, 1, &product));
    assert_int_equal(computed, 2);
}

static void a_failure_and_a_nothing_are_handed_back_and_not_stored(void **state)
{
    struct product product;
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_ERR_COMPUTE, get_product(*state, -1, &product));
        assert_status(CACHE_MISS, get_product(*state, 0, &product));
    }
    assert_int_equal(computed, 4);
    assert_status(CACHE_MISS, get_product_or_nothing(*state, 0, &product));
    assert_status(CACHE_MISS, get_product_or_nothing(*state, 0, &product));
    assert_int_equal(computed, 5);    /* with negative_ttl the nothing is remembered */
}

static void every_keyed_argument_counts_and_an_ignored_one_does_not(void **state)
{
    struct product one = { .id = 1 }, two = { .id = 2 };
    char first[256], second[256];
    int result = 0;
    assert_status(CACHE_OK, get_mixed(*state, true, "Rome", 1.5, 7, &one, &result));
    assert_status(CACHE_OK, get_mixed(*state, true, "Rome", 1.5, 7, &two, &result));
    assert_int_equal(computed, 1);
    assert_status(CACHE_OK, get_mixed(*state, false, "Rome", 1.5, 7, &one, &result));
    assert_status(CACHE_OK, get_mixed(*state, true, "", 1.5, 7, &one, &result));
    assert_status(CACHE_OK, get_mixed(*state, true, NULL, 1.5, 7, &one, &result));
    assert_status(CACHE_OK, get_mixed(*state, true, "Rome", 1.25, 7, &one, &result));
    assert_status(CACHE_OK, get_mixed(*state, true, "Rome", 1.5, UINT64_MAX, &one, &result));
    assert_int_equal(computed, 6);
    assert_status(CACHE_OK, get_mixed_key(true, "a", 0.0, 0, NULL, first, sizeof first));
    assert_status(CACHE_OK, get_mixed_key(true, "a", -0.0, 0, NULL, second, sizeof second));
    assert_string_equal(first, second);
    assert_status(CACHE_OK, get_mixed_key(true, "a", (double)NAN, 0, NULL, first, sizeof first));
    assert_status(CACHE_OK, get_mixed_key(true, "a", -(double)NAN, 0, NULL, second, sizeof second));
    assert_string_equal(first, second);
    assert_status(CACHE_ERR_TOO_LARGE, get_mixed_key(true, "a", 0.0, 0, NULL, first, 5));
}

/* A text of `size` bytes of `fill`, for the caller to free. */
static char *long_text(size_t size, char fill)
{
    char *text = calloc(1, size + 1);
    memset(text, fill, size);
    return text;
}

static void arguments_too_long_for_a_key_are_hashed(void **state)
{
    char *name = long_text(5000, 'x'), *greeting = NULL, key[CACHE_MAX_KEY + 1], other[CACHE_MAX_KEY + 1];
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, get_greeting(*state, name, &greeting));
        assert_int_equal(strlen(greeting), 63);    /* as load_greeting cuts it */
        free(greeting);
    }
    assert_int_equal(computed, 1);
    assert_status(CACHE_OK, get_greeting_key(name, key, sizeof key));
    assert_memory_equal(key, "memo/get_greeting/char */0(T5000:xxx", 36);
    assert_true(strlen(key) < 250);
    name[4999] = 'y';
    assert_status(CACHE_OK, get_greeting_key(name, other, sizeof other));
    assert_string_not_equal(key, other);
    assert_status(CACHE_MISS, get_greeting_forget(*state, name));
    name[4999] = 'x';
    assert_status(CACHE_OK, get_greeting_forget(*state, name));
    assert_status(CACHE_MISS, get_greeting_forget(*state, name));
    assert_status(CACHE_OK, get_greeting(*state, name, &greeting));
    free(greeting);
    assert_int_equal(computed, 2);
    assert_status(CACHE_OK, get_greeting_forget_all(*state));
    assert_status(CACHE_MISS, get_greeting_forget(*state, "never asked"));
    assert_status(CACHE_OK, get_greeting(*state, name, &greeting));
    free(greeting);
    assert_int_equal(computed, 3);
    free(name);
}

/* Two calls whose hashes agree: the value that stands there is another's, and is not read. */
static void a_hash_that_two_calls_share_does_not_mix_them_up(void **state)
{
    char *mine = long_text(5000, 'm'), *theirs = long_text(5000, 't'), my_key[CACHE_MAX_KEY + 1];
    int result = 0;
    assert_status(CACHE_OK, get_length_key(mine, my_key, sizeof my_key));

    /* Their result, stored under my key, as a collision would have it: the whole key travels as its type. */
    char *whole = malloc(6000);
    cache_value value;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    assert_non_null(whole);
    (void)snprintf(whole, 6000, "memo/get_length/int/4(T5000:%s,)", theirs);
    options.type = whole;
    assert_status(CACHE_OK, cache_fetch(*state, my_key, &options, compute_minus_one, NULL, &value));
    assert_int_equal(*(const int *)value.data, -1);
    cache_value_release(&value);
    free(whole);

    assert_status(CACHE_OK, get_length(*state, mine, &result));
    assert_int_equal(result, 5000);
    free(mine);
    free(theirs);
}

static void arguments_longer_than_any_key_are_computed_each_time(void **state)
{
    char *name = long_text(70000, 'x');
    cache_counters counters;
    int result = 0;
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, get_length(*state, name, &result));
        assert_int_equal(result, 70000);
    }
    assert_int_equal(computed, 2);
    assert_status(CACHE_OK, cache_stats(*state, &counters));
    assert_int_equal(counters.computations, 2);
    assert_status(CACHE_MISS, get_length_forget(*state, name));
    free(name);
}

static void every_type_of_argument_makes_a_key_of_its_own(void **state)
{
    char keys[6][256];
    (void)state;
    assert_status(CACHE_OK, of_int_key(1, keys[0], 256));
    assert_status(CACHE_OK, of_long_key(1, keys[1], 256));
    assert_status(CACHE_OK, of_unsigned_key(1, keys[2], 256));
    assert_status(CACHE_OK, of_float_key(1, keys[3], 256));
    assert_status(CACHE_OK, of_double_key(1, keys[4], 256));
    assert_status(CACHE_OK, of_bool_key(true, keys[5], 256));
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)    /* behind the names: "memo/of_int/int/4" differ anyhow */
            assert_string_not_equal(strchr(keys[i], '('), strchr(keys[j], '('));
}

static void a_null_text_is_not_an_empty_one(void **state)
{
    int result = 0;
    assert_status(CACHE_OK, get_length(*state, "", &result));
    assert_int_equal(result, 0);
    assert_status(CACHE_OK, get_length(*state, NULL, &result));
    assert_int_equal(result, -1);
    assert_status(CACHE_OK, get_length(*state, "null", &result));
    assert_int_equal(result, 4);
}

static void floats_that_are_equal_or_no_number_share_a_result(void **state)
{
    double result = 0;
    assert_status(CACHE_OK, get_half(*state, 0.0, &result));
    assert_status(CACHE_OK, get_half(*state, -0.0, &result));
    assert_int_equal(computed, 1);
    assert_status(CACHE_OK, get_half(*state, (double)NAN, &result));
    assert_status(CACHE_OK, get_half(*state, -(double)NAN, &result));
    assert_true(isnan(result));
    assert_int_equal(computed, 2);
    assert_status(CACHE_OK, get_half(*state, (double)INFINITY, &result));
    assert_status(CACHE_OK, get_half(*state, -(double)INFINITY, &result));
    assert_true(isinf(result) && result < 0);
    assert_int_equal(computed, 4);
    assert_status(CACHE_OK, get_half(*state, 0.1, &result));
    assert_status(CACHE_OK, get_half(*state, nextafter(0.1, 1), &result));
    assert_int_equal(computed, 6);    /* the last bit counts */
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

/* ---- results ----------------------------------------------------------------------------------------------------- */

static void a_text_is_the_callers_own(void **state)
{
    char *greeting = NULL;
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, get_greeting(*state, "world", &greeting));
        assert_string_equal(greeting, "hello, world");
        greeting[0] = 'X';
        free(greeting);
    }
    assert_int_equal(computed, 1);
    assert_status(CACHE_MISS, get_greeting(*state, "nobody", &greeting));
    assert_null(greeting);
}

static void a_result_with_pointers_goes_through_its_codec(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct list list = { 0, NULL };
        assert_status(CACHE_OK, get_list(*state, 5, &list));
        assert_int_equal(list.n, 5);
        assert_int_equal(list.numbers[4], 16);
        free(list.numbers);
    }
    assert_int_equal(computed, 1);
}

static void arguments_may_have_any_name(void **state)
{
    int result = 0;
    assert_status(CACHE_OK, get_named(*state, "four", 1, 2, 3, 4, 5, 6, &result));
    assert_int_equal(result, 25);
}

static void without_a_cache_the_function_is_computed(void **state)
{
    struct product product;
    (void)state;
    assert_status(CACHE_OK, get_product(NULL, 3, &product));
    assert_int_equal(product.id, 3);
}

#define memoize_test(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        memoize_test(a_function_is_computed_once_per_argument),
        memoize_test(a_function_without_arguments_is_computed_once),
        memoize_test(forget_forgets_one_and_forget_all_all),
        memoize_test(refresh_computes_and_stores_anew),
        memoize_test(a_failure_and_a_nothing_are_handed_back_and_not_stored),
        memoize_test(every_keyed_argument_counts_and_an_ignored_one_does_not),
        memoize_test(arguments_too_long_for_a_key_are_hashed),
        memoize_test(a_hash_that_two_calls_share_does_not_mix_them_up),
        memoize_test(arguments_longer_than_any_key_are_computed_each_time),
        memoize_test(every_type_of_argument_makes_a_key_of_its_own),
        memoize_test(a_null_text_is_not_an_empty_one),
        memoize_test(floats_that_are_equal_or_no_number_share_a_result),
        memoize_test(tags_of_the_options_and_of_the_arguments_and_forget_all_each_invalidate),
        memoize_test(what_one_process_forgets_is_forgotten_in_all),
        memoize_test(a_tag_that_is_too_long_keeps_the_result_out_of_the_cache),
        memoize_test(a_name_sets_functions_of_one_name_apart),
        memoize_test(statistics_count_under_the_function_and_its_name),
        memoize_test(validate_is_asked_on_each_hit),
        memoize_test(a_stale_results_successor_is_computed_from_copies_of_the_arguments),
        memoize_test(what_is_ignored_may_be_the_callers_so_the_caller_computes),
        memoize_test(a_stale_result_with_pointers_is_recomputed_by_the_caller),
        memoize_test(a_text_is_the_callers_own),
        memoize_test(a_result_with_pointers_goes_through_its_codec),
        memoize_test(arguments_may_have_any_name),
        memoize_test(without_a_cache_the_function_is_computed),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
