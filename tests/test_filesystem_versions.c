/* test_filesystem_versions.c - checks the versions of the filesystem store: by one load a process knows that nobody has
 * changed what it holds a copy of. MAP_ANONYMOUS needs _GNU_SOURCE. */
#define _GNU_SOURCE
#include "test.h"

#include "cache_internal.h"
#include "cache_directory.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char url[128];

static int make(void **state)
{
    (void)make_directory(state);
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:", directory);
    return 0;
}

static uint64_t version(const cache_t *cache, const char *key)
{
    char full[64];
    const int size = snprintf(full, sizeof full, "t:%s", key);
    return cache->store->ops.version(cache->store->self, (cache_bytes){ full, (size_t)size });
}

/* ---- one change at a time ---------------------------------------------------------------------------------------- */

static void set_first(cache_t *cache)
{
    assert_status(CACHE_OK, cache_set_string(cache, "k", "first", 60));
}

static void set_again(cache_t *cache)
{
    assert_status(CACHE_OK, cache_set_string(cache, "k", "again", 60));
}

static void touch(cache_t *cache)
{
    assert_status(CACHE_OK, cache_touch(cache, "k", 90));
}

static void delete(cache_t *cache)
{
    assert_status(CACHE_OK, cache_delete(cache, "k"));
}

static void inc(cache_t *cache)
{
    assert_status(CACHE_OK, cache_inc(cache, "k", 1, NULL));
}

static void clear(cache_t *cache)
{
    assert_status(CACHE_OK, cache_clear(cache));
}

static void every_change_by_anybody_changes_the_version_and_nothing_else_does(void **state)
{
    static void (*const changes[])(cache_t *) = { set_first, set_again, touch, delete, inc, inc, clear };
    (void)state;
    cache_t *cache = test_open(url), *other = test_open(url);
    uint64_t before = version(cache, "k");
    assert_true(before != 0);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        changes[i](other);
        const uint64_t after = version(cache, "k");
        assert_true(after != 0 && after != before);
        assert_int_equal(version(other, "k"), after);
        (void)cache_has(cache, "k");
        (void)cache_has(cache, "missing");
        (void)cache_delete(cache, "missing");
        assert_int_equal(version(cache, "k"), after);
        before = after;
    }
    cache_close(cache);
    cache_close(other);
}

static void a_change_elsewhere_leaves_most_versions_alone(void **state)
{
    (void)state;
    unsigned changed = 0;
    cache_t *cache = test_open(url);
    for (int i = 0; i < 200; i++) {
        char key[24];
        const uint64_t before = version(cache, "k");
        (void)snprintf(key, sizeof key, "other%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
        changed += version(cache, "k") != before;
    }
    assert_true(changed < 10);    /* one in 256 is in the same leaf */
    cache_close(cache);
}

/* ---- a copy, kept while another process writes and is killed ----------------------------------------------------- */

struct shared {
    _Atomic uint64_t sent, confirmed;
};

static struct shared *shared;

static void write_until_killed(void)
{
    cache_t *cache = NULL;
    alarm(100);
    if (cache_open(url, &cache) != CACHE_OK)
        _exit(1);
    for (;;) {
        char text[24];
        const uint64_t number = atomic_fetch_add(&shared->sent, 1) + 1;
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
        if (cache_set_string(cache, "k", text, 600) != CACHE_OK)
            _exit(1);
        atomic_store(&shared->confirmed, number);
        nanosleep(&(struct timespec){ 0, 100000 }, NULL);
    }
}

static uint64_t read_number(cache_t *cache)
{
    char text[24] = "";
    const cache_status status = cache_get_copy(cache, "k", text, sizeof text - 1, NULL);
    assert_true(status == CACHE_OK || status == CACHE_MISS);
    return strtoull(text, NULL, 10);
}

static void a_copy_is_never_served_once_a_change_has_been_confirmed(void **state)
{
    (void)state;
    uint64_t copy = 0, copied_at = 0, hits = 0, reads = 0;
    cache_t *cache = test_open(url);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    for (int round = 0; round < 40; round++) {
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            write_until_killed();
        const uint64_t until = atomic_load(&shared->confirmed) + 30;
        while (atomic_load(&shared->confirmed) < until) {
            const uint64_t least = atomic_load(&shared->confirmed), now = version(cache, "k");
            if (now == 0 || now != copied_at) {
                copied_at = version(cache, "k");
                copy = read_number(cache);
            } else
                hits++;
            reads++;
            if (copy < least || copy > atomic_load(&shared->sent))
                fail_msg("%llu was served, %llu was confirmed", (unsigned long long)copy, (unsigned long long)least);
        }
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    print_message("%llu of %llu reads from the copy\n", (unsigned long long)hits, (unsigned long long)reads);
    assert_true(hits > reads / 2);
    munmap(shared, sizeof *shared);
    cache_close(cache);
}

#define files_test(name) cmocka_unit_test_setup_teardown(name, make, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        files_test(every_change_by_anybody_changes_the_version_and_nothing_else_does),
        files_test(a_change_elsewhere_leaves_most_versions_alone),
        files_test(a_copy_is_never_served_once_a_change_has_been_confirmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
