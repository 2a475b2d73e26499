/* blog.h - what the parts of the blog share. */
#ifndef BLOG_H
#define BLOG_H

#include <libcache/cache.h>

struct blog {
    cache_t *cache;
    struct db *db;
    struct view_counter *views;
    struct weather_client *weather;
    struct history *history;
    struct cache_template *dashboard;
    const char *store;                 /* the scheme of the cache's URL, which has no password */
};

#endif
