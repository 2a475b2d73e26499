/* layer.h - a layer is a store in front of another store: it changes some operations and passes on the rest.
 *
 * The codec and the front are layers. A layer begins with a struct cache_layer. It makes its table from the inner
 * store's table by cache_layer_ops, and then replaces the functions that it changes. It only knows tables, and never
 * the name of a store. */
#ifndef LAYER_H
#define LAYER_H

#include "api.h"

/* A flag of the front's table. It means that this process answers most operations itself, faster than the clock can be
 * read twice, so that only a sample is timed. */
#define CACHE_LAYER_FRONT 0x80000000u

struct cache_layer {
    cache_backend_ops inner;           /* a full-sized copy; an operation that the store lacks is NULL */
    void *inner_self;
    const cache_env *env;
};

/* Fills `*out` with a table that has the scheme, flags and limits of the inner store, and that passes on each of its
 * operations. The `self` of these operations is a struct cache_layer. */
void cache_layer_ops(const struct cache_layer *layer, cache_backend_ops *out);

#endif
