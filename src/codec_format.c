/* codec_format.c - encodes and decodes compressed and sealed values. codec_format.h describes the format. */
#define _DEFAULT_SOURCE    /* getentropy */
#include "codec_format.h"

#include "number.h"
#include "writer.h"

#include <string.h>
#include <unistd.h>

#ifdef LIBCACHE_HAVE_LZ4
#include <lz4.h>
#endif
#ifdef LIBCACHE_HAVE_SEAL
#include <sodium.h>
#endif
#ifdef LIBCACHE_HAVE_ZSTD
#include <zstd.h>
#endif

enum { VERSION = 1, NONCE_SIZE = 24, TAG_SIZE = 16, SEAL_SIZE = NONCE_SIZE + TAG_SIZE };

/* No text in ASCII or UTF-8 begins with the first byte, and no envelope does. */
static const unsigned char magic[4] = { 0x94, 'l', 'c', 'z' };

struct header {
    enum codec_compression compression;
    bool sealed;
    uint64_t size;                     /* of the plain value */
};

const char *cache_codec_missing(enum codec_compression compression, bool seal)
{
#ifndef LIBCACHE_HAVE_LZ4
    if (compression == CODEC_LZ4)
        return "lz4";
#endif
#ifndef LIBCACHE_HAVE_ZSTD
    if (compression == CODEC_ZSTD)
        return "zstd";
#endif
#ifndef LIBCACHE_HAVE_SEAL
    if (seal)
        return "libsodium";
#endif
    (void)compression;
    (void)seal;
    return NULL;
}

bool cache_codec_is_encoded(const void *data, size_t size)
{
    return size >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

/* ---- the header ------------------------------------------------------------------------------------------------ */

static void header_write(const struct header *header, unsigned char out[CODEC_HEADER_SIZE])
{
    memcpy(out, magic, sizeof magic);
    out[4] = VERSION;
    out[5] = (unsigned char)header->compression;
    out[6] = header->sealed;
    out[7] = 0;
    for (int i = 0; i < 8; i++)
        out[8 + i] = (unsigned char)(header->size >> (8 * i) & 0xff);
}

/* Returns false if it is damaged or of a later version. */
static bool header_read(cache_bytes stored, struct header *out)
{
    const unsigned char *bytes = (const unsigned char *)stored.data;
    if (stored.size < CODEC_HEADER_SIZE || bytes[4] != VERSION || bytes[5] > CODEC_ZSTD || bytes[6] > 1 ||
        bytes[7] != 0)
        return false;
    *out = (struct header){ .compression = (enum codec_compression)bytes[5], .sealed = bytes[6] != 0 };
    for (int i = 0; i < 8; i++)
        out->size |= (uint64_t)bytes[8 + i] << (8 * i);
    return true;
}

/* Returns false if a size cannot be true, so that a few bytes do not allocate gigabytes. Except for small values, no
 * compressor here makes more than 1000 bytes of one. */
static bool is_honest_size(const struct header *header, size_t payload)
{
    if (header->compression == CODEC_PLAIN)
        return header->size == payload;
    return header->size <= CODEC_MAX_COMPRESSED && header->size <= (uint64_t)payload * 1000 + (1u << 20);
}

/* ---- zstd's contexts ------------------------------------------------------------------------------------------- */

#ifdef LIBCACHE_HAVE_ZSTD
static void *context_take(_Atomic(void *) contexts[CODEC_CONTEXTS])
{
    for (size_t i = 0; i < CODEC_CONTEXTS; i++) {
        void *taken = atomic_exchange_explicit(&contexts[i], NULL, memory_order_acq_rel);
        if (taken != NULL)
            return taken;
    }
    return NULL;
}

/* Returns false if there is no free slot. The caller then frees the context. */
static bool context_keep(_Atomic(void *) contexts[CODEC_CONTEXTS], void *context)
{
    for (size_t i = 0; i < CODEC_CONTEXTS; i++) {
        void *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&contexts[i], &none, context, memory_order_acq_rel,
                                                    memory_order_relaxed))
            return true;
    }
    return false;
}
#endif

void cache_codec_format_release(struct cache_codec_format *format)
{
#ifdef LIBCACHE_HAVE_ZSTD
    for (size_t i = 0; i < CODEC_CONTEXTS; i++) {
        (void)ZSTD_freeCCtx(atomic_load(&format->compressors[i]));
        (void)ZSTD_freeDCtx(atomic_load(&format->decompressors[i]));
    }
#endif
#ifdef LIBCACHE_HAVE_SEAL
    sodium_memzero(format->keys, sizeof format->keys);
#endif
    format->n_keys = 0;
}

/* ---- compression ----------------------------------------------------------------------------------------------- */

