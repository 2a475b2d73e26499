/* options.h - checks the URL's options against the tables once; stores then read them by name. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "url.h"

struct option_value {
    const cache_option *option;
    const char *text;                  /* points into the URL or the table; NULL: unset */
    int64_t number;                    /* an integer, bytes, milliseconds, a bool, or the index of a choice */
    double seconds;                    /* as they were written, where milliseconds are too coarse */
    bool set;                          /* by the URL */
};

/* The values of the options of every store, and of the store's own, in the tables' order. */
struct cache_options {
    struct option_value *values;
    size_t n;
    const cache_env *env;
};

/* Check the URL's options against the tables of every store, of the stores that others share, and of the store itself.
 * CACHE_ERR_CONFIG names the option that is wrong. */
cache_status cache_options_parse(const struct cache_url *url, const cache_backend_ops *ops, struct cache_options *out);
void cache_options_release(struct cache_options *options);

/* NULL: no such option. */
const struct option_value *cache_options_find(const struct cache_options *options, const char *name);

enum { ON_ERROR_FAIL, ON_ERROR_MISS };

#endif
