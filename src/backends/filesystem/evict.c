/* evict.c - making room: expired entries go first, then those that were not used for long.
 *
 * This is approximately least recently used. A sample is taken, of one leaf or of as many as it needs. Since a hash
 * spreads the keys, it represents all of them. The sixteenth of it with the oldest use is evicted. The last use of an
 * entry is its file's mtime: when it was written or read, though not every read is noted. A use that lies in the future
 * comes from a wrong clock and counts as the oldest. */
#include "store.h"

#include "hooks.h"
#include "probes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLE = 64, PART = 16, MOST = 128 };

struct candidate {
    struct timespec used;              /* the file's mtime, to recognise it again */
    int64_t order_ms;                  /* the same; 0 if it lies in the future */
    uint64_t size;
    unsigned leaf;
    char name[FS_NAME_DIGITS + 1];
};

struct sample {
    const struct fs_name *keep;
    int64_t now;
    size_t seen, n;
    struct candidate oldest[2 * MOST];    /* room to gather; sorted and cut when it is full */
};

static int compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->order_ms != y->order_ms)
        return x->order_ms < y->order_ms ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

static bool gather(void *ctx, struct fs_leaf *leaf, const char *name, const struct stat *info)
{
    struct sample *sample = ctx;
    if (leaf->number == sample->keep->leaf && strcmp(name, cache_fs_base(sample->keep)) == 0)
        return false;
    sample->seen++;
    if (sample->n == 2 * MOST) {
        qsort(sample->oldest, sample->n, sizeof sample->oldest[0], compare);
        sample->n = MOST;
    }
    struct candidate *candidate = &sample->oldest[sample->n++];
    candidate->used = info->st_mtim;
    candidate->order_ms = cache_fs_is_future(cache_fs_used_ms(info), sample->now) ? 0 : cache_fs_used_ms(info);
    candidate->size = (uint64_t)info->st_size;
    candidate->leaf = leaf->number;
    memcpy(candidate->name, name, sizeof candidate->name);
    return false;
}

/* Sample leaves that are not locked; or all leaves, if `wait` is set. */
static cache_status take_sample(struct fs_store *store, const struct fs_usage table[FS_LEAVES], bool wait,
                                struct sample *sample)
{
    const unsigned first = atomic_load_explicit(&store->cursor, memory_order_relaxed);
    unsigned i = 0;
    cache_status status = CACHE_OK;
    for (; i < FS_LEAVES && sample->seen < SAMPLE && status >= 0; i++) {
        const unsigned number = (first + i) % FS_LEAVES;
        struct fs_leaf leaf;
        if (table[number].items == 0)
            continue;
        status = wait ? cache_fs_leaf_lock(store, number, &leaf) : cache_fs_leaf_try(store, number, &leaf);
        if (status == CACHE_OK) {
            status = cache_fs_leaf_scan(&leaf, gather, sample);
            cache_fs_leaf_unlock(&leaf);
        }
    }
    atomic_store_explicit(&store->cursor, (first + i) % FS_LEAVES, memory_order_relaxed);
    return status < 0 ? status : CACHE_OK;
}

static bool read_key(const struct fs_leaf *leaf, const char *name, struct fs_entry *entry)
{
    int fd = -1;
    if (cache_fs_leaf_find(leaf, name, &fd) != CACHE_OK)
        return false;
    const enum fs_state state = cache_fs_entry_load(fd, leaf->store->env, cache_fs_any_key, entry);
    close(fd);
    return state == FS_LIVE;
}

/* Evict an entry. CACHE_MISS: it was used or replaced since it was sampled. */
static cache_status evict_one(struct fs_store *store, const struct candidate *candidate)
{
    struct fs_leaf leaf;
    struct fs_entry entry;
    struct stat info;
    bool report = false;
    cache_status status = cache_fs_leaf_lock(store, candidate->leaf, &leaf);
    if (status != CACHE_OK)
        return status;
    status = CACHE_MISS;
    if (leaf.fd >= 0 && fstatat(leaf.fd, candidate->name, &info, AT_SYMLINK_NOFOLLOW) == 0
        && info.st_mtim.tv_sec == candidate->used.tv_sec && info.st_mtim.tv_nsec == candidate->used.tv_nsec) {
        report = cache_env_wants_events(store->env) && read_key(&leaf, candidate->name, &entry);
        status = cache_fs_leaf_remove(&leaf, candidate->name);
    }
    cache_fs_leaf_unlock(&leaf);
    if (status == CACHE_OK) {
        const cache_bytes key = report ? cache_fs_entry_key(&entry) : (cache_bytes){ NULL, 0 };
        CACHE_PROBE_KEY(evict, key);
        atomic_fetch_add_explicit(&store->evictions, 1, memory_order_relaxed);
        if (report) {
            entry.bytes[sizeof(struct fs_head) + key.size] = '\0';
            cache_env_evicted(store->env, key);
        }
    }
    return status;
}

