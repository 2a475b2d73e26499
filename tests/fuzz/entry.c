/* entry.c - reads the bytes of a cache file. If the first byte is odd, the checksum of the header is corrected first,
 * so that the rest is read: only a whole value may come out. The file is in memory. */
#define _GNU_SOURCE    /* memfd_create */
#include "fuzz.h"

#include "backends/filesystem/store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <sys/mman.h>
#include <unistd.h>

static void set_head_right(char *bytes, size_t size)
{
    struct fs_head head;
    if (size < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    if (head.key_size <= size - sizeof head) {
        const uint64_t seed = XXH3_64bits(&head, offsetof(struct fs_head, head_hash));
        head.head_hash = XXH3_64bits_withSeed(bytes + sizeof head, head.key_size, seed);
        memcpy(bytes, &head, sizeof head);
    }
}

static void read_value(int fd, struct fs_entry *entry)
{
    const cache_env env = fuzz_env();
    enum fs_state state = FS_LIVE;
    cache_bytes small;
    bool fits = false;
    if (cache_fs_entry_small(fd, entry, 1000, &small, &fits) == FS_LIVE && fits)
        FUZZ_CHECK(XXH3_64bits(small.data, small.size) == entry->head.value_hash);
    cache_writer out;
    cache_writer_init(&out, env.allocator);
    const cache_status status = cache_fs_entry_value(fd, entry, &out, &state);
    FUZZ_CHECK(status == CACHE_OK || status == CACHE_MISS);
    if (status == CACHE_OK) {
        FUZZ_CHECK(out.size == entry->head.value_size);
        FUZZ_CHECK(XXH3_64bits(out.data, out.size) == entry->head.value_hash);
    }
    cache_writer_release(&out);
    FUZZ_CHECK((cache_fs_entry_verify(fd, entry) == FS_LIVE) == (status == CACHE_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = { data, size };
    const bool right = (fuzz_byte(&input) & 1) != 0;
    const cache_env env = fuzz_env();
    char *bytes = fuzz_copy(input.data, input.size);
    if (right)
        set_head_right(bytes, input.size);
    const int fd = memfd_create("entry", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, input.size) == (ssize_t)input.size);
    struct fs_entry *entry = malloc(sizeof *entry);
    FUZZ_CHECK(entry != NULL);
    const enum fs_state state = cache_fs_entry_load(fd, &env, cache_fs_any_key, entry);
    if (state == FS_LIVE || state == FS_EXPIRED) {
        const cache_bytes key = cache_fs_entry_key(entry);
        free(fuzz_copy(key.data, key.size));
        read_value(fd, entry);
    }
    free(entry);
    (void)close(fd);
    free(bytes);
    return 0;
}
