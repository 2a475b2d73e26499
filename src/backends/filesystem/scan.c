/* scan.c - examines all files of a leaf: removes expired and torn ones, and counts the others.
 *
 * A scan opens only files whose times say that they may have expired; then the header decides. After a restart of the
 * machine it opens each file once, since a power cut may have torn any of them. */
#include "store.h"

#include "hooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct scan {
    struct fs_leaf *leaf;
    fs_visit_fn *visit;
    void *ctx;
    bool verify;                       /* open every file */
    cache_status status;               /* of the first file that could not be examined */
    int64_t now;
    struct fs_usage found;
};

/* Returns true if the file is in the place of its key, and as long as its header says. */
static bool is_in_place(const struct scan *scan, const char *name, const struct stat *info,
                        const struct fs_entry *entry)
{
    struct fs_name right;
    cache_fs_name(scan->leaf->store, cache_fs_entry_key(entry), &right);
    return right.leaf == scan->leaf->number && strcmp(cache_fs_base(&right), name) == 0
        && (uint64_t)info->st_size >= cache_fs_entry_size(&entry->head);
}

/* Set `*expires_ms` to the expiry in the header of a live entry; 0: never, or it cannot be read. */
static enum fs_state classify_entry(const struct scan *scan, const char *name, const struct stat *info,
                                    int64_t *expires_ms)
{
    int fd = -1;
    struct fs_entry entry;
    *expires_ms = 0;
    if (cache_fs_leaf_find(scan->leaf, name, &fd) != CACHE_OK)
        return FS_FAILED;
    enum fs_state state = cache_fs_entry_load(fd, scan->leaf->store->env, cache_fs_any_key, &entry);
    cache_fs_close(fd);
    if ((state == FS_LIVE || state == FS_EXPIRED) && !is_in_place(scan, name, info, &entry))
        state = FS_TORN;
    if (state == FS_LIVE)
        *expires_ms = entry.head.expires_ms;
    return state;
}

static bool must_open(const struct scan *scan, const struct stat *info, int64_t expires_ms)
{
    return scan->verify || info->st_size <= (off_t)sizeof(struct fs_head)
        || (expires_ms != 0 && (expires_ms <= scan->now || cache_fs_is_future(cache_fs_used_ms(info), scan->now)));
}

static void look_at(struct scan *scan, const char *name)
{
    struct fs_leaf *leaf = scan->leaf;
    struct stat info;
    const cache_status status = cache_fs_leaf_stat(leaf, name, &info);
    if (status < 0 && scan->status == CACHE_OK)
        scan->status = status;
    if (status != CACHE_OK)
        return;
    int64_t expires_ms = cache_fs_expiry_hint(&info);
    if (must_open(scan, &info, expires_ms)) {
        const enum fs_state state = classify_entry(scan, name, &info, &expires_ms);
        if ((state == FS_EXPIRED || state == FS_TORN) && cache_fs_leaf_remove(leaf, name) == CACHE_OK) {
            if (state == FS_EXPIRED)
                atomic_fetch_add_explicit(&leaf->store->expirations, 1, memory_order_relaxed);
            return;
        }
    }
    if (scan->visit != NULL && scan->visit(scan->ctx, leaf, name, &info))
        return;
    scan->found.items++;
    scan->found.bytes += (uint64_t)info.st_size;
    if (expires_ms != 0 && (scan->found.earliest_ms == 0 || expires_ms < scan->found.earliest_ms))
        scan->found.earliest_ms = expires_ms;
}

static cache_status scan_failed(const struct fs_leaf *leaf, int error)
{
    char path[4];
    cache_fs_leaf_path(leaf->number, path);
    return cache_fs_fail(leaf->store, path, error);
}

static cache_status scan_directory(struct scan *scan)
{
    struct fs_leaf *leaf = scan->leaf;
    const int fd = cache_fs_open_at(leaf->fd, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        const int error = errno;
        if (fd >= 0)
            close(fd);
        return scan_failed(leaf, error);
    }
    (void)unlinkat(leaf->fd, FS_TEMP_FILE, 0);    /* the lock is held here, so the process that wrote it is dead */
    const struct dirent *entry = NULL;
    for (errno = 0; (entry = readdir(stream)) != NULL; errno = 0)
        if (cache_fs_is_entry_name(entry->d_name))
            look_at(scan, entry->d_name);
    const int error = errno;
    closedir(stream);
    return error == 0 ? scan->status : scan_failed(leaf, error);
}

cache_status cache_fs_leaf_scan(struct fs_leaf *leaf, fs_visit_fn *visit, void *ctx)
{
    struct fs_store *store = leaf->store;
    struct scan scan = { .leaf = leaf, .visit = visit, .ctx = ctx, .verify = leaf->usage.boot != store->boot,
                         .now = cache_env_wall_ms(store->env) };
    const cache_status status = leaf->fd >= 0 ? scan_directory(&scan) : CACHE_OK;
    if (status != CACHE_OK)
        return status;
    leaf->usage.items = scan.found.items;
    leaf->usage.bytes = scan.found.bytes;
    leaf->usage.earliest_ms = scan.found.earliest_ms;
    leaf->usage.changed_ms = scan.now;
    leaf->usage.boot = store->boot;
    leaf->counted = true;
    return CACHE_OK;
}
