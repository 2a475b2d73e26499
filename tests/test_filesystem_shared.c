/* test_filesystem_shared.c - checks the filesystem store that several processes share: exact counts, limits, killed
 * writers, forks, and tables whose counts are wrong. Locks of open file descriptions need _GNU_SOURCE. */
#define _GNU_SOURCE
#include "test.h"

#include "cache_directory.h"
#include "server.h"
#include "times.h"
#include "traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 4, THREADS = 2 };

static char url[128];

static int make(void **state)
{
    (void)make_directory(state);
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:&timeout=20", directory);
    return 0;
}

static cache_t *open_with(const char *options)
{
    char with[192];
    (void)snprintf(with, sizeof with, "file://%s?prefix=t:&%s", directory, options);
    return test_open(with);
}

static pid_t start(void (*body)(int number), int number)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(100);    /* one that hangs must end, and be seen */
        body(number);
        _exit(0);
    }
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void expect_good_end(pid_t pid)
{
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void *count(void *arg)
{
    cache_t *cache = arg;
    for (int i = 0; i < 200; i++)
        if (cache_inc(cache, "n", i % 2 == 0 ? 3 : -1, NULL) != CACHE_OK)
            _exit(1);
    return NULL;
}

static void count_in_threads(int number)
{
    pthread_t threads[THREADS];
    cache_t *cache = NULL;
    (void)number;
    if (cache_open(url, &cache) != CACHE_OK)
        _exit(1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count, cache);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cache_close(cache);
}

static void threads_of_several_processes_count_to_an_exact_sum(void **state)
{
    (void)state;
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start(count_in_threads, i);
    for (int i = 0; i < PROCESSES; i++)
        expect_good_end(pids[i]);
    cache_t *cache = test_open(url);
    assert_text(cache, "n", "1600");
    assert_int_equal(test_counters(cache).items, 1);
    cache_close(cache);
}

static void two_handles_of_one_process_exclude_each_other(void **state)
{
    (void)state;
    cache_t *handles[] = { test_open(url), test_open(url) };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, count, handles[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_text(handles[0], "n", "400");
    cache_close(handles[0]);
    assert_text(handles[1], "n", "400");
    cache_close(handles[1]);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static char limits[64];

static void write_under_limits(int number)
{
    static char value[3000];
    char key[32], with[192];
    cache_t *cache = NULL;
    (void)snprintf(with, sizeof with, "%s&%s", url, limits);
    if (cache_open(with, &cache) != CACHE_OK)
        _exit(1);
    for (int i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof key, "%d %d", number, i);
        if (cache_set(cache, key, value, (size_t)(i * 37 % 3000), 60) != CACHE_OK)
            _exit(1);
    }
    cache_close(cache);
}

/* Four processes write at once. Meanwhile each may be one entry over; when all have returned, nobody is. */
static struct files write_and_watch(const char *options, uint64_t most_items, uint64_t most_bytes)
{
    pid_t pids[PROCESSES];
    int running = PROCESSES;
    (void)snprintf(limits, sizeof limits, "%s", options);
    cache_t *cache = open_with(options);
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start(write_under_limits, i);
    while (running > 0) {
        const cache_counters counters = test_counters(cache);
        assert_true(counters.items <= most_items && counters.bytes <= most_bytes);
        for (int i = 0, status = 1; i < PROCESSES; i++)
            if (pids[i] > 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
                assert_int_equal(status, 0);
                pids[i] = 0;
                running--;
            }
        test_pause_ms(1);
    }
    const struct files files = files_look(directory);
    assert_int_equal(test_counters(cache).items, files.entries);
    assert_int_equal(test_counters(cache).bytes, files.bytes);
    cache_close(cache);
    return files;
}

static void max_items_holds_among_processes(void **state)
{
    (void)state;
    const struct files files = write_and_watch("max_items=100", 100 + PROCESSES, UINT64_MAX);
    assert_in_range(files.entries, 80, 100);
}

static void max_bytes_holds_among_processes(void **state)
{
    (void)state;
    const struct files files = write_and_watch("max_bytes=200000", UINT64_MAX, 200000 + PROCESSES * 3100);
    assert_in_range(files.bytes, 160000, 200000);
}

/* ---- processes that die ------------------------------------------------------------------------------------------ */

enum { VALUE_SIZE = 200000 };

static void write_for_ever(int number)
{
    char *value = malloc(VALUE_SIZE);
    cache_t *cache = NULL;
    (void)number;
    if (value == NULL || cache_open(url, &cache) != CACHE_OK)
        _exit(1);
    for (int i = 0;; i++) {
        memset(value, 'a' + i % 26, VALUE_SIZE);
        if (cache_set(cache, "k", value, VALUE_SIZE, CACHE_TTL_FOREVER) != CACHE_OK)
            _exit(1);
    }
}

static void assert_whole(cache_t *cache)
{
    cache_value value;
    assert_status(CACHE_OK, cache_get(cache, "k", &value));
    assert_int_equal(value.size, VALUE_SIZE);
    const char *bytes = value.data;
    for (size_t i = 1; i < value.size; i++)
        if (bytes[i] != bytes[0])
            fail_msg("byte %zu is '%c', the first '%c'", i, bytes[i], bytes[0]);
    cache_value_release(&value);
}

static void a_reader_sees_the_old_or_the_new_value_while_writers_are_killed(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    char *value = calloc(1, VALUE_SIZE);
    assert_status(CACHE_OK, cache_set(cache, "k", value, VALUE_SIZE, 60));
    free(value);
    int temp_files = 0;
    for (int round = 0; round < 20; round++) {
        const pid_t pid = start(write_for_ever, 0);
        for (int i = 0; i < 10 + round; i++)
            assert_whole(cache);
        stop(pid);
        assert_whole(cache);
        temp_files += (int)files_look(directory).temp_files;
        assert_status(CACHE_OK, cache_touch(cache, "k", 60));    /* what the dead one locked is free */
        assert_int_equal(files_look(directory).temp_files, 0);       /* and what it left is gone */
        assert_int_equal(test_counters(cache).items, 1);
        assert_int_equal(test_counters(cache).bytes, files_look(directory).bytes);
    }
    print_message("%d of 20 were killed in the middle of a file\n", temp_files);
    cache_close(cache);
}

/* As a process does that stopped in the middle of a write. */
static void lock_every_leaf(int ready)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/.libcache", directory);
    const int fd = open(path, O_RDWR);
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1 << 20, .l_len = 256 };
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &all) != 0 || write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void a_lock_holder_that_hangs_costs_a_timeout_and_one_that_dies_nothing(void **state)
{
    (void)state;
    int ready[2];
    char byte = 0;
    _Atomic int64_t now = 1000;
    char with[192];
    (void)snprintf(with, sizeof with, "file://%s?prefix=t:&timeout=0.05", directory);
    cache_t *cache = test_open_with_clock(with, &now);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "ended", "x", 1));
    now += 1000;
    assert_int_equal(pipe(ready), 0);
    const pid_t pid = start(lock_every_leaf, ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_status(CACHE_ERR_TIMEOUT, cache_set_string(cache, "k", "new", 60));
    assert_non_null(strstr(cache_last_error(), directory));
    assert_status(CACHE_ERR_TIMEOUT, cache_inc(cache, "n", 1, NULL));
    assert_text(cache, "k", "old");    /* readers take no lock */
    assert_text(cache, "ended", NULL);    /* nor wait for one to take an expired entry away */
    assert_int_equal(test_counters(cache).timeouts, 2);
    assert_int_equal(test_counters(cache).items, 2);
    stop(pid);
    assert_text(cache, "ended", NULL);
    assert_int_equal(test_counters(cache).items, 1);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "new", 60));
    assert_text(cache, "k", "new");
    close(ready[0]);
    close(ready[1]);
    cache_close(cache);
}

