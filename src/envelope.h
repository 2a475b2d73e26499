/* envelope.h - the header that the core writes before a computed value. */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "writer.h"

#define ENVELOPE_MAGIC_SIZE 8
extern const unsigned char cache_envelope_magic[ENVELOPE_MAGIC_SIZE];

#define ENVELOPE_NEGATIVE 1u           /* compute said that there is nothing */
#define ENVELOPE_PLAIN    2u           /* a value of cache_set that begins with the magic */
#define ENVELOPE_STALE    4u           /* it says itself how long it may be served past its TTL */
#define ENVELOPE_CLAIM    8u           /* no value: somebody computes it, and stores it only if this is still there */

/* The first bytes of an envelope tell it from every other one of its key. */
#define ENVELOPE_HEADER_SIZE 52

#define CACHE_MAX_TAGS 256

/* The contents of an envelope. `tags` is a sequence of tags as cache_envelope_put_tag writes them. */
struct cache_envelope {
    unsigned flags;
    int64_t created_ms;                /* of cache_stored_now_ms */
    int64_t expires_ms;                /* when it becomes stale; 0: never */
    uint64_t cost_us;                  /* how long the computation took; of a claim, how long it is held */
    uint64_t id;                       /* 0: encoding makes one */
    int64_t stale_ms, stale_if_error_ms;    /* with ENVELOPE_STALE; else 0 */
    cache_bytes type;                  /* empty: none */
    cache_bytes tags;
    cache_bytes payload;
};

/* Returns true for a value that is, or looks like, an enveloped one. */
static inline bool cache_envelope_is(const void *data, size_t size)
{
    return size >= ENVELOPE_MAGIC_SIZE && memcmp(data, cache_envelope_magic, ENVELOPE_MAGIC_SIZE) == 0;
}

/* Appends the envelope with its payload. `key` is the whole key, with the prefix. Returns the writer's failure, or
 * CACHE_ERR_TOO_LARGE if a part does not fit its field. */
cache_status cache_envelope_encode(const struct cache_envelope *envelope, cache_bytes key, cache_writer *out);

/* Reads a value that begins with the magic. The bytes may be anything: nothing outside them is read. Returns false if
 * the value is damaged, of a later version, or of another key. The parts of `*out` point into the bytes. */
bool cache_envelope_decode(cache_bytes bytes, cache_bytes key, struct cache_envelope *out);

#define TAG_VERSION_SIZE 32

/* Appends one tag, and the version that it had when the computation began. Returns the writer's failure, or
 * CACHE_ERR_TOO_LARGE. */
cache_status cache_envelope_put_tag(cache_writer *out, cache_bytes name, const char version[TAG_VERSION_SIZE]);

/* Removes the next tag from the front of `*tags`. Returns false at the end, or if the tags are damaged: then `*tags` is
 * not empty. */
bool cache_envelope_next_tag(cache_bytes *tags, cache_bytes *name, const char **version);

#endif
