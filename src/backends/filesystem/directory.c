/* directory.c - the cache directory: made, recognised by its marker, and left alone if it is somebody else's.
 * _GNU_SOURCE is for O_PATH and syscall: openat2 follows no link in one call, where the kernel has it. */
#define _GNU_SOURCE
#include "store.h"

#include "hooks.h"
#include "unique.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined SYS_openat2 && defined __has_include
#if __has_include(<linux/openat2.h>)
#define HAVE_OPENAT2
#endif
#endif
#ifdef HAVE_OPENAT2
#include <linux/openat2.h>
#endif

enum { MARKER_VERSION = 1 };

static const char marker_magic[16] = "libcache files\n";

struct marker_head {
    char magic[16];
    uint32_t version, leaves;          /* in this machine's byte order: another order is another version */
    uint64_t seed;
    char reserved[32];
};

_Static_assert(sizeof(struct marker_head) == 64, "the table stands behind it");

cache_status cache_fs_fail(const struct fs_store *store, const char *where, int error)
{
    const cache_status status = error == ENOMEM      ? CACHE_ERR_NOMEM
                              : error == ETIMEDOUT ? CACHE_ERR_TIMEOUT
                                                   : CACHE_ERR_IO;
    return cache_fail(status, "file %.200s%s%s: %s", store->path, where != NULL ? "/" : "", where != NULL ? where : "",
                      strerror(error));
}

/* ---- opening through no link ------------------------------------------------------------------------------------- */

static int open_retried(int at, const char *name, int flags)
{
    int fd = -1;
    do
        fd = openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);    /* the mode of what O_CREAT makes */
    while (fd < 0 && errno == EINTR);
    return fd;
}

static void close_quietly(int fd)
{
    const int error = errno;
    close(fd);
    errno = error;
}

/* One step a directory, for kernels and sandboxes without openat2. */
static int open_by_steps(int at, const char *path, int flags)
{
    char step[2] = { path[0], '\0' };    /* fan-out directories have one letter */
    if (path[0] == '\0' || path[1] != '/')
        return open_retried(at, path, flags);
    const int next = open_retried(at, step, O_PATH | O_DIRECTORY);
    if (next < 0)
        return -1;
    const int fd = open_by_steps(next, path + 2, flags);
    close_quietly(next);
    return fd;
}

int cache_fs_open(const struct fs_store *store, const char *path, int flags)
{
#ifdef HAVE_OPENAT2
    static atomic_bool missing;
    if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
        struct open_how how = { .flags = (unsigned)(flags | O_CLOEXEC),
                                .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH };
        long fd = -1;
        do
            fd = syscall(SYS_openat2, store->directory, path, &how, sizeof how);
        while (fd < 0 && errno == EINTR);
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM))    /* EPERM: a sandbox that does not know it */
            return (int)fd;
        atomic_store_explicit(&missing, true, memory_order_relaxed);
    }
#endif
    return open_by_steps(store->directory, path, flags);
}

int cache_fs_leaf_open(const struct fs_store *store, unsigned leaf)
{
    char path[4];
    cache_fs_leaf_path(leaf, path);
    return cache_fs_open(store, path, O_RDONLY | O_DIRECTORY);
}

/* mkdirat with exactly this mode, whatever the umask; one that is there already is fine. */
static int make_directory(const struct fs_store *store, int at, const char *name)
{
    if (mkdirat(at, name, store->directory_mode) != 0) {
        if (errno != EEXIST)
            return -1;
        return open_retried(at, name, O_RDONLY | O_DIRECTORY);
    }
    const int fd = open_retried(at, name, O_RDONLY | O_DIRECTORY);
    if (fd >= 0)
        (void)fchmod(fd, store->directory_mode);
    return fd;
}

int cache_fs_leaf_make(const struct fs_store *store, unsigned leaf)
{
    char path[4];
    cache_fs_leaf_path(leaf, path);
    path[1] = '\0';
    const int first = make_directory(store, store->directory, path);
    if (first < 0)
        return -1;
    const int second = make_directory(store, first, path + 2);
    close_quietly(first);
    return second;
}

/* ---- the marker -------------------------------------------------------------------------------------------------- */

