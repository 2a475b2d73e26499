/* results.h - the fields of cache_results, through which get_many returns values. */
#ifndef RESULTS_H
#define RESULTS_H

#include "api.h"

struct cache_results {
    const cache_allocator *allocator;
    cache_value *out;                  /* zeroed; an index that nothing is put at stays a miss */
    size_t n;
};

#endif
