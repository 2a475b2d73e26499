/* layer.h - a layer is a store that stands before another store: it changes some operations and passes on the rest.
 *
 * The codec and the front are layers. A layer begins with a struct cache_layer, makes its table of the inner store's
 * table by cache_layer_ops, and then puts its own functions over those that it changes. It sees tables alone, and never
 * the name of a store. */
#ifndef LAYER_H
#define LAYER_H

#include "api.h"

/* In the flags of a layer's table: most of its operations are answered in this process, faster than the clock can be
 * read twice, so they are timed by sample. */
#define CACHE_LAYER_SAMPLED 0x80000000u

struct cache_layer {
    cache_backend_ops inner;           /* a full-sized copy: an operation that the store lacks is NULL */
    void *inner_self;
    const cache_env *env;
};

/* Fill `*out` with a table that has scheme, flags and limits of the inner store, and passes on each operation that the
 * inner store has. The `self` of these operations is a struct cache_layer. */
void cache_layer_ops(const struct cache_layer *layer, cache_backend_ops *out);

#endif
