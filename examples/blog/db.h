/* db.h - the blog's database. All functions may be called from any thread; CACHE_ERR_IO is logged to stderr. */
#ifndef DB_H
#define DB_H

#include "blog.h"

/* Open, create the tables and, the first time, ten sample posts. NULL: it cannot be, and stderr says why. */
struct db *db_open(const char *file);
void db_close(struct db *db);

cache_status db_post(struct db *db, int64_t id, struct post *out);    /* CACHE_MISS: there is none */
cache_status db_add_post(struct db *db, const char *title, const char *content, int64_t *id);

/* Call `each` for the newest, or the most viewed, posts. */
cache_status db_newest(struct db *db, int n, void (*each)(void *ctx, const struct post *post), void *ctx);
cache_status db_popular(struct db *db, int n, void (*each)(void *ctx, const struct post *post), void *ctx);

/* Add to posts' view counts, all in one transaction. */
struct view_count {
    int64_t post, n;
};
cache_status db_add_views(struct db *db, const struct view_count *counts, size_t n);

/* How many statements were run: what the cache is there to save. */
uint64_t db_queries(const struct db *db);

#endif
