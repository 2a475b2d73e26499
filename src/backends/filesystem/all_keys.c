/* all_keys.c - clear and listing. Both read the header of every entry, since a file name does not contain the key. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- clear ------------------------------------------------------------------------------------------------------- */

struct clear {
    cache_bytes prefix;
    cache_status status;
};

static bool begins(cache_bytes key, cache_bytes with)
{
    return key.size >= with.size && memcmp(key.data, with.data, with.size) == 0;
}

/* A torn entry has no known prefix and can never be read again, so any clear removes it. */
static bool clear_one(void *ctx, struct fs_leaf *leaf, const char *name, const struct stat *info)
{
    struct clear *clear = ctx;
    struct fs_entry entry;
    int fd = -1;
    (void)info;
    cache_status status = cache_fs_leaf_find(leaf, name, &fd);
    bool gone = false;
    if (status == CACHE_OK) {
        const enum fs_state state = cache_fs_entry_load(fd, leaf->store->env, cache_fs_any_key, &entry);
        cache_fs_close(fd);
        if (state == FS_FAILED)
            status = cache_fs_leaf_fail(leaf, name, errno);
        if (state == FS_TORN
            || ((state == FS_LIVE || state == FS_EXPIRED) && begins(cache_fs_entry_key(&entry), clear->prefix))) {
            status = cache_fs_leaf_remove(leaf, name);
            gone = status == CACHE_OK;
        }
    }
    if (status < 0 && clear->status == CACHE_OK)
        clear->status = status;
    return gone;
}

cache_status cache_fs_clear(struct fs_store *store, cache_bytes prefix)
{
    struct clear clear = { prefix, CACHE_OK };
    for (unsigned i = 0; i < FS_LEAVES; i++) {
        struct fs_leaf leaf;
        cache_status status = cache_fs_leaf_lock(store, i, &leaf);
        if (status == CACHE_OK) {
            status = cache_fs_leaf_scan(&leaf, clear_one, &clear);
            cache_fs_leaf_unlock(&leaf);
        }
        if (status < 0 && clear.status == CACHE_OK)
            clear.status = status;
    }
    return clear.status;
}

/* ---- listing ----------------------------------------------------------------------------------------------------- */

/* A leaf is listed in the order of its file names, so that a step can continue after the last one. */
enum { STEP = 1000, ROOM = 2 * STEP };

struct names {
    size_t n;
    bool cut;                          /* there are more names after these */
    char name[ROOM][FS_NAME_DIGITS + 1];
};

/* The cursor's `at`. */
struct position {
    uint64_t leaf;
    char behind[FS_NAME_DIGITS + 1];   /* the last name that was listed; "": none yet */
};

_Static_assert(sizeof(struct position) <= sizeof((cache_cursor *)NULL)->at, "the cursor has room for it");

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Keep the first names in order. */
static void sort_and_cut(struct names *names)
{
    qsort(names->name, names->n, sizeof names->name[0], compare_names);
    if (names->n > STEP) {
        names->n = STEP;
        names->cut = true;
    }
}

static cache_status gather_names(struct fs_store *store, const struct position *at, struct names *names)
{
    char path[4];
    cache_fs_leaf_path((unsigned)at->leaf, path);
    const int fd = cache_fs_leaf_open(store, (unsigned)at->leaf);
    if (fd < 0)
        return errno == ENOENT ? CACHE_OK : cache_fs_fail(store, path, errno);
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        cache_fs_close(fd);
        return cache_fs_fail(store, path, errno);
    }
    const struct dirent *entry = NULL;
    for (errno = 0; (entry = readdir(stream)) != NULL; errno = 0) {
        if (!cache_fs_is_entry_name(entry->d_name) || strcmp(entry->d_name, at->behind) <= 0)
            continue;
        memcpy(names->name[names->n++], entry->d_name, sizeof names->name[0]);
        if (names->n == ROOM)
            sort_and_cut(names);
    }
    const int error = errno;
    closedir(stream);
    sort_and_cut(names);
    return error == 0 ? CACHE_OK : cache_fs_fail(store, path, error);
}

/* Nothing is open or locked when `each` is called. */
static cache_status list_one(struct fs_store *store, const struct position *at, cache_bytes prefix,
                             cache_list_key_fn *each, void *ctx)
{
    char path[4 + FS_NAME_DIGITS + 1];
    struct fs_entry entry;
    cache_fs_leaf_path((unsigned)at->leaf, path);
    path[3] = '/';
    memcpy(path + 4, at->behind, sizeof at->behind);
    const int fd = cache_fs_open(store, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)    /* it was removed meanwhile, or is not an entry */
        return errno == ENOENT || errno == ELOOP || errno == ENXIO ? CACHE_OK : cache_fs_fail(store, path, errno);
    const enum fs_state state = cache_fs_entry_load(fd, store->env, cache_fs_any_key, &entry);
    cache_fs_close(fd);
    if (state == FS_FAILED)
        return cache_fs_fail(store, path, errno);
    const cache_bytes key = cache_fs_entry_key(&entry);
    if (state == FS_LIVE && begins(key, prefix)) {
        entry.bytes[sizeof(struct fs_head) + key.size] = '\0';
        each(ctx, key);
    }
    return CACHE_OK;
}

cache_status cache_fs_list(struct fs_store *store, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each,
                           void *ctx)
{
    struct position at;
    memcpy(&at, cursor->at, sizeof at);
    at.behind[FS_NAME_DIGITS] = '\0';
    for (size_t looked_at = 0; looked_at < STEP && at.leaf < FS_LEAVES;) {
        struct names names;
        names.n = 0;
        names.cut = false;
        int cancel_state = 0;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        const cache_status status = gather_names(store, &at, &names);
        pthread_setcancelstate(cancel_state, NULL);
        if (status != CACHE_OK)
            return status;
        looked_at += names.n;
        for (size_t i = 0; i < names.n; i++) {
            memcpy(at.behind, names.name[i], sizeof at.behind);
            const cache_status listed = list_one(store, &at, prefix, each, ctx);
            if (listed != CACHE_OK)
                return listed;
        }
        if (!names.cut) {
            at.leaf++;
            at.behind[0] = '\0';
        }
    }
    memcpy(cursor->at, &at, sizeof at);
    cursor->done = at.leaf >= FS_LEAVES;
    return CACHE_OK;
}
