/* test_flight_stress.c - runs fetches against changes of their keys, from several threads at once, with values that
 * name their order.
 *
 * The truth of a key is a number that only grows. A writer makes it grow and then changes the key by one of the ways to
 * do so; when that call has returned, the number is confirmed. A reader notes the confirmed number, fetches, and must
 * not get a smaller one. */
#include "files.h"
#include "test.h"

#include <pthread.h>
#include <time.h>

enum { KEYS = 4, READERS = 4, WRITERS = 2 };

struct truth {
    pthread_mutex_t lock;              /* one writer at a time: the order of the numbers is that of the changes */
    atomic_long current, confirmed;
};

static struct truth truths[KEYS];
static cache_t *cache;
static atomic_bool stop;
static atomic_long wrong, n_reads, n_computed;

struct reader {
    long key;
    bool many;
};

static cache_status compute(void *ctx, cache_writer *out)
{
    const long key = *(const long *)ctx;
    atomic_fetch_add(&n_computed, 1);
    return cache_writer_printf(out, "%ld", atomic_load(&truths[key].current));
}

static cache_status compute_many(void *ctx, cache_missing missing[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)compute(ctx, missing[i].out);
    return CACHE_OK;
}

static void check(const cache_value *value, long least)
{
    if (value->data == NULL || strtol(value->data, NULL, 10) < least)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&n_reads, 1);
}

static void *read_keys(void *arg)
{
    unsigned turn = (unsigned)(uintptr_t)arg;
    char key[16], tag[16];
    const char *const tags[] = { tag }, *const keys[] = { key };
    while (!atomic_load(&stop)) {
        long i = turn++ % KEYS;
        cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
        cache_value value;
        (void)snprintf(key, sizeof key, "k%ld", i);
        (void)snprintf(tag, sizeof tag, "t%ld", i);
        if (i % 2 == 0) {              /* two of the keys are changed by their tag, too */
            options.tags = tags;
            options.n_tags = 1;
        }
        options.force = turn % 64 == 0;
        const long least = atomic_load(&truths[i].confirmed);
        const cache_status status = turn % 3 == 0
            ? cache_fetch_many(cache, keys, 1, &options, compute_many, &i, &value)
            : cache_fetch(cache, key, &options, compute, &i, &value);
        if (status != CACHE_OK)
            atomic_fetch_add(&wrong, 1);
        check(&value, least);
        cache_value_release(&value);
        if (cache_get(cache, key, &value) == CACHE_OK)
            check(&value, least);
        cache_value_release(&value);
    }
    return NULL;
}

static void change(long i, long number, unsigned how)
{
    char key[16], tag[16], text[24];
    const char *const keys[] = { key };
    (void)snprintf(key, sizeof key, "k%ld", i);
    (void)snprintf(tag, sizeof tag, "t%ld", i);
    (void)snprintf(text, sizeof text, "%ld", number);
    switch (how) {
    case 0: (void)cache_delete(cache, key); break;
    case 1: (void)cache_set_string(cache, key, text, 60); break;
    case 2: (void)cache_delete_many(cache, keys, 1, NULL); break;
    case 3: (void)cache_clear(cache); break;
    default: (void)(i % 2 == 0 ? cache_invalidate_tag(cache, tag) : cache_delete(cache, key)); break;
    }
}

static void *write_keys(void *arg)
{
    unsigned turn = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&stop)) {
        const long i = turn % KEYS;
        struct truth *truth = &truths[i];
        pthread_mutex_lock(&truth->lock);
        const long number = atomic_fetch_add(&truth->current, 1) + 1;
        /* A value of cache_set has no tag: it is not there when a tag is what changes the key. */
        const unsigned how = turn++ / KEYS % 5;
        change(i, number, how == 1 && i % 2 == 0 ? 0 : how);
        atomic_store(&truth->confirmed, number);
        pthread_mutex_unlock(&truth->lock);
    }
    return NULL;
}

static void run_for(double seconds)
{
    pthread_t threads[READERS + WRITERS];
    struct timespec time = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    atomic_store(&stop, false);
    atomic_store(&wrong, 0);
    atomic_store(&n_reads, 0);
    for (size_t i = 0; i < KEYS; i++)
        (void)pthread_mutex_init(&truths[i].lock, NULL);
    for (size_t i = 0; i < READERS + WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < READERS ? read_keys : write_keys,
                                        (void *)(uintptr_t)i), 0);
    nanosleep(&time, NULL);
    atomic_store(&stop, true);
    for (size_t i = 0; i < READERS + WRITERS; i++)
        pthread_join(threads[i], NULL);
    print_message("%ld reads, %ld computations\n", atomic_load(&n_reads), atomic_load(&n_computed));
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(atomic_load(&n_reads) > 0);
}

static void no_read_that_begins_after_a_change_sees_what_was_before_it_in_memory(void **state)
{
    (void)state;
    cache = test_open("memory://");
    run_for(1);
    cache_close(cache);
}

static void no_read_that_begins_after_a_change_sees_what_was_before_it_in_files(void **state)
{
    (void)state;
    char directory[FILES_PATH], url[FILES_PATH + 16];
    files_begin(directory, sizeof directory);
    (void)snprintf(url, sizeof url, "file://%s", directory);
    cache = test_open(url);
    run_for(2);
    cache_close(cache);
    files_end(directory);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(no_read_that_begins_after_a_change_sees_what_was_before_it_in_memory),
        cmocka_unit_test(no_read_that_begins_after_a_change_sees_what_was_before_it_in_files),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
