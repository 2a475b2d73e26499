/* store.h - what the parts of the filesystem store share.
 *
 *     DIRECTORY/.libcache       the meta file: format, seed of the file names, what each leaf holds, the locks
 *     DIRECTORY/a/b/…30 hex…    an entry, in leaf 0xab: header, key, value
 *     DIRECTORY/a/b/.tmp        the temporary file of an entry that is being written, under the leaf's lock
 *
 * A leaf is the unit of locking, counting and scanning. Readers take no lock: rename(2) puts a complete entry in place.
 *
 * The parts call downwards only:
 *
 *     filesystem.c > all_keys.c, change.c > write.c > read.c, evict.c > sweep.c > lock.c > scan.c, temp_file.c >
 *     leaf.c > directory.c > meta.c, byte_lock.c > content.c, entry.c, name.c > open.c */
#ifndef FILESYSTEM_STORE_H
#define FILESYSTEM_STORE_H

#include "../backends.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    FS_LEAVES = 256,
    FS_NAME_DIGITS = 30,               /* of an entry's name in its leaf */
    FS_CHUNK = 16384,                  /* read at once: a header, any key, and most values */
    FS_MAX_KEY = CACHE_MAX_STORED_PREFIX + CACHE_MAX_INTERNAL_KEY,
    FS_CLOCK_SLACK_MS = 1000           /* a time further ahead than this was written by a wrong clock */
};

#define FS_META_FILE ".libcache"
#define FS_TEMP_FILE ".tmp"

struct fs_store {
    const cache_env *env;
    char *path;                        /* for messages */
    int directory;                     /* -1: it could not be made yet */
    atomic_int meta_file;              /* -1: not open in this process yet (a child opens its own) */
    int read_only;                     /* 0, or the errno that says why the meta file cannot be written */
    atomic_bool ready;                 /* directory and meta file are there, and `seed` is known */
    pthread_mutex_t opening;           /* guards all of the above until `ready` */
    uint64_t seed;
    uint64_t boot;                     /* a hash of this boot of the machine, different after each restart */
    _Atomic(const char *) map;         /* the mapping of the meta file; NULL until a version is asked for */
    mode_t file_mode, directory_mode;
    uint64_t max_items, max_bytes;     /* 0: no limit */
    int64_t timeout_ms;
    pthread_mutex_t locks[FS_LEAVES];
    atomic_uint cursor;                /* the leaf where the next eviction starts */
    atomic_uint sweep_cursor;
    atomic_int credit;                 /* entries that a sweep may examine; each write earns some */
    _Atomic uint64_t evictions, expirations, timeouts;
    struct fs_store *next, **at;       /* in the list of all stores of the process, for fork */
};

/* ---- opening, and messages (open.c) ------------------------------------------------------------------------------ */

/* Like openat(2) with O_CLOEXEC, repeated after a signal. The descriptor is above 2: if standard output is closed, the
 * program must not print into a cache file. Returns -1 with errno on failure. */
int cache_fs_open_at(int at, const char *name, int flags, mode_t mode);

/* Open `path` below the cache directory, without following any symbolic link. Returns -1 with errno on failure. */
int cache_fs_open(const struct fs_store *store, const char *path, int flags);

/* These open the directory of a leaf; the second creates it first. They return -1 with errno on failure. */
int cache_fs_leaf_open(const struct fs_store *store, unsigned leaf);
int cache_fs_leaf_make(const struct fs_store *store, unsigned leaf);

/* Like close(2), but keeps errno. */
void cache_fs_close(int fd);

/* Read at most `size` bytes at `at`; fewer only at the end of the file. Returns -1 with errno on failure. */
ssize_t cache_fs_read_at(int fd, void *to, size_t size, off_t at);

/* Write all parts (at most 3). Returns 0 or an errno. */
int cache_fs_write(int fd, const cache_bytes parts[], size_t n);

