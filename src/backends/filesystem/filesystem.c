/* filesystem.c - the filesystem store: options, the operations on one key, clear, and the table of operations. */
#include "store.h"

#include "number.h"
#include "unique.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One read in so many is noted as a use, for the order of eviction: a note costs as much as the read's own open. */
enum { NOTE_ONE_IN = 8 };

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static const cache_option options[] = {
    { "max_items", CACHE_OPTION_INT, .def = "0", .min = 0, .max = 1e12,
      .help = "most entries, of all processes together; 0: no limit" },
    { "max_bytes", CACHE_OPTION_BYTES, .def = "0", .min = 0, .max = 1e15,
      .help = "most bytes of all files: 56 of a header, key and value each; 0: no limit" },
    { "mode", CACHE_OPTION_OCTAL, .def = "0600", .min = 0600, .max = 0666,
      .help = "permissions of files; whoever may read them may enter the directories" },
    { 0 },
};

static cache_status check_config(const cache_backend_config *config)
{
    if (config->user != NULL || config->password != NULL || config->n_hosts > 0)
        return cache_fail(CACHE_ERR_CONFIG,
                          "file: the URL names a host or user: write file:///path, with three slashes");
    if (config->path[0] == '\0')
        return cache_fail(CACHE_ERR_CONFIG, "file: the URL names no directory: write file:///path");
    if ((cache_option_int(config, "mode") & 0600) != 0600)
        return cache_fail(CACHE_ERR_CONFIG, "file: option 'mode' must let the owner read and write, as 0600 does");
    return CACHE_OK;
}

static void store_close(void *self)
{
    struct fs_store *store = self;
    cache_fs_locks_release(store);
    cache_fs_directory_close(store);
    cache_env_free(store->env, store->path);
    cache_env_free(store->env, store);
}

static struct fs_store *store_new(const cache_backend_config *config)
{
    const cache_env *env = config->env;
    const size_t size = strlen(config->path) + 1;
    const mode_t mode = (mode_t)cache_option_int(config, "mode");
    struct fs_store *store = cache_env_alloc(env, sizeof *store);
    char *path = cache_env_alloc(env, size);
    if (store == NULL || path == NULL) {
        cache_env_free(env, path);
        cache_env_free(env, store);
        return NULL;
    }
    memcpy(path, config->path, size);
    memset(store, 0, sizeof *store);
    store->env = env;
    store->path = path;
    store->directory = -1;
    atomic_init(&store->meta_file, -1);
    store->file_mode = mode;
    store->directory_mode = mode | (mode & 0444) >> 2;    /* 0640 makes 0750 */
    store->max_items = (uint64_t)cache_option_int(config, "max_items");
    store->max_bytes = (uint64_t)cache_option_int(config, "max_bytes");
    store->timeout_ms = cache_option_ms(config, "timeout");
    /* Processes that begin together look at different leaves. */
    const unsigned begin = (unsigned)(cache_unique_bits() % FS_LEAVES);
    atomic_init(&store->cursor, begin);
    atomic_init(&store->sweep_cursor, begin);
    cache_fs_locks_init(store);
    return store;
}

