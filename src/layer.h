/* layer.h - a layer is a store that stands before another store: it changes some operations and passes on the rest.
 *
 * The codec and the front are layers. A layer begins with a struct cache_layer, makes its table of the inner store's
 * table by cache_layer_ops, and then puts its own functions over those that it changes. It sees tables alone, and never
 * the name of a store. */
#ifndef LAYER_H
#define LAYER_H

#include "api.h"

struct cache_layer {
    cache_backend_ops inner;           /* a full-sized copy: an operation that the store lacks is NULL */
    void *inner_self;
    const cache_env *env;
};

/* Fill `*out` with a table that has scheme, flags and limits of the inner store, and passes on each operation that the
 * inner store has. The `self` of these operations is a struct cache_layer. */
void cache_layer_ops(const struct cache_layer *layer, cache_backend_ops *out);

#endif
