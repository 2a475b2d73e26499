/* options.h - checks the URL's options against the tables once; stores then read them by name. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "url.h"

struct option_value {
    const cache_option *option;
    const char *text;                  /* points into the URL or the table; NULL: unset */
    int64_t number;                    /* an integer, bytes, milliseconds, a bool, or the index of a choice */
    double seconds;                    /* the seconds as they were written, for options that need more than
                                        * milliseconds */
    bool set;                          /* true if the URL sets it */
};

/* The values of all options: those of every store, and those of this store, in the order of their tables. */
struct cache_options {
    struct option_value *values;
    size_t n;
    const cache_env *env;
};

/* Checks the options of the URL against the tables: those of every store, of shared stores, and of this store. Returns
 * CACHE_ERR_NOMEM; or CACHE_ERR_CONFIG, and the message names the wrong option. `*out` points into `url` and into the
 * tables, which must stay. */
cache_status cache_options_parse(const struct cache_url *url, const cache_backend_ops *ops, struct cache_options *out);
void cache_options_release(struct cache_options *options);

/* Returns the value of an option, or NULL if there is no such option. */
const struct option_value *cache_options_find(const struct cache_options *options, const char *name);

enum { ON_ERROR_FAIL, ON_ERROR_MISS };

#endif
