/* envelope.h - what the core writes before a value that it computed. */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "handle.h"

#define ENVELOPE_MAGIC_SIZE 8
extern const unsigned char cache_envelope_magic[ENVELOPE_MAGIC_SIZE];

/* True for a value that is, or looks like, an enveloped one. */
bool cache_envelope_is(const void *data, size_t size);

/* What cache_get shows of a value with the magic: the payload alone, in place of the stored bytes, which stay owned by
 * `*value`. CACHE_MISS: past its TTL, of another key, its tag invalidated, or a remembered nothing; `*value` is released. */
cache_status cache_envelope_unwrap(const cache_t *cache, cache_bytes key, cache_value *value);

/* Append a plain value of cache_set that begins with the magic, wrapped so that unwrap gives it back. */
cache_status cache_envelope_wrap_plain(const cache_t *cache, cache_bytes key, cache_bytes value, cache_writer *out);

#endif
