/* slot.c - computes the slot of a key in a cluster: CRC16 (XMODEM) of the key or of its hash tag. */
#include "store.h"

#include <string.h>

static unsigned crc16(const char *data, size_t size)
{
    unsigned crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned)(unsigned char)data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return crc;
}

cache_bytes cache_redis_hash_tag(cache_bytes key)
{
    const char *open = memchr(key.data, '{', key.size);
    if (open != NULL) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', key.size - (size_t)(tag - key.data));
        if (close != NULL && close != tag)
            return (cache_bytes){ tag, (size_t)(close - tag) };
    }
    return key;
}

unsigned cache_redis_slot(cache_bytes key)
{
    const cache_bytes hashed = cache_redis_hash_tag(key);
    return crc16(hashed.data, hashed.size) % REDIS_SLOTS;
}
