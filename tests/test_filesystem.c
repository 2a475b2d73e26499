/* test_filesystem.c - checks what the filesystem store accepts of a file and what it never touches; modes, times and
 * limits. mkdtemp and symlink need _GNU_SOURCE. */
#define _GNU_SOURCE
#include "test.h"

#include "cache_directory.h"
#include "server.h"

#include <sys/stat.h>
#include <unistd.h>


static cache_t *open_here(const char *options)
{
    char url[256];
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:&%s", directory, options);
    return test_open(url);
}

static cache_status open_fails(const char *path, const char *options)
{
    char url[256];
    cache_t *cache = NULL;
    (void)snprintf(url, sizeof url, "file://%s%s", path, options);
    const cache_status status = cache_open(url, &cache);
    assert_null(cache);
    return status;
}

static const char *inside(const char *name)
{
    static char path[FILES_PATH];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* ---- what is believed -------------------------------------------------------------------------------------------- */

static void assert_nothing_there(cache_t *cache, const char *path)
{
    assert_text(cache, "k", NULL);
    assert_false(files_exist(path));
}

/* The file of "k" with `size` of its bytes, one of them changed if `flip` is inside. */
static void damage_and_look(cache_t *cache, const char *path, const char *bytes, size_t size, size_t flip)
{
    char *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    if (flip < size)
        copy[flip] = (char)(copy[flip] ^ 0x10);
    files_write(path, copy, size);
    assert_nothing_there(cache, path);
    files_write(path, copy, size);
    assert_status(CACHE_MISS, cache_has(cache, "k"));
    assert_false(files_exist(path));
    files_write(path, copy, size);
    assert_status(CACHE_MISS, cache_touch(cache, "k", 60));
    assert_status(CACHE_OK, cache_add(cache, "k", "new", 3, 60));
    assert_text(cache, "k", "new");
    files_write(path, copy, size);
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    free(copy);
}

static void damage_every(size_t value_size, size_t step)
{
    cache_t *cache = open_here("");
    char *value = malloc(value_size);
    memset(value, 'v', value_size);
    assert_status(CACHE_OK, cache_set(cache, "k", value, value_size, 60));
    const struct files files = files_look(directory);
    assert_int_equal(files.entries, 1);
    size_t size = 0;
    char *bytes = files_read(files.path, &size);
    for (size_t i = 0; i < size; i += step) {
        damage_and_look(cache, files.path, bytes, i, SIZE_MAX);
        damage_and_look(cache, files.path, bytes, size, i);
    }
    files_write(files.path, bytes, size);    /* undamaged it is still an answer */
    assert_status(CACHE_OK, cache_has(cache, "k"));
    free(bytes);
    free(value);
    cache_close(cache);
}

static void a_file_cut_off_or_changed_at_any_byte_is_a_miss_and_leaves_the_disk(void **state)
{
    (void)state;
    damage_every(60, 1);
}

static void so_is_a_large_one(void **state)
{
    (void)state;
    damage_every(30000, 911);
}

static void a_file_of_zeros_is_a_miss(void **state)
{
    static const char zeros[4096];
    (void)state;
    cache_t *cache = open_here("");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
    const struct files files = files_look(directory);
    files_write(files.path, zeros, sizeof zeros);
    assert_nothing_there(cache, files.path);
    int64_t number = 0;
    files_write(files.path, zeros, sizeof zeros);
    assert_status(CACHE_OK, cache_inc(cache, "k", 5, &number));
    assert_int_equal(number, 5);
    cache_close(cache);
}

static void another_keys_file_is_never_an_answer(void **state)
{
    (void)state;
    cache_t *cache = open_here("");
    assert_status(CACHE_OK, cache_set_string(cache, "theirs", "their value", 60));
    size_t size = 0;
    char *theirs = files_read(files_look(directory).path, &size);
    assert_status(CACHE_OK, cache_delete(cache, "theirs"));
    assert_status(CACHE_OK, cache_set_string(cache, "mine", "my value", 60));
    const struct files files = files_look(directory);
    files_write(files.path, theirs, size);
    assert_text(cache, "mine", NULL);
    assert_status(CACHE_MISS, cache_delete(cache, "mine"));
    assert_status(CACHE_MISS, cache_touch(cache, "mine", 60));
    assert_true(files_exist(files.path));    /* it is sound, and not ours to remove */
    assert_status(CACHE_OK, cache_add(cache, "mine", "again", 5, 60));
    assert_text(cache, "mine", "again");
    free(theirs);
    cache_close(cache);
}

/* ---- what is never touched --------------------------------------------------------------------------------------- */

static void assert_holds(const char *path, const char *text)
{
    size_t size = 0;
    char *bytes = files_read(path, &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
    free(bytes);
}

static void a_directory_of_somebody_elses_is_refused_and_left_alone(void **state)
{
    (void)state;
    files_write(inside("thesis.txt"), "years", 5);
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, ""));
    assert_non_null(strstr(cache_last_error(), directory));
    assert_false(files_exist(inside(".libcache")));
    files_write(inside(".libcache"), "", 0);    /* a meta file that says nothing */
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, ""));
    files_write(inside(".libcache"), "something else of that name, long enough to be a meta_file, but it is none", 70);
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, ""));
    assert_holds(inside("thesis.txt"), "years");
}

