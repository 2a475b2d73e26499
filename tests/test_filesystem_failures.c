/* test_filesystem_failures.c - checks the filesystem store if something is missing: space, permission, file
 * descriptors, memory, openat2, or a disk that keeps what is written. Limits are set in a child process, so that they
 * affect nothing else. unshare needs _GNU_SOURCE. */
#define _GNU_SOURCE
#include "test.h"

#include "cache_directory.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char url[128];

static int make(void **state)
{
    (void)make_directory(state);
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:", directory);
    return 0;
}

/* Run `body` in a child: it exits 0, or prints what it found instead and exits 1. */
static void in_a_child(void (*body)(void))
{
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* In a child, where cmocka's asserts would jump into the parent's test. */
#define must(condition)                                                                                       \
    do {                                                                                                      \
        if (!(condition)) {                                                                                   \
            fprintf(stderr, "%s:%d: %s (%s, %s)\n", __FILE__, __LINE__, #condition, cache_last_error(),            \
                    strerror(errno));                                                                         \
            _exit(1);                                                                                         \
        }                                                                                                     \
    } while (0)

static bool holds(cache_t *cache, const char *key, const char *text)
{
    cache_value value;
    const bool good = cache_get(cache, key, &value) == CACHE_OK && strcmp(value.data, text) == 0;
    cache_value_release(&value);
    return good;
}

static bool says(const char *what)
{
    return strstr(cache_last_error(), what) != NULL && strstr(cache_last_error(), directory) != NULL;
}

static cache_t *open_in_child(void)
{
    cache_t *cache = NULL;
    must(cache_open(url, &cache) == CACHE_OK);
    return cache;
}

/* ---- space ------------------------------------------------------------------------------------------------------- */

static void write_past_the_largest_file(void)
{
    static char large[100000];
    cache_t *cache = open_in_child();
    must(cache_set_string(cache, "k", "old", 60) == CACHE_OK);
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = { 40000, 40000 };
    must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    must(cache_set(cache, "k", large, sizeof large, 60) == CACHE_ERR_IO && says("File too large"));
    must(cache_has(cache, "k") == CACHE_MISS);    /* the caller knows that the old one is outdated */
    must(files_look(directory).temp_files == 0);
    must(cache_set_string(cache, "k", "new", 60) == CACHE_OK && holds(cache, "k", "new"));
    cache_counters counters;
    must(cache_stats(cache, &counters) == CACHE_OK && counters.items == 1 && counters.errors == 1);
    cache_close(cache);
}

static void a_write_that_stops_half_way_leaves_nothing(void **state)
{
    (void)state;
    in_a_child(write_past_the_largest_file);
}

static bool put_line(const char *path, const char *line)
{
    const int fd = open(path, O_WRONLY);
    const bool good = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);
    if (fd >= 0)
        close(fd);
    return good;
}

/* Mounts of its own; for a user who may not mount, as the root of a user namespace of its own. */
static bool mount_apart(void)
{
    char user[32], group[32];
    (void)snprintf(user, sizeof user, "0 %ld 1", (long)geteuid());
    (void)snprintf(group, sizeof group, "0 %ld 1", (long)getegid());
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put_line("/proc/self/uid_map", user)
        && put_line("/proc/self/setgroups", "deny") && put_line("/proc/self/gid_map", group);
}

/* A disk of its own for the child. False: this machine lets nobody mount. */
static bool mount_small_disk(void)
{
    return mount_apart() && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
        && mount("tmpfs", directory, "tmpfs", 0, "size=512k,mode=700") == 0;
}

static char block[20000];
static _Atomic int64_t now;

static cache_t *open_on_disk(const char *more)
{
    char with[192];
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)snprintf(with, sizeof with, "%s%s", url, more);
    config.url = with;
    config.clock = test_clock(&now);
    atomic_store(&now, INT64_C(4102444800000));    /* past ctime: else the kernel would set atime */
    must(cache_open_config(&config, &cache) == CACHE_OK);
    return cache;
}

/* Set `kind` + 0 to `n` - 1, 20 kB each. */
static void set_blocks(cache_t *cache, const char *kind, int n, double ttl)
{
    for (int i = 0; i < n; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s%d", kind, i);
        must(cache_set(cache, key, block, sizeof block, ttl) == CACHE_OK && cache_has(cache, key) == CACHE_OK);
    }
}

static int count(cache_t *cache, const char *kind, int n)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s%d", kind, i);
        found += cache_has(cache, key) == CACHE_OK;
    }
    return found;
}

/* Somebody else's file, which takes all space that is left. */
static const char *others_file(void)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/others", directory);
    return path;
}

static void take_all_space(void)
{
    const int fd = open(others_file(), O_WRONLY | O_CREAT, 0600);
    must(fd >= 0);
    while (write(fd, block, 512) > 0)
        continue;
    must(errno == ENOSPC);
    close(fd);
}

