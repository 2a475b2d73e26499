/* envelope.c - encodes and decodes the header that the core writes before a computed value.
 *
 * Little-endian:
 *
 *     0 magic (8)   8 version (1)   9 flags (1)   10 key size (2)   12 type size (2)   14 padding size (2)
 *     16 tags size (4)   20 id (8)   28 created, ms (8)   36 expires, ms (8)   44 cost, us (8)
 *     52 key, type, tags, padding, payload
 *
 * With ENVELOPE_STALE, stale (8) and stale_if_error (8) in milliseconds come before the key. A tag is its size (2), its
 * version (32) and its name. The payload comes last, so that it can be returned in place, with the NUL that follows the
 * stored bytes. The padding gives it the alignment of the whole. No text in ASCII or UTF-8 begins with the first byte
 * of the magic. */
#include "envelope.h"

#include "little_endian.h"
#include "unique.h"

#include <string.h>

enum { VERSION = 2, HEADER_SIZE = ENVELOPE_HEADER_SIZE, STALE_SIZE = 16, TAG_HEADER_SIZE = 2 + TAG_VERSION_SIZE,
       ALIGNMENT = 16 };

const unsigned char cache_envelope_magic[ENVELOPE_MAGIC_SIZE] = { 0x93, 'l', 'c', 'a', 'c', 'h', 'e', 0x01 };

/* ---- numbers --------------------------------------------------------------------------------------------------- */

static unsigned char *put_number(unsigned char *to, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++, number >>= 8)
        to[i] = (unsigned char)(number & 0xff);
    return to + size;
}

static inline uint64_t take(const char **from, size_t size)
{
    const char *at = *from;
    *from += size;
    switch (size) {
    case 1: return (unsigned char)at[0];
    case 2: return little_16(at);
    case 4: return little_32(at);
    default: return little_64(at);
    }
}

/* ---- writing and reading --------------------------------------------------------------------------------------- */

static cache_status append(cache_writer *out, cache_bytes bytes)
{
    return bytes.size > 0 ? cache_writer_append(out, bytes.data, bytes.size) : CACHE_OK;
}

cache_status cache_envelope_encode(const struct cache_envelope *envelope, cache_bytes key, cache_writer *out)
{
    if (key.size > UINT16_MAX || envelope->type.size > UINT16_MAX || envelope->tags.size > UINT32_MAX)
        return cache_fail(CACHE_ERR_TOO_LARGE, "fetch: the key, type or tags are too long to be stored with the value");
    /* All of the room at once: parts would make the buffer grow, and copy, several times. */
    const size_t header_size = HEADER_SIZE + (envelope->flags & ENVELOPE_STALE ? STALE_SIZE : 0);
    const size_t head = header_size + key.size + envelope->type.size + envelope->tags.size;
    const size_t padding = (ALIGNMENT - head % ALIGNMENT) % ALIGNMENT;
    const size_t size = head + padding + envelope->payload.size;
    if (cache_writer_reserve(out, size) == NULL)
        return cache_writer_status(out);
    cache_writer_undo(out, size);

    static const char zeros[ALIGNMENT] = "";
    unsigned char header[HEADER_SIZE + STALE_SIZE];
    memcpy(header, cache_envelope_magic, ENVELOPE_MAGIC_SIZE);
    unsigned char *at = put_number(header + ENVELOPE_MAGIC_SIZE, VERSION, 1);
    at = put_number(at, envelope->flags, 1);
    at = put_number(at, key.size, 2);
    at = put_number(at, envelope->type.size, 2);
    at = put_number(at, padding, 2);
    at = put_number(at, envelope->tags.size, 4);
    at = put_number(at, envelope->id != 0 ? envelope->id : cache_unique_quick(), 8);
    at = put_number(at, (uint64_t)envelope->created_ms, 8);
    at = put_number(at, (uint64_t)envelope->expires_ms, 8);
    at = put_number(at, envelope->cost_us, 8);
    if (envelope->flags & ENVELOPE_STALE)
        (void)put_number(put_number(at, (uint64_t)envelope->stale_ms, 8), (uint64_t)envelope->stale_if_error_ms, 8);
    (void)cache_writer_append(out, header, header_size);
    (void)append(out, key);
    (void)append(out, envelope->type);
    (void)append(out, envelope->tags);
    (void)append(out, (cache_bytes){ zeros, padding });
    (void)append(out, envelope->payload);
    return cache_writer_status(out);
}