static cache_status store_open(const cache_backend_config *config, void **self)
{
    cache_status status = check_config(config);
    if (status != CACHE_OK)
        return status;
    struct fs_store *store = store_new(config);
    if (store == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "file: out of memory");
    status = cache_fs_directory_retry(store);
    if (status != CACHE_OK && !cache_fs_lacks_space(status)) {
        store_close(store);
        return status;
    }
    *self = store;    /* on a full disk each operation fails, with the reason, until there is room */
    return CACHE_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void note_use(const struct fs_store *store, int fd)
{
    if ((store->max_items != 0 || store->max_bytes != 0) && cache_unique_fraction() * NOTE_ONE_IN <= 1)
        cache_fs_set_times(fd, 0, cache_env_wall_ms(store->env));
}

/* Open the entry's file. CACHE_MISS: there is none, or something that is not followed. */
static cache_status find_entry(const struct fs_store *store, const struct fs_name *name, int *fd)
{
    *fd = cache_fs_open(store, name->path, O_RDONLY | O_NONBLOCK);
    if (*fd >= 0)
        return CACHE_OK;
    return errno == ENOENT || errno == ELOOP || errno == ENXIO ? CACHE_MISS : cache_fs_fail(store, name->path, errno);
}

/* Close the file and return what the read comes to. An expired or torn entry leaves the disk. */
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

/* Appends the value to `out`, or only looks if that is NULL. `*left_ms`: how long it still lives; 0: for ever. */
static cache_status read_entry(struct fs_store *store, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    struct fs_name name;
    struct fs_entry entry;
    int fd = -1;
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = find_entry(store, &name, &fd);
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

/* A thread that is cancelled while it reads would leave the file open. */
static cache_status store_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    int cancel_state = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    *left_ms = 0;
    const cache_status status = read_entry(self, key, out, left_ms);
    pthread_setcancelstate(cancel_state, NULL);
    return status;
}

static cache_status store_get(void *self, cache_bytes key, cache_writer *out)
{
    int64_t left_ms = 0;
    return store_get_left(self, key, out, &left_ms);
}

static cache_status store_has(void *self, cache_bytes key)
{
    return store_get(self, key, NULL);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static int64_t deadline(const struct fs_store *store, int64_t ttl_ms)
{
    return ttl_ms > 0 ? cache_env_wall_ms(store->env) + ttl_ms : 0;
}

static cache_status check_size(const struct fs_store *store, cache_bytes key, size_t value_size)
{
    const uint64_t size = sizeof(struct fs_head) + (uint64_t)key.size + value_size;
    if (store->max_bytes == 0 || size <= store->max_bytes)
        return CACHE_OK;
    return cache_fail(CACHE_ERR_TOO_LARGE, "file %.200s: header, key and value of %llu bytes: max_bytes is %llu",
                      store->path, (unsigned long long)size, (unsigned long long)store->max_bytes);
}

/* What an operation that writes has tried already. */
struct attempts {
    int to_make_room, after_removal;
};

/* The disk was full. If nothing can be done about that, its message is the one that stays. */
static bool make_room(struct fs_store *store, const struct fs_name *name, cache_bytes key, uint64_t value_size,
                      bool replace, int *attempt)
{
    const int error = errno;
    if (cache_fs_make_room(store, name, sizeof(struct fs_head) + key.size + value_size, replace, attempt))
        return true;
    (void)cache_fs_fail(store, name->path, error);
    return false;
}

/* Returns true if a write that ended with `status` may succeed now: there is room on a disk that was full, or somebody
 * removed the leaf's directory in the middle of the write, and the next attempt makes it again. */
static bool may_succeed_now(struct fs_store *store, cache_status status, const struct fs_name *name, cache_bytes key,
                            uint64_t value_size, bool replace, struct attempts *attempts)
{
    enum { MOST_REMOVALS = 5 };
    if (cache_fs_lacks_space(status))
        return make_room(store, name, key, value_size, replace, &attempts->to_make_room);
    return status == CACHE_ERR_IO && errno == ENOENT && attempts->after_removal++ < MOST_REMOVALS;
}

/* Write an entry in a leaf that is locked. */
static cache_status write_entry(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, cache_bytes value,
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

/* Open and load the live entry of `key` in a leaf that is locked. CACHE_MISS: there is none. */
static cache_status find_live(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, struct fs_entry *entry,
                              int *fd)
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
    const cache_status status = find_live(leaf, name, key, &entry, &fd);
    if (status != CACHE_OK)
        return status;
    const enum fs_state state = cache_fs_entry_verify(fd, &entry);
    cache_fs_close(fd);
    return state == FS_LIVE ? CACHE_OK : state == FS_TORN ? CACHE_MISS : cache_fs_fail(leaf->store, name->path, errno);
}

/* Call with no lock held. */
static void after_write(struct fs_store *store, const struct fs_name *name)
{
    cache_fs_sweep(store);
    cache_fs_evict(store, name);
}

/* CACHE_OK: a live entry is there whose value begins with `expected`. */
static cache_status begins_as(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, cache_bytes expected)
{
    struct fs_entry entry;
    enum fs_state state = FS_LIVE;
    int fd = -1;
    cache_status status = find_live(leaf, name, key, &entry, &fd);
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
        status = value.data != NULL ? write_entry(&leaf, name, key, value, expires_ms)
                                    : cache_fs_leaf_remove(&leaf, cache_fs_base(name));
    cache_fs_leaf_unlock(&leaf);
    return status;
}

static cache_status store_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                          int64_t ttl_ms)
{
    struct fs_store *store = self;
    struct fs_name name;
    struct attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = check_size(store, key, value.size);
    if (status == CACHE_OK)
        do
            status = compare_once(store, &name, key, expected, value, deadline(store, ttl_ms));
        while (may_succeed_now(store, status, &name, key, value.size, false, &attempts));
    if (status == CACHE_OK && value.data != NULL)
        after_write(store, &name);
    return status;
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
        status = write_entry(&leaf, name, key, value, expires_ms);
    else if (status == CACHE_OK)
        status = CACHE_NOT_STORED;
    cache_fs_leaf_unlock(&leaf);
    return status;
}

static void try_to_remove(struct fs_store *store, const struct fs_name *name)
{
    struct fs_leaf leaf;
    int fd = -1;
    if (store->read_only != 0 || find_entry(store, name, &fd) != CACHE_OK)
        return;
    cache_fs_close(fd);
    if (cache_fs_leaf_try(store, name->leaf, &leaf) != CACHE_OK)
        return;
    (void)cache_fs_leaf_remove(&leaf, cache_fs_base(name));
    cache_fs_leaf_unlock(&leaf);
}

/* After a failed set the old value is not served any more: the caller knows that it is outdated. Returns the failure of
 * the set, with its message. */
static cache_status remove_old(struct fs_store *store, const struct fs_name *name, cache_status status)
{
    char message[512];
    (void)snprintf(message, sizeof message, "%s", cache_last_error());
    try_to_remove(store, name);
    return cache_fail(status, "%s", message);
}

static cache_status store_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct fs_store *store = self;
    const bool replace = (flags & CACHE_SET_IF_ABSENT) == 0;
    struct fs_name name;
    struct attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = check_size(store, key, value.size);
    if (status == CACHE_OK)
        do
            status = set_once(store, &name, key, value, deadline(store, ttl_ms), flags);
        while (may_succeed_now(store, status, &name, key, value.size, replace, &attempts));
    if (status == CACHE_OK)
        after_write(store, &name);
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

static cache_status store_remove(void *self, cache_bytes key)
{
    struct fs_store *store = self;
    struct fs_name name;
    struct fs_leaf leaf;
    int fd = -1;
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    status = find_entry(store, &name, &fd);    /* what is not there needs no lock */
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
    status = find_live(&leaf, name, key, &entry, &fd);
    if (status == CACHE_OK) {
        *size = entry.head.value_size;
        status = renew(&leaf, name, key, &entry, fd, expires_ms);
        cache_fs_close(fd);
    }
    cache_fs_leaf_unlock(&leaf);
    return status;
}

static cache_status store_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct fs_store *store = self;
    struct fs_name name;
    uint64_t size = 0;
    struct attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    do
        status = touch_once(store, &name, key, deadline(store, ttl_ms), &size);
    while (may_succeed_now(store, status, &name, key, size, false, &attempts));
    if (status == CACHE_OK)
        cache_fs_sweep(store);
    return status;
}