/* Report "file DIRECTORY/where: reason"; `where` is NULL for the directory itself. Returns the status that fits
 * `error`, most often CACHE_ERR_IO, and leaves `error` in errno. */
cache_status cache_fs_fail(const struct fs_store *store, const char *where, int error);

/* Returns true if the last call failed with `status` because the disk or the quota is full. */
bool cache_fs_lacks_space(cache_status status);

/* ---- names (name.c) ---------------------------------------------------------------------------------------------- */

struct fs_name {
    unsigned leaf;
    char path[4 + FS_NAME_DIGITS + 1]; /* "a/b/0123…", from the cache directory */
};

void cache_fs_name(const struct fs_store *store, cache_bytes key, struct fs_name *out);

/* Make the path of the leaf, "a/b". */
void cache_fs_leaf_path(unsigned leaf, char out[4]);

/* Returns the name within the leaf. */
static inline const char *cache_fs_base(const struct fs_name *name)
{
    return name->path + 4;
}

/* Returns true if an entry may be called `name`. Files with other names are never touched. */
bool cache_fs_is_entry_name(const char *name);

/* Returns true if `name` is one hexadecimal digit, as the directories' names are. */
bool cache_fs_is_digit(const char *name);

/* ---- entries (entry.c) ------------------------------------------------------------------------------------------- */

/* The header, in this machine's byte order: another order reads as another version. Key and value follow it. */
struct fs_head {
    char magic[8];
    uint32_t version;
    uint32_t key_size;
    uint64_t value_size;
    int64_t expires_ms;                /* wall clock; 0: never */
    int64_t written_ms;                /* wall clock when expires_ms was set */
    uint64_t value_hash;               /* checksum of the value: XXH3 */
    uint64_t head_hash;                /* checksum of the fields above and the key: XXH3 */
};

enum fs_state {
    FS_LIVE,
    FS_EXPIRED,
    FS_TORN,                           /* cut off, damaged, or never an entry */
    FS_OTHER,                          /* sound, but of another key with the same hash */
    FS_FAILED                          /* it cannot be read; errno says why */
};

struct fs_entry {
    struct fs_head head;
    size_t have;                       /* how many of the file's first bytes are in `bytes` */
    char bytes[FS_CHUNK];
};

static const cache_bytes cache_fs_any_key = { NULL, 0 };

void cache_fs_head_make(struct fs_head *head, cache_bytes key, cache_bytes value, int64_t expires_ms, int64_t now_ms);

/* Give the header of the same entry another expiry. */
void cache_fs_head_renew(struct fs_head *head, cache_bytes key, int64_t expires_ms, int64_t now_ms);

/* Read header and key, and as much of the value as one read brings. `cache_fs_any_key` accepts every key. FS_LIVE
 * covers header and key only; one of the next three functions checks the value. */
enum fs_state cache_fs_entry_load(int fd, const cache_env *env, cache_bytes key, struct fs_entry *entry);

static inline cache_bytes cache_fs_entry_key(const struct fs_entry *entry)
{
    return (cache_bytes){ entry->bytes + sizeof(struct fs_head), entry->head.key_size };
}

/* Returns the size of the whole file. */
static inline uint64_t cache_fs_entry_size(const struct fs_head *head)
{
    return sizeof *head + head->key_size + head->value_size;
}

/* Append the value to `out`. Returns CACHE_OK; the writer's failure; or CACHE_MISS with FS_TORN or FS_FAILED in
 * `*state`. */
cache_status cache_fs_entry_value(int fd, struct fs_entry *entry, cache_writer *out, enum fs_state *state);

/* If the value has at most `max` bytes, set `*fits` and point `*value` at it, inside `entry`. Returns FS_LIVE, FS_TORN
 * or FS_FAILED. */
enum fs_state cache_fs_entry_small(int fd, struct fs_entry *entry, size_t max, cache_bytes *value, bool *fits);