/* No more than a fetch may have: looking them up takes a question each, and comparing them the square of their
 * number. */
static bool tags_are_whole(cache_bytes tags)
{
    cache_bytes name;
    const char *version = NULL;
    size_t n = 0;
    while (n <= CACHE_MAX_TAGS && cache_envelope_next_tag(&tags, &name, &version))
        n++;
    return tags.size == 0 && n <= CACHE_MAX_TAGS;
}

/* Times that no clock can give would overflow in what is reckoned with them. */
static bool is_time(int64_t ms)
{
    return ms >= -(INT64_MAX / 4) && ms <= INT64_MAX / 4;
}

static bool is_span(int64_t ms)
{
    return ms >= 0 && is_time(ms);
}

/* Returns false if the bytes end before what the flags say is there. */
static bool take_stale(const char **at, size_t *left, struct cache_envelope *out)
{
    const bool said = (out->flags & ENVELOPE_STALE) != 0;
    if (said && *left < STALE_SIZE)
        return false;
    out->stale_ms = said ? (int64_t)take(at, 8) : 0;
    out->stale_if_error_ms = said ? (int64_t)take(at, 8) : 0;
    *left -= said ? STALE_SIZE : 0;
    return true;
}

bool cache_envelope_decode(cache_bytes bytes, cache_bytes key, struct cache_envelope *out)
{
    if (bytes.size < HEADER_SIZE || !cache_envelope_is(bytes.data, bytes.size))
        return false;
    const char *at = bytes.data + ENVELOPE_MAGIC_SIZE;
    const uint64_t version = take(&at, 1);
    out->flags = (unsigned)take(&at, 1);
    const size_t key_size = (size_t)take(&at, 2);
    out->type.size = (size_t)take(&at, 2);
    const size_t padding = (size_t)take(&at, 2);
    out->tags.size = (size_t)take(&at, 4);
    out->id = take(&at, 8);
    out->created_ms = (int64_t)take(&at, 8);
    out->expires_ms = (int64_t)take(&at, 8);
    out->cost_us = take(&at, 8);
    size_t left = bytes.size - HEADER_SIZE;
    if (!take_stale(&at, &left, out))
        return false;
    if (version != VERSION || padding >= ALIGNMENT || key_size != key.size || key_size > left ||
        memcmp(at, key.data, key_size) != 0)
        return false;
    left -= key_size;
    if (out->type.size > left || out->tags.size > left - out->type.size ||
        padding > left - out->type.size - out->tags.size)
        return false;
    out->type.data = at + key_size;
    out->tags.data = out->type.data + out->type.size;
    out->payload = (cache_bytes){ out->tags.data + out->tags.size + padding,
                                  left - out->type.size - out->tags.size - padding };
    return is_time(out->created_ms) && is_time(out->expires_ms) && is_span(out->stale_ms) &&
           is_span(out->stale_if_error_ms) && tags_are_whole(out->tags);
}

/* ---- tags ------------------------------------------------------------------------------------------------------ */

cache_status cache_envelope_put_tag(cache_writer *out, cache_bytes name, const char version[TAG_VERSION_SIZE])
{
    unsigned char size[2];
    (void)put_number(size, name.size, sizeof size);
    (void)cache_writer_append(out, size, sizeof size);
    (void)cache_writer_append(out, version, TAG_VERSION_SIZE);
    return append(out, name);
}

bool cache_envelope_next_tag(cache_bytes *tags, cache_bytes *name, const char **version)
{
    if (tags->size < TAG_HEADER_SIZE)
        return false;
    const char *at = tags->data;
    const size_t size = (size_t)take(&at, 2);
    if (size == 0 || size > CACHE_MAX_KEY || size > tags->size - TAG_HEADER_SIZE)
        return false;
    *version = at;
    *name = (cache_bytes){ at + TAG_VERSION_SIZE, size };
    *tags = (cache_bytes){ name->data + size, tags->size - TAG_HEADER_SIZE - size };
    return true;
}
