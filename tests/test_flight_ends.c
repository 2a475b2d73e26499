/* test_flight_ends.c - checks what happens if the thread of a computation goes away: by a fork, an exception,
 * pthread_exit or cancellation, or before it began. */
#include "gate.h"

#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static void a_child_does_not_wait_for_its_parents_computations(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    start_inside(&leader, cache, &gate);
    const pid_t child = fork();
    if (child == 0) {
        char text[16];
        const bool right = fetch_text(cache, NULL, text) == CACHE_OK && strcmp(text, "quick") == 0;
        _exit(right ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    cache_close(cache);
}

/* ---- a leader that does not return ------------------------------------------------------------------------------ */

enum way { EXIT, LONGJMP, CANCEL, WAYS };

/* AddressSanitizer does not see a cancelled thread's frames go, and takes the cleanup's for theirs; ThreadSanitizer
 * takes it to be in the call that was cancelled still, and does not see its locks. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
static const bool can_cancel = false;
#else
static const bool can_cancel = true;
#endif

struct leaver {
    pthread_t thread;
    cache_t *cache;
    enum way way;
    bool lock, many;
    struct gate gate;
    jmp_buf back;
};

static cache_status leave(void *ctx, cache_writer *out)
{
    struct leaver *leaver = ctx;
    (void)cache_writer_puts(out, "half of it");
    atomic_fetch_add(&leaver->gate.inside, 1);
    while (!atomic_load(&leaver->gate.open))
        nap();    /* a cancellation point */
    if (leaver->way == EXIT)
        pthread_exit(NULL);
    longjmp(leaver->back, 1);
}

static cache_status leave_many(void *ctx, cache_missing missing[], size_t n)
{
    (void)n;
    return leave(ctx, missing[0].out);
}

static void *lead_and_leave(void *arg)
{
    static const char *const tags[] = { "t" }, *const keys[] = { "k", "other" };
    struct leaver *leaver = arg;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value values[2];
    options.tags = tags;
    options.n_tags = 1;
    options.lock = leaver->lock;
    if (setjmp(leaver->back) != 0)
        return NULL;
    if (leaver->many)
        (void)cache_fetch_many(leaver->cache, keys, 2, &options, leave_many, leaver, values);
    else
        (void)cache_fetch(leaver->cache, "k", &options, leave, leaver, values);
    return NULL;
}

static void start_leaver(struct leaver *leaver, cache_t *cache, enum way way)
{
    leaver->cache = cache;
    leaver->way = way;
    assert_int_equal(pthread_create(&leaver->thread, NULL, lead_and_leave, leaver), 0);
    while (atomic_load(&leaver->gate.inside) == 0)
        nap();
}

static void let_go(struct leaver *leaver)
{
    if (leaver->way == CANCEL)
        pthread_cancel(leaver->thread);
    atomic_store(&leaver->gate.open, true);
    pthread_join(leaver->thread, NULL);
}

static cache_status fetch_soon(cache_t *cache, bool lock, char text[16])
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.wait = 0.05;
    options.lock = lock;
    return fetch_text(cache, &options, text);
}

static void a_leader_whose_thread_ended_holds_nobody_up(void **state)
{
    (void)state;
    for (enum way way = EXIT; way < (can_cancel ? WAYS : CANCEL); way++)
        for (int many = 0; many < 2; many++) {
            cache_t *cache = open_fake();
            struct leaver leaver = { .many = many };
            char text[16];
            start_leaver(&leaver, cache, way);
            let_go(&leaver);
            assert_status(CACHE_OK, fetch_soon(cache, false, text));
            assert_string_equal(text, "quick");
            assert_status(CACHE_OK, cache_invalidate_tag(cache, "t"));
            cache_close(cache);
        }
}

static void who_waited_for_a_leader_that_left_computes(void **state)
{
    (void)state;
    for (enum way way = EXIT; way < (can_cancel ? WAYS : CANCEL); way++) {
        cache_t *cache = open_fake();
        struct leaver leaver = { 0 };
        struct caller follower;
        start_leaver(&leaver, cache, way);
        const int gets = fake_store_calls(FAKE_GET);
        start(&follower, cache, "k", quick, NULL);
        while (fake_store_calls(FAKE_GET) == gets)
            nap();
        let_go(&leaver);
        finish(&follower, CACHE_OK, "quick");
        cache_close(cache);
    }
}

static void a_leader_that_left_gives_its_lease_back(void **state)
{
    (void)state;
    for (enum way way = EXIT; way < (can_cancel ? WAYS : CANCEL); way++) {
        if (way == LONGJMP)
            continue;    /* no cleanup is run: the lease ends by its time */
        cache_t *cache = open_fake(), *other = test_open_with_clock("fake://", &now_ms);
        struct leaver leaver = { .lock = true };
        char text[16];
        start_leaver(&leaver, cache, way);
        let_go(&leaver);
        assert_status(CACHE_OK, fetch_soon(other, true, text));
        assert_string_equal(text, "quick");
        cache_close(other);
        cache_close(cache);
    }
}