static void a_hung_writer_holds_up_its_own_leaves_and_no_others(void **state)
{
    (void)state;
    char path[96], key[16];
    unsigned refused = 0, written = 0;
    cache_t *cache = open_with("timeout=0.01&max_items=50");
    (void)snprintf(path, sizeof path, "%s/.libcache", directory);
    const int fd = open(path, O_RDWR);
    struct flock half = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1 << 20, .l_len = 128 };
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &half), 0);
    for (int i = 0; i < 250; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        /* One in two expires, so that sweeps find work. */
        const cache_status status = cache_set_string(cache, key, "x", i % 2 == 0 ? 0.001 : 60);
        refused += status == CACHE_ERR_TIMEOUT;
        written += status == CACHE_OK;
    }
    assert_int_equal(refused + written, 250);
    assert_true(refused > 50 && written > 50);
    assert_int_equal(test_counters(cache).timeouts, refused);    /* neither eviction nor sweep waited */
    assert_true(test_counters(cache).items <= 50);
    close(fd);
    cache_close(cache);
}

/* ---- cancelled threads ------------------------------------------------------------------------------------------- */

static atomic_int written;

static void *write_until_cancelled(void *arg)
{
    for (int i = 0;; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i % 20);
        (void)cache_set_string(arg, key, "x", 60);
        (void)cache_inc(arg, "n", 1, NULL);
        atomic_fetch_add(&written, 1);
        pthread_testcancel();
    }
    return NULL;
}

