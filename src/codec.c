/* codec.c - the layer that compresses and seals values on their way to a shared store, and decodes them on the way
 * back. codec_format.h describes the format. Keys, counters and times to live pass unchanged. */
#include "codec.h"

#include "codec_format.h"
#include "hooks.h"
#include "layer.h"
#include "results.h"
#include "seal_key.h"
#include "writer.h"

#include <stdatomic.h>
#include <string.h>

struct codec {
    struct cache_layer layer;
    struct cache_codec_format format;
    bool is_active;                    /* an option is on; else values are only decoded */
    atomic_uint_fast64_t undecodable;  /* how many values were misses since they could not be decoded */
};

/* ---- reading --------------------------------------------------------------------------------------------------- */

static bool needs_decoding(const struct codec *codec, const void *data, size_t size)
{
    return codec->format.n_keys > 0 || cache_codec_is_encoded(data, size);
}

static cache_status decode(struct codec *codec, cache_bytes key, const cache_value *stored, cache_writer *out)
{
    const cache_status status =
        cache_codec_decode(&codec->format, key, (cache_bytes){ stored->data, stored->size }, out);
    if (status == CACHE_MISS)
        atomic_fetch_add_explicit(&codec->undecodable, 1, memory_order_relaxed);
    return status;
}

/* Decodes what was read into `from`, and appends it to `out`, which may be the same writer. */
static cache_status finish_read(struct codec *codec, cache_bytes key, cache_writer *from, cache_writer *out)
{
    if (from == out && !needs_decoding(codec, out->data, out->size))
        return CACHE_OK;
    cache_value stored;
    cache_status status = cache_writer_take(from, &stored);
    if (status == CACHE_OK)
        status = decode(codec, key, &stored, out);
    cache_value_release(&stored);
    return status;
}

/* `left_ms` may be NULL. */
static cache_status read_value(struct codec *codec, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    const struct cache_layer *layer = &codec->layer;
    /* `out` may be a buffer of the caller, which must not change if the plain value does not fit. */
    cache_writer stored;
    cache_writer_init(&stored, layer->env->allocator);
    cache_writer *into = codec->is_active ? &stored : out;
    cache_status status = left_ms != NULL ? layer->inner.get_left(layer->inner_self, key, into, left_ms)
                                          : layer->inner.get(layer->inner_self, key, into);
    if (status == CACHE_OK)
        status = finish_read(codec, key, into, out);
    cache_writer_release(&stored);
    return status;
}

static cache_status codec_get(void *self, cache_bytes key, cache_writer *out)
{
    return read_value(self, key, out, NULL);
}

static cache_status codec_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    return read_value(self, key, out, left_ms);
}

static cache_status codec_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct codec *codec = self;
    const struct cache_layer *layer = &codec->layer;
    cache_status first = layer->inner.get_many(layer->inner_self, keys, n, out);
    for (size_t i = 0; i < n && i < out->n; i++) {
        cache_value *value = &out->out[i];
        if (value->data == NULL || !needs_decoding(codec, value->data, value->size))
            continue;
        cache_writer plain;
        cache_writer_init(&plain, out->allocator);
        cache_status status = decode(codec, keys[i], value, &plain);
        cache_value_release(value);
        if (status == CACHE_OK)
            status = cache_writer_take(&plain, value);
        cache_writer_release(&plain);
        if (first == CACHE_OK && status < 0)
            first = status;
    }
    return first;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static cache_status check_size(const struct codec *codec, size_t size)
{
    const size_t limit = codec->layer.inner.max_value;
    if (limit == 0 || size <= limit)
        return CACHE_OK;
    return cache_fail(CACHE_ERR_TOO_LARGE, "%s: the encoded value has %zu bytes: the limit is %zu",
                      codec->layer.inner.scheme, size, limit);
}

static cache_status codec_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct codec *codec = self;
    const struct cache_layer *layer = &codec->layer;
    cache_writer writer;
    cache_writer_init(&writer, layer->env->allocator);
    cache_status status = CACHE_OK;
    if (codec->is_active || cache_codec_is_encoded(value.data, value.size)) {
        status = cache_codec_encode(&codec->format, key, value, &writer);
        value.data = cache_writer_data(&writer, &value.size);
    }
    if (status == CACHE_OK)
        status = check_size(codec, value.size);
    if (status == CACHE_OK)
        status = layer->inner.set(layer->inner_self, key, value, ttl_ms, flags);
    cache_writer_release(&writer);
    return status;
}

/* Compares with the stored bytes after decoding them, and encodes the new value. */
static cache_status codec_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                          int64_t ttl_ms)
{
    struct codec *codec = self;
    const struct cache_layer *layer = &codec->layer;
    cache_writer stored, plain, encoded;
    cache_writer_init(&stored, layer->env->allocator);
    cache_writer_init(&plain, layer->env->allocator);
    cache_writer_init(&encoded, layer->env->allocator);
    cache_status status = layer->inner.get(layer->inner_self, key, &stored);
    cache_value there = { cache_writer_data(&stored, NULL), stored.size, NULL };
    if (status == CACHE_OK && needs_decoding(codec, there.data, there.size)) {
        status = decode(codec, key, &there, &plain);
        there.data = cache_writer_data(&plain, &there.size);
    }
    if (status == CACHE_MISS ||
        (status == CACHE_OK && (there.size < expected.size || memcmp(there.data, expected.data, expected.size) != 0)))
        status = CACHE_NOT_STORED;
    if (status == CACHE_OK && value.data != NULL &&
        (codec->is_active || cache_codec_is_encoded(value.data, value.size))) {
        status = cache_codec_encode(&codec->format, key, value, &encoded);
        value.data = cache_writer_data(&encoded, &value.size);
    }
    if (status == CACHE_OK)
        status = check_size(codec, value.size);
    if (status == CACHE_OK)
        status = layer->inner.compare_and_set(layer->inner_self, key, (cache_bytes){ cache_writer_data(&stored, NULL),
                                              stored.size }, value, ttl_ms);
    cache_writer_release(&encoded);
    cache_writer_release(&plain);
    cache_writer_release(&stored);
    return status;
}

