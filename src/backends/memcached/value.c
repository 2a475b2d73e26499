/* value.c - decodes an item: a plain value, a value with its key before it, or a counter. */
#include "store.h"

#include <string.h>

/* Read "18446744073709551611 " as -5. If a number became shorter, memcached pads it with spaces. */
static bool read_counter(cache_bytes text, int64_t *out)
{
    uint64_t number = 0;
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    if (!cache_mc_read_number(text.data, text.size, UINT64_MAX, &number))
        return false;
    *out = (int64_t)number;
    return true;
}

static cache_status unwrap(cache_bytes item, cache_bytes key, cache_bytes *out)
{
    const unsigned char *bytes = (const unsigned char *)item.data;
    const size_t length = item.size >= MC_LENGTH_BYTES ? (size_t)bytes[0] << 8 | bytes[1] : 0;
    if (length != key.size || item.size < MC_LENGTH_BYTES + length
        || memcmp(item.data + MC_LENGTH_BYTES, key.data, length) != 0)
        return CACHE_MISS;
    *out = (cache_bytes){ item.data + MC_LENGTH_BYTES + length, item.size - MC_LENGTH_BYTES - length };
    return CACHE_OK;
}

cache_status cache_mc_decode(const struct mc_reply *item, const struct mc_key *wire, cache_bytes key,
                             char number[NUMBER_MAX_SIZE + 1], cache_bytes *out)
{
    int64_t counter = 0;
    if (item->flags == MC_FLAG_COUNTER && read_counter(item->value, &counter)) {
        *out = (cache_bytes){ number, cache_number_format(counter, number) };
        return CACHE_OK;
    }
    if (wire->hashed != (item->flags == MC_FLAG_WRAPPED))
        return CACHE_MISS;
    if (wire->hashed)
        return unwrap(item->value, key, out);
    *out = item->value;
    return CACHE_OK;
}

size_t cache_mc_write_value_head(char out[MC_MAX_VALUE_HEAD], const char *verb, const struct mc_key *wire,
                                 cache_bytes key, const struct mc_item *item)
{
    if (!wire->hashed || key.data == NULL)
        return cache_mc_write_store(out, verb, cache_mc_name(wire), item);
    struct mc_item wrapped = *item;
    wrapped.flags = MC_FLAG_WRAPPED;
    wrapped.value.size += MC_LENGTH_BYTES + key.size;
    size_t size = cache_mc_write_store(out, verb, cache_mc_name(wire), &wrapped);
    out[size++] = (char)(key.size >> 8);
    out[size++] = (char)(key.size & 0xff);
    memcpy(out + size, key.data, key.size);
    return size + key.size;
}