/* Read the value to its end, compare its checksum, and write it to `to`. `entry` loses what it held of the value.
 * Returns FS_LIVE, FS_TORN or FS_FAILED. */
enum fs_state cache_fs_entry_copy(int fd, struct fs_entry *entry, int to);

/* The same without a copy. */
enum fs_state cache_fs_entry_verify(int fd, struct fs_entry *entry);

/* The file's own times tell a scan what it would otherwise have to open the file for: atime is when the entry expires,
 * mtime is when it was last written or used. 0 leaves a time as it is. */
void cache_fs_set_times(int fd, int64_t expires_ms, int64_t used_ms);
int64_t cache_fs_expiry_hint(const struct stat *info);    /* 0: never */
int64_t cache_fs_used_ms(const struct stat *info);

#define FS_NEVER INT64_MAX             /* as `expires_ms` of set_times */

/* A wall time that lies ahead comes from a clock that was wrong and has been corrected. */
static inline bool cache_fs_is_future(int64_t ms, int64_t now_ms)
{
    return ms > now_ms && ms - now_ms > FS_CLOCK_SLACK_MS;
}

/* ---- the directory (directory.c) --------------------------------------------------------------------------------- */

/* Opens the directory and its meta file, and creates them if they do not exist. Returns CACHE_ERR_CONFIG if the
 * directory belongs to somebody else or is of another version, or CACHE_ERR_IO. */
cache_status cache_fs_directory_open(struct fs_store *store);
void cache_fs_directory_close(struct fs_store *store);

/* Each operation begins with this. On a disk that was full when the store was opened, it tries again. */
cache_status cache_fs_directory_retry(struct fs_store *store);

static inline cache_status cache_fs_prepare(struct fs_store *store)
{
    return atomic_load_explicit(&store->ready, memory_order_acquire) ? CACHE_OK : cache_fs_directory_retry(store);
}

/* What the directory contains, apart from its meta file (content.c). */
enum fs_content {
    FS_EMPTY,                          /* nothing but empty fan-out directories */
    FS_ORPHANS,                        /* entries in fan-out directories: a cache that lost its meta file */
    FS_FOREIGN,                        /* something that no cache contains */
    FS_UNREADABLE                      /* errno says why */
};

enum fs_content cache_fs_directory_content(const struct fs_store *store);

/* ---- the meta file (meta.c) -------------------------------------------------------------------------------------- */

/* A leaf's slot in the meta file's table. */
struct fs_usage {
    uint64_t version;                  /* changes with each change of the leaf; odd: a change is under way */
    uint64_t items, bytes;
    int64_t earliest_ms;               /* no entry expires before this; 0: none expires */
    int64_t changed_ms;                /* when the leaf last changed */
    uint64_t boot;                     /* the run of the machine in which every file was last verified */
};

/* The step is odd, so the version alternates between odd and even. Its bits are spread over all bytes: if a version is
 * read while half of it is written, the result never was a version and never will be. */
#define FS_VERSION_STEP UINT64_C(0x9e3779b97f4a7c15)

/* Opens the meta file, or creates it. Returns CACHE_ERR_CONFIG if the directory belongs to somebody else or is of
 * another version, or CACHE_ERR_IO. */
cache_status cache_fs_meta_open(struct fs_store *store);
void cache_fs_meta_close(struct fs_store *store);

/* Returns the meta file as this process opened it, since locks belong to an open file, and a child shares its parent's.
 * Returns -1 with errno on failure. */
int cache_fs_meta_file(struct fs_store *store);

/* Read the whole table without locks, good enough for sums. Unreadable slots are zero. */
void cache_fs_usage_all(struct fs_store *store, struct fs_usage out[FS_LEAVES]);
struct fs_usage cache_fs_usage_sum(const struct fs_usage table[FS_LEAVES]);

