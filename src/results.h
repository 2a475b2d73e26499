/* results.h - where get_many puts what it found: the inside of cache_results. */
#ifndef RESULTS_H
#define RESULTS_H

#include "api.h"

struct cache_results {
    const cache_allocator *allocator;
    cache_value *out;                  /* zeroed: an index that nothing is put at stays a miss */
    size_t n;
};

#endif
