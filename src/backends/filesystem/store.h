/* store.h - what the parts of the filesystem store share.
 *
 *     DIRECTORY/.libcache       the marker: it is ours; the seed of file names; how much each leaf holds; the locks
 *     DIRECTORY/a/b/…30 hex…    an entry, in leaf 0xab: header, key, value
 *     DIRECTORY/a/b/.tmp        an entry being written, under the leaf's lock
 *
 * A leaf is all that is locked, counted and scanned at once. Readers take no lock: an entry is renamed into its place
 * whole. */
#ifndef FILESYSTEM_STORE_H
#define FILESYSTEM_STORE_H

#include "../backends.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    FS_LEAVES = 256,
    FS_NAME_DIGITS = 30,               /* of an entry's name in its leaf */
    FS_CHUNK = 16384,                  /* read at once: a header, any key, and most values */
    FS_MAX_KEY = CACHE_MAX_PREFIX + CACHE_MAX_INTERNAL_KEY
};

#define FS_MARKER ".libcache"
#define FS_DRAFT  ".tmp"

struct fs_store {
    const cache_env *env;
    char *path;                        /* for messages */
    int directory;
    atomic_int marker;                 /* -1: in a child that has not opened its own yet */
    int read_only;                     /* 0, or why the marker cannot be written: an errno */
    uint64_t seed;
    mode_t file_mode, directory_mode;
    uint64_t max_items, max_bytes;     /* 0: no limit */
    int64_t timeout_ms;
    pthread_mutex_t locks[FS_LEAVES];
    atomic_uint cursor;                /* the leaf where the next eviction looks */
    atomic_uint sweep_cursor;
    atomic_int credit;                 /* entries that may be looked at for expiry: each write earns some */
    _Atomic uint64_t evictions, expirations, timeouts;
    struct fs_store *next, **at;       /* among all stores of the process, for fork */
};

/* ---- the directory (directory.c) --------------------------------------------------------------------------------- */

/* Make the directory if there is none, see that it is ours, and open it. CACHE_ERR_CONFIG: it is somebody else's. */
cache_status cache_fs_directory_open(struct fs_store *store);
void cache_fs_directory_close(struct fs_store *store);

/* The marker, opened by this process: locks belong to an open file, and a child has its parent's. -1 and errno. */
int cache_fs_marker(struct fs_store *store);

/* Open what is at `path` in the cache directory, through no symbolic link. -1 and errno. */
int cache_fs_open(const struct fs_store *store, const char *path, int flags);

/* Open a leaf's directory, or make it. -1 and errno. */
int cache_fs_leaf_open(const struct fs_store *store, unsigned leaf);
int cache_fs_leaf_make(const struct fs_store *store, unsigned leaf);

/* "file DIRECTORY/where: why", with `where` NULL for the directory itself. CACHE_ERR_IO, or what fits `error`. */
cache_status cache_fs_fail(const struct fs_store *store, const char *where, int error);

/* ---- names (name.c) ---------------------------------------------------------------------------------------------- */

struct fs_name {
    unsigned leaf;
    char path[4 + FS_NAME_DIGITS + 1]; /* "a/b/0123…": from the cache directory */
};

void cache_fs_name(const struct fs_store *store, cache_bytes key, struct fs_name *out);

/* "a/b" */
void cache_fs_leaf_path(unsigned leaf, char out[4]);

/* The name in its leaf. */
static inline const char *cache_fs_base(const struct fs_name *name)
{
    return name->path + 4;
}

/* True for what an entry may be called: nothing else in a leaf is ever touched. */
bool cache_fs_is_entry_name(const char *name);

/* ---- entries (entry.c) ------------------------------------------------------------------------------------------- */

/* The header, in this machine's byte order: another order is another version. Key and value follow. */
struct fs_head {
    char magic[8];
    uint32_t version;
    uint32_t key_size;
    uint64_t value_size;
    int64_t expires_ms;                /* of the wall clock; 0: never */
    uint64_t value_hash;               /* XXH3 of the value */
    uint64_t head_hash;                /* XXH3 of all above and the key */
};

enum fs_state {
    FS_LIVE,
    FS_EXPIRED,
    FS_TORN,                           /* no entry: cut off, damaged, or never one */
    FS_OTHER,                          /* another key's, with the same hash */
    FS_FAILED                          /* it cannot be read: errno */
};

struct fs_entry {
    struct fs_head head;
    size_t have;                       /* how much of the file stands in `bytes` */
    char bytes[FS_CHUNK];
};

void cache_fs_head_make(struct fs_head *head, cache_bytes key, cache_bytes value, int64_t expires_ms);

/* The same entry with another expiry. */
void cache_fs_head_renew(struct fs_head *head, cache_bytes key, int64_t expires_ms);

/* Read header and key and as much of the value as comes with them. A `key` without data takes any key. FS_LIVE says
 * nothing of the value yet: that is for one of the three below. */
enum fs_state cache_fs_entry_load(int fd, const cache_env *env, cache_bytes key, struct fs_entry *entry);

static inline cache_bytes cache_fs_entry_key(const struct fs_entry *entry)
{
    return (cache_bytes){ entry->bytes + sizeof(struct fs_head), entry->head.key_size };
}