static void a_handle_may_be_closed_after_a_longjmp_out_of_it(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct leaver leaver = { .cache = cache, .way = LONGJMP, .gate.open = true };
    (void)lead_and_leave(&leaver);    /* on this thread, which does not end yet */
    cache_close(cache);
}

/* ---- cancellation ----------------------------------------------------------------------------------------------- */

static void a_cancelled_follower_leaves_no_lock_behind(void **state)
{
    (void)state;
    if (!can_cancel)
        return;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader, follower;
    char text[16];
    start_inside(&leader, cache, &gate);
    const int gets = fake_store_calls(FAKE_GET);
    start(&follower, cache, "k", quick, NULL);
    while (fake_store_calls(FAKE_GET) == gets)
        nap();
    pthread_cancel(follower.thread);
    pthread_join(follower.thread, NULL);
    cache_value value;
    assert_status(CACHE_OK, cache_fetch(cache, "another", NULL, quick, NULL, &value));
    cache_value_release(&value);
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    cache_close(cache);
}

/* A deleter that waits for a store is cancelled. */
struct deleter {
    pthread_t thread;
    cache_t *cache;
    atomic_bool begun;
    bool started;
};

static void *delete_key(void *arg)
{
    struct deleter *deleter = arg;
    atomic_store(&deleter->begun, true);
    (void)cache_delete(deleter->cache, "k");
    return NULL;
}

static void cancel_a_deleter_during_set(void *ctx, enum fake_op op, cache_bytes key)
{
    struct deleter *deleter = ctx;
    if (op != FAKE_SET || !fake_key_ends(key, ":k") || deleter->started)
        return;
    deleter->started = true;
    assert_int_equal(pthread_create(&deleter->thread, NULL, delete_key, deleter), 0);
    while (!atomic_load(&deleter->begun))
        nap();
    nap();
    pthread_cancel(deleter->thread);
    pthread_join(deleter->thread, NULL);
}

static void a_cancelled_delete_leaves_no_lock_behind(void **state)
{
    (void)state;
    if (!can_cancel)
        return;
    cache_t *cache = open_fake();
    struct deleter deleter = { .cache = cache };
    char text[16];
    fake_store_hook(cancel_a_deleter_during_set, &deleter);
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    fake_store_hook(NULL, NULL);
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    cache_close(cache);
}

/* ---- a computation that is queued ------------------------------------------------------------------------------- */

struct queue {
    void (*task)(void *arg);
    void *arg;
};

static bool enqueue(void *ctx, void (*task)(void *arg), void *arg)
{
    struct queue *queue = ctx;
    *queue = (struct queue){ task, arg };
    return true;
}

static cache_status count_run(void *ctx, cache_writer *out)
{
    static atomic_int runs;
    (void)ctx;
    return cache_writer_printf(out, "v%d", atomic_fetch_add(&runs, 1) + 1);
}

static cache_t *open_with_queue(struct queue *queue)
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    fake_store_reset();
    now_ms = 1000000;
    config.url = "fake://";
    config.clock = test_clock(&now_ms);
    config.spawn = enqueue;
    config.spawn_ctx = queue;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    return cache;
}

static void expect_run(cache_t *cache, const cache_fetch_options *options, const char *text)
{
    cache_value value;
    assert_status(CACHE_OK, cache_fetch(cache, "k", options, count_run, NULL, &value));
    assert_string_equal(value.data, text);
    cache_value_release(&value);
}

static void who_has_nothing_to_show_takes_over_what_no_thread_has_begun(void **state)
{
    (void)state;
    struct queue queue = { NULL, NULL };
    cache_t *cache = open_with_queue(&queue);
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = 10;
    options.stale = 10;
    options.wait = 0.05;
    expect_run(cache, &options, "v1");
    now_ms += 10000;
    expect_run(cache, &options, "v1");    /* stale, and its successor is queued */
    assert_non_null(queue.task);
    now_ms += 10000;
    expect_run(cache, &options, "v2");    /* in this thread */
    queue.task(queue.arg);                /* finds the work done */
    expect_run(cache, &options, "v2");
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_child_does_not_wait_for_its_parents_computations),
        cmocka_unit_test(a_leader_whose_thread_ended_holds_nobody_up),
        cmocka_unit_test(who_waited_for_a_leader_that_left_computes),
        cmocka_unit_test(a_leader_that_left_gives_its_lease_back),
        cmocka_unit_test(a_handle_may_be_closed_after_a_longjmp_out_of_it),
        cmocka_unit_test(a_cancelled_follower_leaves_no_lock_behind),
        cmocka_unit_test(a_cancelled_delete_leaves_no_lock_behind),
        cmocka_unit_test(who_has_nothing_to_show_takes_over_what_no_thread_has_begun),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