/* Compresses `value` to at most `cap` bytes. Returns the compressed size, or 0 if it does not fit. */
static size_t compress_bytes(const struct cache_codec_format *format, cache_bytes value, char *out, size_t cap)
{
    switch (format->compression) {
#ifdef LIBCACHE_HAVE_LZ4
    case CODEC_LZ4: {
        const int size = LZ4_compress_default(value.data, out, (int)value.size, (int)cap);
        return size > 0 ? (size_t)size : 0;
    }
#endif
#ifdef LIBCACHE_HAVE_ZSTD
    case CODEC_ZSTD: {
        struct cache_codec_format *shared = (struct cache_codec_format *)(uintptr_t)format;    /* atomic parts only */
        ZSTD_CCtx *context = context_take(shared->compressors);
        if (context == NULL && (context = ZSTD_createCCtx()) == NULL)
            return 0;
        const size_t size = ZSTD_compressCCtx(context, out, cap, value.data, value.size, 1);
        if (!context_keep(shared->compressors, context))
            (void)ZSTD_freeCCtx(context);
        return ZSTD_isError(size) ? 0 : size;
    }
#endif
    default:
        (void)value;
        (void)out;
        (void)cap;
        return 0;
    }
}

/* Returns true if decompression gave exactly `size` bytes. */
static bool decompress_bytes(const struct cache_codec_format *format, enum codec_compression compression,
                             cache_bytes payload, char *out, size_t size)
{
    switch (compression) {
    case CODEC_PLAIN:
        if (size > 0)
            memcpy(out, payload.data, size);
        return true;
#ifdef LIBCACHE_HAVE_LZ4
    case CODEC_LZ4:
        return payload.size <= LZ4_MAX_INPUT_SIZE &&
               LZ4_decompress_safe(payload.data, out, (int)payload.size, (int)size) == (int)size;
#endif
#ifdef LIBCACHE_HAVE_ZSTD
    case CODEC_ZSTD: {
        struct cache_codec_format *shared = (struct cache_codec_format *)(uintptr_t)format;
        ZSTD_DCtx *context = context_take(shared->decompressors);
        if (context == NULL && (context = ZSTD_createDCtx()) == NULL)
            return false;
        const size_t got = ZSTD_decompressDCtx(context, out, size, payload.data, payload.size);
        if (!context_keep(shared->decompressors, context))
            (void)ZSTD_freeDCtx(context);
        return !ZSTD_isError(got) && got == size;
    }
#endif
    default:
        (void)format;
        return false;
    }
}

/* ---- sealing --------------------------------------------------------------------------------------------------- */

#ifdef LIBCACHE_HAVE_SEAL
enum { PLACE_SIZE = CODEC_HEADER_SIZE + CACHE_MAX_STORED_PREFIX + CACHE_MAX_INTERNAL_KEY };

/* Writes the data that is authenticated along with the payload: the header and the key. Returns its size. */
static size_t place_write(const unsigned char header[CODEC_HEADER_SIZE], cache_bytes key, unsigned char out[PLACE_SIZE])
{
    memcpy(out, header, CODEC_HEADER_SIZE);
    memcpy(out + CODEC_HEADER_SIZE, key.data, key.size);
    return CODEC_HEADER_SIZE + key.size;
}

cache_status cache_codec_start_seal(void)
{
    /* Without this call libsodium takes its slowest implementation, three times as long. */
    return sodium_init() >= 0 ? CACHE_OK : cache_fail(CACHE_ERR_IO, "seal: libsodium could not be initialized");
}

static cache_status seal_bytes(const struct cache_codec_format *format, const unsigned char header[CODEC_HEADER_SIZE],
                               cache_bytes key, cache_bytes payload, unsigned char *out)
{
    unsigned char place[PLACE_SIZE];
    const size_t place_size = place_write(header, key, place);
    if (getentropy(out, NONCE_SIZE) != 0)
        return cache_fail(CACHE_ERR_IO, "seal: the system could not provide random bytes");
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_SIZE, NULL, (const unsigned char *)payload.data,
                                                     payload.size, place, place_size, NULL, out, format->keys[0]);
    return CACHE_OK;
}

/* Returns true if one of the keys opens the payload. `out` has space for payload.size - SEAL_SIZE bytes. */
static bool open_bytes(const struct cache_codec_format *format, const unsigned char header[CODEC_HEADER_SIZE],
                       cache_bytes key, cache_bytes payload, unsigned char *out)
{
    unsigned char place[PLACE_SIZE];
    const size_t place_size = place_write(header, key, place);
    const unsigned char *bytes = (const unsigned char *)payload.data;
    for (size_t i = 0; i < format->n_keys; i++)
        if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, bytes + NONCE_SIZE, payload.size - NONCE_SIZE,
                                                       place, place_size, bytes, format->keys[i]) == 0)
            return true;
    return false;
}
#else
cache_status cache_codec_start_seal(void)
{
    return cache_fail(CACHE_ERR_UNSUPPORTED, "seal: this build has no libsodium");
}

static cache_status seal_bytes(const struct cache_codec_format *format, const unsigned char header[CODEC_HEADER_SIZE],
                               cache_bytes key, cache_bytes payload, unsigned char *out)
{
    (void)format, (void)header, (void)key, (void)payload, (void)out;
    return cache_fail(CACHE_ERR_UNSUPPORTED, "seal: this build has no libsodium");
}

