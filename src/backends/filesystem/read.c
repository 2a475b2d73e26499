/* read.c - get and has: reading an entry takes no lock. */
#include "store.h"

#include "unique.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>

/* One of so many reads is noted as a use, for the order of eviction. Noting one costs as much as opening the file. */
enum { NOTE_ONE_IN = 8 };

static void note_use(const struct fs_store *store, int fd)
{
    if ((store->max_items != 0 || store->max_bytes != 0) && cache_unique_fraction() * NOTE_ONE_IN <= 1)
        cache_fs_set_times(fd, 0, cache_env_wall_ms(store->env));
}

cache_status cache_fs_find_entry(const struct fs_store *store, const struct fs_name *name, int *fd)
{
    *fd = cache_fs_open(store, name->path, O_RDONLY | O_NONBLOCK);
    if (*fd >= 0)
        return CACHE_OK;
    return errno == ENOENT || errno == ELOOP || errno == ENXIO ? CACHE_MISS : cache_fs_fail(store, name->path, errno);
}

/* Close the file and return the outcome of the read. An expired or torn entry is removed from the disk. */
static cache_status end_read(struct fs_store *store, const struct fs_name *name, int fd, enum fs_state state,
                             cache_status status)
{
    cache_fs_close(fd);
    if (state == FS_FAILED)
        return cache_fs_fail(store, name->path, errno);
    if (state == FS_EXPIRED || state == FS_TORN)
        cache_fs_discard(store, name);
    return status;
}

/* Append the value to `out`, or only verify it if `out` is NULL. Sets `*left_ms` to the remaining time to live; 0: for
 * ever. */
static cache_status read_entry(struct fs_store *store, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    struct fs_name name;
    struct fs_entry entry;
    int fd = -1;
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = cache_fs_find_entry(store, &name, &fd);
    if (status != CACHE_OK)
        return status;
    status = CACHE_MISS;
    enum fs_state state = cache_fs_entry_load(fd, store->env, key, &entry);
    if (state == FS_LIVE && entry.head.expires_ms != 0) {
        const int64_t left = entry.head.expires_ms - cache_env_wall_ms(store->env);
        *left_ms = left > 0 ? left : 1;    /* it was live a moment ago */
    }
    if (state == FS_LIVE && out != NULL)
        status = cache_fs_entry_value(fd, &entry, out, &state);
    else if (state == FS_LIVE) {
        state = cache_fs_entry_verify(fd, &entry);
        status = state == FS_LIVE ? CACHE_OK : CACHE_MISS;
    }
    if (status == CACHE_OK && out != NULL)
        note_use(store, fd);
    return end_read(store, &name, fd, state, status);
}

/* The thread cannot be cancelled meanwhile, since it would leave the file open. */
cache_status cache_fs_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    int cancel_state = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    *left_ms = 0;
    const cache_status status = read_entry(self, key, out, left_ms);
    pthread_setcancelstate(cancel_state, NULL);
    return status;
}

cache_status cache_fs_get(void *self, cache_bytes key, cache_writer *out)
{
    int64_t left_ms = 0;
    return cache_fs_get_left(self, key, out, &left_ms);
}

cache_status cache_fs_has(void *self, cache_bytes key)
{
    return cache_fs_get(self, key, NULL);
}