static void a_directory_of_another_version_is_refused(void **state)
{
    (void)state;
    cache_close(open_here(""));
    size_t size = 0;
    char *meta_file = files_read(inside(".libcache"), &size);
    meta_file[16]++;
    files_write(inside(".libcache"), meta_file, size);
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, ""));
    assert_non_null(strstr(cache_last_error(), "another version"));
    free(meta_file);
}

static void other_files_in_the_cache_stay_through_clear_eviction_and_expiry(void **state)
{
    (void)state;
    cache_t *cache = open_here("max_items=5");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    char beside[FILES_PATH];
    (void)snprintf(beside, sizeof beside, "%s", files_look(directory).path);
    (void)snprintf(strrchr(beside, '/'), 16, "/notes.txt");
    files_write(beside, "mine", 4);
    files_write(inside("readme"), "mine", 4);
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
    }
    assert_status(CACHE_OK, cache_clear(cache));
    assert_int_equal(files_look(directory).entries, 0);
    assert_holds(beside, "mine");
    assert_holds(inside("readme"), "mine");
    cache_close(cache);
}

static void a_planted_link_is_neither_followed_nor_removed_through(void **state)
{
    (void)state;
    char elsewhere[64], target[96], entry[FILES_PATH], draft[FILES_PATH];
    test_directory_make(elsewhere, sizeof elsewhere);
    (void)snprintf(target, sizeof target, "%s/target", elsewhere);
    cache_t *cache = open_here("");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
    (void)snprintf(entry, sizeof entry, "%s", files_look(directory).path);
    assert_int_equal(rename(entry, target), 0);    /* even to a sound entry */
    assert_int_equal(symlink(target, entry), 0);
    assert_text(cache, "k", NULL);
    assert_status(CACHE_MISS, cache_has(cache, "k"));
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_clear(cache));
    assert_true(files_exist(entry));
    files_write(target, "theirs", 6);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "new", 60));    /* takes the link's place */
    assert_text(cache, "k", "new");
    (void)snprintf(draft, sizeof draft, "%s", entry);
    (void)snprintf(strrchr(draft, '/'), 16, "/.tmp");
    assert_int_equal(symlink(target, draft), 0);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "newer", 60));
    assert_text(cache, "k", "newer");
    assert_holds(target, "theirs");
    cache_close(cache);
    test_directory_remove(elsewhere);
}

static void a_planted_link_in_place_of_a_directory_is_not_followed(void **state)
{
    (void)state;
    char elsewhere[64], moved[96], leaf[FILES_PATH];
    test_directory_make(elsewhere, sizeof elsewhere);
    (void)snprintf(moved, sizeof moved, "%s/moved", elsewhere);
    cache_t *cache = open_here("");
    for (int up = 1; up <= 2; up++) {    /* the leaf's directory, then the one above it */
        assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
        (void)snprintf(leaf, sizeof leaf, "%s", files_look(directory).path);
        for (int i = 0; i < up; i++)
            *strrchr(leaf, '/') = '\0';
        assert_int_equal(rename(leaf, moved), 0);
        assert_int_equal(symlink(moved, leaf), 0);
        assert_true(cache_has(cache, "k") != CACHE_OK);
        assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "new", 60));
        assert_status(CACHE_ERR_IO, cache_clear(cache));
        assert_int_equal(files_look(elsewhere).entries + files_look(elsewhere).others, 1);
        assert_int_equal(unlink(leaf), 0);
        test_directory_remove(moved);
    }
    cache_close(cache);
    assert_int_equal(rename(inside(".libcache"), moved), 0);
    assert_int_equal(symlink(moved, inside(".libcache")), 0);
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, ""));
    test_directory_remove(elsewhere);
}

