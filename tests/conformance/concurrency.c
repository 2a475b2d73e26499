/* concurrency.c - many threads, several processes, a fork in the middle: nobody gets another's bytes. */
#include "conformance.h"

#include "traffic.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 300, FORKS = 5 };

static atomic_int wrong, winners;

/* Each value names its key, so that an answer to another's question shows. */
static void ask_and_check(cache_t *cache, const char *key)
{
    char text[64];
    cache_value value;
    (void)snprintf(text, sizeof text, "value of %s", key);
    if (cache_set_string(cache, key, text, 60) != CACHE_OK || cache_get(cache, key, &value) < 0) {
        atomic_fetch_add(&wrong, 1);
        return;
    }
    if (value.data != NULL && strcmp(value.data, text) != 0)
        atomic_fetch_add(&wrong, 1);
    cache_value_release(&value);
}

static void mix(cache_t *cache, int thread)
{
    char key[32];
    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(key, sizeof key, "shared %d", (i * 7 + thread) % 20);
        ask_and_check(cache, key);
        (void)snprintf(key, sizeof key, "own %d", thread);
        ask_and_check(cache, key);
        if (i % 10 == 0 && cache_delete(cache, key) < 0)
            atomic_fetch_add(&wrong, 1);
    }
}

static void threads_never_get_another_keys_value(void **state)
{
    atomic_store(&wrong, 0);
    in_threads(THREADS, mix, *state);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void add_one_key(cache_t *cache, int thread)
{
    char text[8];
    const int size = snprintf(text, sizeof text, "%d", thread);
    if (cache_add(cache, "prize", text, (size_t)size, 60) == CACHE_OK)
        atomic_fetch_add(&winners, 1);
}

static void one_thread_alone_wins_an_add(void **state)
{
    for (int i = 0; i < 20; i++) {
        atomic_store(&winners, 0);
        in_threads(THREADS, add_one_key, *state);
        assert_int_equal(atomic_load(&winners), 1);
        assert_status(CACHE_OK, cache_delete(*state, "prize"));
    }
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static atomic_bool stop;

struct traffic {
    pthread_t id;
    cache_t *cache;
    int number;
};

static void *keep_busy(void *arg)
{
    const struct traffic *traffic = arg;
    char key[32];
    for (int i = 0; !atomic_load(&stop); i++) {
        (void)snprintf(key, sizeof key, "busy %d %d", traffic->number, i % 50);
        traffic_enter();
        ask_and_check(traffic->cache, key);
        traffic_leave();
    }
    return NULL;
}

static bool child_can_use(cache_t *cache, int number)
{
    char key[32];
    atomic_store(&wrong, 0);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof key, "child %d %d", number, i);
        ask_and_check(cache, key);
    }
    int64_t count = 0;
    return atomic_load(&wrong) == 0 && cache_inc(cache, "children", 1, &count) == CACHE_OK && count > 0;
}

static void a_child_forked_in_the_middle_of_traffic_uses_the_handle_at_once(void **state)
{
    cache_t *cache = *state;
    if (!target.forks)
        return;
    struct traffic traffic[3];
    pid_t pids[FORKS];
    atomic_store(&stop, false);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 3; i++) {
        traffic[i] = (struct traffic){ .cache = cache, .number = i };
        assert_int_equal(pthread_create(&traffic[i].id, NULL, keep_busy, &traffic[i]), 0);
    }
    for (int i = 0; i < FORKS; i++) {
        pids[i] = traffic_fork();
        if (pids[i] == 0) {
            alarm(60);    /* a child that hangs must end, and be seen */
            _exit(child_can_use(cache, i) ? 0 : 1);
        }
        ask_and_check(cache, "parent");
    }
    int failed = 0;
    for (int i = 0; i < FORKS; i++) {
        int status = 1;
        failed += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(traffic[i].id, NULL);
    assert_int_equal(failed, 0);
    assert_int_equal(atomic_load(&wrong), 0);
    if (target.shared)
        assert_text(cache, "children", "5");
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

static atomic_int signals;

static void note_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

static void use_everything(cache_t *cache, int round)
{
    char large[20000], key[32];
    const cache_item items[] = { { "s1", "1", 1 }, { "s2", large, sizeof large } };
    const char *const keys[] = { "s1", "s2", "s3" };
    cache_value values[3];
    memset(large, 'x', sizeof large);
    (void)snprintf(key, sizeof key, "s%d", round % 10);
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
    for (int i = 0; i < 3; i++)
        cache_value_release(&values[i]);
    assert_true(cache_add(cache, key, "x", 1, 60) >= 0);
    assert_status(CACHE_OK, cache_touch(cache, key, 60));
    assert_status(CACHE_OK, cache_has(cache, key));
    assert_status(CACHE_OK, cache_inc(cache, "signals", 1, NULL));
    assert_status(CACHE_OK, cache_delete(cache, key));
}

/* A profiler's or a timer's, without SA_RESTART. */
static void signals_in_the_middle_of_calls_are_no_failure(void **state)
{
    const struct sigaction note = { .sa_handler = note_signal };
    const struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
    struct sigaction before;
    cache_t *cache = *state;
    atomic_store(&signals, 0);
    assert_int_equal(sigaction(SIGALRM, &note, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int i = 0; i < 50 || (atomic_load(&signals) < 200 && i < 100000); i++)
        use_everything(cache, i);
    cache_t *fresh = target.shared ? target_open("prefix=signals:") : NULL;    /* and while it connects */
    if (fresh != NULL) {
        use_everything(fresh, 0);
        assert_status(CACHE_OK, cache_clear(fresh));
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.errors, 0);
    cache_close(fresh);
}

/* ---- counters of what happened ----------------------------------------------------------------------------------- */

static void stats_count_what_was_done(void **state)
{
    (void)state;
    cache_t *cache = target_open("prefix=stats:");
    cache_counters counters;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    assert_text(cache, "k", "x");
    assert_text(cache, "k", "x");
    assert_text(cache, "missing", NULL);
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, NULL));
    assert_status(CACHE_OK, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.hits, 2);
    assert_int_equal(counters.misses, 1);
    assert_int_equal(counters.sets, 1);
    assert_int_equal(counters.incs, 1);
    assert_int_equal(counters.deletes, 1);
    assert_int_equal(counters.errors, 0);
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

int run_concurrency(void)
{
    const struct CMUnitTest tests[] = {
        conformance_test(threads_never_get_another_keys_value),
        conformance_test(one_thread_alone_wins_an_add),
        conformance_test(a_child_forked_in_the_middle_of_traffic_uses_the_handle_at_once),
        conformance_test(signals_in_the_middle_of_calls_are_no_failure),
        conformance_test(stats_count_what_was_done),
    };
    return cmocka_run_group_tests_name("concurrency", tests, NULL, NULL);
}
