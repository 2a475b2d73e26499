/* envelope.c - what the core writes before a value that it computed. */
#include "envelope.h"

#include <string.h>

const unsigned char cache_envelope_magic[ENVELOPE_MAGIC_SIZE] = { 0x93, 'l', 'c', 'a', 'c', 'h', 'e', 0x01 };

bool cache_envelope_is(const void *data, size_t size)
{
    return size >= ENVELOPE_MAGIC_SIZE && memcmp(data, cache_envelope_magic, ENVELOPE_MAGIC_SIZE) == 0;
}

cache_status cache_envelope_unwrap(const cache_t *cache, cache_bytes key, cache_value *value)
{
    (void)cache, (void)key;
    cache_value_release(value);
    return CACHE_MISS;
}

cache_status cache_envelope_wrap_plain(const cache_t *cache, cache_bytes key, cache_bytes value, cache_writer *out)
{
    (void)cache, (void)key;
    (void)cache_writer_append(out, cache_envelope_magic, ENVELOPE_MAGIC_SIZE);
    return cache_writer_append(out, value.data, value.size);
}
