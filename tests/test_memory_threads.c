/* test_memory_threads.c - checks the memory store with many threads on the same keys, and with a fork among them. */
#include "test.h"

#include "number.h"
#include "traffic.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, KEYS = 50, STEPS = 20000 };

static atomic_bool stop;
static atomic_int n_writing;

struct worker {
    pthread_t thread;
    cache_t *cache;
    unsigned random;
    int wrong;
};

static unsigned next_random(struct worker *worker)
{
    return worker->random = worker->random * 1664525u + 1013904223u;
}

static void run_threads(void *(*body)(void *), cache_t *cache, struct worker workers[THREADS])
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .cache = cache, .random = i + 1 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Each value begins with its key, so that a mixed-up one shows. */
static void *mix(void *arg)
{
    struct worker *worker = arg;
    const double until = seconds_now() + 2;
    for (int i = 0; i % 64 != 0 || seconds_now() < until; i++) {
        char key[16], text[64];
        cache_value value;
        const int size = snprintf(key, sizeof key, "k%u", next_random(worker) / 65536 % KEYS);
        switch (next_random(worker) / 65536 % 8) {
        case 0:
        case 1:
            (void)snprintf(text, sizeof text, "%s=%u", key, worker->random);
            worker->wrong += cache_set_string(worker->cache, key, text, worker->random % 3 == 0 ? 0.001 : 60) !=
                             CACHE_OK;
            break;
        case 2: worker->wrong += cache_delete(worker->cache, key) < 0; break;
        case 3: worker->wrong += cache_inc(worker->cache, "counter", 1, NULL) != CACHE_OK; break;
        case 4: worker->wrong += cache_touch(worker->cache, key, 60) < 0; break;
        case 5: worker->wrong += worker->random % 512 == 0 && cache_clear(worker->cache) != CACHE_OK; break;
        default:
            if (cache_get(worker->cache, key, &value) == CACHE_OK)
                worker->wrong += strncmp(value.data, key, (size_t)size) != 0;
            cache_value_release(&value);
        }
        cache_counters counters;
        if (i % 16 == 0)
            worker->wrong += cache_stats(worker->cache, &counters) != CACHE_OK || counters.items > 30 + THREADS;
    }
    return NULL;
}

static void threads_that_do_everything_to_the_same_keys_get_no_wrong_value(void **state)
{
    struct worker workers[THREADS];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=30");
    run_threads(mix, cache, workers);
    assert_true(test_counters(cache).items <= 30);
    cache_close(cache);
}

static void *count_and_read(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < STEPS; i++) {
        cache_value value;
        worker->wrong += cache_inc(worker->cache, "n", 1, NULL) != CACHE_OK;
        if (cache_get(worker->cache, "n", &value) == CACHE_OK) {
            int64_t number = 0;
            worker->wrong += !cache_number_parse(value.data, value.size, &number) || number < i + 1;
        } else
            worker->wrong++;
        cache_value_release(&value);
    }
    return NULL;
}

static void no_step_of_a_counter_is_lost_while_others_read_it(void **state)
{
    struct worker workers[THREADS];
    int64_t number = 0;
    (void)state;
    cache_t *cache = test_open("memory://?default_ttl=0");
    run_threads(count_and_read, cache, workers);
    assert_status(CACHE_OK, cache_inc(cache, "n", 0, &number));
    assert_int_equal(number, THREADS * STEPS);
    cache_close(cache);
}

static void *fill(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < STEPS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key %u", next_random(worker));
        worker->wrong += cache_set_string(worker->cache, key, key, 60) != CACHE_OK;
    }
    return NULL;
}

static void limits_hold_after_many_threads_filled_it(void **state)
{
    struct worker workers[THREADS];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=5000&max_bytes=1mb");
    run_threads(fill, cache, workers);
    assert_true(test_counters(cache).items <= 5000);
    assert_true(test_counters(cache).bytes <= 1 << 20);
    assert_true(test_counters(cache).items > 1000);
    cache_close(cache);
}

/* Values of one size go over each other in place: no reader may see the head of one and the tail of another. */
static void *write_and_read_whole(void *arg)
{
    struct worker *worker = arg;
    char value[2000];
    for (int i = 0; i < STEPS; i++) {
        if (worker->random % 2 == 0) {
            memset(value, 'a' + (int)(next_random(worker) / 65536 % 26), sizeof value);
            worker->wrong += cache_set(worker->cache, "k", value, sizeof value, 60) != CACHE_OK;
        } else {
            size_t size = 0;
            worker->wrong += cache_get_copy(worker->cache, "k", value, sizeof value, &size) != CACHE_OK ||
                             size != sizeof value;
            worker->wrong += memcmp(value, value + 1, sizeof value - 1) != 0;
            cache_value view;
            worker->wrong += cache_get(worker->cache, "k", &view) != CACHE_OK;
            worker->wrong += memcmp(view.data, (const char *)view.data + 1, view.size - 1) != 0;
            cache_value_release(&view);
        }
        next_random(worker);
    }
    return NULL;
}