/* Encodes all values into `block`, one after the other, and sets `out` to point to them. */
static cache_status encode_all(const struct codec *codec, const cache_bytes keys[], const cache_bytes values[],
                               size_t n, cache_writer *block, cache_bytes out[])
{
    cache_status status = CACHE_OK;
    for (size_t i = 0; status == CACHE_OK && i < n; i++) {
        const size_t before = block->size;
        status = cache_codec_encode(&codec->format, keys[i], values[i], block);
        out[i].size = block->size - before;
        if (status == CACHE_OK)
            status = check_size(codec, out[i].size);
    }
    const char *at = cache_writer_data(block, NULL);    /* only now, since the block moves while it grows */
    for (size_t i = 0; status == CACHE_OK && i < n; i++) {
        out[i].data = at;
        at += out[i].size;
    }
    return status;
}

static cache_status codec_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                   int64_t ttl_ms)
{
    struct codec *codec = self;
    const struct cache_layer *layer = &codec->layer;
    bool is_plain = !codec->is_active;
    for (size_t i = 0; is_plain && i < n; i++)
        is_plain = !cache_codec_is_encoded(values[i].data, values[i].size);
    if (is_plain)
        return layer->inner.set_many(layer->inner_self, keys, values, n, ttl_ms);
    cache_writer block;
    cache_writer_init(&block, layer->env->allocator);
    cache_bytes *encoded = cache_env_alloc(layer->env, n * sizeof *encoded + 1);
    cache_status status = CACHE_OK;
    if (encoded != NULL && encode_all(codec, keys, values, n, &block, encoded) == CACHE_OK)
        status = layer->inner.set_many(layer->inner_self, keys, encoded, n, ttl_ms);
    else
        for (size_t i = 0; i < n; i++) {    /* if one of them fails, the others are still tried */
            const cache_status one = codec_set(codec, keys[i], values[i], ttl_ms, 0);
            status = status == CACHE_OK && one < 0 ? one : status;
        }
    cache_env_free(layer->env, encoded);
    cache_writer_release(&block);
    return status;
}

/* ---- the rest of the table ------------------------------------------------------------------------------------- */

static cache_status codec_stats(void *self, cache_counters *out)
{
    struct codec *codec = self;
    const struct cache_layer *layer = &codec->layer;
    out->undecodable += atomic_load_explicit(&codec->undecodable, memory_order_relaxed);
    return layer->inner.stats != NULL ? layer->inner.stats(layer->inner_self, out) : CACHE_OK;
}

static void codec_free(struct codec *codec)
{
    const cache_env *env = codec->layer.env;
    cache_codec_format_release(&codec->format);
    cache_env_free(env, codec);
}

static void codec_close(void *self)
{
    struct codec *codec = self;
    codec->layer.inner.close(codec->layer.inner_self);
    codec_free(codec);
}

static cache_status read_options(const struct cache_options *options, const char *scheme,
                                 struct cache_codec_format *format)
{
    const char *seal = cache_options_find(options, "seal")->text;
    format->compression = (enum codec_compression)cache_options_find(options, "compress")->number;
    format->compress_min = (size_t)cache_options_find(options, "compress_min")->number;
    const char *missing = cache_codec_missing(format->compression, seal != NULL);
    if (missing != NULL)
        return cache_fail(CACHE_ERR_CONFIG, "%s: option '%s': this build of libcache has no %s", scheme,
                          format->compression != CODEC_PLAIN ? "compress" : "seal", missing);
    if (seal == NULL)
        return CACHE_OK;
    const cache_status status = cache_codec_start_seal();
    return status == CACHE_OK ? cache_seal_key_read(seal, format) : status;
}

cache_status cache_codec_add(const struct cache_options *options, const cache_env *env, cache_backend_ops *ops,
                             void **self)
{
    struct codec *codec = cache_env_alloc(env, sizeof *codec);
    if (codec == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "open: out of memory");
    memset(codec, 0, sizeof *codec);
    codec->layer = (struct cache_layer){ .inner = *ops, .inner_self = *self, .env = env };
    codec->format.env = env;
    atomic_init(&codec->undecodable, 0);
    const cache_status status = read_options(options, ops->scheme, &codec->format);
    if (status != CACHE_OK) {
        codec_free(codec);
        return status;
    }
    codec->is_active = codec->format.compression != CODEC_PLAIN || codec->format.n_keys > 0;
    cache_layer_ops(&codec->layer, ops);
    if (codec->is_active)
        ops->max_value = 0;    /* a large value may become small: codec_set checks what is stored */
    ops->close = codec_close;
    ops->get = codec_get;
    if (ops->get_left != NULL)
        ops->get_left = codec_get_left;
    ops->set = codec_set;
    if (ops->compare_and_set != NULL)
        ops->compare_and_set = codec_compare_and_set;
    if (ops->get_many != NULL)
        ops->get_many = codec_get_many;
    if (ops->set_many != NULL)
        ops->set_many = codec_set_many;
    ops->stats = codec_stats;
    *self = codec;
    return CACHE_OK;
}
