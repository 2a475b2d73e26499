/* test_nomem.c - lets each allocation of the stores in this process fail once: see nomem.h. */
#include "nomem.h"

#include "server.h"

static void no_memory_at_any_call_loses_nothing_in_a_full_memory_store(void **state)
{
    (void)state;
    nomem_survives("memory://?max_items=100");
}

static void no_memory_at_any_call_loses_nothing_in_a_memory_store_without_limits(void **state)
{
    (void)state;
    nomem_survives("memory://");
}

static void no_memory_at_any_call_loses_nothing_in_a_filesystem_store(void **state)
{
    (void)state;
    bool ended = false;
    for (long n = 0; !ended; n++) {
        char directory[64], url[96];
        test_directory_make(directory, sizeof directory);    /* each time anew: the store outlives its handle */
        (void)snprintf(url, sizeof url, "file://%s?max_items=100", directory);
        ended = nomem_run(url, n, false);
        test_directory_remove(directory);
        assert_true(n > 10 || !ended);
    }
}

static void no_memory_at_any_call_loses_nothing_in_a_store_that_others_share(void **state)
{
    (void)state;
    nomem_survives("fake://");
    nomem_survives("fakemany://");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_full_memory_store),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_memory_store_without_limits),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_filesystem_store),
        cmocka_unit_test(no_memory_at_any_call_loses_nothing_in_a_store_that_others_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
