/* open.c - opening files below the cache directory without following links, reading and writing whole, and messages.
 * _GNU_SOURCE is for O_PATH and syscall: openat2 follows no link in one call, where the kernel has it. */
#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(SYS_openat2) && defined(__has_include)
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#define HAVE_OPENAT2
#endif
#endif

cache_status cache_fs_fail(const struct fs_store *store, const char *where, int error)
{
    const cache_status code = error == ENOMEM    ? CACHE_ERR_NOMEM
                            : error == ETIMEDOUT ? CACHE_ERR_TIMEOUT
                                                 : CACHE_ERR_IO;
    const cache_status status = cache_fail(code, "file %.200s%s%s: %s", store->path, where != NULL ? "/" : "",
                                           where != NULL ? where : "", strerror(error));
    errno = error;
    return status;
}

bool cache_fs_lacks_space(cache_status status)
{
    return status == CACHE_ERR_IO && (errno == ENOSPC || errno == EDQUOT);
}

void cache_fs_close(int fd)
{
    const int error = errno;
    close(fd);
    errno = error;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    cache_fs_close(fd);
    return moved;
}

int cache_fs_open_at(int at, const char *name, int flags, mode_t mode)
{
    int fd = -1;
    do
        fd = openat(at, name, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return above_standard(fd);
}

static int open_here(int at, const char *name, int flags)
{
    return cache_fs_open_at(at, name, flags | O_NOFOLLOW, 0);
}

/* Open one directory after the other, for kernels and sandboxes without openat2. */
static int open_by_steps(int at, const char *path, int flags)
{
    char step[2] = { path[0], '\0' };    /* fan-out directories have one letter */
    if (path[0] == '\0' || path[1] != '/')
        return open_here(at, path, flags);
    const int next = open_here(at, step, O_PATH | O_DIRECTORY);
    if (next < 0)
        return -1;
    const int fd = open_by_steps(next, path + 2, flags);
    cache_fs_close(next);
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
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM))    /* EPERM: from a sandbox that does not know openat2 */
            return above_standard((int)fd);
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

/* Like mkdirat, with exactly this mode whatever the umask is. It succeeds if the directory exists already. */
static int make_directory(const struct fs_store *store, int at, const char *name)
{
    if (mkdirat(at, name, store->directory_mode) != 0) {
        if (errno != EEXIST)
            return -1;
        return open_here(at, name, O_RDONLY | O_DIRECTORY);
    }
    const int fd = open_here(at, name, O_RDONLY | O_DIRECTORY);
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
    cache_fs_close(first);
    return second;
}

/* ---- reading and writing ----------------------------------------------------------------------------------------- */

ssize_t cache_fs_read_at(int fd, void *to, size_t size, off_t at)
{
    size_t have = 0;
    while (have < size) {
        const ssize_t n = pread(fd, (char *)to + have, size - have, at + (off_t)have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

int cache_fs_write(int fd, const cache_bytes parts[], size_t n)
{
    enum { MAX_PARTS = 3 };
    struct iovec left[MAX_PARTS];
    assert(n <= MAX_PARTS);
    for (size_t i = 0; i < n; i++)
        left[i] = (struct iovec){ (void *)(uintptr_t)parts[i].data, parts[i].size };
    for (size_t first = 0; first < n;) {
        if (left[first].iov_len == 0) {
            first++;
            continue;
        }
        ssize_t wrote = writev(fd, left + first, (int)(n - first));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? errno : ENOSPC;
        for (; first < n && (size_t)wrote >= left[first].iov_len; first++)
            wrote -= (ssize_t)left[first].iov_len;
        if (first < n) {
            left[first].iov_base = (char *)left[first].iov_base + wrote;
            left[first].iov_len -= (size_t)wrote;
        }
    }
    return 0;
}
