/* leaf.c - changes in a locked leaf, each with the table's account of it.
 *
 * The table is written before an entry is renamed into its place: whoever dies between leaves a draft, and the next
 * writer who finds one counts the leaf anew. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static cache_status fail_at(const struct fs_leaf *leaf, const char *name, int error)
{
    char path[4 + FS_NAME_DIGITS + 1];
    cache_fs_leaf_path(leaf->number, path);
    path[3] = '/';
    const size_t size = strnlen(name, FS_NAME_DIGITS);
    memcpy(path + 4, name, size);
    path[4 + size] = '\0';
    return cache_fs_fail(leaf->store, path, error);
}

cache_status cache_fs_leaf_find(const struct fs_leaf *leaf, const char *name, int *fd)
{
    *fd = -1;
    if (leaf->fd < 0)
        return CACHE_MISS;
    do
        *fd = openat(leaf->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    while (*fd < 0 && errno == EINTR);
    if (*fd >= 0)
        return CACHE_OK;
    return errno == ENOENT || errno == ELOOP || errno == ENXIO ? CACHE_MISS : fail_at(leaf, name, errno);
}

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

static void add(uint64_t *sum, uint64_t more, uint64_t less)
{
    *sum += more;
    *sum = *sum > less ? *sum - less : 0;    /* a table that lost track is put right by the next scan */
}

static bool is_file(const struct fs_leaf *leaf, const char *name, struct stat *info)
{
    return fstatat(leaf->fd, name, info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info->st_mode);
}

cache_status cache_fs_leaf_remove(struct fs_leaf *leaf, const char *name)
{
    struct stat info;
    if (leaf->fd < 0 || !is_file(leaf, name, &info))
        return CACHE_MISS;
    if (unlinkat(leaf->fd, name, 0) != 0)
        return errno == ENOENT ? CACHE_MISS : fail_at(leaf, name, errno);
    add(&leaf->usage.items, 0, 1);
    add(&leaf->usage.bytes, 0, (uint64_t)info.st_size);
    return cache_fs_usage_save(leaf);
}

/* ---- drafts ------------------------------------------------------------------------------------------------------ */

static int open_draft(const struct fs_leaf *leaf)
{
    int fd = -1;
    do
        fd = openat(leaf->fd, FS_DRAFT, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, leaf->store->file_mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

cache_status cache_fs_draft_open(struct fs_leaf *leaf, int *fd)
{
    *fd = -1;
    if (leaf->fd < 0)
        leaf->fd = cache_fs_leaf_make(leaf->store, leaf->number);
    if (leaf->fd < 0) {
        char path[4];
        cache_fs_leaf_path(leaf->number, path);
        return cache_fs_fail(leaf->store, path, errno);
    }
    *fd = open_draft(leaf);
    if (*fd < 0 && errno == EEXIST) {    /* of a process that died: the scan takes it away, and counts */
        const cache_status status = cache_fs_leaf_scan(leaf, NULL, NULL);
        if (status != CACHE_OK)
            return status;
        *fd = open_draft(leaf);
    }
    if (*fd < 0)
        return fail_at(leaf, FS_DRAFT, errno);
    if (leaf->store->file_mode != 0600)    /* beyond what the umask leaves */
        (void)fchmod(*fd, leaf->store->file_mode);
    return CACHE_OK;
}

void cache_fs_draft_drop(struct fs_leaf *leaf, int fd)
{
    if (fd >= 0)
        close(fd);
    (void)unlinkat(leaf->fd, FS_DRAFT, 0);
}

static void account(struct fs_leaf *leaf, const char *name, const struct fs_head *head)
{
    struct stat old;
    const bool replaces = is_file(leaf, name, &old);
    add(&leaf->usage.items, 1, replaces ? 1 : 0);
    add(&leaf->usage.bytes, sizeof *head + head->key_size + head->value_size, replaces ? (uint64_t)old.st_size : 0);
    if (head->expires_ms != 0 && (leaf->usage.earliest_ms == 0 || head->expires_ms < leaf->usage.earliest_ms))
        leaf->usage.earliest_ms = head->expires_ms;
}

cache_status cache_fs_draft_commit(struct fs_leaf *leaf, int fd, const struct fs_name *name, const struct fs_head *head)
{
    const struct fs_usage before = leaf->usage;
    cache_fs_set_times(fd, head->expires_ms != 0 ? head->expires_ms : FS_NEVER, cache_env_wall_ms(leaf->store->env));
    cache_status status = close(fd) == 0 || errno == EINTR ? CACHE_OK : fail_at(leaf, FS_DRAFT, errno);
    if (status == CACHE_OK) {
        account(leaf, cache_fs_base(name), head);
        status = cache_fs_usage_save(leaf);
    }
    if (status == CACHE_OK && renameat(leaf->fd, FS_DRAFT, leaf->fd, cache_fs_base(name)) != 0) {
        status = fail_at(leaf, cache_fs_base(name), errno);
        leaf->usage = before;
        (void)cache_fs_usage_save(leaf);
    }
    if (status != CACHE_OK)
        cache_fs_draft_drop(leaf, -1);
    return status;
}