static void write_more_than_fits(void)
{
    cache_t *cache = open_on_disk("");
    set_blocks(cache, "k", 100, 60);    /* 2 MB, on 512 kB */
    must(count(cache, "k", 100) >= 15);
    must(files_look(directory).temp_files == 0);
    cache_counters counters;
    must(cache_stats(cache, &counters) == CACHE_OK && counters.errors == 0 && counters.evictions >= 70);
    must(counters.items == files_look(directory).entries && counters.bytes == files_look(directory).bytes);
    must(cache_inc(cache, "n", 1, NULL) == CACHE_OK && cache_touch(cache, "k99", 90) == CACHE_OK);
    must(cache_clear(cache) == CACHE_OK && files_look(directory).entries == 0);
    cache_close(cache);
}

static void write_where_half_has_expired(void)
{
    cache_t *cache = open_on_disk("");
    set_blocks(cache, "live", 9, CACHE_TTL_FOREVER);
    set_blocks(cache, "ended", 9, 10);
    take_all_space();
    atomic_fetch_add(&now, 20000);
    set_blocks(cache, "new", 8, 60);
    must(count(cache, "live", 9) == 9 && count(cache, "new", 8) == 8);
    cache_close(cache);
}

static void write_where_nothing_can_give_way(void)
{
    cache_t *cache = open_on_disk("");
    must(cache_set_string(cache, "k", "old", 60) == CACHE_OK);
    take_all_space();
    must(cache_set(cache, "k", block, sizeof block, 60) == CACHE_ERR_IO && says("No space left"));
    must(cache_has(cache, "k") == CACHE_MISS);    /* what could not be replaced is not served */
    must(files_look(directory).temp_files == 0);
    must(unlink(others_file()) == 0);
    must(cache_set(cache, "k", block, sizeof block, 60) == CACHE_OK && cache_has(cache, "k") == CACHE_OK);
    cache_close(cache);
}

static void open_on_a_full_disk(void)
{
    cache_t *caches[2];
    cache_value value;
    take_all_space();
    (void)snprintf(directory + strlen(directory), 8, "/cache");    /* a new one beside the file */
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:", directory);
    caches[0] = open_on_disk("");
    caches[1] = open_on_disk("&on_error=miss");
    must(cache_set_string(caches[0], "k", "x", 60) == CACHE_ERR_IO && says("No space left"));
    must(cache_get(caches[0], "k", &value) == CACHE_ERR_IO && cache_clear(caches[0]) == CACHE_ERR_IO);
    must(cache_set_string(caches[1], "k", "x", 60) == CACHE_OK && cache_get(caches[1], "k", &value) == CACHE_MISS);
    *strrchr(directory, '/') = '\0';
    must(unlink(others_file()) == 0);
    for (int i = 0; i < 2; i++) {    /* both come back by themselves */
        must(cache_set_string(caches[i], "k", i == 0 ? "a" : "b", 60) == CACHE_OK);
        must(holds(caches[1 - i], "k", i == 0 ? "a" : "b"));
    }
    cache_close(caches[0]);
    cache_close(caches[1]);
}