/* ---- modes ------------------------------------------------------------------------------------------------------- */

static void assert_modes(mode_t file, mode_t above)
{
    struct stat info;
    char path[FILES_PATH];
    (void)snprintf(path, sizeof path, "%s", files_look(directory).path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, file);
    assert_int_equal(stat(inside(".libcache"), &info), 0);
    assert_int_equal(info.st_mode & 07777, file);
    while (strlen(path) > strlen(directory)) {
        *strrchr(path, '/') = '\0';
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, above);
    }
}

static void check_modes(const char *options, mode_t mask, mode_t file, mode_t above)
{
    assert_int_equal(rmdir(directory), 0);    /* made anew, with the directories above it */
    const mode_t before = umask(mask);
    cache_t *cache = open_here(options);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    umask(before);
    assert_modes(file, above);
    cache_close(cache);
    test_directory_remove(directory);
    assert_int_equal(mkdir(directory, 0700), 0);
}

static void files_are_for_their_owner_alone_unless_mode_says_otherwise(void **state)
{
    (void)state;
    check_modes("", 0, 0600, 0700);
    check_modes("mode=0640", 077, 0640, 0750);
    check_modes("mode=0664", 022, 0664, 0775);
}

static void a_slash_at_the_end_of_the_path_changes_nothing(void **state)
{
    char url[96];
    (void)state;
    assert_int_equal(rmdir(directory), 0);
    (void)snprintf(url, sizeof url, "file://%s//?mode=0640", directory);
    const mode_t before = umask(077);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    umask(before);
    assert_modes(0640, 0750);
    cache_close(cache);
}

static void options_and_addresses_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, "?mode=0060"));
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, "?mode=0640x"));
    assert_status(CACHE_ERR_CONFIG, open_fails(directory, "?mode=0604&nosuch=1"));
    assert_status(CACHE_ERR_CONFIG, open_fails("", ""));
    assert_status(CACHE_ERR_CONFIG, open_fails("host/path", ""));
    assert_non_null(strstr(cache_last_error(), "three slashes"));
}

static void missing_directories_are_made(void **state)
{
    (void)state;
    char url[128];
    (void)snprintf(url, sizeof url, "file://%s/a/new/one", directory);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    assert_true(files_exist(inside("a/new/one/.libcache")));
    cache_close(cache);
}

/* ---- times and limits -------------------------------------------------------------------------------------------- */

static cache_t *open_with_clock(const char *options, _Atomic int64_t *now)
{
    char url[256];
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:&%s", directory, options);
    return test_open_with_clock(url, now);
}

static int count_numbered(cache_t *cache, const char *kind, int n)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s%d", kind, i);
        found += cache_has(cache, key) == CACHE_OK;
    }
    return found;
}

static void an_entry_ends_when_the_wall_clock_says_so(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000000;
    int64_t number = 0;
    cache_t *cache = open_with_clock("", &now);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 0.01));
    assert_status(CACHE_OK, cache_set_string(cache, "touched", "x", 1));
    assert_status(CACHE_OK, cache_touch(cache, "touched", 10));
    assert_status(CACHE_OK, cache_set_string(cache, "n", "7", 5));
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, &number));
    assert_status(CACHE_OK, cache_set_string(cache, "for ever", "x", CACHE_TTL_FOREVER));
    now += 9;
    assert_text(cache, "k", "x");
    now += 1;
    assert_text(cache, "k", NULL);
    now += 4989;
    assert_text(cache, "n", "8");    /* an inc kept its time */
    now += 1;
    assert_text(cache, "n", NULL);
    assert_text(cache, "touched", "x");
    now += 5000;
    assert_text(cache, "touched", NULL);
    now += INT64_C(1000) * 365 * 24 * 3600 * 1000;
    assert_text(cache, "for ever", "x");
    assert_int_equal(test_counters(cache).items, 1);    /* what was read after its end left the disk */
    assert_int_equal(files_look(directory).entries, 1);
    assert_int_equal(test_counters(cache).expirations, 3);
    cache_close(cache);
}