static bool open_bytes(const struct cache_codec_format *format, const unsigned char header[CODEC_HEADER_SIZE],
                       cache_bytes key, cache_bytes payload, unsigned char *out)
{
    (void)format, (void)header, (void)key, (void)payload, (void)out;
    return false;
}
#endif

/* ---- encoding -------------------------------------------------------------------------------------------------- */

/* Appends the header and the payload, which is sealed if the format says so. */
static cache_status append_encoded(const struct cache_codec_format *format, cache_bytes key,
                                   const struct header *header, cache_bytes payload, cache_writer *out)
{
    const size_t size = CODEC_HEADER_SIZE + payload.size + (header->sealed ? SEAL_SIZE : 0);
    unsigned char *room = cache_writer_reserve(out, size);
    if (room == NULL)
        return cache_writer_status(out);
    header_write(header, room);
    cache_status status = CACHE_OK;
    if (header->sealed)
        status = seal_bytes(format, room, key, payload, room + CODEC_HEADER_SIZE);
    else if (payload.size > 0)
        memcpy(room + CODEC_HEADER_SIZE, payload.data, payload.size);
    if (status != CACHE_OK)
        cache_writer_undo(out, size);
    return status;
}

cache_status cache_codec_encode(const struct cache_codec_format *format, cache_bytes key, cache_bytes value,
                                cache_writer *out)
{
    int64_t number;
    if (cache_number_parse(value.data, value.size, &number))
        return cache_writer_append(out, value.data, value.size);

    struct header header = { .sealed = format->n_keys > 0, .size = value.size };
    cache_bytes payload = value;
    char *compressed = NULL;
    if (format->compression != CODEC_PLAIN && value.size >= format->compress_min &&
        value.size <= CODEC_MAX_COMPRESSED) {
        const size_t cap = value.size - value.size / 10;    /* compression must save a tenth */
        compressed = cache_env_alloc(format->env, cap);
        if (compressed == NULL)
            return cache_fail(CACHE_ERR_NOMEM, "compress: out of memory for %zu bytes", cap);
        const size_t size = compress_bytes(format, value, compressed, cap);
        if (size > 0 && size + CODEC_HEADER_SIZE <= cap) {
            header.compression = format->compression;
            payload = (cache_bytes){ compressed, size };
        }
    }
    const bool as_it_is = header.compression == CODEC_PLAIN && !header.sealed &&
                          !cache_codec_is_encoded(value.data, value.size);
    const cache_status status = as_it_is ? cache_writer_append(out, value.data, value.size)
                                         : append_encoded(format, key, &header, payload, out);
    cache_env_free(format->env, compressed);
    return status;
}

/* ---- decoding -------------------------------------------------------------------------------------------------- */

static cache_status decode_payload(const struct cache_codec_format *format, const struct header *header,
                                   cache_bytes payload, cache_writer *out)
{
    if (!is_honest_size(header, payload.size))
        return CACHE_MISS;
    const size_t size = (size_t)header->size;
    char *room = cache_writer_reserve(out, size);
    if (room == NULL)
        return cache_writer_status(out);
    if (decompress_bytes(format, header->compression, payload, room, size))
        return CACHE_OK;
    cache_writer_undo(out, size);
    return CACHE_MISS;
}

static cache_status decode_sealed(const struct cache_codec_format *format, cache_bytes key, const struct header *header,
                                  cache_bytes stored, cache_writer *out)
{
    const cache_bytes sealed = { stored.data + CODEC_HEADER_SIZE, stored.size - CODEC_HEADER_SIZE };
    if (sealed.size < SEAL_SIZE)
        return CACHE_MISS;
    const size_t size = sealed.size - SEAL_SIZE;
    unsigned char *opened = cache_env_alloc(format->env, size + 1);
    if (opened == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "seal: out of memory for %zu bytes", size);
    cache_status status = CACHE_MISS;
    if (open_bytes(format, (const unsigned char *)stored.data, key, sealed, opened))
        status = decode_payload(format, header, (cache_bytes){ (const char *)opened, size }, out);
    cache_env_free(format->env, opened);
    return status;
}

cache_status cache_codec_decode(const struct cache_codec_format *format, cache_bytes key, cache_bytes stored,
                                cache_writer *out)
{
    if (!cache_codec_is_encoded(stored.data, stored.size)) {
        int64_t number;
        if (format->n_keys > 0 && !cache_number_parse(stored.data, stored.size, &number))
            return CACHE_MISS;
        return cache_writer_append(out, stored.data, stored.size);
    }
    struct header header;
    if (!header_read(stored, &header))
        return CACHE_MISS;
    if (header.sealed)
        return decode_sealed(format, key, &header, stored, out);
    if (format->n_keys > 0)
        return CACHE_MISS;
    const cache_bytes payload = { stored.data + CODEC_HEADER_SIZE, stored.size - CODEC_HEADER_SIZE };
    return decode_payload(format, &header, payload, out);
}
