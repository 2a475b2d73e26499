/* meta.c - the meta file. It shows that the directory is a cache, and contains the seed of the file names and a table
 * with the contents of each leaf, so that limits need not read the directory.
 *
 * The table is read and written in place, not mapped: if somebody truncates the file, a mapping would end the process
 * with SIGBUS. Only a program that asks for versions maps it. */
#include "store.h"

#include "hooks.h"
#include "unique.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { META_VERSION = 2 };

static const char meta_magic[16] = "libcache files\n";

struct meta_head {
    char magic[16];
    uint32_t version, leaves;          /* in this machine's byte order: another order reads as another version */
    uint64_t seed;
    char reserved[32];
};

struct meta_table {
    struct meta_head head;
    struct fs_usage leaves[FS_LEAVES];
};

_Static_assert(sizeof(struct meta_head) == 64 && sizeof(struct fs_usage) == 48, "the file format has no holes");

/* ---- making and checking it -------------------------------------------------------------------------------------- */

static cache_status not_ours(const struct fs_store *store)
{
    return cache_fail(CACHE_ERR_CONFIG,
                      "file %.200s: this directory is not empty and is not a cache of libcache: it has no valid '%s'. "
                      "Nothing in it was touched", store->path, FS_META_FILE);
}

/* Returns a hash of the kernel's id of this boot; 0 if there is none. */
static uint64_t boot_id(void)
{
    char id[64];
    const int fd = cache_fs_open_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    const ssize_t size = fd >= 0 ? cache_fs_read_at(fd, id, sizeof id, 0) : 0;
    if (fd >= 0)
        close(fd);
    return size > 0 ? XXH3_64bits(id, (size_t)size) : 0;
}

static void fill_table(const struct fs_store *store, struct meta_table *table, enum fs_content content)
{
    *table = (struct meta_table){ .head = { .version = META_VERSION, .leaves = FS_LEAVES, .seed = store->seed } };
    memcpy(table->head.magic, meta_magic, sizeof meta_magic);
    for (unsigned i = 0; i < FS_LEAVES; i++) {
        /* If a cache lost its meta file, the next writer in each leaf counts and verifies its entries. */
        table->leaves[i].version = cache_unique_bits() << 1 | (content == FS_ORPHANS);
        table->leaves[i].boot = content == FS_ORPHANS ? ~store->boot : store->boot;
    }
}

static cache_status write_meta(struct fs_store *store, int meta_file, enum fs_content content)
{
    struct meta_table table;
    store->seed = cache_unique_bits();
    fill_table(store, &table, content);
    const cache_bytes all = { (const char *)&table, sizeof table };
    int error = lseek(meta_file, 0, SEEK_SET) == 0 ? cache_fs_write(meta_file, &all, 1) : errno;
    if (error == 0 && fchmod(meta_file, store->file_mode) != 0)
        error = errno;
    /* This is done once in the life of a cache. A power cut must not remove the meta file but leave the entries. */
    if (error == 0 && fsync(meta_file) != 0 && errno != EINVAL && errno != EINTR)
        error = errno;
    /* If this fails, the next process tries again. It also recognizes the beginning of what was written here. */
    if (error != 0 && ftruncate(meta_file, 0) != 0)
        cache_env_log(store->env, CACHE_LOG_WARN, "file %.200s: the unfinished '%s' could not be emptied: %s",
                      store->path, FS_META_FILE, strerror(errno));
    return error == 0 ? CACHE_OK : cache_fs_fail(store, FS_META_FILE, error);
}

/* Returns true if the file is empty or has only a part of our header: its writer died or ran out of space. */
static bool is_unfinished(const struct meta_head *head, size_t size)
{
    const size_t known = size < sizeof head->magic ? size : sizeof head->magic;
    return size < sizeof *head && memcmp(head->magic, meta_magic, known) == 0;
}

/* Call with the lock of the meta file, if it can be written. */
static cache_status check_meta(struct fs_store *store, int meta_file)
{
    struct meta_head head;
    struct stat info;
    if (fstat(meta_file, &info) != 0)
        return cache_fs_fail(store, FS_META_FILE, errno);
    if (!S_ISREG(info.st_mode))
        return not_ours(store);
    const ssize_t n = cache_fs_read_at(meta_file, &head, sizeof head, 0);
    if (n < 0)
        return cache_fs_fail(store, FS_META_FILE, errno);
    if (is_unfinished(&head, (size_t)n) && store->read_only == 0) {
        const enum fs_content content = cache_fs_directory_content(store);
        if (content == FS_UNREADABLE)
            return cache_fs_fail(store, NULL, errno);
        return content == FS_FOREIGN ? not_ours(store) : write_meta(store, meta_file, content);
    }
    if ((size_t)n < sizeof head || memcmp(head.magic, meta_magic, sizeof head.magic) != 0)
        return not_ours(store);
    if (head.version != META_VERSION || head.leaves != FS_LEAVES)
        return cache_fail(CACHE_ERR_CONFIG,
                          "file %.200s: this cache was made by another version of libcache, or on another kind of "
                          "machine: remove the directory, or give the URL a new one", store->path);
    store->seed = head.seed;
    return CACHE_OK;
}

/* ---- opening it -------------------------------------------------------------------------------------------------- */

