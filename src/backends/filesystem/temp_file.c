/* temp_file.c - writes an entry into a temporary file, which rename(2) then puts in place. A reader sees the old entry
 * or the new one, never a part of one. */
#include "store.h"

#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int create_file(const struct fs_leaf *leaf)
{
    return cache_fs_open_at(leaf->fd, FS_TEMP_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, leaf->store->file_mode);
}

cache_status cache_fs_temp_open(struct fs_leaf *leaf, int *fd)
{
    *fd = -1;
    if (leaf->fd < 0)
        leaf->fd = cache_fs_leaf_make(leaf->store, leaf->number);
    if (leaf->fd < 0) {
        char path[4];
        cache_fs_leaf_path(leaf->number, path);
        return cache_fs_fail(leaf->store, path, errno);
    }
    *fd = create_file(leaf);
    /* The lock is held here, so a process that died left this one. */
    if (*fd < 0 && errno == EEXIST && unlinkat(leaf->fd, FS_TEMP_FILE, 0) == 0)
        *fd = create_file(leaf);
    if (*fd < 0)
        return cache_fs_leaf_fail(leaf, FS_TEMP_FILE, errno);
    if (leaf->store->file_mode != 0600)    /* the umask may have removed some permissions */
        (void)fchmod(*fd, leaf->store->file_mode);
    return CACHE_OK;
}

void cache_fs_temp_drop(struct fs_leaf *leaf, int fd)
{
    const int error = errno;
    if (fd >= 0)
        close(fd);
    (void)unlinkat(leaf->fd, FS_TEMP_FILE, 0);
    errno = error;
}

cache_status cache_fs_temp_commit(struct fs_leaf *leaf, int fd, const struct fs_name *name, const struct fs_head *head)
{
    const char *base = cache_fs_base(name);
    struct stat old;
    cache_fs_set_times(fd, head->expires_ms != 0 ? head->expires_ms : FS_NEVER, cache_env_wall_ms(leaf->store->env));
    cache_status status = close(fd) == 0 || errno == EINTR ? CACHE_OK : cache_fs_leaf_fail(leaf, FS_TEMP_FILE, errno);
    if (status == CACHE_OK)
        status = cache_fs_leaf_change(leaf);
    const cache_status replaces = status == CACHE_OK ? cache_fs_leaf_stat(leaf, base, &old) : CACHE_MISS;
    if (replaces < 0)
        status = replaces;
    if (status == CACHE_OK && renameat(leaf->fd, FS_TEMP_FILE, leaf->fd, base) != 0)
        status = cache_fs_leaf_fail(leaf, base, errno);
    if (status == CACHE_OK)
        cache_fs_leaf_account(leaf, replaces == CACHE_OK ? &old : NULL, cache_fs_entry_size(head), head->expires_ms);
    else
        cache_fs_temp_drop(leaf, -1);
    return status;
}
