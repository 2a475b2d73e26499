/* test_memory_life.c - checks the memory store when the process around it changes: threads begin and end, the process
 * forks among readers, the kernel refuses membarrier(2), and memory is given back. */
#define _GNU_SOURCE                    /* syscall, RTLD_NEXT */
#include "test.h"

#include "backends/memory/epoch.h"
#include "hooks.h"
#include "traffic.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void *read_once(void *arg)
{
    return cache_has(arg, "k0") == CACHE_OK ? arg : NULL;
}

static void read_in_threads(cache_t *cache, int n)
{
    for (int i = 0; i < n; i++) {
        pthread_t thread;
        void *read = NULL;
        assert_int_equal(pthread_create(&thread, NULL, read_once, cache), 0);
        assert_int_equal(pthread_join(thread, &read), 0);
        assert_ptr_equal(read, cache);
    }
}

/* Bytes that malloc has given out. 0: this malloc does not tell. */
static size_t bytes_in_use(void)
{
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

static atomic_long blocks;             /* given out and not taken back */

static void *count_alloc(void *ctx, size_t size)
{
    (void)ctx;
    atomic_fetch_add(&blocks, 1);
    return malloc(size);
}

static void *count_resize(void *ctx, void *block, size_t size)
{
    (void)ctx;
    atomic_fetch_add(&blocks, block == NULL);
    return realloc(block, size);
}

static void count_free(void *ctx, void *block)
{
    (void)ctx;
    atomic_fetch_sub(&blocks, block != NULL);
    free(block);
}

static pthread_barrier_t inside, outside;

/* In the middle of a read, as if it had lost its processor there. */
static void *read_and_stop(void *unused)
{
    struct reader *reader = epoch_enter();
    pthread_barrier_wait(&inside);
    pthread_barrier_wait(&outside);
    epoch_leave(reader);
    return unused;
}

static void replace_for(cache_t *cache, int64_t ms)
{
    static char value[10000];
    const uint64_t end = cache_now_ns() + (uint64_t)ms * 1000000;
    do
        assert_status(CACHE_OK, cache_set(cache, "k", value, sizeof value, 60));
    while (cache_now_ns() < end);
}

static void writers_do_not_fill_the_memory_while_a_reader_has_no_processor(void **state)
{
    const cache_allocator allocator = { count_alloc, count_resize, count_free, NULL };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    pthread_t thread;
    (void)state;
    config.url = "memory://";
    config.allocator = &allocator;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    pthread_barrier_init(&inside, NULL, 2);
    pthread_barrier_init(&outside, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, read_and_stop, NULL), 0);
    pthread_barrier_wait(&inside);
    replace_for(cache, 500);
    assert_true(blocks < 1000);
    pthread_barrier_wait(&outside);
    pthread_join(thread, NULL);
    for (int i = 0; i < 200; i++)
        replace_for(cache, 0);
    assert_true(blocks < 100);
    cache_close(cache);
    pthread_barrier_destroy(&inside);
    pthread_barrier_destroy(&outside);
}