static void write_to_a_read_only_disk(void)
{
    cache_t *cache = open_in_child();
    must(cache_set_string(cache, "k", "old", 60) == CACHE_OK);
    cache_close(cache);
    must(mount("none", directory, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    cache = open_in_child();
    must(cache_set_string(cache, "k", "new", 60) == CACHE_ERR_IO && says("Read-only"));
    must(cache_delete(cache, "k") == CACHE_ERR_IO);
    must(cache_inc(cache, "n", 1, NULL) == CACHE_ERR_IO);
    must(cache_clear(cache) == CACHE_ERR_IO);
    must(holds(cache, "k", "old") && cache_has(cache, "missing") == CACHE_MISS);
    cache_close(cache);
}

static void on_a_small_disk(void (*body)(void))
{
    if (!mount_small_disk()) {
        /* As far as it goes without a mount: a write that fails half way is tested above. */
        print_message("no right to mount: not on a disk of its own (%s)\n", strerror(errno));
        return;
    }
    body();
}

static void more_than_fits(void)
{
    on_a_small_disk(write_more_than_fits);
}

static void half_expired(void)
{
    on_a_small_disk(write_where_half_has_expired);
}

static void full_of_others(void)
{
    on_a_small_disk(write_where_nothing_can_give_way);
}

static void full_from_the_beginning(void)
{
    on_a_small_disk(open_on_a_full_disk);
}

static void read_only(void)
{
    on_a_small_disk(write_to_a_read_only_disk);
}

static void on_a_full_disk_the_least_used_make_way(void **state)
{
    (void)state;
    in_a_child(more_than_fits);
}

static void on_a_full_disk_expired_entries_make_way_first(void **state)
{
    (void)state;
    in_a_child(half_expired);
}

static void on_a_disk_full_of_other_things_a_set_fails_and_leaves_nothing_outdated(void **state)
{
    (void)state;
    in_a_child(full_of_others);
}

static void a_cache_opened_on_a_full_disk_works_once_there_is_room(void **state)
{
    (void)state;
    in_a_child(full_from_the_beginning);
}

static void a_read_only_disk_is_read_from(void **state)
{
    (void)state;
    in_a_child(read_only);
}

/* ---- what stands in the way -------------------------------------------------------------------------------------- */

static void a_file_in_place_of_a_directory_is_an_error_that_names_it(void **state)
{
    (void)state;
    char leaf[FILES_PATH], ours[256];
    cache_t *cache = test_open(url), *lenient = NULL;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    (void)snprintf(leaf, sizeof leaf, "%s", files_look(directory).path);
    *strrchr(leaf, '/') = '\0';
    test_directory_remove(leaf);
    files_write(leaf, "in the way", 10);
    assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "y", 60));
    assert_non_null(strstr(cache_last_error(), leaf));
    assert_non_null(strstr(cache_last_error(), "Not a directory"));
    cache_value value;
    assert_status(CACHE_ERR_IO, cache_get(cache, "k", &value));
    (void)snprintf(ours, sizeof ours, "%s&on_error=miss", url);
    lenient = test_open(ours);
    assert_status(CACHE_OK, cache_set_string(lenient, "k", "y", 60));
    assert_text(lenient, "k", NULL);
    size_t size = 0;
    free(files_read(leaf, &size));
    assert_int_equal(size, 10);
    cache_close(lenient);
    cache_close(cache);
}

static void a_directory_in_place_of_an_entry_is_an_error(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    const struct files files = files_look(directory);
    assert_int_equal(unlink(files.path), 0);
    assert_int_equal(mkdir(files.path, 0700), 0);
    cache_value value;
    assert_status(CACHE_ERR_IO, cache_get(cache, "k", &value));
    assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "y", 60));
    assert_status(CACHE_OK, cache_clear(cache));
    assert_true(files_exist(files.path));
    assert_int_equal(files_look(directory).temp_files, 0);
    cache_close(cache);
}

static void a_fifo_in_place_of_an_entry_does_not_hang(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    const struct files files = files_look(directory);
    assert_int_equal(unlink(files.path), 0);
    assert_int_equal(mkfifo(files.path, 0600), 0);
    assert_true(cache_has(cache, "k") != CACHE_OK);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "y", 60));
    assert_text(cache, "k", "y");
    cache_close(cache);
}

static void a_file_where_the_cache_should_be_is_an_error(void **state)
{
    (void)state;
    char path[128], in_it[160];
    cache_t *cache = NULL;
    (void)snprintf(path, sizeof path, "%s/file", directory);
    files_write(path, "x", 1);
    (void)snprintf(in_it, sizeof in_it, "file://%s", path);
    assert_status(CACHE_ERR_IO, cache_open(in_it, &cache));
    assert_non_null(strstr(cache_last_error(), "Not a directory"));
    (void)snprintf(in_it, sizeof in_it, "file://%s/below/it", path);
    assert_status(CACHE_ERR_IO, cache_open(in_it, &cache));
    assert_non_null(strstr(cache_last_error(), path));
}

/* ---- no file descriptors, no permission, no openat2 -------------------------------------------------------------- */

static void use_up_descriptors(void)
{
    cache_t *cache = open_in_child();
    must(cache_set_string(cache, "k", "old", 60) == CACHE_OK);
    struct rlimit limit, none;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = (struct rlimit){ 0, limit.rlim_max };
    must(setrlimit(RLIMIT_NOFILE, &none) == 0);
    cache_value value;
    must(cache_get(cache, "k", &value) == CACHE_ERR_IO && says("Too many open files"));
    must(cache_set_string(cache, "k", "new", 60) == CACHE_ERR_IO && says("Too many open files"));
    must(cache_clear(cache) == CACHE_ERR_IO);
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    must(holds(cache, "k", "old"));
    cache_close(cache);
}

static void no_file_descriptors_is_an_error_and_the_old_entry_stays(void **state)
{
    (void)state;
    in_a_child(use_up_descriptors);
}

static void write_as_nobody(void)
{
    cache_t *cache = open_in_child(), *theirs = NULL;
    char open_to_read[160];
    must(cache_set_string(cache, "k", "old", 60) == CACHE_OK);
    if (geteuid() == 0)    /* whom permissions do not stop */
        must(setgid(65534) == 0 && setuid(65534) == 0);
    else
        must(chmod(directory, 0) == 0);
    (void)snprintf(open_to_read, sizeof open_to_read, "%s&timeout=0.1", url);
    must(cache_open(open_to_read, &theirs) == CACHE_ERR_IO && theirs == NULL && says("Permission denied"));
    must(chmod(directory, 0700) == 0 || geteuid() == 65534);
    cache_close(cache);
}

