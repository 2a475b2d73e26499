/* test_filesystem_repair.c - checks that the filesystem store repairs itself: torn files are removed, a directory that
 * lost files works again, and no size in a file is trusted. */
#define _GNU_SOURCE                    /* syscall */
#include "test.h"

#include "backends/filesystem/store.h"
#include "cache_directory.h"
#include "server.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { N = 200 };

static char url[128], meta_file[96];
static _Atomic int64_t now;

static int make(void **state)
{
    (void)make_directory(state);
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:", directory);
    (void)snprintf(meta_file, sizeof meta_file, "%s/.libcache", directory);
    atomic_store(&now, 1000000);
    return 0;
}

/* ---- torn files -------------------------------------------------------------------------------------------------- */

static void cut_in_half(const char *path)
{
    size_t size = 0;
    free(files_read(path, &size));
    assert_int_equal(truncate(path, (off_t)size / 2), 0);
}

static void fill_with_zeros(const char *path)
{
    static const char zeros[300];
    files_write(path, zeros, sizeof zeros);
}

static void set_all(cache_t *cache, const char *kind, double ttl)
{
    for (int i = 0; i < N; i++)
        test_set_numbered(cache, kind, i, ttl);
}

static void assert_only_new_ones(cache_t *cache)
{
    const struct files files = files_look(directory);
    assert_int_equal(files.entries, N);
    assert_int_equal(test_counters(cache).items, N);
    assert_int_equal(test_counters(cache).bytes, files.bytes);
}

static void torn_files_leave_the_disk_when_they_would_have_expired(void **state)
{
    (void)state;
    cache_t *cache = test_open_with_clock(url, &now);
    for (int kind = 0; kind < 2; kind++) {
        set_all(cache, "torn", 10);
        files_each(directory, kind == 0 ? cut_in_half : fill_with_zeros);
        now += 20000;
        set_all(cache, "new", 600);
        assert_only_new_ones(cache);
        assert_status(CACHE_OK, cache_clear(cache));
    }
    cache_close(cache);
}

static void torn_files_go_with_a_clear(void **state)
{
    (void)state;
    cache_t *cache = test_open_with_clock(url, &now);
    set_all(cache, "torn", 3600);
    files_each(directory, cut_in_half);
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(files_look(directory).entries, 0);
    assert_int_equal(test_counters(cache).items, 0);
    cache_close(cache);
}

static void torn_files_are_evicted(void **state)
{
    (void)state;
    char limited[192];
    (void)snprintf(limited, sizeof limited, "%s&max_items=%d", url, N);
    cache_t *cache = test_open_with_clock(limited, &now);
    set_all(cache, "torn", CACHE_TTL_FOREVER);
    files_each(directory, cut_in_half);
    now += 1;
    set_all(cache, "new", CACHE_TTL_FOREVER);
    assert_in_range(files_look(directory).entries, N - N / 8, N);
    assert_int_equal(test_counters(cache).items, files_look(directory).entries);
    cache_close(cache);
}

/* What each slot of the meta file says of the machine's run is changed, as if that had been another. */
static void start_the_machine_again(void)
{
    const uint64_t another = 12345;
    const int fd = open(meta_file, O_RDWR);
    assert_true(fd >= 0);
    for (size_t i = 0; i < FS_LEAVES; i++) {
        const size_t at = 64 + i * sizeof(struct fs_usage) + offsetof(struct fs_usage, boot);
        assert_int_equal(pwrite(fd, &another, sizeof another, (off_t)at), sizeof another);
    }
    close(fd);
}

static void torn_files_that_never_expire_are_found_after_a_restart_of_the_machine(void **state)
{
    (void)state;
    cache_t *cache = test_open_with_clock(url, &now);
    set_all(cache, "torn", CACHE_TTL_FOREVER);
    files_each(directory, cut_in_half);
    start_the_machine_again();
    set_all(cache, "new", CACHE_TTL_FOREVER);
    set_all(cache, "new", CACHE_TTL_FOREVER);
    assert_only_new_ones(cache);
    cache_close(cache);
}

/* ---- a directory that lost files --------------------------------------------------------------------------------- */

