/* change.c - compare-and-set, touch and inc: they read an entry and replace it while its leaf is locked. */
#include "store.h"

#include "number.h"
#include "writer.h"

#include <errno.h>
#include <string.h>

/* Returns CACHE_OK if there is a live entry whose value begins with `expected`. */
static cache_status begins_as(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, cache_bytes expected)
{
    struct fs_entry entry;
    enum fs_state state = FS_LIVE;
    int fd = -1;
    cache_status status = cache_fs_find_live(leaf, name, key, &entry, &fd);
    if (status != CACHE_OK)
        return status == CACHE_MISS ? CACHE_NOT_STORED : status;
    cache_writer value;
    cache_writer_init(&value, cache_env_allocator(leaf->store->env));
    status = cache_fs_entry_value(fd, &entry, &value, &state);
    if (state == FS_FAILED)
        status = cache_fs_fail(leaf->store, name->path, errno);
    else if (status == CACHE_MISS)
        status = CACHE_NOT_STORED;
    else if (status == CACHE_OK &&
             (value.size < expected.size || memcmp(value.data, expected.data, expected.size) != 0))
        status = CACHE_NOT_STORED;
    cache_fs_close(fd);
    cache_writer_release(&value);
    return status;
}

static cache_status compare_once(struct fs_store *store, const struct fs_name *name, cache_bytes key,
                                 cache_bytes expected, cache_bytes value, int64_t expires_ms)
{
    struct fs_leaf leaf;
    cache_status status = cache_fs_leaf_lock(store, name->leaf, &leaf);
    if (status != CACHE_OK)
        return status;
    status = begins_as(&leaf, name, key, expected);
    if (status == CACHE_OK)
        status = value.data != NULL ? cache_fs_write_entry(&leaf, name, key, value, expires_ms)
                                    : cache_fs_leaf_remove(&leaf, cache_fs_base(name));
    cache_fs_leaf_unlock(&leaf);
    return status;
}

cache_status cache_fs_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                      int64_t ttl_ms)
{
    struct fs_store *store = self;
    struct fs_name name;
    struct fs_attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = cache_fs_check_size(store, key, value.size);
    if (status == CACHE_OK)
        do
            status = compare_once(store, &name, key, expected, value, cache_fs_deadline(store, ttl_ms));
        while (cache_fs_may_succeed_now(store, status, &name, key, value.size, false, &attempts));
    if (status == CACHE_OK && value.data != NULL)
        cache_fs_after_write(store, &name);
    return status;
}

/* Write a copy with another expiry: a reader sees the old entry or the new one, as with any write. */
static cache_status renew(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, struct fs_entry *entry,
                          int from, int64_t expires_ms)
{
    struct fs_head head = entry->head;
    int fd = -1;
    cache_fs_head_renew(&head, key, expires_ms, cache_env_wall_ms(leaf->store->env));
    const cache_status status = cache_fs_temp_open(leaf, &fd);
    if (status != CACHE_OK)
        return status;
    const cache_bytes parts[] = { { (const char *)&head, sizeof head }, key };
    int error = cache_fs_write(fd, parts, 2);
    enum fs_state state = FS_FAILED;
    if (error == 0) {
        state = cache_fs_entry_copy(from, entry, fd);
        error = errno;
    }
    if (state == FS_LIVE)
        return cache_fs_temp_commit(leaf, fd, name, &head);
    cache_fs_temp_drop(leaf, fd);
    return state == FS_TORN ? CACHE_MISS : cache_fs_fail(leaf->store, name->path, error);
}

static cache_status touch_once(struct fs_store *store, const struct fs_name *name, cache_bytes key, int64_t expires_ms,
                               uint64_t *size)
{
    struct fs_leaf leaf;
    struct fs_entry entry;
    int fd = -1;
    cache_status status = cache_fs_leaf_lock(store, name->leaf, &leaf);
    if (status != CACHE_OK)
        return status;
    status = cache_fs_find_live(&leaf, name, key, &entry, &fd);
    if (status == CACHE_OK) {
        *size = entry.head.value_size;
        status = renew(&leaf, name, key, &entry, fd, expires_ms);
        cache_fs_close(fd);
    }
    cache_fs_leaf_unlock(&leaf);
    return status;
}

cache_status cache_fs_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct fs_store *store = self;
    struct fs_name name;
    uint64_t size = 0;
    struct fs_attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    do
        status = touch_once(store, &name, key, cache_fs_deadline(store, ttl_ms), &size);
    while (cache_fs_may_succeed_now(store, status, &name, key, size, false, &attempts));
    if (status == CACHE_OK)
        cache_fs_sweep(store);
    return status;
}

/* Read the number at `key`, and when it expires. CACHE_MISS: there is none. */
static cache_status read_number(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, int64_t *number,
                                int64_t *expires_ms)
{
    struct fs_entry entry;
    int fd = -1;
    const cache_status status = cache_fs_find_live(leaf, name, key, &entry, &fd);
    if (status != CACHE_OK)
        return status;
    cache_bytes text = { NULL, 0 };
    bool fits = false;
    const enum fs_state state = cache_fs_entry_small(fd, &entry, NUMBER_MAX_SIZE, &text, &fits);
    cache_fs_close(fd);
    if (state != FS_LIVE)
        return state == FS_TORN ? CACHE_MISS : cache_fs_fail(leaf->store, name->path, errno);
    if (!fits || !cache_number_parse(text.data, text.size, number))
        return cache_fail(CACHE_ERR_TYPE, "file %.200s: inc: the value is not a number", leaf->store->path);
    *expires_ms = entry.head.expires_ms;
    return CACHE_OK;
}

static cache_status inc_locked(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, int64_t delta,
                               int64_t ttl_ms, int64_t *result)
{
    int64_t number = 0, expires_ms = cache_fs_deadline(leaf->store, ttl_ms), sum = 0;
    cache_status status = read_number(leaf, name, key, &number, &expires_ms);
    if (status != CACHE_OK && status != CACHE_MISS)
        return status;
    if (!cache_number_add(number, delta, &sum))
        return cache_fail(CACHE_ERR_RANGE, "file %.200s: inc: the result does not fit in int64", leaf->store->path);
    char text[NUMBER_MAX_SIZE + 1];
    const size_t size = cache_number_format(sum, text);
    status = cache_fs_check_size(leaf->store, key, size);
    if (status == CACHE_OK)
        status = cache_fs_write_entry(leaf, name, key, (cache_bytes){ text, size }, expires_ms);
    if (status == CACHE_OK)
        *result = sum;
    return status;
}

static cache_status inc_once(struct fs_store *store, const struct fs_name *name, cache_bytes key, int64_t delta,
                             int64_t ttl_ms, int64_t *result)
{
    struct fs_leaf leaf;
    cache_status status = cache_fs_leaf_lock(store, name->leaf, &leaf);
    if (status != CACHE_OK)
        return status;
    status = inc_locked(&leaf, name, key, delta, ttl_ms, result);
    cache_fs_leaf_unlock(&leaf);
    return status;
}

cache_status cache_fs_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct fs_store *store = self;
    struct fs_name name;
    struct fs_attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    do
        status = inc_once(store, &name, key, delta, ttl_ms, result);
    while (cache_fs_may_succeed_now(store, status, &name, key, NUMBER_MAX_SIZE, false, &attempts));
    if (status == CACHE_OK)
        cache_fs_after_write(store, &name);
    return status;
}