/* Read and write one slot. A slot that cannot be read has an odd version: its leaf must be counted. */
void cache_fs_usage_load(struct fs_store *store, unsigned leaf, struct fs_usage *out);
cache_status cache_fs_usage_save(struct fs_store *store, unsigned leaf, const struct fs_usage *usage);

/* Returns the version of the leaf, with one load from the mapped meta file; or 0 if it is being changed or cannot be
 * mapped. */
uint64_t cache_fs_version(struct fs_store *store, unsigned leaf);

/* ---- byte locks (byte_lock.c) ------------------------------------------------------------------------------------ */

/* Lock byte `number` after the table: one for each leaf, and FS_LEAVES for creating the meta file. Returns 0 or an
 * errno; ETIMEDOUT once `deadline` (cache_now_ns) has passed. */
int cache_fs_byte_lock(int meta_file, unsigned number, uint64_t deadline);
void cache_fs_byte_unlock(int meta_file, unsigned number);

/* ---- a locked leaf (leaf.c, scan.c, temp_file.c, lock.c) --------------------------------------------------------- */

struct fs_leaf {
    struct fs_store *store;
    unsigned number;
    int fd;                            /* descriptor of its directory; -1: there is none yet */
    int cancel_state;                  /* of the thread, before it took the lock */
    bool changing;                     /* the slot's version is odd; unlocking makes it even */
    bool counted;                      /* `usage` differs from the slot */
    struct fs_usage usage;
};

/* Lock it against all threads and processes; wait for at most `timeout`. The thread cannot be cancelled until it
 * unlocks: a cancelled writer would keep the leaf locked for all. CACHE_ERR_TIMEOUT, CACHE_ERR_IO. */
cache_status cache_fs_leaf_lock(struct fs_store *store, unsigned number, struct fs_leaf *out);

/* Writes back the slot and unlocks. Keeps errno. */
void cache_fs_leaf_unlock(struct fs_leaf *leaf);

/* Locks without waiting, for work that can be done in another leaf as well. Returns CACHE_MISS if it is locked. */
cache_status cache_fs_leaf_try(struct fs_store *store, unsigned number, struct fs_leaf *out);

void cache_fs_locks_init(struct fs_store *store);
void cache_fs_locks_release(struct fs_store *store);

/* Reports a failure at the file `name` of the leaf. Returns its status. */
cache_status cache_fs_leaf_fail(const struct fs_leaf *leaf, const char *name, int error);

/* Call before the first change of the leaf's files: makes the slot's version odd. If the process dies before it
 * unlocks, the next writer counts the leaf again. */
cache_status cache_fs_leaf_change(struct fs_leaf *leaf);

/* Account for an entry of `size` bytes that expires at `expires_ms`, in place of the file that `old` describes (NULL:
 * none). */
void cache_fs_leaf_account(struct fs_leaf *leaf, const struct stat *old, uint64_t size, int64_t expires_ms);

/* Opens an entry. Returns CACHE_MISS if there is none. */
cache_status cache_fs_leaf_find(const struct fs_leaf *leaf, const char *name, int *fd);

/* Gets the status of the regular file of that name. Returns CACHE_MISS if there is none. */
cache_status cache_fs_leaf_stat(const struct fs_leaf *leaf, const char *name, struct stat *info);

/* Removes an entry's file. Returns CACHE_MISS if there is no regular file of that name. */
cache_status cache_fs_leaf_remove(struct fs_leaf *leaf, const char *name);

/* Create the temporary file of an entry. Then commit it as `name`, or drop it. Both close `fd`. */
cache_status cache_fs_temp_open(struct fs_leaf *leaf, int *fd);
cache_status cache_fs_temp_commit(struct fs_leaf *leaf, int fd, const struct fs_name *name, const struct fs_head *head);
void cache_fs_temp_drop(struct fs_leaf *leaf, int fd);

/* Receives the file of an entry. Returns true if it removed it. */
typedef bool fs_visit_fn(void *ctx, struct fs_leaf *leaf, const char *name, const struct stat *info);

