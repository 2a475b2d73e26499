/* blog.h - what the parts of the blog share. */
#ifndef BLOG_H
#define BLOG_H

#include <libcache/cache.h>

enum { TITLE_MAX = 200, CONTENT_MAX = 10000, HOME_POSTS = 10 };

struct db;
struct view_counter;

struct blog {
    cache_t *cache;
    struct db *db;
    struct view_counter *views;
};

/* A post as it is cached: a struct without pointers, which CACHE_MEMOIZE stores as it is. */
struct post {
    int64_t id, views;
    char created[24];
    char title[TITLE_MAX + 1];
    char content[CONTENT_MAX + 1];
};

#endif
