// An exception that passes through a fetch: it reaches the caller, and nothing of the fetch is left behind.
#include <libcache/cache.h>

#include <cstring>
#include <stdexcept>
#include <thread>

#include <cstdarg>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
extern "C" {
#include <cmocka.h>
}

namespace {

cache_status fails(void *, cache_writer *out)
{
    (void)cache_writer_puts(out, "half of it");
    throw std::runtime_error("the database is away");
}

cache_status works(void *, cache_writer *out)
{
    return cache_writer_puts(out, "value");
}

cache_status fails_many(void *, cache_missing missing[], size_t)
{
    (void)cache_writer_puts(missing[0].out, "half of it");
    throw std::runtime_error("the database is away");
}

bool never(void *, const cache_value *)
{
    throw std::runtime_error("cannot be judged");
}

void expect_text(cache_t *cache, const char *key)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.wait = 0.05;
    assert_int_equal(cache_fetch(cache, key, &options, works, nullptr, &value), CACHE_OK);
    assert_string_equal(static_cast<const char *>(value.data), "value");
    cache_value_release(&value);
}

void an_exception_ends_the_computation_and_reaches_the_caller(void **)
{
    cache_t *cache = nullptr;
    cache_value value;
    assert_int_equal(cache_open("memory://", &cache), CACHE_OK);
    for (int i = 0; i < 3; i++) {
        bool caught = false;
        try {
            (void)cache_fetch(cache, "k", nullptr, fails, nullptr, &value);
        } catch (const std::runtime_error &error) {
            caught = std::strcmp(error.what(), "the database is away") == 0;
        }
        assert_true(caught);
    }
    expect_text(cache, "k");
    std::thread([cache] { expect_text(cache, "k"); }).join();
    cache_close(cache);
}

void an_exception_ends_the_computation_of_many_keys(void **)
{
    cache_t *cache = nullptr;
    cache_value values[2];
    const char *const keys[] = { "k", "other" };
    bool caught = false;
    assert_int_equal(cache_open("memory://", &cache), CACHE_OK);
    try {
        (void)cache_fetch_many(cache, keys, 2, nullptr, fails_many, nullptr, values);
    } catch (const std::runtime_error &) {
        caught = true;
    }
    assert_true(caught);
    std::thread([cache] { expect_text(cache, "k"); }).join();
    expect_text(cache, "other");
    cache_close(cache);
}

void an_exception_of_validate_leaves_the_value(void **)
{
    cache_t *cache = nullptr;
    cache_value value;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    bool caught = false;
    assert_int_equal(cache_open("memory://", &cache), CACHE_OK);
    expect_text(cache, "k");
    options.validate = never;
    try {
        (void)cache_fetch(cache, "k", &options, works, nullptr, &value);
    } catch (const std::runtime_error &) {
        caught = true;
    }
    assert_true(caught);
    expect_text(cache, "k");
    cache_close(cache);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exception_ends_the_computation_and_reaches_the_caller),
        cmocka_unit_test(an_exception_ends_the_computation_of_many_keys),
        cmocka_unit_test(an_exception_of_validate_leaves_the_value),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