static int open_file(const struct fs_store *store, int flags)
{
    return cache_fs_open_at(store->directory, FS_META_FILE, flags | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static cache_status open_meta(struct fs_store *store, int *out)
{
    *out = open_file(store, O_RDWR);
    if (*out < 0 && errno == ENOENT) {
        const enum fs_content content = cache_fs_directory_content(store);
        if (content == FS_UNREADABLE)
            return cache_fs_fail(store, NULL, errno);
        /* If it looks foreign, another process may have created the cache meanwhile. */
        *out = open_file(store, O_RDWR | (content == FS_FOREIGN ? 0 : O_CREAT));
        if (*out < 0 && errno == ENOENT)
            return not_ours(store);
    }
    if (*out < 0 && (errno == EROFS || errno == EACCES)) {
        const int error = errno;
        *out = open_file(store, O_RDONLY);
        if (*out >= 0)
            store->read_only = error;    /* it can be read from, and each write says why it fails */
        else
            errno = error;
    }
    if (*out < 0)
        return errno == ELOOP || errno == EISDIR ? not_ours(store) : cache_fs_fail(store, FS_META_FILE, errno);
    return CACHE_OK;
}

cache_status cache_fs_meta_open(struct fs_store *store)
{
    int meta_file = atomic_load(&store->meta_file);
    cache_status status = meta_file >= 0 ? CACHE_OK : open_meta(store, &meta_file);
    if (status != CACHE_OK)
        return status;
    /* This is done at once, so that a child that is forked now closes its copy, and with it the lock. */
    atomic_store(&store->meta_file, meta_file);
    store->boot = boot_id();
    if (store->read_only != 0)
        return check_meta(store, meta_file);
    const uint64_t deadline = cache_now_ns() + (uint64_t)store->timeout_ms * 1000000;
    int error = cache_fs_byte_lock(meta_file, FS_LEAVES, deadline);
    if (error != 0)
        return cache_fs_fail(store, FS_META_FILE, error);
    status = check_meta(store, meta_file);
    error = errno;
    cache_fs_byte_unlock(meta_file, FS_LEAVES);
    errno = error;
    return status;
}

void cache_fs_meta_close(struct fs_store *store)
{
    const int meta_file = atomic_load(&store->meta_file);
    const char *map = atomic_load(&store->map);
    if (map != NULL)
        munmap((void *)(uintptr_t)map, sizeof(struct meta_table));
    if (meta_file >= 0)
        close(meta_file);
}

int cache_fs_meta_file(struct fs_store *store)
{
    int meta_file = atomic_load_explicit(&store->meta_file, memory_order_acquire);
    if (meta_file >= 0)
        return meta_file;
    const int own = open_file(store, store->read_only != 0 ? O_RDONLY : O_RDWR);
    if (own < 0 || atomic_compare_exchange_strong(&store->meta_file, &meta_file, own))
        return own;
    close(own);    /* another thread was first */
    return meta_file;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static off_t slot_at(unsigned leaf)
{
    return (off_t)(offsetof(struct meta_table, leaves) + leaf * sizeof(struct fs_usage));
}

static size_t read_table(struct fs_store *store, void *out, size_t size, off_t at)
{
    const int meta_file = cache_fs_meta_file(store);
    const ssize_t n = meta_file >= 0 ? cache_fs_read_at(meta_file, out, size, at) : -1;
    return n > 0 ? (size_t)n : 0;
}

void cache_fs_usage_all(struct fs_store *store, struct fs_usage out[FS_LEAVES])
{
    const size_t size = FS_LEAVES * sizeof *out, n = read_table(store, out, size, slot_at(0));
    memset((char *)out + n, 0, size - n);
}

struct fs_usage cache_fs_usage_sum(const struct fs_usage table[FS_LEAVES])
{
    struct fs_usage sum = { 0 };
    for (int i = 0; i < FS_LEAVES; i++) {
        sum.items += table[i].items;
        sum.bytes += table[i].bytes;
    }
    return sum;
}

void cache_fs_usage_load(struct fs_store *store, unsigned leaf, struct fs_usage *out)
{
    if (read_table(store, out, sizeof *out, slot_at(leaf)) < sizeof *out)
        *out = (struct fs_usage){ .version = cache_unique_bits() | 1 };
}

cache_status cache_fs_usage_save(struct fs_store *store, unsigned leaf, const struct fs_usage *usage)
{
    const int meta_file = cache_fs_meta_file(store);
    size_t done = 0;
    while (meta_file >= 0 && done < sizeof *usage) {
        const ssize_t n = pwrite(meta_file, (const char *)usage + done, sizeof *usage - done,
                                 slot_at(leaf) + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cache_fs_fail(store, FS_META_FILE, n < 0 ? errno : ENOSPC);
        done += (size_t)n;
    }
    return meta_file >= 0 ? CACHE_OK : cache_fs_fail(store, FS_META_FILE, errno);
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

static const char *map_table(struct fs_store *store)
{
    struct stat info;
    const char *other = NULL;
    const int meta_file = cache_fs_meta_file(store);
    if (meta_file < 0 || fstat(meta_file, &info) != 0 || info.st_size < (off_t)sizeof(struct meta_table))
        return NULL;
    void *map = mmap(NULL, sizeof(struct meta_table), PROT_READ, MAP_SHARED, meta_file, 0);
    if (map == MAP_FAILED)
        return NULL;
    if (atomic_compare_exchange_strong(&store->map, &other, map))
        return map;
    munmap(map, sizeof(struct meta_table));    /* another thread was first */
    return other;
}

uint64_t cache_fs_version(struct fs_store *store, unsigned leaf)
{
    const char *map = atomic_load_explicit(&store->map, memory_order_acquire);
    if (map == NULL)
        map = map_table(store);
    if (map == NULL)
        return 0;
    const void *at = map + slot_at(leaf) + offsetof(struct fs_usage, version);
    const uint64_t version = atomic_load_explicit((const _Atomic uint64_t *)at, memory_order_acquire);
    return (version & 1) != 0 ? 0 : version;
}
