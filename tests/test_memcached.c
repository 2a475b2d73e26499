/* test_memcached.c - what only the Memcached store has: hosts that go away, connections across a fork, evicted generations. */
#include "test.h"

#include "server.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct test_server servers[3];

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static cache_t *open_hosts(int n, const char *options)
{
    char url[256];
    int size = snprintf(url, sizeof url, "memcached://127.0.0.1:%d", servers[0].port);
    for (int i = 1; i < n; i++)
        size += snprintf(url + size, sizeof url - (size_t)size, ",127.0.0.1:%d", servers[i].port);
    (void)snprintf(url + size, sizeof url - (size_t)size, "?%s", options);
    return test_open(url);
}

static int start(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        test_server_start_memcached(&servers[i], NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        test_server_stop(&servers[i]);
    return 0;
}

static void settings_that_cannot_be_honoured_are_refused(void **state)
{
    (void)state;
    cache_t *cache = NULL;
    assert_status(CACHE_ERR_CONFIG, cache_open("memcached://user:secret@127.0.0.1", &cache));
    assert_non_null(strstr(cache_last_error(), "SASL"));
    assert_null(strstr(cache_last_error(), "secret"));
    assert_status(CACHE_ERR_CONFIG, cache_open("memcached://127.0.0.1/path", &cache));
}

static void a_stopped_server_costs_a_timeout_and_then_nothing(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(1, "prefix=stop:&timeout=0.2&retry_after=0.5");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
    /* Until each of its threads stands still: one that runs on for a moment would still answer. */
    int stopped = 0;
    assert_int_equal(kill(servers[0].pid, SIGSTOP), 0);
    assert_int_equal(waitpid(servers[0].pid, &stopped, WUNTRACED), servers[0].pid);
    assert_true(WIFSTOPPED(stopped));
    cache_value value;
    for (int i = 0; i < 2; i++) {
        const double begun = seconds();
        assert_true(cache_get(cache, "k", &value) < 0);
        assert_true(seconds() - begun < 0.6);
    }
    const double begun = seconds();
    for (int i = 0; i < 100; i++)
        assert_true(cache_get(cache, "k", &value) < 0);
    assert_true(seconds() - begun < 0.1);
    kill(servers[0].pid, SIGCONT);
    while (cache_get(cache, "k", &value) != CACHE_OK && seconds() - begun < 5)
        nanosleep(&(const struct timespec){ 0, 20 * 1000 * 1000 }, NULL);
    cache_value_release(&value);
    assert_text(cache, "k", "value");
    cache_close(cache);
}

static void one_host_of_three_goes_and_comes_back(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(3, "prefix=three:&timeout=0.2&retry_after=0.1");
    char key[16];
    for (int i = 0; i < 60; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
    }
    test_server_kill(&servers[1]);
    int lost = 0;
    for (int i = 0; i < 60; i++) {
        cache_value value;
        (void)snprintf(key, sizeof key, "k%d", i);
        lost += cache_get(cache, key, &value) != CACHE_OK;
        cache_value_release(&value);
    }
    assert_in_range(lost, 1, 45);
    test_server_start_memcached(&servers[1], NULL);
    const double begun = seconds();
    int stored = 0;
    while (stored < 60 && seconds() - begun < 5) {
        stored = 0;
        for (int i = 0; i < 60; i++) {
            (void)snprintf(key, sizeof key, "k%d", i);
            stored += cache_set_string(cache, key, key, 60) == CACHE_OK;
        }
    }
    assert_int_equal(stored, 60);
    cache_close(cache);
}

static void parent_and_child_use_the_handle_after_a_fork(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(1, "prefix=fork:&pool=4");
    assert_status(CACHE_OK, cache_set_string(cache, "parent", "parent", 60));
    for (int round = 0; round < 5; round++) {
        const pid_t child = fork();
        const char *own = child == 0 ? "child" : "parent";
        bool good = true;
        for (int i = 0; i < 300; i++) {
            char copy[16] = "";
            size_t size = 0;
            good = cache_set_string(cache, own, own, 60) == CACHE_OK
                && cache_get_copy(cache, own, copy, sizeof copy, &size) == CACHE_OK && strcmp(copy, own) == 0 && good;
        }
        if (child == 0) {
            cache_close(cache);
            _exit(good ? 0 : 1);
        }
        int status = 1;
        assert_true(waitpid(child, &status, 0) == child && status == 0);
        assert_true(good);
    }
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.reconnects, 0);    /* no child ended a connection of its parent */
    cache_close(cache);
}

static void a_lost_generation_brings_nothing_back(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    char url[96];
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?prefix=gen:", servers[0].port);
    cache_t *cache = test_open_with_clock(url, &now), *raw = open_hosts(1, "prefix=gen&generation=off");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    assert_status(CACHE_OK, cache_delete(raw, ":generation"));
    now += 1000;
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "new", 60));
    assert_text(cache, "k", "new");
    cache_close(raw);
    cache_close(cache);
}

static void an_item_that_is_too_large_names_the_limit(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(1, "");
    char *big = calloc(1, 2 << 20);
    assert_status(CACHE_ERR_TOO_LARGE, cache_set(cache, "big", big, 2 << 20, 60));
    assert_non_null(strstr(cache_last_error(), "1048576"));
    const cache_item items[] = { { "a", "1", 1 }, { "b", big, 2 << 20 }, { "c", "3", 1 } };
    assert_status(CACHE_ERR_TOO_LARGE, cache_set_many(cache, items, 3, 60));
    assert_text(cache, "a", "1");
    assert_text(cache, "c", "3");
    free(big);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_cannot_be_honoured_are_refused),
        cmocka_unit_test(a_stopped_server_costs_a_timeout_and_then_nothing),
        cmocka_unit_test(one_host_of_three_goes_and_comes_back),
        cmocka_unit_test(parent_and_child_use_the_handle_after_a_fork),
        cmocka_unit_test(a_lost_generation_brings_nothing_back),
        cmocka_unit_test(an_item_that_is_too_large_names_the_limit),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
