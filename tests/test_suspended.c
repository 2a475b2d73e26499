/* test_suspended.c - checks that what expired while the machine was suspended is not served when it wakes up. */
#define _GNU_SOURCE                    /* syscall */
#include "test.h"

#include "telling_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How long the machine slept, and how long it is awake since; both in seconds. */
static atomic_long slept, awake;

/* In place of the C library's, for the library under test, too. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    const long status = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_BOOTTIME)
        now->tv_sec += atomic_load(&slept);
    if (clock == CLOCK_BOOTTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)
        now->tv_sec += atomic_load(&awake);
    return (int)status;
}

time_t time(time_t *out)
{
    struct timespec now = { 0 };
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    now.tv_sec += atomic_load(&slept) + atomic_load(&awake);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* Nobody finds out that the processor's counter may be used in place of a clock. The library is built for large files,
 * and calls open64. */
int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (strstr(path, "clocksource") != NULL) {
        errno = ENOENT;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void sleep_and_wake(long seconds)
{
    atomic_fetch_add(&slept, seconds);
    atomic_fetch_add(&awake, 1);       /* the bound that the headers give */
}

static int runs;

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    runs++;
    return cache_writer_puts(out, "computed");
}

static void a_value_ends_while_the_machine_is_suspended(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    cache_value value;
    assert_status(CACHE_OK, cache_set_string(cache, "short", "s", 300));
    assert_status(CACHE_OK, cache_set_string(cache, "long", "l", 36000));
    sleep_and_wake(8 * 3600);
    assert_status(CACHE_MISS, cache_get(cache, "short", &value));
    assert_status(CACHE_OK, cache_get(cache, "long", &value));
    cache_value_release(&value);
    double left = 0;
    assert_status(CACHE_OK, cache_ttl_left(cache, "long", &left));
    assert_true(left > 7000 && left < 7300);
    cache_close(cache);
}

static void a_fetch_knows_how_old_its_value_is(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    cache_value value;
    cache_fetch_info info = { .source = CACHE_SOURCE_NONE };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = 10 * 3600;
    options.info = &info;
    runs = 0;
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, compute, NULL, &value));
    cache_value_release(&value);
    sleep_and_wake(8 * 3600);
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, compute, NULL, &value));
    cache_value_release(&value);
    assert_int_equal(info.source, CACHE_SOURCE_HIT);
    assert_true(info.age >= 8 * 3600 && info.age < 8 * 3600 + 60);
    sleep_and_wake(3 * 3600);
    assert_status(CACHE_OK, cache_fetch(cache, "k", &options, compute, NULL, &value));
    cache_value_release(&value);
    assert_int_equal(runs, 2);
    cache_close(cache);
}

/* The front looks for changes each second that the machine is awake. */
static void a_front_serves_nothing_from_before_the_machine_was_suspended(void **state)
{
    (void)telling_store_reset(state);
    assert_status(CACHE_OK, cache_register_backend(&telling_ops));
    cache_t *cache = test_open("telling://?prefix=p:&front=1mb&front_check=1&front_lag=3600");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 36000));
    assert_text(cache, "k", "old");
    assert_text(cache, "k", "old");
    assert_true(test_counters(cache).front_hits > 0);
    atomic_fetch_add(&slept, 8 * 3600);
    change_outside("p:k", "new");
    assert_text(cache, "k", "new");
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_ends_while_the_machine_is_suspended),
        cmocka_unit_test(a_fetch_knows_how_old_its_value_is),
        cmocka_unit_test(a_front_serves_nothing_from_before_the_machine_was_suspended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