/* The number at `key`, and when it expires. CACHE_MISS: there is none. */
static cache_status read_number(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, int64_t *number,
                                int64_t *expires_ms)
{
    struct fs_entry entry;
    int fd = -1;
    const cache_status status = find_live(leaf, name, key, &entry, &fd);
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
    int64_t number = 0, expires_ms = deadline(leaf->store, ttl_ms), sum = 0;
    cache_status status = read_number(leaf, name, key, &number, &expires_ms);
    if (status != CACHE_OK && status != CACHE_MISS)
        return status;
    if (!cache_number_add(number, delta, &sum))
        return cache_fail(CACHE_ERR_RANGE, "file %.200s: inc: the result does not fit in int64", leaf->store->path);
    char text[NUMBER_MAX_SIZE + 1];
    const size_t size = cache_number_format(sum, text);
    status = check_size(leaf->store, key, size);
    if (status == CACHE_OK)
        status = write_entry(leaf, name, key, (cache_bytes){ text, size }, expires_ms);
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

static cache_status store_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct fs_store *store = self;
    struct fs_name name;
    struct attempts attempts = { 0, 0 };
    cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    cache_fs_name(store, key, &name);
    do
        status = inc_once(store, &name, key, delta, ttl_ms, result);
    while (may_succeed_now(store, status, &name, key, NUMBER_MAX_SIZE, false, &attempts));
    if (status == CACHE_OK)
        after_write(store, &name);
    return status;
}

