/* entry.c - the file of an entry. It is only used if all of it is as it was written.
 *
 * Nothing is synced, so after a power cut a file may be cut off or contain zeros. So there are two checksums: one of
 * the header and key, and one of the value. A size in a header is never used before it was compared with the file's
 * length. */
#include "store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { ENTRY_VERSION = 2, HEAD_SIZE = sizeof(struct fs_head) };

static const char entry_magic[8] = "libcache";

_Static_assert(sizeof(struct fs_head) == 56, "the header has no holes");

/* ---- the header -------------------------------------------------------------------------------------------------- */

static uint64_t hash_of_head(const struct fs_head *head, const char *key)
{
    return XXH3_64bits_withSeed(key, head->key_size, XXH3_64bits(head, offsetof(struct fs_head, head_hash)));
}

void cache_fs_head_make(struct fs_head *head, cache_bytes key, cache_bytes value, int64_t expires_ms, int64_t now_ms)
{
    *head = (struct fs_head){ .version = ENTRY_VERSION, .key_size = (uint32_t)key.size, .value_size = value.size,
                              .value_hash = XXH3_64bits(value.data, value.size) };
    memcpy(head->magic, entry_magic, sizeof head->magic);
    cache_fs_head_renew(head, key, expires_ms, now_ms);
}

void cache_fs_head_renew(struct fs_head *head, cache_bytes key, int64_t expires_ms, int64_t now_ms)
{
    assert(head->key_size == key.size);
    head->expires_ms = expires_ms;
    head->written_ms = now_ms;
    head->head_hash = hash_of_head(head, key.data);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Make sure that the first `need` bytes of the file are in the buffer. Usually they are: one read gets all of a small
 * file. */
static enum fs_state read_up_to(int fd, struct fs_entry *entry, size_t need)
{
    assert(need <= sizeof entry->bytes);
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

/* Returns true if the sum of all sizes fits into an off_t and a size_t, on every machine. */
static bool is_sound(const struct fs_head *head)
{
    return memcmp(head->magic, entry_magic, sizeof head->magic) == 0 && head->version == ENTRY_VERSION
        && head->key_size >= 1 && head->key_size <= FS_MAX_KEY && head->value_size <= (uint64_t)SSIZE_MAX / 2;
}

/* If an entry was written in the future, its expiry is as wrong as the clock was, so it counts as expired. */
static bool has_expired(const struct fs_head *head, int64_t now_ms)
{
    return head->expires_ms != 0 && (now_ms >= head->expires_ms || cache_fs_is_future(head->written_ms, now_ms));
}

enum fs_state cache_fs_entry_load(int fd, const cache_env *env, cache_bytes key, struct fs_entry *entry)
{
    entry->have = 0;
    enum fs_state state = read_up_to(fd, entry, HEAD_SIZE);
    if (state != FS_LIVE)
        return state;
    memcpy(&entry->head, entry->bytes, HEAD_SIZE);
    if (!is_sound(&entry->head))
        return FS_TORN;
    state = read_up_to(fd, entry, HEAD_SIZE + entry->head.key_size);
    if (state != FS_LIVE)
        return state;
    const cache_bytes own = cache_fs_entry_key(entry);
    if (hash_of_head(&entry->head, own.data) != entry->head.head_hash)
        return FS_TORN;
    if (key.data != NULL && (own.size != key.size || memcmp(own.data, key.data, key.size) != 0))
        return FS_OTHER;
    return has_expired(&entry->head, cache_env_wall_ms(env)) ? FS_EXPIRED : FS_LIVE;
}

/* Returns the part of the value that was read with the header. */
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
    const enum fs_state state = read_up_to(fd, entry, at + (size_t)entry->head.value_size);
    if (state != FS_LIVE)
        return state;
    *value = value_so_far(entry);
    return XXH3_64bits(value->data, value->size) == entry->head.value_hash ? FS_LIVE : FS_TORN;
}

static enum fs_state compare_length(int fd, const struct fs_head *head)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return FS_FAILED;
    return (uint64_t)info.st_size >= cache_fs_entry_size(head) ? FS_LIVE : FS_TORN;
}

/* Read a large value straight into the caller's memory. */
static cache_status read_large(int fd, const struct fs_entry *entry, cache_writer *out, enum fs_state *state)
{
    *state = compare_length(fd, &entry->head);
    if (*state != FS_LIVE)
        return CACHE_MISS;
    const size_t size = (size_t)entry->head.value_size;
    const cache_bytes first = value_so_far(entry);
    char *room = cache_writer_reserve(out, size);
    if (room == NULL)
        return cache_writer_status(out);
    memcpy(room, first.data, first.size);
    const size_t rest = size - first.size;
    const ssize_t n = cache_fs_read_at(fd, room + first.size, rest, (off_t)entry->have);
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

/* Read the value to its end; `to` is -1, or where a copy goes. */
static enum fs_state pass_through(int fd, struct fs_entry *entry, int to)
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
        const ssize_t n = cache_fs_read_at(fd, entry->bytes, wanted, at);
        if (n < 0)
            return FS_FAILED;
        if ((size_t)n < wanted)
            return FS_TORN;
        at += n;
        part = (cache_bytes){ entry->bytes, wanted };
    }
    return XXH3_64bits_digest(&hash) == entry->head.value_hash ? FS_LIVE : FS_TORN;
}

enum fs_state cache_fs_entry_copy(int fd, struct fs_entry *entry, int to)
{
    return pass_through(fd, entry, to);
}

enum fs_state cache_fs_entry_verify(int fd, struct fs_entry *entry)
{
    return pass_through(fd, entry, -1);
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* The latest time that every file system can store. A 32-bit time_t ends before it. */
#define HINT_NEVER_S (sizeof(time_t) < 8 ? INT64_C(2147483647) : INT64_C(4294967295))

static struct timespec to_time(int64_t ms)
{
    if (ms == 0)
        return (struct timespec){ 0, UTIME_OMIT };
    if (ms / 1000 >= HINT_NEVER_S)
        return (struct timespec){ (time_t)HINT_NEVER_S, 0 };
    return (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
}

static int64_t to_ms(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void cache_fs_set_times(int fd, int64_t expires_ms, int64_t used_ms)
{
    const struct timespec times[2] = { to_time(expires_ms), to_time(used_ms) };
    (void)futimens(fd, times);    /* hints only: a scan opens an entry whose times could not be set */
}

int64_t cache_fs_expiry_hint(const struct stat *info)
{
    return info->st_atim.tv_sec >= HINT_NEVER_S ? 0 : to_ms(info->st_atim);
}

int64_t cache_fs_used_ms(const struct stat *info)
{
    return to_ms(info->st_mtim);
}
