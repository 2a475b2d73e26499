/* test_memory_stress.c - uses the memory store in all ways at once: eight threads get, set, add, count, touch, delete
 * and clear on stores that grow, shrink, evict and expire, while the process forks. Every value is checked by its
 * content.
 *
 *     test_memory_stress [SECONDS]        3 unless said, or the environment's TEST_STRESS_SECONDS */
#include "test.h"

#include "traffic.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, LARGEST = 20000 };

static const char *const urls[] = {
    "memory://",                       /* grows, and is cleared now and then */
    "memory://?max_items=7",
    "memory://?max_items=5000",
    "memory://?max_bytes=2mb",
};

enum { STORES = sizeof urls / sizeof urls[0] };

static const int keys_of[STORES] = { 60000, 30, 20000, 3000 };
static cache_t *stores[STORES];
static atomic_bool stop;
static atomic_int begun, wrong, reads, hits;
static double wanted_seconds = 3;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned next_random(unsigned *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

/* A value says which key it is of, how long it is, and has a pattern to its end. */
struct content {
    unsigned key, size, seed;
    unsigned char bytes[];
};

static unsigned char pattern(unsigned seed, unsigned i)
{
    return (unsigned char)(seed + i * 7);
}

static size_t make_value(struct content *content, unsigned key, unsigned *random)
{
    content->key = key;
    content->seed = next_random(random);
    content->size = next_random(random) % 16 == 0 ? next_random(random) % (LARGEST - 64) : next_random(random) % 200;
    for (unsigned i = 0; i < content->size; i++)
        content->bytes[i] = pattern(content->seed, i);
    return sizeof *content + content->size;
}

static bool is_right(const void *data, size_t size, unsigned key)
{
    const struct content *content = data;
    if (size < sizeof *content || content->key != key || sizeof *content + content->size != size)
        return false;
    for (unsigned i = 0; i < content->size; i++)
        if (content->bytes[i] != pattern(content->seed, i))
            return false;
    return true;
}

static void check(bool right)
{
    if (!right)
        atomic_fetch_add(&wrong, 1);
}

static void read_one(cache_t *cache, const char *name, unsigned key, void *buffer, bool by_view)
{
    atomic_fetch_add_explicit(&reads, 1, memory_order_relaxed);
    if (by_view) {
        cache_value view;
        if (cache_get(cache, name, &view) == CACHE_OK) {
            atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
            check(is_right(view.data, view.size, key));
        }
        cache_value_release(&view);
    } else {
        size_t size = 0;
        if (cache_get_copy(cache, name, buffer, LARGEST, &size) == CACHE_OK) {
            atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
            check(is_right(buffer, size, key));
        }
    }
}

static void step(unsigned *random, void *buffer)
{
    const unsigned which = next_random(random) % STORES, key = next_random(random) % (unsigned)keys_of[which];
    cache_t *cache = stores[which];
    char name[32];
    (void)snprintf(name, sizeof name, "key %u", key);
    switch (next_random(random) % 16) {
    case 0: case 1: case 2: case 3:
        check(cache_set(cache, name, buffer, make_value(buffer, key, random),
                        next_random(random) % 4 == 0 ? 0.002 : 60) == CACHE_OK);
        break;
    case 4: check(cache_add(cache, name, buffer, make_value(buffer, key, random), 60) >= 0); break;
    case 5: check(cache_delete(cache, name) >= 0); break;
    case 6: check(cache_touch(cache, name, next_random(random) % 2 == 0 ? 0.001 : 60) >= 0); break;
    case 7: check(cache_inc(cache, "a counter", 1, NULL) == CACHE_OK); break;
    case 8:
        if (next_random(random) % 4096 == 0)
            check(cache_clear(cache) == CACHE_OK);
        break;
    default: read_one(cache, name, key, buffer, next_random(random) % 2 == 0);
    }
}

static void *everything(void *arg)
{
    unsigned random = *(const unsigned *)arg;
    void *buffer = malloc(LARGEST);
    atomic_fetch_add(&begun, 1);
    while (buffer != NULL && !atomic_load_explicit(&stop, memory_order_relaxed)) {
        traffic_enter();
        for (int i = 0; i < 64; i++)
            step(&random, buffer);
        traffic_leave();
    }
    free(buffer);
    return NULL;
}

/* What a child does with its copy: read what is there, and change it. */
static bool child_is_right(void)
{
    static char buffer[LARGEST];
    unsigned random = (unsigned)getpid();
    alarm(60);                         /* a lock that somebody held would never be given back */
    for (int i = 0; i < 2000; i++)
        step(&random, buffer);
    for (int i = 0; i < STORES; i++)
        if (cache_clear(stores[i]) != CACHE_OK || test_counters(stores[i]).items != 0)
            return false;
    return atomic_load(&wrong) == 0;
}

static void fork_once_more(void)
{
    const pid_t child = traffic_fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(child_is_right() ? 0 : 1);
    int ended = 0;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_int_equal(ended, 0);
}

static void every_value_is_whole_and_of_its_key_while_everything_happens(void **state)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    (void)state;
    for (int i = 0; i < STORES; i++)
        stores[i] = test_open(urls[i]);
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, everything, &seeds[i]), 0);
    }
    while (atomic_load(&begun) < THREADS)    /* a sanitizer does not survive a fork while a thread begins */
        sched_yield();
    for (const double until = seconds_now() + wanted_seconds; seconds_now() < until;) {
        fork_once_more();
        const double pause = seconds_now() + 0.05;
        while (seconds_now() < pause)
            assert_true(test_counters(stores[1]).items <= 7 + THREADS);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(atomic_load(&hits) > 0);
    assert_true(test_counters(stores[1]).items <= 7);
    assert_true(test_counters(stores[2]).items <= 5000);
    assert_true(test_counters(stores[3]).bytes <= 2 << 20);
    for (int i = 0; i < STORES; i++)
        cache_close(stores[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_whole_and_of_its_key_while_everything_happens),
    };
    const char *wanted = argc > 1 ? argv[1] : getenv("TEST_STRESS_SECONDS");
    if (wanted != NULL)
        wanted_seconds = atof(wanted);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
