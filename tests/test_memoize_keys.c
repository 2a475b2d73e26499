/* test_memoize_keys.c - checks the keys of memoized functions: calls with different arguments never share a result. */
#include "stores.h"

#include <math.h>

struct product {
    int id;
};

static int computed;

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

CACHE_MEMOIZE(get_mixed, load_mixed, 60, int, (bool, all), (const char *, city), (double, x), (unsigned long long, n),
              CACHE_IGNORE(struct product *, context))
CACHE_MEMOIZE_STRING(get_greeting, load_greeting, 60, (const char *, name))
CACHE_MEMOIZE(get_length, load_length, 60, int, (const char *, text))
CACHE_MEMOIZE(get_half, load_half, 60, double, (double, x))

static int open_cache(void **state)
{
    computed = 0;
    *state = test_store_open(state, NULL);
    return 0;
}

static int close_cache(void **state)
{
    cache_close(*state);
    return 0;
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

#define memoize_test(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        memoize_test(every_keyed_argument_counts_and_an_ignored_one_does_not),
        memoize_test(arguments_too_long_for_a_key_are_hashed),
        memoize_test(a_hash_that_two_calls_share_does_not_mix_them_up),
        memoize_test(arguments_longer_than_any_key_are_computed_each_time),
        memoize_test(every_type_of_argument_makes_a_key_of_its_own),
        memoize_test(a_null_text_is_not_an_empty_one),
        memoize_test(floats_that_are_equal_or_no_number_share_a_result),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