/* ---- all keys, and the store as a whole -------------------------------------------------------------------------- */

static cache_status store_clear(void *self, cache_bytes prefix)
{
    struct fs_store *store = self;
    const cache_status status = cache_fs_prepare(store);
    return status == CACHE_OK ? cache_fs_clear(store, prefix) : status;
}

static cache_status store_list(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each, void *ctx)
{
    struct fs_store *store = self;
    const cache_status status = cache_fs_prepare(store);
    return status == CACHE_OK ? cache_fs_list(store, prefix, cursor, each, ctx) : status;
}

static cache_status store_ping(void *self)
{
    struct fs_store *store = self;
    struct stat info;
    const cache_status status = cache_fs_prepare(store);
    if (status != CACHE_OK)
        return status;
    if (fstat(cache_fs_meta_file(store), &info) != 0)
        return cache_fs_fail(store, FS_META_FILE, errno);
    return info.st_nlink > 0 ? CACHE_OK : cache_fs_fail(store, FS_META_FILE, ENOENT);
}

static uint64_t store_version(void *self, cache_bytes key)
{
    struct fs_store *store = self;
    struct fs_name name;
    if (cache_fs_prepare(store) != CACHE_OK)
        return 0;
    cache_fs_name(store, key, &name);
    return cache_fs_version(store, name.leaf);
}

static cache_status store_stats(void *self, cache_counters *out)
{
    struct fs_store *store = self;
    struct fs_usage table[FS_LEAVES], sum = { 0 };
    if (cache_fs_prepare(store) == CACHE_OK) {
        cache_fs_usage_all(store, table);
        sum = cache_fs_usage_sum(table);
        out->knows_items = 1;
    }
    out->items += sum.items;
    out->bytes += sum.bytes;
    out->max_items = store->max_items;
    out->max_bytes = store->max_bytes;
    out->evictions += atomic_load_explicit(&store->evictions, memory_order_relaxed);
    out->expirations += atomic_load_explicit(&store->expirations, memory_order_relaxed);
    out->timeouts += atomic_load_explicit(&store->timeouts, memory_order_relaxed);
    return CACHE_OK;
}

const cache_backend_ops cache_filesystem_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "file",
    .options = options,
    .open = store_open,
    .close = store_close,
    .get = store_get,
    .set = store_set,
    .remove = store_remove,
    .inc = store_inc,
    .clear = store_clear,
    .touch = store_touch,
    .has = store_has,
    .stats = store_stats,
    .get_left = store_get_left,
    .list = store_list,
    .ping = store_ping,
    .version = store_version,
    .compare_and_set = store_compare_and_set,
};
