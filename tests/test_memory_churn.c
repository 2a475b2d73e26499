/* test_memory_churn.c - checks that the process grows by no more than max_bytes allows, however long keys and sizes
 * change.
 *
 *     test_memory_churn [SETS]    three million; test_memory_churn_long asks for fifty */
#include "test.h"

#include <malloc.h>
#include <unistd.h>

enum { MB = 1 << 20, LIMIT = 64 * MB, SAMPLES = 50 };

static long sets = 3000000;

static double resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*s %ld", &pages), 1);
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

/* Mostly small, as in most caches; up to `most`. */
static size_t some_size(uint64_t random, size_t most)
{
    const size_t small = 10 + random % 200, large = 10 + (random >> 32) % most;
    return random % 16 == 0 ? large : small;
}

struct seen {
    double at_half, most;
};

/* Sets with keys of a population that moves on, among gets of it. Returns the growth of the process. */
static struct seen churn(cache_t *cache, size_t most_size)
{
    static char value[100 * 1024];
    (void)malloc_trim(0);              /* what an earlier test freed is no room for this one */
    const double before = resident();
    struct seen seen = { 0, 0 };
    uint64_t state = 88172645463325252u;
    for (long i = 0; i < sets; i++) {
        char key[64];
        cache_value found;
        const uint64_t random = next_random(&state);
        const long newest = i / 4;
        (void)snprintf(key, sizeof key, "object:%ld", newest - (long)(random % 2000000));
        assert_status(CACHE_OK, cache_set(cache, key, value, some_size(next_random(&state), most_size), 3600));
        (void)snprintf(key, sizeof key, "object:%ld", newest - (long)(random % 20000));
        if (cache_get(cache, key, &found) == CACHE_OK)
            cache_value_release(&found);
        if (i % (sets / SAMPLES) != 0 || i < sets / 5)
            continue;
        const double grown = resident() - before;
        seen.at_half = i <= sets / 2 ? grown : seen.at_half;
        seen.most = grown > seen.most ? grown : seen.most;
    }
    return seen;
}

static void expect_flat(size_t most_size)
{
    cache_t *cache = test_open("memory://?max_bytes=64mb");
    const struct seen seen = churn(cache, most_size);
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    print_message("values to %zu bytes, %ld sets: %.1f MB at half, %.1f MB at most, bytes says %.1f MB, %llu items\n",
                  most_size, sets, seen.at_half / MB, seen.most / MB, (double)counters.bytes / MB,
                  (unsigned long long)counters.items);
    assert_true(counters.bytes <= LIMIT);
    assert_true(seen.most <= 1.1 * LIMIT);
    assert_true(seen.most <= 1.05 * seen.at_half);
    cache_close(cache);
}

static void memory_is_flat_while_keys_and_small_values_change(void **state)
{
    (void)state;
    expect_flat(1000);
}

static void memory_is_flat_while_values_of_10_bytes_to_100_kb_change(void **state)
{
    (void)state;
    expect_flat(100 * 1024);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_flat_while_keys_and_small_values_change),
        cmocka_unit_test(memory_is_flat_while_values_of_10_bytes_to_100_kb_change),
    };
    if (argc > 1)
        sets = atol(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