static bool is_empty(int directory, int *error)
{
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    *error = stream == NULL ? errno : 0;
    if (stream == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool empty = true;
    const struct dirent *entry = NULL;
    while (empty && (entry = readdir(stream)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0
             || strcmp(entry->d_name, FS_MARKER) == 0;
    closedir(stream);
    return empty;
}

static cache_status not_ours(const struct fs_store *store)
{
    return cache_fail(CACHE_ERR_CONFIG,
                      "file %.200s: this directory is not empty, and not a cache of ours: it has no valid '%s'. "
                      "Nothing in it was touched", store->path, FS_MARKER);
}

static cache_status write_marker(struct fs_store *store, int marker)
{
    struct { struct marker_head head; struct fs_usage table[FS_LEAVES]; } fresh;
    memset(&fresh, 0, sizeof fresh);
    memcpy(fresh.head.magic, marker_magic, sizeof marker_magic);
    fresh.head.version = MARKER_VERSION;
    fresh.head.leaves = FS_LEAVES;
    fresh.head.seed = store->seed = cache_unique_bits();
    const cache_bytes all = { (const char *)&fresh, sizeof fresh };
    int error = cache_fs_write(marker, &all, 1);
    if (error == 0 && fchmod(marker, store->file_mode) != 0)
        error = errno;
    /* Once in a cache's life: after a power cut, entries without a marker would be somebody else's. */
    if (error == 0 && fsync(marker) != 0 && errno != EINVAL && errno != EINTR)
        error = errno;
    /* Emptied, so that the next one tries again. If that fails too, the next one says that the marker is damaged. */
    if (error != 0 && ftruncate(marker, 0) != 0)
        return cache_fs_fail(store, FS_MARKER " (write, then truncate)", error);
    return error == 0 ? CACHE_OK : cache_fs_fail(store, FS_MARKER, error);
}

/* With its lock held, if it can be written. */
static cache_status check_marker(struct fs_store *store, int marker)
{
    struct marker_head head;
    struct stat info;
    if (fstat(marker, &info) != 0)
        return cache_fs_fail(store, FS_MARKER, errno);
    if (!S_ISREG(info.st_mode))
        return not_ours(store);
    if (info.st_size == 0 && store->read_only == 0) {    /* just made, or by a process that died on the way */
        int error = 0;
        if (is_empty(store->directory, &error))
            return write_marker(store, marker);
        return error != 0 ? cache_fs_fail(store, NULL, error) : not_ours(store);
    }
    const ssize_t n = pread(marker, &head, sizeof head, 0);
    if (n < 0)
        return cache_fs_fail(store, FS_MARKER, errno);
    if ((size_t)n < sizeof head || memcmp(head.magic, marker_magic, sizeof head.magic) != 0)
        return not_ours(store);
    if (head.version != MARKER_VERSION || head.leaves != FS_LEAVES)
        return cache_fail(CACHE_ERR_CONFIG,
                          "file %.200s: this cache was made by another version of libcache, or on another kind of "
                          "machine: remove it", store->path);
    store->seed = head.seed;
    return CACHE_OK;
}

static cache_status open_marker(struct fs_store *store, int *out)
{
    int error = 0;
    *out = open_retried(store->directory, FS_MARKER, O_RDWR | O_NONBLOCK);
    if (*out < 0 && errno == ENOENT) {
        const bool empty = is_empty(store->directory, &error);
        if (error != 0)
            return cache_fs_fail(store, NULL, error);
        /* Not empty: another process may have made the cache meanwhile. */
        *out = open_retried(store->directory, FS_MARKER, O_RDWR | O_NONBLOCK | (empty ? O_CREAT : 0));
        if (*out < 0 && errno == ENOENT)
            return not_ours(store);
    }
    if (*out < 0 && (errno == EROFS || errno == EACCES)) {
        error = errno;
        *out = open_retried(store->directory, FS_MARKER, O_RDONLY | O_NONBLOCK);
        if (*out >= 0)
            store->read_only = error;    /* it can be read from, and each write says why not */
        else
            errno = error;
    }
    if (*out < 0)
        return errno == ELOOP || errno == EISDIR ? not_ours(store) : cache_fs_fail(store, FS_MARKER, errno);
    return CACHE_OK;
}

static cache_status use_marker(struct fs_store *store)
{
    int marker = -1;
    cache_status status = open_marker(store, &marker);
    if (status != CACHE_OK)
        return status;
    /* At once: so that a child of this moment lets go of it, and of its lock. */
    atomic_store(&store->marker, marker);
    if (store->read_only == 0) {
        const uint64_t deadline = cache_now_ns() + (uint64_t)store->timeout_ms * 1000000;
        const int error = cache_fs_range_lock(marker, FS_LEAVES, deadline);
        status = error == 0 ? check_marker(store, marker) : cache_fs_fail(store, FS_MARKER, error);
        if (error == 0)
            cache_fs_range_unlock(marker, FS_LEAVES);
    } else
        status = check_marker(store, marker);
    return status;
}

int cache_fs_marker(struct fs_store *store)
{
    int marker = atomic_load_explicit(&store->marker, memory_order_acquire);
    if (marker >= 0)
        return marker;
    const int own = open_retried(store->directory, FS_MARKER, store->read_only != 0 ? O_RDONLY : O_RDWR);
    if (own < 0 || atomic_compare_exchange_strong(&store->marker, &marker, own))
        return own;
    close(own);    /* another thread was first */
    return marker;
}

/* ---- the directory ----------------------------------------------------------------------------------------------- */

static int make_path(char *path, mode_t mode)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        const bool made = mkdir(path, mode) == 0;
        const int error = errno;
        if (slash != NULL)
            *slash = '/';
        if (!made && error != EEXIST)
            return error;
        if (slash == NULL)
            return made && chmod(path, mode) != 0 ? errno : 0;
    }
}

cache_status cache_fs_directory_open(struct fs_store *store)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;    /* the path itself is the user's, links and all */
    store->directory = open(store->path, flags);
    if (store->directory < 0 && errno == ENOENT) {
        const int error = make_path(store->path, store->directory_mode);
        if (error != 0)
            return cache_fs_fail(store, NULL, error);
        store->directory = open(store->path, flags);
    }
    if (store->directory < 0)
        return cache_fs_fail(store, NULL, errno);
    return use_marker(store);
}

void cache_fs_directory_close(struct fs_store *store)
{
    const int marker = atomic_load(&store->marker);
    if (marker >= 0)
        close(marker);
    if (store->directory >= 0)
        close(store->directory);
}