static void no_permission_is_an_error(void **state)
{
    (void)state;
    in_a_child(write_as_nobody);
}

/* From here on a call ends in `error`. */
static void forbid(unsigned call, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof code / sizeof code[0], code };
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void use_without_openat2(void)
{
    forbid(SYS_openat2, EPERM);    /* what a sandbox does that was written before openat2 */
    cache_t *cache = open_in_child();
    char path[FILES_PATH], moved[FILES_PATH + 8];
    must(cache_set_string(cache, "k", "x", 60) == CACHE_OK && holds(cache, "k", "x"));
    must(cache_has(cache, "missing") == CACHE_MISS);
    (void)snprintf(path, sizeof path, "%s", files_look(directory).path);
    *strrchr(path, '/') = '\0';
    for (int up = 0; up < 2; up++) {    /* a link in place of the leaf, then of what is above it */
        (void)snprintf(moved, sizeof moved, "%s.moved", path);
        must(rename(path, moved) == 0 && symlink(moved, path) == 0);
        must(cache_has(cache, "k") != CACHE_OK);
        must(cache_set_string(cache, "k", "y", 60) == CACHE_ERR_IO);
        must(unlink(path) == 0 && rename(moved, path) == 0);
        must(holds(cache, "k", "x"));
        *strrchr(path, '/') = '\0';
    }
    cache_close(cache);
}

static void without_openat2_links_are_not_followed_either(void **state)
{
    (void)state;
    in_a_child(use_without_openat2);
}

/* A power cut must not take the meta file and leave the entries. */
static void open_with_a_disk_that_fails(void)
{
    cache_t *cache = NULL;
    forbid(SYS_fsync, EIO);
    must(cache_open(url, &cache) == CACHE_ERR_IO && says(".libcache"));
}

static void the_meta_file_is_on_the_disk_before_the_first_entry(void **state)
{
    (void)state;
    in_a_child(open_with_a_disk_that_fails);
    cache_t *cache = test_open(url);    /* what the failed one left behind is no hindrance */
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    assert_text(cache, "k", "x");
    cache_close(cache);
}

/* ---- closed standard streams ------------------------------------------------------------------------------------- */

static void print_with_closed_streams(void)
{
    char text[16];
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    cache_t *cache = NULL;
    if (cache_open(url, &cache) != CACHE_OK || cache_set_string(cache, "k", "value", 60) != CACHE_OK)
        _exit(2);
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            _exit(3);
    if (write(1, "printed\n", 8) != -1 || write(2, "printed\n", 8) != -1)    /* as a program would print */
        _exit(4);
    for (int fd = 3; fd < 20; fd++) {
        const int flags = fcntl(fd, F_GETFD);
        char link[32], path[128] = "";
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (flags >= 0 && readlink(link, path, sizeof path - 1) > 0 && strncmp(path, directory, strlen(directory)) == 0
            && (flags & FD_CLOEXEC) == 0)
            _exit(5);
    }
    cache_close(cache);
    if (cache_open(url, &cache) != CACHE_OK
        || cache_get_copy(cache, "k", text, sizeof text, NULL) != CACHE_OK || strncmp(text, "value", 5) != 0)
        _exit(6);
    cache_close(cache);
}

static void what_is_printed_with_standard_streams_closed_never_goes_into_the_cache(void **state)
{
    (void)state;
    in_a_child(print_with_closed_streams);
}

#define files_test(name) cmocka_unit_test_setup_teardown(name, make, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        files_test(a_write_that_stops_half_way_leaves_nothing),
        files_test(on_a_full_disk_the_least_used_make_way),
        files_test(on_a_full_disk_expired_entries_make_way_first),
        files_test(on_a_disk_full_of_other_things_a_set_fails_and_leaves_nothing_outdated),
        files_test(a_cache_opened_on_a_full_disk_works_once_there_is_room),
        files_test(a_read_only_disk_is_read_from),
        files_test(a_file_in_place_of_a_directory_is_an_error_that_names_it),
        files_test(a_directory_in_place_of_an_entry_is_an_error),
        files_test(a_fifo_in_place_of_an_entry_does_not_hang),
        files_test(a_file_where_the_cache_should_be_is_an_error),
        files_test(no_file_descriptors_is_an_error_and_the_old_entry_stays),
        files_test(no_permission_is_an_error),
        files_test(without_openat2_links_are_not_followed_either),
        files_test(what_is_printed_with_standard_streams_closed_never_goes_into_the_cache),
        files_test(the_meta_file_is_on_the_disk_before_the_first_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