/* Examine every file of the leaf. Removes expired and torn ones, and the temporary file of a process that died. Passes
 * the others to `visit`, unless it is NULL, and counts them. */
cache_status cache_fs_leaf_scan(struct fs_leaf *leaf, fs_visit_fn *visit, void *ctx);

/* ---- expiry and eviction (sweep.c, evict.c) ---------------------------------------------------------------------- */

/* After a write, with no lock held: look for expired entries, a few at a time. */
void cache_fs_sweep(struct fs_store *store);

/* Scan the next leaf that is due, among those with at most `most` entries. `*from` is after it then. Returns false if
 * no due leaf could be scanned. */
bool cache_fs_expire_one(struct fs_store *store, const struct fs_usage table[FS_LEAVES], unsigned *from, uint64_t most);

/* Remove an entry that a reader found expired or torn, if it still is and nobody holds its leaf. */
void cache_fs_discard(struct fs_store *store, const struct fs_name *name);

/* After a write, with no lock held: evict entries other than `keep` until the limits hold. */
void cache_fs_evict(struct fs_store *store, const struct fs_name *keep);

/* Call if the disk had no room for `size` bytes. Removes expired entries; at the second attempt entries that were not
 * used for long; at the last one `keep` itself, if `replace` is set. Returns false if nothing was removed, so trying
 * again is useless. */
bool cache_fs_make_room(struct fs_store *store, const struct fs_name *keep, uint64_t size, bool replace, int *attempt);

/* ---- reading (read.c) -------------------------------------------------------------------------------------------- */

cache_get_fn cache_fs_get;
cache_get_left_fn cache_fs_get_left;
cache_has_fn cache_fs_has;

/* Opens the entry's file. Returns CACHE_MISS if there is none, or something that is not followed, such as a link. */
cache_status cache_fs_find_entry(const struct fs_store *store, const struct fs_name *name, int *fd);

/* ---- writing (write.c, change.c) --------------------------------------------------------------------------------- */

cache_set_fn cache_fs_set;
cache_remove_fn cache_fs_remove;
cache_compare_and_set_fn cache_fs_compare_and_set;
cache_touch_fn cache_fs_touch;
cache_inc_fn cache_fs_inc;

/* Returns when an entry with this time to live expires, by the wall clock; 0: never. */
int64_t cache_fs_deadline(const struct fs_store *store, int64_t ttl_ms);

/* CACHE_ERR_TOO_LARGE: the entry alone has more than max_bytes. */
cache_status cache_fs_check_size(const struct fs_store *store, cache_bytes key, size_t value_size);

/* What an operation that writes has tried already. */
struct fs_attempts {
    int to_make_room, after_removal;
};

/* Returns true if a write that ended with `status` may succeed now: there is room on a disk that was full, or somebody
 * removed the leaf's directory in the middle of the write, and the next attempt makes it again. */
bool cache_fs_may_succeed_now(struct fs_store *store, cache_status status, const struct fs_name *name, cache_bytes key,
                              uint64_t value_size, bool replace, struct fs_attempts *attempts);

/* Write an entry in a leaf that is locked. */
cache_status cache_fs_write_entry(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key, cache_bytes value,
                                  int64_t expires_ms);

/* Opens and loads the live entry of `key` in a leaf that is locked. Returns CACHE_MISS if there is none. */
cache_status cache_fs_find_live(struct fs_leaf *leaf, const struct fs_name *name, cache_bytes key,
                                struct fs_entry *entry, int *fd);

/* Call with no lock held. */
void cache_fs_after_write(struct fs_store *store, const struct fs_name *name);

/* ---- all keys (all_keys.c) --------------------------------------------------------------------------------------- */

/* These work as the operations with these names. */
cache_status cache_fs_clear(struct fs_store *store, cache_bytes prefix);
cache_status cache_fs_list(struct fs_store *store, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each,
                           void *ctx);

#endif