static void expired_files_leave_the_disk_as_others_are_written(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000000;
    cache_t *cache = open_with_clock("", &now);
    for (int i = 0; i < 300; i++)
        test_set_numbered(cache, "old", i, 10);
    for (int i = 0; i < 50; i++)
        test_set_numbered(cache, "lasting", i, 100000);
    now += 20000;
    for (int i = 0; i < 200; i++)
        test_set_numbered(cache, "new", i, 100000);
    assert_int_equal(files_look(directory).entries, 250);
    assert_int_equal(test_counters(cache).items, 250);
    assert_int_equal(test_counters(cache).expirations, 300);
    assert_int_equal(count_numbered(cache, "lasting", 50), 50);
    cache_close(cache);
}

static void max_items_holds_after_each_call_and_is_used(void **state)
{
    (void)state;
    cache_t *cache = open_here("max_items=100");
    for (int i = 0; i < 500; i++) {
        test_set_numbered(cache, "k", i, 60);
        assert_true(test_counters(cache).items <= 100);
    }
    const struct files files = files_look(directory);
    assert_true(files.entries >= 90 && files.entries <= 100);
    assert_int_equal(test_counters(cache).items, files.entries);
    assert_int_equal(test_counters(cache).bytes, files.bytes);
    assert_int_equal(test_counters(cache).evictions, 500 - files.entries);
    cache_close(cache);
}

static void what_was_just_written_can_be_read(void **state)
{
    (void)state;
    cache_t *cache = open_here("max_items=1");
    for (int i = 0; i < 50; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
        assert_text(cache, key, key);
        assert_int_equal(files_look(directory).entries, 1);
    }
    cache_close(cache);
}

static void max_bytes_counts_whole_files_and_refuses_what_cannot_fit(void **state)
{
    static char value[20000];
    (void)state;
    cache_t *cache = open_here("max_bytes=100000");
    for (int i = 0; i < 300; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set(cache, key, value, (size_t)(i * 37 % 3000), 60));
        assert_true(test_counters(cache).bytes <= 100000);
    }
    const struct files files = files_look(directory);
    assert_true(files.bytes <= 100000 && files.bytes >= 85000);
    assert_int_equal(test_counters(cache).bytes, files.bytes);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    char *large = calloc(1, 100000);
    assert_status(CACHE_ERR_TOO_LARGE, cache_set(cache, "k", large, 100000, 60));
    assert_non_null(strstr(cache_last_error(), "100000"));
    assert_text(cache, "k", NULL);    /* the caller knows that the old one is outdated */
    assert_int_equal(test_counters(cache).bytes, files_look(directory).bytes);
    free(large);
    cache_close(cache);
}

static void small_limits_hold_after_each_call(void **state)
{
    (void)state;
    for (unsigned limit = 1; limit <= 20; limit++) {
        char options[32];
        (void)snprintf(options, sizeof options, "max_items=%u", limit);
        cache_t *cache = open_here(options);
        for (int i = 0; i < 60; i++) {
            test_set_numbered(cache, "k", i, 60);
            assert_true(files_look(directory).entries <= limit && test_counters(cache).items <= limit);
        }
        assert_int_equal(files_look(directory).entries, limit);
        assert_status(CACHE_OK, cache_clear(cache));
        cache_close(cache);
    }
}

static void max_bytes_holds_after_each_call_with_few_large_values(void **state)
{
    enum { LIMIT = 1000000 };
    static char value[295000];
    (void)state;
    cache_t *cache = open_here("max_bytes=1000000");
    for (unsigned i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i % 40);
        assert_status(CACHE_OK, cache_set(cache, key, value, 45000 + i * 7919 % 250000, 60));
        assert_true(files_look(directory).bytes <= LIMIT && test_counters(cache).bytes <= LIMIT);
        assert_status(CACHE_OK, cache_has(cache, key));
    }
    cache_close(cache);
}

static void values_are_aligned_as_those_of_malloc(void **state)
{
    static char bytes[20000];
    (void)state;
    cache_t *cache = open_here("");
    for (size_t size = 1; size <= sizeof bytes; size += size < 64 ? 1 : 997) {
        cache_value value;
        assert_status(CACHE_OK, cache_set(cache, "k", bytes, size, 60));
        assert_status(CACHE_OK, cache_get(cache, "k", &value));
        assert_int_equal((uintptr_t)value.data % _Alignof(max_align_t), 0);
        cache_value_release(&value);
    }
    cache_close(cache);
}

