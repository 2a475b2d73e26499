/* name.c - makes the file name of a key: a 128-bit hash with a seed of the directory. So nobody can choose keys that
 * share a leaf or a name. */
#include "store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char digits[] = "0123456789abcdef";

void cache_fs_name(const struct fs_store *store, cache_bytes key, struct fs_name *out)
{
    const XXH128_hash_t hash = XXH3_128bits_withSeed(key.data, key.size, store->seed);
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, hash);
    out->leaf = bytes.digest[0];
    char *to = out->path;
    for (size_t i = 0; i < sizeof bytes.digest; i++) {
        *to++ = digits[bytes.digest[i] >> 4];
        if (i == 0)
            *to++ = '/';
        *to++ = digits[bytes.digest[i] & 15];
        if (i == 0)
            *to++ = '/';
    }
    *to = '\0';
}

void cache_fs_leaf_path(unsigned leaf, char out[4])
{
    out[0] = digits[leaf >> 4 & 15];
    out[1] = '/';
    out[2] = digits[leaf & 15];
    out[3] = '\0';
}

bool cache_fs_is_entry_name(const char *name)
{
    size_t i = 0;
    while ((name[i] >= '0' && name[i] <= '9') || (name[i] >= 'a' && name[i] <= 'f'))
        i++;
    return i == FS_NAME_DIGITS && name[i] == '\0';
}

bool cache_fs_is_digit(const char *name)
{
    return ((name[0] >= '0' && name[0] <= '9') || (name[0] >= 'a' && name[0] <= 'f')) && name[1] == '\0';
}
