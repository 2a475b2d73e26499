/* test_writer.c - checks the writer, to which computations append, and the values that it makes. */
#include "test.h"

#include "hooks.h"
#include "writer.h"

static void appends_puts_and_printf_stand_one_behind_the_other(void **state)
{
    (void)state;
    cache_writer *writer = cache_writer_new();
    assert_status(CACHE_OK, cache_writer_append(writer, "ab", 2));
    assert_status(CACHE_OK, cache_writer_puts(writer, "cd"));
    assert_status(CACHE_OK, cache_writer_printf(writer, "%d-%s", 42, "xyz"));
    size_t size = 0;
    assert_string_equal(cache_writer_data(writer, &size), "abcd42-xyz");
    assert_int_equal(size, 10);
    cache_writer_free(writer);
}

static void an_empty_writer_holds_an_empty_text(void **state)
{
    (void)state;
    cache_writer *writer = cache_writer_new();
    size_t size = 9;
    assert_string_equal(cache_writer_data(writer, &size), "");
    assert_int_equal(size, 0);
    cache_writer_free(writer);
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    cache_writer *writer = cache_writer_new();
    assert_status(CACHE_ERR_INVALID, cache_writer_append(writer, NULL, 3));
    assert_status(CACHE_ERR_INVALID, cache_writer_puts(writer, "more"));
    assert_status(CACHE_ERR_INVALID, cache_writer_status(writer));
    cache_writer_free(writer);
}

static void what_outgrows_the_callers_buffer_leaves_it_untouched(void **state)
{
    (void)state;
    char buffer[4] = "abc";
    cache_writer writer;
    cache_writer_init_buffer(&writer, &cache_allocator_default, buffer, sizeof buffer);
    assert_status(CACHE_OK, cache_writer_puts(&writer, "too long for it"));
    assert_string_equal(buffer, "abc");
    cache_value value;
    assert_status(CACHE_OK, cache_writer_take(&writer, &value));
    assert_string_equal(value.data, "too long for it");
    cache_value_release(&value);
    assert_null(value.data);
    cache_writer_release(&writer);
}

static void a_taken_value_lives_until_its_last_reference_goes(void **state)
{
    (void)state;
    cache_writer writer;
    cache_writer_init(&writer, &cache_allocator_default);
    assert_status(CACHE_OK, cache_writer_puts(&writer, "kept"));
    cache_value first, second;
    assert_status(CACHE_OK, cache_writer_take(&writer, &first));
    second = cache_value_retain(&first);
    cache_value_release(&first);
    assert_string_equal(second.data, "kept");
    cache_value_release(&second);
}

static void a_value_of_no_bytes_is_not_null(void **state)
{
    (void)state;
    cache_writer writer;
    cache_writer_init(&writer, &cache_allocator_default);
    cache_value value;
    assert_status(CACHE_OK, cache_writer_append(&writer, "", 0));
    assert_status(CACHE_OK, cache_writer_take(&writer, &value));
    assert_non_null(value.data);
    assert_int_equal(value.size, 0);
    cache_value_release(&value);
}

static void a_ttl_that_is_none_is_refused(void **state)
{
    (void)state;
    cache_writer *writer = cache_writer_new();
    assert_status(CACHE_ERR_INVALID, cache_writer_set_ttl(writer, -2));
    assert_status(CACHE_OK, cache_writer_set_ttl(writer, 0.0015));
    assert_int_equal(writer->ttl_ms, 2);
    cache_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_puts_and_printf_stand_one_behind_the_other),
        cmocka_unit_test(an_empty_writer_holds_an_empty_text),
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(what_outgrows_the_callers_buffer_leaves_it_untouched),
        cmocka_unit_test(a_taken_value_lives_until_its_last_reference_goes),
        cmocka_unit_test(a_value_of_no_bytes_is_not_null),
        cmocka_unit_test(a_ttl_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
