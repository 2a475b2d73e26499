/* filesystem.c - the filesystem store: options, opening and closing, and the table of operations. */
#include "store.h"

#include "unique.h"

#include <errno.h>
#include <string.h>

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
    size_t size = strlen(config->path);
    while (size > 1 && config->path[size - 1] == '/')    /* the directory is the last name of the path */
        size--;
    const mode_t mode = (mode_t)cache_option_int(config, "mode");
    struct fs_store *store = cache_env_alloc(env, sizeof *store);
    char *path = cache_env_alloc(env, size + 1);
    if (store == NULL || path == NULL) {
        cache_env_free(env, path);
        cache_env_free(env, store);
        return NULL;
    }
    memcpy(path, config->path, size);
    path[size] = '\0';
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
    .get = cache_fs_get,
    .set = cache_fs_set,
    .remove = cache_fs_remove,
    .inc = cache_fs_inc,
    .clear = store_clear,
    .touch = cache_fs_touch,
    .has = cache_fs_has,
    .stats = store_stats,
    .get_left = cache_fs_get_left,
    .list = store_list,
    .ping = store_ping,
    .version = store_version,
    .compare_and_set = cache_fs_compare_and_set,
};
