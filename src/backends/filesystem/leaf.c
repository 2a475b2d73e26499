/* leaf.c - the files of a locked leaf, and the account of its contents.
 *
 * The slot's version is odd while files change. If the process dies meanwhile, the next writer sees this and counts the
 * leaf again. When the lock is released, the version is even, and different from before, so readers can detect the
 * change. */
#include "store.h"

#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

cache_status cache_fs_leaf_fail(const struct fs_leaf *leaf, const char *name, int error)
{
    char path[4 + FS_NAME_DIGITS + 1];
    cache_fs_leaf_path(leaf->number, path);
    path[3] = '/';
    const size_t size = strnlen(name, FS_NAME_DIGITS);
    memcpy(path + 4, name, size);
    path[4 + size] = '\0';
    return cache_fs_fail(leaf->store, path, error);
}

/* ---- the account ------------------------------------------------------------------------------------------------- */

cache_status cache_fs_leaf_change(struct fs_leaf *leaf)
{
    if (leaf->changing)
        return CACHE_OK;
    leaf->changing = true;
    if ((leaf->usage.version & 1) != 0)    /* the change of a writer that died is not finished */
        return CACHE_OK;
    leaf->usage.version += FS_VERSION_STEP;
    const int64_t now = cache_env_wall_ms(leaf->store->env);
    /* A time that lies ahead stays until the leaf is scanned. */
    if (!cache_fs_is_future(leaf->usage.changed_ms, now))
        leaf->usage.changed_ms = now;
    return cache_fs_usage_save(leaf->store, leaf->number, &leaf->usage);
}

static void adjust(uint64_t *sum, uint64_t more, uint64_t less)
{
    *sum += more;
    *sum = *sum > less ? *sum - less : 0;    /* a wrong table is corrected by the next scan */
}

void cache_fs_leaf_account(struct fs_leaf *leaf, const struct stat *old, uint64_t size, int64_t expires_ms)
{
    assert(leaf->changing);
    adjust(&leaf->usage.items, size != 0, old != NULL);
    adjust(&leaf->usage.bytes, size, old != NULL ? (uint64_t)old->st_size : 0);
    if (expires_ms != 0 && (leaf->usage.earliest_ms == 0 || expires_ms < leaf->usage.earliest_ms))
        leaf->usage.earliest_ms = expires_ms;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

cache_status cache_fs_leaf_find(const struct fs_leaf *leaf, const char *name, int *fd)
{
    *fd = -1;
    if (leaf->fd < 0)
        return CACHE_MISS;
    *fd = cache_fs_open_at(leaf->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (*fd >= 0)
        return CACHE_OK;
    return errno == ENOENT || errno == ELOOP || errno == ENXIO ? CACHE_MISS : cache_fs_leaf_fail(leaf, name, errno);
}

cache_status cache_fs_leaf_stat(const struct fs_leaf *leaf, const char *name, struct stat *info)
{
    if (leaf->fd < 0)
        return CACHE_MISS;
    if (fstatat(leaf->fd, name, info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? CACHE_MISS : cache_fs_leaf_fail(leaf, name, errno);
    return S_ISREG(info->st_mode) ? CACHE_OK : CACHE_MISS;
}

cache_status cache_fs_leaf_remove(struct fs_leaf *leaf, const char *name)
{
    struct stat info;
    cache_status status = cache_fs_leaf_stat(leaf, name, &info);
    if (status != CACHE_OK)
        return status;
    status = cache_fs_leaf_change(leaf);
    if (status != CACHE_OK && !cache_fs_lacks_space(status))    /* on a full disk the removal must succeed, since it
                                                                 * makes room */
        return status;
    if (unlinkat(leaf->fd, name, 0) != 0)
        return errno == ENOENT ? CACHE_MISS : cache_fs_leaf_fail(leaf, name, errno);
    cache_fs_leaf_account(leaf, &info, 0, 0);
    return CACHE_OK;
}
