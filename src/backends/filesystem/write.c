/* write.c - set and remove, and the steps that all operations that write have in common. */
#include "store.h"

#include <errno.h>
#include <stdio.h>

int64_t cache_fs_deadline(const struct fs_store *store, int64_t ttl_ms)
{
    return ttl_ms > 0 ? cache_env_wall_ms(store->env) + ttl_ms : 0;
}

cache_status cache_fs_check_size(const struct fs_store *store, cache_bytes key, size_t value_size)
{
    const uint64_t size = sizeof(struct fs_head) + (uint64_t)key.size + value_size;
    if (store->max_bytes == 0 || size <= store->max_bytes)
        return CACHE_OK;
    return cache_fail(CACHE_ERR_TOO_LARGE, "file %.200s: header, key and value of %llu bytes: max_bytes is %llu",
                      store->path, (unsigned long long)size, (unsigned long long)store->max_bytes);
}

/* Call if the disk was full. If nothing can be removed, the message of the full disk is kept. */
static bool make_room(struct fs_store *store, const struct fs_name *name, cache_bytes key, uint64_t value_size,
                      bool replace, int *attempt)
{
    const int error = errno;
    if (cache_fs_make_room(store, name, sizeof(struct fs_head) + key.size + value_size, replace, attempt))
        return true;
    (void)cache_fs_fail(store, name->path, error);
    return false;
}

bool cache_fs_may_succeed_now(struct fs_store *store, cache_status status, const struct fs_name *name, cache_bytes key,
                              uint64_t value_size, bool replace, struct fs_attempts *attempts)
{
    enum { MOST_REMOVALS = 5 };
    if (cache_fs_lacks_space(status))
        return make_room(store, name, key, value_size, replace, &attempts->to_make_room);
    return status == CACHE_ERR_IO && errno == ENOENT && attempts->after_removal++ < MOST_REMOVALS;
}

cache_status cache_fs_write_entry(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, cache_bytes value,
                          int64_t expires_ms)
{
    struct fs_head head;
    int fd = -1;
    cache_fs_head_make(&head, key, value, expires_ms, cache_env_wall_ms(leaf->store->env));
    const cache_status status = cache_fs_temp_open(leaf, &fd);
    if (status != CACHE_OK)
        return status;
    const cache_bytes parts[] = { { (const char *)&head, sizeof head }, key, value };
    const int error = cache_fs_write(fd, parts, 3);
    if (error == 0)
        return cache_fs_temp_commit(leaf, fd, name, &head);
    cache_fs_temp_drop(leaf, fd);
    return cache_fs_fail(leaf->store, name->path, error);
}

cache_status cache_fs_find_live(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key,
                                struct fs_entry *entry, int *fd)
{
    const cache_status status = cache_fs_leaf_find(leaf, cache_fs_base(name), fd);
    if (status != CACHE_OK)
        return status;
    const enum fs_state state = cache_fs_entry_load(*fd, leaf->store->env, key, entry);
    if (state == FS_LIVE)
        return CACHE_OK;
    cache_fs_close(*fd);
    *fd = -1;
    return state == FS_FAILED ? cache_fs_fail(leaf->store, name->path, errno) : CACHE_MISS;
}

static cache_status is_there(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key)
{
    struct fs_entry entry;
    int fd = -1;
    const cache_status status = cache_fs_find_live(leaf, name, key, &entry, &fd);
    if (status != CACHE_OK)
        return status;
    const enum fs_state state = cache_fs_entry_verify(fd, &entry);
    cache_fs_close(fd);
    return state == FS_LIVE ? CACHE_OK : state == FS_TORN ? CACHE_MISS : cache_fs_fail(leaf->store, name->path, errno);
}

void cache_fs_after_write(struct fs_store *store, const struct fs_name *name)
{
    cache_fs_sweep(store);
    cache_fs_evict(store, name);
}

static cache_status set_once(struct fs_store *store, const struct fs_name *name, cache_bytes key, cache_bytes value,
                             int64_t expires_ms, unsigned flags)
{
    struct fs_leaf leaf;
    cache_status status = cache_fs_leaf_lock(store, name->leaf, &leaf);
    if (status != CACHE_OK)
        return status;
    status = flags & CACHE_SET_IF_ABSENT ? is_there(&leaf, name, key) : CACHE_MISS;
    if (status == CACHE_MISS)
        status = cache_fs_write_entry(&leaf, name, key, value, expires_ms);
    else if (status == CACHE_OK)
        status = CACHE_NOT_STORED;
    cache_fs_leaf_unlock(&leaf);
    return status;
}

static void try_to_remove(struct fs_store *store, const struct fs_name *name)
{
    struct fs_leaf leaf;
    int fd = -1;
    if (store->read_only != 0 || cache_fs_find_entry(store, name, &fd) != CACHE_OK)
        return;
    cache_fs_close(fd);
    if (cache_fs_leaf_try(store, name->leaf, &leaf) != CACHE_OK)
        return;
    (void)cache_fs_leaf_remove(&leaf, cache_fs_base(name));
    cache_fs_leaf_unlock(&leaf);
}

/* After a failed set the old value must not be served any more, since the caller knows that it is outdated. Returns the
 * failure of the set, with its message. */
static cache_status remove_old(struct fs_store *store, const struct fs_name *name, cache_status status)
{
    char message[512];
    (void)snprintf(message, sizeof message, "%s", cache_last_error());
    try_to_remove(store, name);
    return cache_fail(status, "%s", message);
}

cache_status cache_fs_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct fs_store *store = self;
    const bool replace = (flags & CACHE_SET_IF_ABSENT) == 0;
    struct fs_name name;
    struct fs_attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = cache_fs_check_size(store, key, value.size);
    if (status == CACHE_OK)
        do
            status = set_once(store, &name, key, value, cache_fs_deadline(store, ttl_ms), flags);
        while (cache_fs_may_succeed_now(store, status, &name, key, value.size, replace, &attempts));
    if (status == CACHE_OK)
        cache_fs_after_write(store, &name);
    else if (status < 0 && replace)
        status = remove_old(store, &name, status);
    return status;
}

static cache_status remove_locked(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key)
{
    struct fs_entry entry;
    int fd = -1;
    cache_status status = cache_fs_leaf_find(leaf, cache_fs_base(name), &fd);
    if (status != CACHE_OK)
        return status;
    enum fs_state state = cache_fs_entry_load(fd, leaf->store->env, key, &entry);
    if (state == FS_LIVE)
        state = cache_fs_entry_verify(fd, &entry);    /* a torn one counts as absent */
    cache_fs_close(fd);
    if (state == FS_FAILED)
        return cache_fs_fail(leaf->store, name->path, errno);
    if (state != FS_OTHER)
        status = cache_fs_leaf_remove(leaf, cache_fs_base(name));
    return status == CACHE_OK && state != FS_LIVE ? CACHE_MISS : status;
}

cache_status cache_fs_remove(void *self, cache_bytes key)
{
    struct fs_store *store = self;
    struct fs_name name;
    struct fs_leaf leaf;
    int fd = -1;
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = cache_fs_find_entry(store, &name, &fd);    /* what is not there needs no lock */
    if (status != CACHE_OK)
        return status;
    cache_fs_close(fd);
    status = cache_fs_leaf_lock(store, name.leaf, &leaf);
    if (status != CACHE_OK)
        return status;
    status = remove_locked(&leaf, &name, key);
    cache_fs_leaf_unlock(&leaf);
    return status;
}