static bool is_over(const struct fs_store *store, struct fs_usage sum)
{
    return (store->max_items != 0 && sum.items > store->max_items)
        || (store->max_bytes != 0 && sum.bytes > store->max_bytes);
}

static bool measure(struct fs_store *store, struct fs_usage table[FS_LEAVES])
{
    cache_fs_usage_all(store, table);
    return is_over(store, cache_fs_usage_sum(table));
}

/* Take a sample and evict its oldest part. Adds what that freed to `*freed`. CACHE_MISS: there is nothing to evict. */
static cache_status evict_some(struct fs_store *store, const struct fs_usage table[FS_LEAVES],
                               const struct fs_name *keep, uint64_t *freed)
{
    struct sample sample = { .keep = keep, .now = cache_env_wall_ms(store->env) };
    cache_status status = take_sample(store, table, false, &sample);
    if (status == CACHE_OK && sample.n == 0)
        status = take_sample(store, table, true, &sample);
    if (status != CACHE_OK || sample.n == 0)
        return status == CACHE_OK ? CACHE_MISS : status;
    qsort(sample.oldest, sample.n, sizeof sample.oldest[0], compare);
    size_t wanted = sample.seen / PART;
    wanted = wanted < 1 ? 1 : wanted > MOST ? MOST : wanted;
    for (size_t i = 0; i < wanted && i < sample.n && status >= 0; i++) {
        status = evict_one(store, &sample.oldest[i]);
        *freed += status == CACHE_OK ? sample.oldest[i].size : 0;
    }
    return status < 0 ? status : CACHE_OK;
}

static uint64_t deadline(const struct fs_store *store)
{
    return cache_now_ns() + (uint64_t)store->timeout_ms * 1000000;
}

void cache_fs_evict(struct fs_store *store, const struct fs_name *keep)
{
    if (store->max_items == 0 && store->max_bytes == 0)
        return;
    struct fs_usage table[FS_LEAVES];
    const uint64_t end = deadline(store);
    unsigned from = atomic_load_explicit(&store->sweep_cursor, memory_order_relaxed);
    cache_status status = CACHE_OK;
    uint64_t freed = 0;
    while (measure(store, table) && status == CACHE_OK && cache_now_ns() < end)
        if (!cache_fs_expire_one(store, table, &from, UINT64_MAX))
            status = evict_some(store, table, keep, &freed);
    if (status < 0)
        cache_env_log(store->env, CACHE_LOG_WARN, "%s: eviction failed, the cache may exceed its limits",
                      cache_last_error());
}

/* ---- a full disk ------------------------------------------------------------------------------------------------- */

static uint64_t bytes_now(struct fs_store *store)
{
    struct fs_usage table[FS_LEAVES];
    cache_fs_usage_all(store, table);
    return cache_fs_usage_sum(table).bytes;
}

static void expire_all(struct fs_store *store)
{
    struct fs_usage table[FS_LEAVES];
    unsigned from = 0;
    cache_fs_usage_all(store, table);
    while (from < FS_LEAVES && cache_fs_expire_one(store, table, &from, UINT64_MAX))
        continue;
}

static bool evict_bytes(struct fs_store *store, const struct fs_name *keep, uint64_t size)
{
    struct fs_usage table[FS_LEAVES];
    const uint64_t end = deadline(store);
    uint64_t freed = 0;
    cache_status status = CACHE_OK;
    while (freed < size && status == CACHE_OK && cache_now_ns() < end) {
        cache_fs_usage_all(store, table);
        status = evict_some(store, table, keep, &freed);
    }
    return freed > 0;
}

static bool remove_kept(struct fs_store *store, const struct fs_name *keep)
{
    struct fs_leaf leaf;
    if (cache_fs_leaf_lock(store, keep->leaf, &leaf) != CACHE_OK)
        return false;
    const cache_status status = cache_fs_leaf_remove(&leaf, cache_fs_base(keep));
    cache_fs_leaf_unlock(&leaf);
    return status == CACHE_OK;
}

bool cache_fs_make_room(struct fs_store *store, const struct fs_name *keep, uint64_t size, bool replace, int *attempt)
{
    enum { EXPIRE, EVICT, EVICT_AGAIN, REPLACE, GIVE_UP };
    for (; *attempt < GIVE_UP; ) {
        const int step = (*attempt)++;
        const uint64_t before = bytes_now(store);
        if (step == EXPIRE)
            expire_all(store);
        if ((step == EXPIRE && bytes_now(store) < before)
            || ((step == EVICT || step == EVICT_AGAIN) && evict_bytes(store, keep, size))
            || (step == REPLACE && replace && remove_kept(store, keep)))
            return true;
    }
    return false;
}