static void a_cancelled_writer_leaves_no_leaf_locked_and_no_file_open(void **state)
{
    (void)state;
    cache_t *cache = open_with("timeout=0.2"), *other = open_with("timeout=0.2");
    for (int round = 0; round < 40; round++) {
        pthread_t thread;
        atomic_store(&written, 0);
        pthread_create(&thread, NULL, write_until_cancelled, cache);
        while (atomic_load(&written) < 2 + round % 5)
            test_pause_ms(0);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        for (int i = 0; i < 20; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%d", i);
            assert_status(CACHE_OK, cache_set_string(i % 2 == 0 ? cache : other, key, "y", 60));
        }
        assert_status(CACHE_OK, cache_inc(other, "n", 1, NULL));
        assert_status(CACHE_OK, cache_inc(cache, "n", 1, NULL));
    }
    cache_close(cache);
    cache_close(other);
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static int idle_pipe[2];

/* Writes in all leaves until it is killed, and has a child that holds on to whatever it inherited. */
static void write_with_an_idle_child(int number)
{
    cache_t *cache = NULL;
    char key[32];
    (void)number;
    if (cache_open(url, &cache) != CACHE_OK || cache_set_string(cache, "k", "x", 60) != CACHE_OK)
        _exit(1);
    const pid_t idle = fork();
    if (idle == 0)
        for (;;)
            pause();
    if (write(idle_pipe[1], &idle, sizeof idle) != sizeof idle)
        _exit(1);
    for (int i = 0;; i++) {
        (void)snprintf(key, sizeof key, "%d", i % 300);
        if (cache_set_string(cache, key, key, CACHE_TTL_FOREVER) != CACHE_OK)
            _exit(1);
    }
}

static void a_lock_ends_with_its_process_though_a_child_of_it_lives(void **state)
{
    (void)state;
    cache_t *cache = open_with("timeout=1");
    assert_int_equal(pipe(idle_pipe), 0);
    for (int round = 0; round < 10; round++) {
        pid_t idle = 0;
        const pid_t pid = start(write_with_an_idle_child, 0);
        assert_int_equal(read(idle_pipe[0], &idle, sizeof idle), sizeof idle);
        test_pause_ms(3 + round);
        stop(pid);
        for (int i = 0; i < 300; i++) {
            char key[32];
            (void)snprintf(key, sizeof key, "%d", i);
            assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
        }
        kill(idle, SIGKILL);
    }
    close(idle_pipe[0]);
    close(idle_pipe[1]);
    cache_close(cache);
}

static atomic_bool stop_writing;

static void *write_numbers(void *arg)
{
    while (!atomic_load(&stop_writing)) {
        traffic_enter();
        if (cache_inc(arg, "shared", 1, NULL) != CACHE_OK)
            _exit(1);
        traffic_leave();
    }
    return NULL;
}

static void a_child_forked_while_threads_write_shares_no_lock_with_its_parent(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    cache_t *cache = test_open(url);
    atomic_store(&stop_writing, false);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, write_numbers, cache);
    for (int round = 0; round < 10; round++) {
        const pid_t pid = traffic_fork();
        if (pid == 0) {
            alarm(60);
            for (int i = 0; i < 50; i++)    /* the parent's threads count at the same key meanwhile */
                if (cache_inc(cache, "shared", 1, NULL) != CACHE_OK
                    || cache_inc(cache, "children", 1, NULL) != CACHE_OK)
                    _exit(1);
            _exit(0);
        }
        expect_good_end(pid);
    }
    atomic_store(&stop_writing, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_text(cache, "children", "500");
    cache_value value;
    assert_status(CACHE_OK, cache_get(cache, "shared", &value));
    assert_int_equal(strtoull(value.data, NULL, 10), test_counters(cache).incs + 500);    /* not one was lost */
    cache_value_release(&value);
    cache_close(cache);
}

/* ---- what others do to the directory ----------------------------------------------------------------------------- */

static void files_removed_by_hand_are_counted_off(void **state)
{
    (void)state;
    cache_t *cache = open_with("max_items=100");
    char key[16], everything[160];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
    }
    for (int i = 0; i < 16; i++) {
        (void)snprintf(everything, sizeof everything, "%s/%x", directory, (unsigned)i);
        test_directory_remove(everything);
    }
    assert_int_equal(files_look(directory).entries, 0);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "n%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
    }
    assert_in_range(files_look(directory).entries, 90, 100);    /* what was not there made way for nothing */
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(test_counters(cache).items, 0);
    cache_close(cache);
}

