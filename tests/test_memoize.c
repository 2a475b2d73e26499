/* test_memoize.c - checks memoized functions: each is computed once per set of arguments, can be forgotten, and may
 * return any type. */
#include "memo_work.h"

static cache_status load_greeting(const char *name, char **out)
{
    computed++;
    if (strcmp(name, "nobody") == 0)
        return CACHE_OK;    /* with no text: there is none */
    *out = malloc(64);
    (void)snprintf(*out, 64, "hello, %s", name);
    return CACHE_OK;
}

/* Arguments and functions may have any name. The names that the macros use for themselves begin with memo_. */
static cache_status load_named(const char *key, int cache, int out, int buf, int cap, int status, int value,
                               int *result)
{
    *result = (int)strlen(key) + cache + out + buf + cap + status + value;
    return CACHE_OK;
}

static const cache_fetch_options remember_nothing = { .size = sizeof(cache_fetch_options), .ttl = 60,
                                                      .negative_ttl = 10 };

CACHE_MEMOIZE(get_product, load_product, 60, struct product, (int, id))
CACHE_MEMOIZE_WITH(get_product_or_nothing, load_product, &remember_nothing, struct product, (int, id))
CACHE_MEMOIZE(get_answer, load_answer, CACHE_TTL_FOREVER, int)
CACHE_MEMOIZE(memo, load_named, 60, int, (const char *, key), (int, cache), (int, out), (int, buf), (int, cap),
              (int, status), (int, value))
CACHE_MEMOIZE_STRING(get_greeting, load_greeting, 60, (const char *, name))
CACHE_MEMOIZE_CODEC(get_list, load_list, 60, struct list, encode_list, decode_list, (int, n))

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

static void arguments_and_functions_may_have_any_name(void **state)
{
    int result = 0;
    assert_status(CACHE_OK, memo(*state, "four", 1, 2, 3, 4, 5, 6, &result));
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
        memoize_test(a_text_is_the_callers_own),
        memoize_test(a_result_with_pointers_goes_through_its_codec),
        memoize_test(arguments_and_functions_may_have_any_name),
        memoize_test(without_a_cache_the_function_is_computed),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
