/* clear.c - a prefix is a cache of its own: clear removes its keys, and nobody else's. */
#include "conformance.h"

static void clear_removes_every_key_of_the_prefix(void **state)
{
    cache_t *cache = *state;
    char key[16];
    for (int i = 0; i < 1500; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
    }
    assert_status(CACHE_OK, cache_inc(cache, "counter", 3, NULL));
    assert_status(CACHE_OK, cache_clear(cache));
    for (int i = 0; i < 1500; i += 7) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_text(cache, key, NULL);
    }
    assert_text(cache, "counter", NULL);
    assert_status(CACHE_OK, cache_set_string(cache, "k0", "again", 60));
    assert_text(cache, "k0", "again");
}

static void clear_leaves_another_prefixs_keys(void **state)
{
    cache_t *cache = *state;
    if (!target.shared)
        return;    /* each open of a store in the process is a store of its own */
    cache_t *other = target_open("prefix=other*?[x]:");
    cache_t *longer = target_open("prefix=other*?[x]:more:");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "mine", 60));
    assert_status(CACHE_OK, cache_set_string(other, "k", "theirs", 60));
    assert_text(cache, "k", "mine");
    assert_status(CACHE_OK, cache_clear(cache));
    assert_text(cache, "k", NULL);
    assert_text(other, "k", "theirs");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "mine", 60));
    assert_status(CACHE_OK, cache_clear(other));
    assert_text(other, "k", NULL);
    assert_text(cache, "k", "mine");
    cache_close(longer);
    cache_close(other);
}

static void a_handle_with_a_further_prefix_clears_only_itself(void **state)
{
    cache_t *cache = *state;
    cache_t *inner = NULL;
    assert_status(CACHE_OK, cache_with_prefix(cache, "inner:", &inner));
    assert_status(CACHE_OK, cache_set_string(cache, "k", "outer", 60));
    assert_status(CACHE_OK, cache_set_string(inner, "k", "inner", 60));
    assert_text(cache, "k", "outer");
    assert_text(inner, "k", "inner");
    assert_status(CACHE_OK, cache_clear(inner));
    assert_text(inner, "k", NULL);
    assert_text(cache, "k", "outer");
    assert_status(CACHE_OK, cache_set_string(inner, "k", "inner", 60));
    assert_status(CACHE_OK, cache_clear(cache));
    assert_text(inner, "k", NULL);
    cache_close(inner);
}

static void two_opens_of_one_shared_store_see_each_other(void **state)
{
    cache_t *cache = *state;
    if (!target.shared)
        return;
    cache_t *first = target_open("prefix=both:"), *second = target_open("prefix=both:");
    assert_status(CACHE_OK, cache_set_string(first, "k", "seen", 60));
    assert_text(second, "k", "seen");
    assert_status(CACHE_OK, cache_delete(second, "k"));
    assert_text(first, "k", NULL);
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_clear(first));
    cache_close(first);
    cache_close(second);
}

static void another_handle_sees_a_clear_within_a_second(void **state)
{
    (void)state;
    if (!target.shared)
        return;
    cache_t *first = target_open("prefix=seen:"), *second = target_open("prefix=seen:");
    assert_status(CACHE_OK, cache_set_string(first, "k", "x", 60));
    assert_text(second, "k", "x");
    assert_status(CACHE_OK, cache_clear(first));
    assert_text(first, "k", NULL);
    assert_true(wait_until(is_missing, second, "k", 1.5));
    cache_close(first);
    cache_close(second);
}

int run_clear(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(clear_removes_every_key_of_the_prefix),
        conformance_test(clear_leaves_another_prefixs_keys),
        conformance_test(a_handle_with_a_further_prefix_clears_only_itself),
        conformance_test(two_opens_of_one_shared_store_see_each_other),
        conformance_test(another_handle_sees_a_clear_within_a_second),
    };
    return cmocka_run_group_tests_name("clear", tests, NULL, NULL);
}
