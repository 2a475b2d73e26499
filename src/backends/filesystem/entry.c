/* entry.c - an entry's file: written whole, and believed only when all of it is as it was written.
 *
 * Nothing is synced: after a power cut a file may be cut off or hold zeros. So header and key have a hash, and the
 * value has one. */
#include "store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ENTRY_VERSION = 1, HEAD_SIZE = sizeof(struct fs_head) };

static const char entry_magic[8] = "libcache";

_Static_assert(sizeof(struct fs_head) == 48, "the header has no holes");

/* ---- the header -------------------------------------------------------------------------------------------------- */

static uint64_t hash_of_head(const struct fs_head *head, const char *key)
{
    return XXH3_64bits_withSeed(key, head->key_size, XXH3_64bits(head, offsetof(struct fs_head, head_hash)));
}

void cache_fs_head_make(struct fs_head *head, cache_bytes key, cache_bytes value, int64_t expires_ms)
{
    *head = (struct fs_head){ .version = ENTRY_VERSION, .key_size = (uint32_t)key.size, .value_size = value.size,
                              .value_hash = XXH3_64bits(value.data, value.size) };
    memcpy(head->magic, entry_magic, sizeof head->magic);
    cache_fs_head_renew(head, key, expires_ms);
}

void cache_fs_head_renew(struct fs_head *head, cache_bytes key, int64_t expires_ms)
{
    head->expires_ms = expires_ms;
    head->head_hash = hash_of_head(head, key.data);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Up to `size` bytes, fewer only at the file's end. -1: errno. */
static ssize_t read_at(int fd, char *to, size_t size, off_t at)
{
    size_t have = 0;
    while (have < size) {
        const ssize_t n = pread(fd, to + have, size - have, at + (off_t)have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* Have the file's first `need` bytes in the buffer. Most often they are: one read takes all of a small file. */
static enum fs_state fill(int fd, struct fs_entry *entry, size_t need)
{
    while (entry->have < need) {
        const ssize_t n = pread(fd, entry->bytes + entry->have, sizeof entry->bytes - entry->have, (off_t)entry->have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FS_FAILED;
        if (n == 0)
            return FS_TORN;
        entry->have += (size_t)n;
    }
    return FS_LIVE;
}

static bool is_sound(const struct fs_head *head)
{
    return memcmp(head->magic, entry_magic, sizeof head->magic) == 0 && head->version == ENTRY_VERSION
        && head->key_size >= 1 && head->key_size <= FS_MAX_KEY && head->value_size <= SSIZE_MAX / 2;
}

enum fs_state cache_fs_entry_load(int fd, const cache_env *env, cache_bytes key, struct fs_entry *entry)
{
    entry->have = 0;
    enum fs_state state = fill(fd, entry, HEAD_SIZE);
    if (state != FS_LIVE)
        return state;
    memcpy(&entry->head, entry->bytes, HEAD_SIZE);
    if (!is_sound(&entry->head))
        return FS_TORN;
    state = fill(fd, entry, HEAD_SIZE + entry->head.key_size);
    if (state != FS_LIVE)
        return state;
    const cache_bytes own = cache_fs_entry_key(entry);
    if (hash_of_head(&entry->head, own.data) != entry->head.head_hash)
        return FS_TORN;
    if (key.data != NULL && (own.size != key.size || memcmp(own.data, key.data, key.size) != 0))
        return FS_OTHER;
    const bool ended = entry->head.expires_ms != 0 && cache_env_wall_ms(env) >= entry->head.expires_ms;
    return ended ? FS_EXPIRED : FS_LIVE;
}

/* The value's part that came with the header. */
static cache_bytes value_so_far(const struct fs_entry *entry)
{
    const size_t at = HEAD_SIZE + entry->head.key_size, here = entry->have - at;
    return (cache_bytes){ entry->bytes + at, here < entry->head.value_size ? here : (size_t)entry->head.value_size };
}

enum fs_state cache_fs_entry_small(int fd, struct fs_entry *entry, size_t max, cache_bytes *value, bool *fits)
{
    const size_t at = HEAD_SIZE + entry->head.key_size;
    *fits = entry->head.value_size <= max && entry->head.value_size <= sizeof entry->bytes - at;
    if (!*fits)
        return FS_LIVE;
    const enum fs_state state = fill(fd, entry, at + (size_t)entry->head.value_size);
    if (state != FS_LIVE)
        return state;
    *value = value_so_far(entry);
    return XXH3_64bits(value->data, value->size) == entry->head.value_hash ? FS_LIVE : FS_TORN;
}

/* Straight into the caller's memory. */
static cache_status read_large(int fd, const struct fs_entry *entry, cache_writer *out, enum fs_state *state)
{
    const size_t size = (size_t)entry->head.value_size;
    const cache_bytes first = value_so_far(entry);
    char *room = cache_writer_reserve(out, size);
    if (room == NULL)
        return cache_writer_status(out);
    memcpy(room, first.data, first.size);
    const size_t rest = size - first.size;
    const ssize_t n = read_at(fd, room + first.size, rest, (off_t)entry->have);
    *state = n < 0 ? FS_FAILED
           : (size_t)n == rest && XXH3_64bits(room, size) == entry->head.value_hash ? FS_LIVE : FS_TORN;
    if (*state == FS_LIVE)
        return CACHE_OK;
    cache_writer_undo(out, size);
    return CACHE_MISS;
}

cache_status cache_fs_entry_value(int fd, struct fs_entry *entry, cache_writer *out, enum fs_state *state)
{
    bool fits = false;
    cache_bytes value = { "", 0 };
    *state = cache_fs_entry_small(fd, entry, sizeof entry->bytes, &value, &fits);
    if (*state != FS_LIVE)
        return CACHE_MISS;
    return fits ? cache_writer_append(out, value.data, value.size) : read_large(fd, entry, out, state);
}

enum fs_state cache_fs_entry_copy(int fd, struct fs_entry *entry, int to)
{
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    cache_bytes part = value_so_far(entry);
    uint64_t left = entry->head.value_size;
    off_t at = (off_t)entry->have;
    for (;;) {
        XXH3_64bits_update(&hash, part.data, part.size);
        const int error = to >= 0 ? cache_fs_write(to, &part, 1) : 0;
        if (error != 0) {
            errno = error;
            return FS_FAILED;
        }
        left -= part.size;
        if (left == 0)
            break;
        const size_t wanted = left < sizeof entry->bytes ? (size_t)left : sizeof entry->bytes;
        const ssize_t n = read_at(fd, entry->bytes, wanted, at);
        if (n < 0)
            return FS_FAILED;
        if ((size_t)n < wanted)
            return FS_TORN;
        at += n;
        part = (cache_bytes){ entry->bytes, wanted };
    }
    return XXH3_64bits_digest(&hash) == entry->head.value_hash ? FS_LIVE : FS_TORN;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

int cache_fs_write(int fd, const cache_bytes parts[], size_t n)
{
    enum { MAX_PARTS = 3 };
    struct iovec left[MAX_PARTS];
    for (size_t i = 0; i < n; i++)
        left[i] = (struct iovec){ (void *)(uintptr_t)parts[i].data, parts[i].size };
    for (size_t first = 0; first < n;) {
        if (left[first].iov_len == 0) {
            first++;
            continue;
        }
        ssize_t wrote = writev(fd, left + first, (int)(n - first));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? errno : ENOSPC;
        for (; first < n && (size_t)wrote >= left[first].iov_len; first++)
            wrote -= (ssize_t)left[first].iov_len;
        if (first < n) {
            left[first].iov_base = (char *)left[first].iov_base + wrote;
            left[first].iov_len -= (size_t)wrote;
        }
    }
    return 0;
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* What every file system can say, or brings down to what it can. */
#define HINT_NEVER_S INT64_C(4294967295)

static struct timespec to_time(int64_t ms)
{
    if (ms == 0)
        return (struct timespec){ 0, UTIME_OMIT };
    if (ms / 1000 >= HINT_NEVER_S)
        return (struct timespec){ HINT_NEVER_S, 0 };
    return (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
}

void cache_fs_set_times(int fd, int64_t expires_ms, int64_t used_ms)
{
    const struct timespec times[2] = { to_time(expires_ms), to_time(used_ms) };
    (void)futimens(fd, times);    /* hints: an entry whose times cannot be set is opened by a scan */
}

int64_t cache_fs_expiry_hint(const struct stat *info)
{
    const struct timespec ends = info->st_atim;
    return ends.tv_sec >= HINT_NEVER_S ? 0 : (int64_t)ends.tv_sec * 1000 + ends.tv_nsec / 1000000;
}