static void remove_file(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void a_directory_whose_files_were_all_removed_is_a_cache_again(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    set_all(cache, "k", 60);
    cache_close(cache);
    files_each(directory, remove_file);
    remove_file(meta_file);
    cache = test_open(url);
    assert_text(cache, "k1", NULL);
    set_all(cache, "new", 60);
    assert_only_new_ones(cache);
    cache_close(cache);
}

static void entries_that_lost_their_meta_file_make_way(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    set_all(cache, "orphan", CACHE_TTL_FOREVER);
    cache_close(cache);
    remove_file(meta_file);
    cache = test_open(url);
    assert_text(cache, "orphan1", NULL);    /* the names are of another seed */
    set_all(cache, "new", CACHE_TTL_FOREVER);
    set_all(cache, "new", CACHE_TTL_FOREVER);
    assert_only_new_ones(cache);
    cache_close(cache);
}

static void a_directory_that_only_looks_like_a_cache_is_refused_and_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = { "notes.txt", "0123456789abcdef0123456789abcd" };
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    cache_close(cache);
    char path[FILES_PATH];
    (void)snprintf(path, sizeof path, "%s", files_look(directory).path);
    remove_file(path);
    for (size_t i = 0; i < 2; i++) {
        remove_file(meta_file);
        (void)snprintf(strrchr(path, '/'), 40, "/%s", names[i]);
        files_write(path, "somebody's", 10);
        cache = NULL;
        assert_status(CACHE_ERR_CONFIG, cache_open(url, &cache));
        assert_null(cache);
        assert_true(files_exist(path) && !files_exist(meta_file));
        remove_file(path);
        cache_close(test_open(url));
    }
}

/* The process died, or the disk was full, while the meta file was written. */
static void an_unfinished_meta_file_is_written_again(void **state)
{
    (void)state;
    cache_close(test_open(url));
    for (off_t size = 0; size < 64; size += 7) {
        assert_int_equal(truncate(meta_file, size), 0);
        cache_t *cache = test_open(url);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
        assert_text(cache, "k", "x");
        assert_status(CACHE_OK, cache_delete(cache, "k"));
        cache_close(cache);
    }
}

/* ---- a directory that loses files meanwhile ---------------------------------------------------------------------- */

static int removals;                   /* so many of the next calls below find that all files have just been removed */

static void remove_all_if_due(void)
{
    if (removals > 0) {
        removals--;
        files_remove_below(directory);
    }
}

/* In place of the C library's. */
int renameat(int from_at, const char *from, int to_at, const char *to)
{
    remove_all_if_due();
    return (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    remove_all_if_due();
    return (int)syscall(SYS_mkdirat, at, path, mode);
}

static void a_write_succeeds_whose_directory_is_removed_in_the_middle_of_it(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    for (int n = 1; n <= 5; n++) {
        int64_t number = 0;
        removals = n;
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
        assert_text(cache, "k", "x");
        removals = n;
        assert_status(CACHE_OK, cache_add(cache, "added", "y", 1, 60));
        assert_text(cache, "added", "y");
        removals = n;
        assert_status(CACHE_OK, cache_inc(cache, "n", 1, &number));
        assert_int_equal(number, 1);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
        removals = n;
        assert_status(CACHE_MISS, cache_touch(cache, "k", 90));
    }
    removals = 0;
    cache_close(cache);
}

/* ---- forged sizes ------------------------------------------------------------------------------------------------ */

static size_t largest;

static void *alloc_and_note(void *ctx, size_t size)
{
    (void)ctx;
    largest = size > largest ? size : largest;
    return malloc(size);
}

static void *resize_and_note(void *ctx, void *block, size_t size)
{
    (void)ctx;
    largest = size > largest ? size : largest;
    return realloc(block, size);
}

static void free_block(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

/* With sound checksums: whoever can write files can compute them. */
static void forge_value_size(const char *path, uint64_t value_size)
{
    size_t size = 0;
    char *bytes = files_read(path, &size);
    struct fs_head head;
    memcpy(&head, bytes, sizeof head);
    head.value_size = value_size;
    head.head_hash = XXH3_64bits_withSeed(bytes + sizeof head, head.key_size,
                                          XXH3_64bits(&head, offsetof(struct fs_head, head_hash)));
    memcpy(bytes, &head, sizeof head);
    files_write(path, bytes, size);
    free(bytes);
}

static void a_forged_size_is_not_believed(void **state)
{
    static const uint64_t sizes[] = { 20000, UINT64_C(21) << 30, INT64_MAX / 2, INT64_MAX, UINT64_MAX };
    const cache_allocator allocator = { alloc_and_note, resize_and_note, free_block, NULL };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)state;
    config.url = url;
    config.allocator = &allocator;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
        forge_value_size(files_look(directory).path, sizes[i]);
        largest = 0;
        assert_text(cache, "k", NULL);
        assert_true(largest < 10000);
        assert_int_equal(files_look(directory).entries, 0);
    }
    cache_close(cache);
}

#define files_test(name) cmocka_unit_test_setup_teardown(name, make, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        files_test(torn_files_leave_the_disk_when_they_would_have_expired),
        files_test(torn_files_go_with_a_clear),
        files_test(torn_files_are_evicted),
        files_test(torn_files_that_never_expire_are_found_after_a_restart_of_the_machine),
        files_test(a_directory_whose_files_were_all_removed_is_a_cache_again),
        files_test(entries_that_lost_their_meta_file_make_way),
        files_test(a_directory_that_only_looks_like_a_cache_is_refused_and_left_alone),
        files_test(an_unfinished_meta_file_is_written_again),
        files_test(a_write_succeeds_whose_directory_is_removed_in_the_middle_of_it),
        files_test(a_forged_size_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