static void threads_that_come_and_go_leave_nothing_behind(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    test_set_numbered(cache, "k", 0, 60);
    read_in_threads(cache, 100);
    const size_t before = bytes_in_use();
    read_in_threads(cache, 3000);
    assert_true(bytes_in_use() <= before + 10000);
    cache_close(cache);
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

enum { VIEWS = 30 };

struct handed {
    cache_t *cache;
    cache_value views[VIEWS];
};

static void *take_views(void *arg)
{
    struct handed *handed = arg;
    for (int i = 0; i < VIEWS; i++)
        if (cache_get(handed->cache, "k0", &handed->views[i]) != CACHE_OK)
            return NULL;
    return arg;
}

/* More views than a thread has pins, of a thread that is gone; their item is replaced, and the store closed. */
static void views_outlive_the_thread_that_took_them_their_item_and_their_store(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct handed handed = { .cache = test_open("memory://") };
        pthread_t thread;
        void *taken = NULL;
        test_set_numbered(handed.cache, "k", 0, 60);
        assert_int_equal(pthread_create(&thread, NULL, take_views, &handed), 0);
        assert_int_equal(pthread_join(thread, &taken), 0);
        assert_ptr_equal(taken, &handed);
        if (round > 0)                 /* hundreds, so that what was replaced is freed, were it not for the views */
            for (int i = 0; i < 2000; i++)
                assert_status(CACHE_OK, cache_set_string(handed.cache, "k0", "another", 60));
        for (int i = 0; i < VIEWS / 2; i++) {
            assert_string_equal(handed.views[i].data, "k0");
            cache_value_release(&handed.views[i]);
        }
        if (round == 2)
            read_in_threads(handed.cache, 10);
        cache_close(handed.cache);
        for (int i = VIEWS / 2; i < VIEWS; i++) {
            assert_string_equal(handed.views[i].data, "k0");
            cache_value_release(&handed.views[i]);
        }
    }
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static atomic_bool stop;

static void *read_until_told(void *arg)
{
    char buffer[64];
    while (!atomic_load(&stop)) {
        traffic_enter();
        for (int i = 0; i < 100; i++) {
            cache_value view;
            (void)cache_get_copy(arg, "k1", buffer, sizeof buffer, NULL);
            (void)cache_get(arg, "k2", &view);
            cache_value_release(&view);
        }
        traffic_leave();
    }
    return NULL;
}

/* A child in which the parent's readers were waited for would keep, or wait for, all that it replaces. */
static bool replaces_a_lot(cache_t *cache)
{
    alarm(60);
    for (int i = 0; i < 20000; i++)
        if (cache_set_string(cache, "k1", "another", 60) != CACHE_OK)
            return false;
    return true;
}

static void a_child_frees_what_it_replaces_though_its_parent_had_readers_inside(void **state)
{
    pthread_t threads[3];
    (void)state;
    cache_t *cache = test_open("memory://");
    for (int i = 0; i < 10; i++)
        test_set_numbered(cache, "k", i, 60);
    atomic_store(&stop, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_told, cache), 0);
    for (int i = 0; i < 10; i++) {
        const pid_t child = traffic_fork();
        if (child == 0) {
            const size_t before = bytes_in_use();
            _exit(replaces_a_lot(cache) && bytes_in_use() <= before + 200000 ? 0 : 1);
        }
        int ended = 0;
        assert_int_equal(waitpid(child, &ended, 0), child);
        assert_int_equal(ended, 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cache_close(cache);
}

/* ---- membarrier ----------------------------------------------------------------------------------------------------- */

#ifdef SYS_membarrier
static atomic_int barriers;            /* asked of the kernel */

/* In the place of libc's. */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long arg[6];
    va_list args;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(args, long);
    va_end(args);
    atomic_fetch_add(&barriers, number == SYS_membarrier);
    return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
#endif

/* It interrupts every thread of the process. */
static void many_small_writes_share_one_membarrier(void **state)
{
    (void)state;
#ifdef SYS_membarrier
    cache_t *cache = test_open("memory://");
    barriers = 0;
    for (int i = 0; i < 20000; i++) {
        assert_status(CACHE_OK, cache_set(cache, "k", "0123456789", (size_t)(i % 10), 60));
        assert_status(CACHE_OK, cache_delete(cache, "k"));
    }
    assert_true(barriers <= 20000 / 100);
    cache_close(cache);
#else
    skip();
#endif
}

/* ---- without membarrier ------------------------------------------------------------------------------------------ */

#if defined(SYS_membarrier) && defined(SECCOMP_RET_ERRNO)
static bool refuse_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
           syscall(SYS_membarrier, 0, 0, 0) < 0;
}
#endif

static void *replace_values(void *arg)
{
    char value[64];
    for (int i = 0; i < 20000; i++) {
        memset(value, 'a' + i % 26, sizeof value - 1);
        value[sizeof value - 1] = '\0';
        if (cache_set(arg, "k", value, sizeof value, 60) != CACHE_OK)
            return NULL;
    }
    return arg;
}

static bool reads_are_whole_while_values_are_replaced(void)
{
    cache_t *cache = test_open("memory://");
    pthread_t writer;
    void *done = NULL;
    bool right = true;
    if (pthread_create(&writer, NULL, replace_values, cache) != 0)
        return false;
    for (int i = 0; i < 20000; i++) {
        char value[64] = "";
        size_t size = 0;
        if (cache_get_copy(cache, "k", value, sizeof value, &size) == CACHE_OK)
            right = right && size == sizeof value && strspn(value, (char[]){ value[0], '\0' }) == sizeof value - 1;
    }
    (void)pthread_join(writer, &done);
    cache_close(cache);
    return right && done == cache;
}

/* In a program of its own, so that the store finds out about the kernel anew. */
static void a_kernel_that_refuses_membarrier_costs_time_alone(void **state)
{
    (void)state;
#if defined(SYS_membarrier) && defined(SECCOMP_RET_ERRNO)
    const pid_t child = fork();
    if (child == 0) {
        if (!refuse_membarrier())
            _exit(77);
        execl("/proc/self/exe", "test_memory_life", "without-membarrier", (char *)NULL);
        _exit(78);
    }
    int ended = 0;
    assert_int_equal(waitpid(child, &ended, 0), child);
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 77)
        skip();
    assert_int_equal(ended, 0);
#else
    skip();
#endif
}

int main(int argc, char **argv)
{
#ifdef SYS_membarrier
    (void)syscall(SYS_getpid);         /* finds libc's function here, since a child of threads must not call dlsym */
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_come_and_go_leave_nothing_behind),
        cmocka_unit_test(writers_do_not_fill_the_memory_while_a_reader_has_no_processor),
        cmocka_unit_test(views_outlive_the_thread_that_took_them_their_item_and_their_store),
        cmocka_unit_test(a_child_frees_what_it_replaces_though_its_parent_had_readers_inside),
        cmocka_unit_test(many_small_writes_share_one_membarrier),
        cmocka_unit_test(a_kernel_that_refuses_membarrier_costs_time_alone),
    };
    if (argc > 1 && strcmp(argv[1], "without-membarrier") == 0)
        return reads_are_whole_while_values_are_replaced() ? 0 : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
