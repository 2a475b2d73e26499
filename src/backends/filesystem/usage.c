/* usage.c - how much each leaf holds, in the marker: limits need no look at the directory.
 *
 * Read and written in place, not mapped: a marker that somebody cuts off would end the process with SIGBUS. */
#include "store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { TABLE_AT = 64 };

static off_t slot_at(unsigned number)
{
    return TABLE_AT + (off_t)(number * sizeof(struct fs_usage));
}

static size_t read_table(struct fs_store *store, void *out, size_t size, off_t at)
{
    const int marker = cache_fs_marker(store);
    ssize_t n = -1;
    do
        n = marker >= 0 ? pread(marker, out, size, at) : -1;
    while (n < 0 && marker >= 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0;
}

void cache_fs_usage_all(struct fs_store *store, struct fs_usage out[FS_LEAVES])
{
    const size_t size = FS_LEAVES * sizeof *out, n = read_table(store, out, size, slot_at(0));
    memset((char *)out + n, 0, size - n);
}

struct fs_usage cache_fs_usage_sum(const struct fs_usage table[FS_LEAVES])
{
    struct fs_usage sum = { 0, 0, 0 };
    for (int i = 0; i < FS_LEAVES; i++) {
        sum.items += table[i].items;
        sum.bytes += table[i].bytes;
    }
    return sum;
}

void cache_fs_usage_load(struct fs_leaf *leaf)
{
    if (read_table(leaf->store, &leaf->usage, sizeof leaf->usage, slot_at(leaf->number)) < sizeof leaf->usage)
        leaf->usage = (struct fs_usage){ 0, 0, 0 };
}

cache_status cache_fs_usage_save(struct fs_leaf *leaf)
{
    const int marker = cache_fs_marker(leaf->store);
    ssize_t n = -1;
    do
        n = marker >= 0 ? pwrite(marker, &leaf->usage, sizeof leaf->usage, slot_at(leaf->number)) : -1;
    while (n < 0 && marker >= 0 && errno == EINTR);
    if (n == (ssize_t)sizeof leaf->usage)
        return CACHE_OK;
    return cache_fs_fail(leaf->store, FS_MARKER, n < 0 ? errno : ENOSPC);
}
