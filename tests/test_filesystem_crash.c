/* test_filesystem_crash.c - kills a process that writes to the filesystem store, at a random moment, again and again,
 * while two processes read. `test_filesystem_crash 1000` kills 1000 times. MAP_ANONYMOUS needs _GNU_SOURCE. */
#define _GNU_SOURCE
#include "test.h"

#include "files.h"
#include "server.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 60, COUNTERS = 4, READERS = 2, MOST_BYTES = 60000 };

/* What all processes share beside the cache. */
struct shared {
    _Atomic uint64_t sent[COUNTERS], confirmed[COUNTERS], reads, hits, wrong;
    atomic_bool writing, stop;
    char what[200];                    /* is wrong: the last one */
};

static unsigned kills = 200;
static char directory[64], url[128];
static struct shared *shared;

static int make(void **state)
{
    (void)state;
    files_begin(directory, sizeof directory);
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:&timeout=5", directory);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    munmap(shared, sizeof *shared);
    files_end(directory);
    return 0;
}

static void report(const char *what, const char *key)
{
    (void)snprintf(shared->what, sizeof shared->what, "%s: %s (%s)", key, what, cache_last_error());
    atomic_fetch_add(&shared->wrong, 1);
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* ---- values that tell whose they are, and whether they are whole ------------------------------------------------- */

static char byte_at(unsigned number, size_t i)
{
    return (char)('a' + (number + i * 7) % 26);
}

static size_t make_value(char *out, const char *key, unsigned number)
{
    const size_t size = number % 5 == 0 ? 1 + number % MOST_BYTES : 1 + number % 300;
    const size_t head = (size_t)sprintf(out, "%s %u %zu ", key, number, size);
    for (size_t i = 0; i < size; i++)
        out[head + i] = byte_at(number, i);
    return head + size;
}

static bool is_right(const char *key, const char *data, size_t size)
{
    char own[16];
    unsigned number = 0;
    size_t length = 0;
    int head = 0;
    if (sscanf(data, "%15s %u %zu %n", own, &number, &length, &head) != 3 || strcmp(own, key) != 0
        || (size_t)head + length != size)
        return false;
    for (size_t i = 0; i < length; i++)
        if (data[(size_t)head + i] != byte_at(number, i))
            return false;
    return true;
}

/* ---- the writer that is killed ----------------------------------------------------------------------------------- */

static cache_status write_something(cache_t *cache, unsigned *state, char *buffer)
{
    const unsigned what = next_random(state) % 16, counter = next_random(state) % COUNTERS;
    char key[16];
    cache_status status = CACHE_OK;
    (void)snprintf(key, sizeof key, "k%u", next_random(state) % KEYS);
    if (what < 6) {
        (void)snprintf(key, sizeof key, "n%u", counter);
        atomic_fetch_add(&shared->sent[counter], 1);
        status = cache_inc(cache, key, 1, NULL);
        if (status == CACHE_OK)
            atomic_fetch_add(&shared->confirmed[counter], 1);
    } else if (what == 6)
        status = cache_delete(cache, key);
    else if (what == 7)
        status = cache_touch(cache, key, 60);
    else if (what == 8)
        status = cache_add(cache, key, buffer, make_value(buffer, key, next_random(state)), 60);
    else
        status = cache_set(cache, key, buffer, make_value(buffer, key, next_random(state)), what == 9 ? 0.001 : 60);
    return status;
}

static void write_until_killed(unsigned state)
{
    char *buffer = malloc(MOST_BYTES + 100);
    cache_t *cache = NULL;
    alarm(300);
    if (buffer == NULL || cache_open(url, &cache) != CACHE_OK) {
        report("the writer cannot open", url);
        _exit(1);
    }
    atomic_store(&shared->writing, true);
    for (;;)
        if (write_something(cache, &state, buffer) < 0) {
            report("a write failed", "writer");
            _exit(1);
        }
}

static void kill_a_writer(unsigned round, unsigned *state)
{
    int status = 0;
    atomic_store(&shared->writing, false);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_until_killed(round * 7919 + 1);
    while (!atomic_load(&shared->writing) && atomic_load(&shared->wrong) == 0)
        nanosleep(&(struct timespec){ 0, 50000 }, NULL);
    nanosleep(&(struct timespec){ 0, (long)(next_random(state) % 4000) * 1000 }, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || atomic_load(&shared->wrong) != 0)
        fail_msg("round %u: %s", round, shared->what);
}

/* ---- the readers ------------------------------------------------------------------------------------------------- */

static void read_counter(cache_t *cache, unsigned counter)
{
    char key[16], text[32];
    size_t size = 0;
    (void)snprintf(key, sizeof key, "n%u", counter);
    const uint64_t least = atomic_load(&shared->confirmed[counter]);
    const cache_status status = cache_get_copy(cache, key, text, sizeof text - 1, &size);
    const uint64_t most = atomic_load(&shared->sent[counter]);
    text[status == CACHE_OK ? size : 0] = '\0';
    const uint64_t number = strtoull(text, NULL, 10);
    if (status < 0 || number < least || number > most)
        report("a counter is not between what was confirmed and what was sent", key);
}

static void read_value(cache_t *cache, unsigned number)
{
    char key[16];
    cache_value value;
    (void)snprintf(key, sizeof key, "k%u", number);
    const cache_status status = cache_get(cache, key, &value);
    if (status < 0 || (status == CACHE_OK && !is_right(key, value.data, value.size)))
        report("a torn value, or another key's", key);
    atomic_fetch_add(&shared->hits, status == CACHE_OK);
    cache_value_release(&value);
}

static void read_until_stopped(unsigned state)
{
    cache_t *cache = NULL;
    alarm(300);
    if (cache_open(url, &cache) != CACHE_OK)
        report("a reader cannot open", url);
    while (cache != NULL && !atomic_load(&shared->stop)) {
        read_value(cache, next_random(&state) % KEYS);
        read_counter(cache, next_random(&state) % COUNTERS);
        atomic_fetch_add(&shared->reads, 2);
    }
    cache_close(cache);
    _exit(0);
}

/* ---- afterwards -------------------------------------------------------------------------------------------------- */

static void assert_nothing_is_left(void)
{
    cache_t *cache = test_open(url);
    for (unsigned i = 0; i < COUNTERS; i++)
        read_counter(cache, i);
    for (int i = 0; i < 5000; i++)    /* so that every leaf has had a writer */
        test_set_numbered(cache, "last", i, 60);
    const struct files files = files_look(directory);
    assert_int_equal(files.temp_files, 0);
    assert_int_equal(files.others, 0);
    assert_int_equal(test_counters(cache).items, files.entries);
    assert_int_equal(test_counters(cache).bytes, files.bytes);
    assert_int_equal(test_counters(cache).timeouts, 0);
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(files_look(directory).entries, 0);
    assert_int_equal(test_counters(cache).items, 0);
    cache_close(cache);
}

static void a_killed_writer_leaves_no_torn_value_no_lock_and_no_wrong_count(void **state)
{
    (void)state;
    pid_t readers[READERS];
    unsigned random = 42;
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = fork();
        assert_true(readers[i] >= 0);
        if (readers[i] == 0)
            read_until_stopped(i + 1);
    }
    for (unsigned round = 0; round < kills; round++)
        kill_a_writer(round, &random);
    atomic_store(&shared->stop, true);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(waitpid(readers[i], NULL, 0), readers[i]);
    assert_nothing_is_left();
    uint64_t incs = 0;
    for (unsigned i = 0; i < COUNTERS; i++)
        incs += atomic_load(&shared->confirmed[i]);
    print_message("%u kills, %llu incs confirmed, %llu reads, %llu of values\n", kills, (unsigned long long)incs,
                  (unsigned long long)atomic_load(&shared->reads), (unsigned long long)atomic_load(&shared->hits));
    if (atomic_load(&shared->wrong) != 0)
        fail_msg("%llu wrong; the last: %s", (unsigned long long)atomic_load(&shared->wrong), shared->what);
    assert_true(incs > kills && atomic_load(&shared->hits) > kills);    /* else this test tests nothing */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_writer_leaves_no_torn_value_no_lock_and_no_wrong_count, make, unmake),
    };
    if (argc > 1)
        kills = (unsigned)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
