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
    struct lab *lab;
    struct cache_template *dashboard;
    struct workers *logins, *outside;  /* what hashes passwords; what asks other services */
    struct workers *background;        /* makes the successors of stale values */
    bool behind_proxy;                 /* clients' addresses stand in X-Forwarded-For */
    int64_t post_limit;                /* posts of an address in ten minutes; 0: any number */
    const char *store;                 /* the scheme of the cache's URL, which has no password */
};

#endif
