/* test_filesystem_clock.c - checks the filesystem store after a wall clock that was ahead has been corrected. */
#define _GNU_SOURCE                    /* syscall */
#include "test.h"

#include "backends/filesystem/store.h"
#include "cache_internal.h"
#include "cache_directory.h"
#include "layer.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t four_years = INT64_C(4) * 365 * 24 * 3600 * 1000;

static _Atomic int64_t now;

static cache_t *open_ahead(const char *options)
{
    char url[192];
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:&%s", directory, options);
    atomic_store(&now, 1000000 + four_years);
    return test_open_with_clock(url, &now);
}

static void set_clock_right(void)
{
    atomic_fetch_sub(&now, four_years);
}

static void new_entries_are_kept_and_those_from_the_future_are_evicted_first(void **state)
{
    (void)state;
    cache_t *cache = open_ahead("max_items=100");
    for (int i = 0; i < 90; i++)
        test_set_numbered(cache, "ahead", i, CACHE_TTL_FOREVER);
    set_clock_right();
    for (int i = 0; i < 900; i++, now++) {
        test_set_numbered(cache, "new", i, CACHE_TTL_FOREVER);
        for (int j = i < 20 ? 0 : i - 20; j <= i; j++) {
            char key[24];
            (void)snprintf(key, sizeof key, "new%d", j);
            assert_status(CACHE_OK, cache_has(cache, key));
        }
    }
    for (int i = 0; i < 90; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "ahead%d", i);
        assert_status(CACHE_MISS, cache_has(cache, key));
    }
    cache_close(cache);
}

static void an_entry_with_a_time_to_live_from_the_future_is_over(void **state)
{
    (void)state;
    int64_t number = 0;
    cache_t *cache = open_ahead("");
    for (int i = 0; i < 4; i++)
        test_set_numbered(cache, "k", i, 60);
    assert_status(CACHE_OK, cache_set_string(cache, "n", "7", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "for ever", "x", CACHE_TTL_FOREVER));
    set_clock_right();
    assert_text(cache, "k0", NULL);
    assert_status(CACHE_MISS, cache_delete(cache, "k1"));
    assert_status(CACHE_MISS, cache_touch(cache, "k2", 60));
    assert_status(CACHE_OK, cache_add(cache, "k3", "mine", 4, 60));    /* as a lease is taken from a dead process */
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, &number));
    assert_int_equal(number, 1);
    assert_text(cache, "for ever", "x");
    cache_close(cache);
}

static void what_is_over_leaves_the_disk_without_being_read(void **state)
{
    (void)state;
    cache_t *cache = open_ahead("");
    for (int i = 0; i < 200; i++)
        test_set_numbered(cache, "ahead", i, 60);
    set_clock_right();
    for (int i = 0; i < 200; i++)
        test_set_numbered(cache, "new", i, 60);
    assert_int_equal(files_look(directory).entries, 200);
    assert_int_equal(test_counters(cache).items, 200);
    assert_int_equal(test_counters(cache).expirations, 200);
    cache_close(cache);
}

/* ---- the machine's own clock ------------------------------------------------------------------------------------- */

static atomic_long ahead;              /* seconds */

/* In place of the C library's. What the kernel waits for is not changed, as if the clock were set right at once. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    const long status = syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME)
        time->tv_sec += atomic_load(&ahead);
    return (int)status;
}

static atomic_int outcome;

static void *set_one(void *cache)
{
    outcome = (int)cache_set_string(cache, "k", "x", 60);
    return NULL;
}

static void a_wall_clock_that_is_set_back_makes_no_wait_longer(void **state)
{
    enum { NONE = 1000, MOST_MS = 10000 };
    char url[192];
    struct fs_leaf leaf;
    pthread_t thread;
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip();    /* where the wait is by the wall clock */
#endif
    (void)snprintf(url, sizeof url, "file://%s?timeout=0.1", directory);
    cache_t *cache = test_open(url);
    struct fs_store *store = ((struct cache_layer *)cache->store->self)->inner_self;    /* behind the codec */
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    const char *path = files_look(directory).path + strlen(directory);    /* "/a/b/…" */
    const char digits[] = { path[1], path[3], '\0' };
    assert_status(CACHE_OK, cache_fs_leaf_lock(store, (unsigned)strtoul(digits, NULL, 16), &leaf));
    outcome = NONE;
    ahead = 1000;
    assert_int_equal(pthread_create(&thread, NULL, set_one, cache), 0);
    for (int ms = 0; outcome == NONE && ms < MOST_MS; ms++)
        nanosleep(&(const struct timespec){ 0, 1000000 }, NULL);
    const int after_the_wait = outcome;
    cache_fs_leaf_unlock(&leaf);
    pthread_join(thread, NULL);
    ahead = 0;
    cache_close(cache);
    assert_int_equal(after_the_wait, CACHE_ERR_TIMEOUT);
}

static void a_clock_that_is_moved_back_a_little_costs_nothing(void **state)
{
    (void)state;
    cache_t *cache = open_ahead("");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    now -= 900;
    assert_text(cache, "k", "x");
    cache_close(cache);
}

#define files_test(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        files_test(new_entries_are_kept_and_those_from_the_future_are_evicted_first),
        files_test(an_entry_with_a_time_to_live_from_the_future_is_over),
        files_test(what_is_over_leaves_the_disk_without_being_read),
        files_test(a_clock_that_is_moved_back_a_little_costs_nothing),
        files_test(a_wall_clock_that_is_set_back_makes_no_wait_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