static void a_reader_sees_one_value_whole_while_others_set_it(void **state)
{
    static char value[2000];
    struct worker workers[THREADS];
    (void)state;
    cache_t *cache = test_open("memory://");
    assert_status(CACHE_OK, cache_set(cache, "k", value, sizeof value, 60));
    run_threads(write_and_read_whole, cache, workers);
    cache_close(cache);
}

static void a_small_cache_is_full_to_the_limit_after_many_threads_filled_it(void **state)
{
    struct worker workers[THREADS];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=100");
    run_threads(fill, cache, workers);
    assert_in_range(test_counters(cache).items, 90, 100);
    cache_close(cache);
}

static void *write_until_told(void *arg)
{
    struct worker *worker = arg;
    atomic_fetch_add(&n_writing, 1);
    while (!atomic_load(&stop)) {
        traffic_enter();
        test_set_numbered(worker->cache, "k", (int)(next_random(worker) / 65536 % 1000), 60);
        (void)cache_inc(worker->cache, "n", 1, NULL);
        traffic_leave();
    }
    return NULL;
}

static void a_child_uses_its_copy_though_others_wrote_while_it_was_made(void **state)
{
    struct worker workers[2];
    (void)state;
    cache_t *cache = test_open("memory://?max_items=500");
    atomic_store(&stop, false);
    for (unsigned i = 0; i < 2; i++) {
        workers[i] = (struct worker){ .cache = cache, .random = i + 1 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, write_until_told, &workers[i]), 0);
    }
    while (atomic_load(&n_writing) < 2)    /* a sanitizer does not survive a fork while a thread begins */
        sched_yield();
    for (int i = 0; i < 20; i++) {
        const pid_t child = traffic_fork();
        if (child == 0) {
            int64_t number = 0;
            bool right = cache_set_string(cache, "child", "here", 60) == CACHE_OK &&
                         cache_has(cache, "child") == CACHE_OK;
            for (int k = 0; right && k < 1000; k++)
                right = cache_inc(cache, "mine", 1, &number) == CACHE_OK && number == k + 1;
            _exit(right && test_counters(cache).items <= 500 ? 0 : 1);
        }
        int ended = 0;
        assert_int_equal(waitpid(child, &ended, 0), child);
        assert_int_equal(ended, 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(workers[i].thread, NULL);
    assert_status(CACHE_MISS, cache_has(cache, "child"));
    cache_close(cache);
}

/* ---- clear ------------------------------------------------------------------------------------------------------- */

static _Thread_local bool is_slow;

/* In a slow thread the copy of a table takes longer, so that others wait for its lock. */
static void *slow_alloc(void *ctx, size_t size)
{
    (void)ctx;
    if (is_slow && size >= 1024)
        (void)nanosleep(&(const struct timespec){ 0, 100000 }, NULL);
    return malloc(size);
}

static void *plain_resize(void *ctx, void *block, size_t size)
{
    (void)ctx;
    return realloc(block, size);
}

static void plain_free(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

/* The table grows and shrinks all the time. */
static void *fill_and_empty(void *arg)
{
    cache_t *cache = arg;
    char key[16];
    is_slow = true;
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(key, sizeof key, "b%d", i);
            (void)cache_set_string(cache, key, "", CACHE_TTL_FOREVER);
        }
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(key, sizeof key, "b%d", i);
            (void)cache_delete(cache, key);
        }
    }
    return NULL;
}

static void clear_leaves_no_key_though_others_make_the_table_shrink(void **state)
{
    static const cache_allocator allocator = { slow_alloc, plain_resize, plain_free, NULL };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL, *part = NULL;
    pthread_t thread;
    (void)state;
    config.url = "memory://?max_bytes=1900kb";    /* one shard */
    config.allocator = &allocator;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_status(CACHE_OK, cache_with_prefix(cache, "part:", &part));
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, fill_and_empty, cache), 0);
    int left = 0;
    for (int round = 0; round < 300; round++) {
        char key[16];
        for (int i = 0; i < 500; i++) {
            (void)snprintf(key, sizeof key, "%d", i);
            assert_status(CACHE_OK, cache_set_string(part, key, "", CACHE_TTL_FOREVER));
        }
        assert_status(CACHE_OK, cache_clear(part));
        for (int i = 0; i < 500; i++) {
            (void)snprintf(key, sizeof key, "%d", i);
            left += cache_has(part, key) == CACHE_OK;
        }
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(left, 0);
    cache_close(part);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_do_everything_to_the_same_keys_get_no_wrong_value),
        cmocka_unit_test(no_step_of_a_counter_is_lost_while_others_read_it),
        cmocka_unit_test(limits_hold_after_many_threads_filled_it),
        cmocka_unit_test(a_small_cache_is_full_to_the_limit_after_many_threads_filled_it),
        cmocka_unit_test(a_reader_sees_one_value_whole_while_others_set_it),
        cmocka_unit_test(a_child_uses_its_copy_though_others_wrote_while_it_was_made),
        cmocka_unit_test(clear_leaves_no_key_though_others_make_the_table_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
