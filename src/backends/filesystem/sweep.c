/* sweep.c - looking through a leaf: what expired leaves the disk, and what is there is counted.
 *
 * A scan opens only files whose times say that they have expired; the header decides. Each write earns a look at a few
 * entries, which is spent on leaves in which something did expire: a cache in which nothing does pays nothing. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { CREDIT_A_WRITE = 4, CREDIT_TO_LOOK = 16, CREDIT_MOST = 1 << 20, SPENT_AT_ONCE = 128 };

static const cache_bytes any_key = { NULL, 0 };

static void count_expiration(struct fs_store *store)
{
    atomic_fetch_add_explicit(&store->expirations, 1, memory_order_relaxed);
}

/* What the header says, for a file whose times say that it has ended: 0 if it ends never, or cannot be read. */
static bool has_expired(const struct fs_leaf *leaf, const char *name, int64_t *expires_ms)
{
    int fd = -1;
    struct fs_entry entry;
    *expires_ms = 0;
    if (cache_fs_leaf_find(leaf, name, &fd) != CACHE_OK)
        return false;
    const enum fs_state state = cache_fs_entry_load(fd, leaf->store->env, any_key, &entry);
    close(fd);
    if (state == FS_LIVE)
        *expires_ms = entry.head.expires_ms;
    return state == FS_EXPIRED;
}

struct scan {
    struct fs_leaf *leaf;
    fs_visit_fn *visit;
    void *ctx;
    int64_t now;
    struct fs_usage found;
};

static void look_at(struct scan *scan, const char *name)
{
    struct fs_leaf *leaf = scan->leaf;
    struct stat info;
    if (fstatat(leaf->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
        return;
    int64_t expires_ms = cache_fs_expiry_hint(&info);
    if (expires_ms != 0 && expires_ms <= scan->now && has_expired(leaf, name, &expires_ms)
        && unlinkat(leaf->fd, name, 0) == 0) {
        count_expiration(leaf->store);
        return;
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

cache_status cache_fs_leaf_scan(struct fs_leaf *leaf, fs_visit_fn *visit, void *ctx)
{
    struct scan scan = { leaf, visit, ctx, cache_env_wall_ms(leaf->store->env), { 0, 0, 0 } };
    if (leaf->fd >= 0) {
        const int fd = openat(leaf->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
        if (stream == NULL) {
            const int error = errno;
            if (fd >= 0)
                close(fd);
            return scan_failed(leaf, error);
        }
        (void)unlinkat(leaf->fd, FS_DRAFT, 0);    /* the lock is ours, so who wrote it is dead */
        const struct dirent *entry = NULL;
        for (errno = 0; (entry = readdir(stream)) != NULL; errno = 0)
            if (cache_fs_is_entry_name(entry->d_name))
                look_at(&scan, entry->d_name);
        const int error = errno;
        closedir(stream);
        if (error != 0)
            return scan_failed(leaf, error);
    }
    leaf->usage = scan.found;
    return cache_fs_usage_save(leaf);
}

/* ---- expiry ------------------------------------------------------------------------------------------------------ */

bool cache_fs_expire_one(struct fs_store *store, const struct fs_usage table[FS_LEAVES], unsigned *from, uint64_t most)
{
    const int64_t now = cache_env_wall_ms(store->env);
    for (unsigned end = *from + FS_LEAVES; *from != end;) {
        const unsigned number = (*from)++ % FS_LEAVES;
        struct fs_leaf leaf;
        if (table[number].earliest_ms == 0 || table[number].earliest_ms > now || table[number].items > most
            || cache_fs_leaf_try(store, number, &leaf) != CACHE_OK)
            continue;
        const cache_status status = cache_fs_leaf_scan(&leaf, NULL, NULL);
        cache_fs_leaf_unlock(&leaf);
        return status == CACHE_OK;
    }
    return false;
}

/* One leaf after the other while the credit lasts, and not so many at once that a write would feel it. A leaf larger
 * than all of the credit waits until enough writes have been. */
void cache_fs_sweep(struct fs_store *store)
{
    const int credit = atomic_fetch_add_explicit(&store->credit, CREDIT_A_WRITE, memory_order_relaxed) + CREDIT_A_WRITE;
    if (credit % CREDIT_TO_LOOK >= CREDIT_A_WRITE)
        return;
    struct fs_usage table[FS_LEAVES];
    cache_fs_usage_all(store, table);
    const int begun_with = atomic_exchange_explicit(&store->credit, 0, memory_order_relaxed);
    int left = begun_with;
    unsigned from = atomic_load_explicit(&store->sweep_cursor, memory_order_relaxed);
    const unsigned end = from + FS_LEAVES;
    while (left > 0 && begun_with - left < SPENT_AT_ONCE && from < end
           && cache_fs_expire_one(store, table, &from, (uint64_t)left)) {
        const struct fs_usage *looked_at = &table[(from - 1) % FS_LEAVES];
        left -= looked_at->items > 0 ? (int)looked_at->items : 1;
    }
    atomic_store_explicit(&store->sweep_cursor, from % FS_LEAVES, memory_order_relaxed);
    if (left > 0)
        atomic_fetch_add_explicit(&store->credit, left < CREDIT_MOST ? left : CREDIT_MOST, memory_order_relaxed);
}

/* ---- one entry --------------------------------------------------------------------------------------------------- */

void cache_fs_discard(struct fs_store *store, const struct fs_name *name)
{
    struct fs_leaf leaf;
    struct fs_entry entry;
    int fd = -1;
    if (store->read_only != 0 || cache_fs_leaf_try(store, name->leaf, &leaf) != CACHE_OK)
        return;    /* readers wait for nobody: a later one or the sweep tries again */
    if (cache_fs_leaf_find(&leaf, cache_fs_base(name), &fd) == CACHE_OK) {
        enum fs_state state = cache_fs_entry_load(fd, store->env, any_key, &entry);
        if (state == FS_LIVE)
            state = cache_fs_entry_copy(fd, &entry, -1);
        close(fd);
        if ((state == FS_TORN || state == FS_EXPIRED) && cache_fs_leaf_remove(&leaf, cache_fs_base(name)) == CACHE_OK
            && state == FS_EXPIRED)
            count_expiration(store);
    }
    cache_fs_leaf_unlock(&leaf);
}