static void expired_entries_go_before_live_ones(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000000;
    cache_t *cache = open_with_clock("max_items=100", &now);
    for (int i = 0; i < 60; i++)
        test_set_numbered(cache, "live", i, 100000);
    for (int i = 0; i < 40; i++)
        test_set_numbered(cache, "short", i, 1);
    now += 2000;
    for (int i = 0; i < 40; i++)
        test_set_numbered(cache, "new", i, 100000);
    assert_int_equal(count_numbered(cache, "live", 60), 60);
    assert_int_equal(count_numbered(cache, "new", 40), 40);
    assert_int_equal(test_counters(cache).evictions, 0);
    cache_close(cache);
}

static void what_is_read_often_outlives_what_is_not(void **state)
{
    (void)state;
    _Atomic int64_t now = INT64_C(4102444800000);    /* past ctime: else the kernel would set atime */
    cache_t *cache = open_with_clock("max_items=200&default_ttl=0", &now);
    for (int i = 0; i < 200; i++, now++)
        test_set_numbered(cache, i < 160 ? "cold" : "hot", i % 160, CACHE_TTL_FOREVER);
    for (int i = 0; i < 600; i++, now++) {
        for (int j = 0; j < 40; j++) {
            char key[16], buffer[32];
            (void)snprintf(key, sizeof key, "hot%d", j);
            (void)cache_get_copy(cache, key, buffer, sizeof buffer, NULL);
        }
        test_set_numbered(cache, "scan", i, CACHE_TTL_FOREVER);
    }
    assert_in_range(count_numbered(cache, "hot", 40), 36, 40);
    cache_close(cache);
}

static atomic_int evicted_events;
static char evicted_key[64];

static void note_eviction(void *ctx, const cache_event *event)
{
    (void)ctx;
    if (event->type == CACHE_EVENT_EVICT) {
        atomic_fetch_add(&evicted_events, 1);
        (void)snprintf(evicted_key, sizeof evicted_key, "%s", event->key);
    }
}

static void an_eviction_is_an_event_with_its_key(void **state)
{
    (void)state;
    char url[128];
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)snprintf(url, sizeof url, "file://%s?max_items=1", directory);
    config.url = url;
    config.event = note_eviction;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_status(CACHE_OK, cache_set_string(cache, "first", "x", 60));
    assert_status(CACHE_OK, cache_set_string(cache, "second", "x", 60));
    assert_int_equal(atomic_load(&evicted_events), 1);
    assert_string_equal(evicted_key, "first");
    cache_close(cache);
}

#define files_test(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        files_test(a_file_cut_off_or_changed_at_any_byte_is_a_miss_and_leaves_the_disk),
        files_test(so_is_a_large_one),
        files_test(a_file_of_zeros_is_a_miss),
        files_test(another_keys_file_is_never_an_answer),
        files_test(a_directory_of_somebody_elses_is_refused_and_left_alone),
        files_test(a_directory_of_another_version_is_refused),
        files_test(other_files_in_the_cache_stay_through_clear_eviction_and_expiry),
        files_test(a_planted_link_is_neither_followed_nor_removed_through),
        files_test(a_planted_link_in_place_of_a_directory_is_not_followed),
        files_test(files_are_for_their_owner_alone_unless_mode_says_otherwise),
        files_test(a_slash_at_the_end_of_the_path_changes_nothing),
        files_test(options_and_addresses_that_make_no_sense_are_refused),
        files_test(missing_directories_are_made),
        files_test(an_entry_ends_when_the_wall_clock_says_so),
        files_test(expired_files_leave_the_disk_as_others_are_written),
        files_test(max_items_holds_after_each_call_and_is_used),
        files_test(what_was_just_written_can_be_read),
        files_test(max_bytes_counts_whole_files_and_refuses_what_cannot_fit),
        files_test(small_limits_hold_after_each_call),
        files_test(max_bytes_holds_after_each_call_with_few_large_values),
        files_test(values_are_aligned_as_those_of_malloc),
        files_test(expired_entries_go_before_live_ones),
        files_test(what_is_read_often_outlives_what_is_not),
        files_test(an_eviction_is_an_event_with_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
