/* codec_format.h - encodes and decodes compressed or sealed values.
 *
 * An encoded value is a header of 16 bytes and a payload:
 *
 *     0 magic (4)   4 version (1)   5 compression (1)   6 sealed (1)   7 zero (1)   8 plain size, little-endian (8)
 *
 * If it is sealed, the payload is a nonce of 24 bytes, the ciphertext, and a tag of 16 bytes; the header and the whole
 * key are authenticated with it, so that a value that was moved to another key does not open. The cipher is
 * XChaCha20-Poly1305-IETF (libsodium), whose nonce is long enough to be drawn at random. Values are compressed first
 * and sealed then. */
#ifndef CODEC_FORMAT_H
#define CODEC_FORMAT_H

#include "api.h"

#include <stdatomic.h>

enum codec_compression { CODEC_PLAIN, CODEC_LZ4, CODEC_ZSTD };

enum { CODEC_HEADER_SIZE = 16, CODEC_KEY_SIZE = 32, CODEC_MAX_KEYS = 2, CODEC_CONTEXTS = 8 };

/* The largest value that is compressed, or accepted as the result of decompressing. */
#define CODEC_MAX_COMPRESSED ((uint64_t)64 << 20)

struct cache_codec_format {
    enum codec_compression compression;    /* of new values */
    size_t compress_min;                   /* smaller values are not compressed */
    size_t n_keys;                         /* 0: nothing is sealed. The first key seals; each of them opens */
    unsigned char keys[CODEC_MAX_KEYS][CODEC_KEY_SIZE];
    const cache_env *env;
    /* Working memory of zstd, which takes 10 to 20 us to make. A call uses an idle one, or makes one. */
    _Atomic(void *) compressors[CODEC_CONTEXTS], decompressors[CODEC_CONTEXTS];
};

/* Frees the contexts and wipes the keys. No call may be running. */
void cache_codec_format_release(struct cache_codec_format *format);

/* Returns the name of an option's value that this build does not support, or NULL. */
const char *cache_codec_missing(enum codec_compression compression, bool seal);

/* Call this before the first seal. libsodium then uses what this processor is best at. */
cache_status cache_codec_start_seal(void);

/* Returns true if the bytes begin like an encoded value. */
bool cache_codec_is_encoded(const void *data, size_t size);

/* Encodes `value` for the store, under the key with its prefix, and appends it. If encoding gains nothing, the value is
 * appended unchanged. A decimal number is never encoded, so that it can be incremented. Returns CACHE_OK,
 * CACHE_ERR_NOMEM, or CACHE_ERR_IO if the system has no random bytes. */
cache_status cache_codec_encode(const struct cache_codec_format *format, cache_bytes key, cache_bytes value,
                                cache_writer *out);

/* Decodes a stored value and appends it. Returns CACHE_ERR_NOMEM; or CACHE_MISS if the value is damaged, sealed under
 * another key or for another place, not sealed although `format` seals, compressed by an algorithm that this build
 * lacks, or larger than it can be. Sizes in the bytes are checked before they are used. */
cache_status cache_codec_decode(const struct cache_codec_format *format, cache_bytes key, cache_bytes stored,
                                cache_writer *out);

#endif