/* Append the value to `out`. CACHE_OK, the writer's failure, or CACHE_MISS with *state FS_TORN or FS_FAILED. */
cache_status cache_fs_entry_value(int fd, struct fs_entry *entry, cache_writer *out, enum fs_state *state);

/* The value of at most `max` bytes in `*value`, which points into `entry`; *fits tells. FS_LIVE, FS_TORN, FS_FAILED. */
enum fs_state cache_fs_entry_small(int fd, struct fs_entry *entry, size_t max, cache_bytes *value, bool *fits);

/* Read the value through and check it, writing it to `to` as it comes unless that is -1. What `entry` holds of it is
 * lost. FS_LIVE, FS_TORN, FS_FAILED. */
enum fs_state cache_fs_entry_copy(int fd, struct fs_entry *entry, int to);

/* Write all of it. 0 or an errno. */
int cache_fs_write(int fd, const cache_bytes parts[], size_t n);

/* The file's own times tell a scan what it need not open the file for: atime is when the entry ends, mtime when it was
 * last written or used. 0: leave it. */
void cache_fs_set_times(int fd, int64_t expires_ms, int64_t used_ms);
int64_t cache_fs_expiry_hint(const struct stat *info);    /* 0: never */

#define FS_NEVER INT64_MAX             /* as an expiry, to set_times */

/* ---- usage (usage.c) --------------------------------------------------------------------------------------------- */

/* What a leaf holds, as the marker's table has it. */
struct fs_usage {
    uint64_t items, bytes;
    int64_t earliest_ms;               /* nothing in it ends before; 0: nothing ends */
};

/* The table without locks: good for sums. Unreadable slots are zero. */
void cache_fs_usage_all(struct fs_store *store, struct fs_usage out[FS_LEAVES]);
struct fs_usage cache_fs_usage_sum(const struct fs_usage table[FS_LEAVES]);

/* ---- a locked leaf (lock.c, leaf.c) ------------------------------------------------------------------------------ */

struct fs_leaf {
    struct fs_store *store;
    unsigned number;
    int fd;                            /* of its directory; -1: there is none */
    struct fs_usage usage;
};

/* Lock it against all processes for at most `timeout`. CACHE_ERR_TIMEOUT, CACHE_ERR_IO. */
cache_status cache_fs_leaf_lock(struct fs_store *store, unsigned number, struct fs_leaf *out);
void cache_fs_leaf_unlock(struct fs_leaf *leaf);

/* The same without a wait, for work that another leaf does as well. CACHE_MISS: it is locked. */
cache_status cache_fs_leaf_try(struct fs_store *store, unsigned number, struct fs_leaf *out);

void cache_fs_locks_init(struct fs_store *store);
void cache_fs_locks_release(struct fs_store *store);

/* Lock byte `number` behind the table: the leaves', and one for the making of the marker. 0 or an errno. */
int cache_fs_range_lock(int marker, unsigned number, uint64_t deadline);
void cache_fs_range_unlock(int marker, unsigned number);

/* Read and write the leaf's slot. */
void cache_fs_usage_load(struct fs_leaf *leaf);
cache_status cache_fs_usage_save(struct fs_leaf *leaf);

/* Begin an entry: `*fd` is its temporary file. Then commit, which puts it in the place of `name`, or drop. */
cache_status cache_fs_draft_open(struct fs_leaf *leaf, int *fd);
cache_status cache_fs_draft_commit(struct fs_leaf *leaf, int fd, const struct fs_name *name,
                                   const struct fs_head *head);
void cache_fs_draft_drop(struct fs_leaf *leaf, int fd);

/* Open an entry. CACHE_MISS: there is none. */
cache_status cache_fs_leaf_find(const struct fs_leaf *leaf, const char *name, int *fd);

/* Remove an entry's file. CACHE_MISS: there is no regular file of that name. */
cache_status cache_fs_leaf_remove(struct fs_leaf *leaf, const char *name);

/* ---- scanning (sweep.c, evict.c) --------------------------------------------------------------------------------- */

/* Sees an entry's file; true: it is gone now. */
typedef bool fs_visit_fn(void *ctx, struct fs_leaf *leaf, const char *name, const struct stat *info);

/* Look at all of a leaf: what expired goes, with the draft of a process that died; the rest is shown to `visit` (NULL:
 * nobody) and counted anew. */
cache_status cache_fs_leaf_scan(struct fs_leaf *leaf, fs_visit_fn *visit, void *ctx);

/* After a write, with no lock held: evict until the limits hold, sparing `keep`; look for expired entries, a little. */
void cache_fs_evict(struct fs_store *store, const struct fs_name *keep);
void cache_fs_sweep(struct fs_store *store);

/* Scan the next leaf in which something expired, of those with at most `most` entries; `*from` is behind it then.
 * False: there is none that is not locked. */
bool cache_fs_expire_one(struct fs_store *store, const struct fs_usage table[FS_LEAVES], unsigned *from, uint64_t most);

/* Remove an entry that a reader found expired or torn, if it still is and nobody holds its leaf. */
void cache_fs_discard(struct fs_store *store, const struct fs_name *name);

#endif