static void a_meta_file_that_was_cut_off_does_not_end_the_process(void **state)
{
    (void)state;
    char meta_file[96];
    cache_t *cache = open_with("max_items=10");
    (void)snprintf(meta_file, sizeof meta_file, "%s/.libcache", directory);
    for (int i = 0; i < 60; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        if (i == 30)
            assert_int_equal(truncate(meta_file, 70), 0);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
        assert_text(cache, key, "x");
    }
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(files_look(directory).entries, 0);
    assert_int_equal(test_counters(cache).items, 0);
    cache_close(cache);
}

static void opened_by_many_at_once_it_is_one_cache(int number)
{
    cache_t *cache = NULL;
    char key[16];
    (void)snprintf(key, sizeof key, "%d", number);
    if (cache_open(url, &cache) != CACHE_OK || cache_set_string(cache, key, key, 60) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        _exit(1);
    }
    cache_close(cache);
}

static void processes_that_make_the_cache_at_once_make_one(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        pid_t pids[8];
        for (int i = 0; i < 8; i++)
            pids[i] = start(opened_by_many_at_once_it_is_one_cache, i);
        for (int i = 0; i < 8; i++)
            expect_good_end(pids[i]);
        cache_t *cache = test_open(url);
        for (int i = 0; i < 8; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "%d", i);
            assert_text(cache, key, key);
        }
        cache_close(cache);
        test_directory_remove(directory);
    }
}

#define files_test(name) cmocka_unit_test_setup_teardown(name, make, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        files_test(threads_of_several_processes_count_to_an_exact_sum),
        files_test(two_handles_of_one_process_exclude_each_other),
        files_test(max_items_holds_among_processes),
        files_test(max_bytes_holds_among_processes),
        files_test(a_reader_sees_the_old_or_the_new_value_while_writers_are_killed),
        files_test(a_lock_holder_that_hangs_costs_a_timeout_and_one_that_dies_nothing),
        files_test(a_hung_writer_holds_up_its_own_leaves_and_no_others),
        files_test(a_cancelled_writer_leaves_no_leaf_locked_and_no_file_open),
        files_test(a_lock_ends_with_its_process_though_a_child_of_it_lives),
        files_test(a_child_forked_while_threads_write_shares_no_lock_with_its_parent),
        files_test(files_removed_by_hand_are_counted_off),
        files_test(a_meta_file_that_was_cut_off_does_not_end_the_process),
        files_test(processes_that_make_the_cache_at_once_make_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
