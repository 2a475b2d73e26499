/* layer.c - the operations that a layer passes on unchanged. */
#include "layer.h"

static cache_status layer_get(void *self, cache_bytes key, cache_writer *out)
{
    const struct cache_layer *layer = self;
    return layer->inner.get(layer->inner_self, key, out);
}

static cache_status layer_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    const struct cache_layer *layer = self;
    return layer->inner.set(layer->inner_self, key, value, ttl_ms, flags);
}

static cache_status layer_remove(void *self, cache_bytes key)
{
    const struct cache_layer *layer = self;
    return layer->inner.remove(layer->inner_self, key);
}

static cache_status layer_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    const struct cache_layer *layer = self;
    return layer->inner.inc(layer->inner_self, key, delta, ttl_ms, result);
}

static cache_status layer_clear(void *self, cache_bytes prefix)
{
    const struct cache_layer *layer = self;
    return layer->inner.clear(layer->inner_self, prefix);
}

static cache_status layer_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    const struct cache_layer *layer = self;
    return layer->inner.get_many(layer->inner_self, keys, n, out);
}

static cache_status layer_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                   int64_t ttl_ms)
{
    const struct cache_layer *layer = self;
    return layer->inner.set_many(layer->inner_self, keys, values, n, ttl_ms);
}

static cache_status layer_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    const struct cache_layer *layer = self;
    return layer->inner.remove_many(layer->inner_self, keys, n, removed);
}

static cache_status layer_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    const struct cache_layer *layer = self;
    return layer->inner.touch(layer->inner_self, key, ttl_ms);
}

static cache_status layer_has(void *self, cache_bytes key)
{
    const struct cache_layer *layer = self;
    return layer->inner.has(layer->inner_self, key);
}

static cache_status layer_stats(void *self, cache_counters *out)
{
    const struct cache_layer *layer = self;
    return layer->inner.stats(layer->inner_self, out);
}

static cache_status layer_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    const struct cache_layer *layer = self;
    return layer->inner.get_left(layer->inner_self, key, out, left_ms);
}

static cache_status layer_list(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each, void *ctx)
{
    const struct cache_layer *layer = self;
    return layer->inner.list(layer->inner_self, prefix, cursor, each, ctx);
}

static cache_status layer_ping(void *self)
{
    const struct cache_layer *layer = self;
    return layer->inner.ping(layer->inner_self);
}

static void layer_changes(void *self, const cache_changes *to, void *ctx, uint64_t *heard_ns)
{
    const struct cache_layer *layer = self;
    layer->inner.changes(layer->inner_self, to, ctx, heard_ns);
}

static uint64_t layer_version(void *self, cache_bytes key)
{
    const struct cache_layer *layer = self;
    return layer->inner.version(layer->inner_self, key);
}

static cache_status layer_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                          int64_t ttl_ms)
{
    const struct cache_layer *layer = self;
    return layer->inner.compare_and_set(layer->inner_self, key, expected, value, ttl_ms);
}

void cache_layer_ops(const struct cache_layer *layer, cache_backend_ops *out)
{
    const cache_backend_ops *inner = &layer->inner;
    *out = (cache_backend_ops){
        .size = sizeof *out,
        .scheme = inner->scheme,
        .flags = inner->flags,
        .max_value = inner->max_value,
        .get = layer_get,
        .set = layer_set,
        .remove = layer_remove,
        .inc = layer_inc,
        .clear = layer_clear,
        .get_many = inner->get_many != NULL ? layer_get_many : NULL,
        .set_many = inner->set_many != NULL ? layer_set_many : NULL,
        .remove_many = inner->remove_many != NULL ? layer_remove_many : NULL,
        .touch = inner->touch != NULL ? layer_touch : NULL,
        .has = inner->has != NULL ? layer_has : NULL,
        .stats = inner->stats != NULL ? layer_stats : NULL,
        .get_left = inner->get_left != NULL ? layer_get_left : NULL,
        .list = inner->list != NULL ? layer_list : NULL,
        .ping = inner->ping != NULL ? layer_ping : NULL,
        .changes = inner->changes != NULL ? layer_changes : NULL,
        .version = inner->version != NULL ? layer_version : NULL,
        .compare_and_set = inner->compare_and_set != NULL ? layer_compare_and_set : NULL,
    };
}
