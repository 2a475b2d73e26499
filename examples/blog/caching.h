/* caching.h - what the blog caches, under which name, for how long, and what forgets it: all in one place.
 *
 *     what                 how                                    seconds  forgotten when
 *     /                    view, key "view//", tag "posts"             60  a post is written, edited, deleted
 *     /popular             view, key "view//popular", tag "posts"     300  the same; views alone do not
 *     /author/NAME or ID   view, tag "author:NAME" or "author:ID"      60  the author writes, edits, deletes
 *     /tag/NAME            view, tag "tag:NAME"                        60  a post changes that has, had or gets the tag
 *     /post/ID             view of those who are not logged in,        60  any post changes, since it leads to others;
 *                          key "view//post/ID", tag "posts"                its readings are counted beside the cache
 *     … the post           memoized get_post and get_post_html,        60  the post changes
 *                          tag "post:ID"
 *     … by the same author fragment "more_by", tag "author:NAME"       60  the author writes, edits, deletes
 *     /dashboard           view per user, tag "user:ID"                60  the user writes, edits, deletes, logs in
 *     … recent activities  fragment "recent_activities", ID, in a      60  the same
 *                          template
 *     who is logged in     memoized get_session, tag "session:HASH"    60  the user logs out
 *     /products            view by Accept, tag "products"             300  a product changes
 *     /product/ID          memoized get_product, tag "product:ID"     300  that product changes
 *     /search?q=           cache_fetch, key "search_{q}",              60  a post or product changes
 *                          tags "posts", "products"
 *     /user/ID             view, tag "user:ID"                         60  as /dashboard
 *     /user-info/ID        memoized get_user_info, tag "user:ID"       60  the same
 *     /data/ID             cache_fetch, key "data_{ID}",              300  the post changes
 *                          tag "post:ID"
 *     /weather/CITY        memoized get_weather                       300  it expires; an old one stands in for none
 *     /api/…               middleware, tags "posts", "products"        60  a post or product changes
 *     files                view                                       300  it expires
 *     forms, statistics    never
 *
 * A change is written to the database first, and forgotten then. A tag is invalidated by one write, however much is
 * stored under it, and for every process that shares the store; what began to be computed before that is not kept.
 * What is made of other cached things is forgotten after them: else it could be made again from an old part. So nothing
 * old is shown once the change is answered. (A template's fragment has no tags: one that another process is making at
 * the moment of a change may keep its old text until its minute is over.) */
#ifndef CACHING_H
#define CACHING_H

#include "blog.h"
#include "db.h"

#include <inttypes.h>

cache_status load_post_html(struct db *db, int64_t id, char **html);

/* get_post(cache, db, id, &post) asks the database once a minute and post, or when the tag was invalidated. */
CACHE_MEMOIZE(get_post, db_post, 60, struct post, CACHE_IGNORE(struct db *, db), (int64_t, id),
              CACHE_TAG("post:%" PRId64, id))
CACHE_MEMOIZE_STRING(get_post_html, load_post_html, 60, CACHE_IGNORE(struct db *, db), (int64_t, id),
                     CACHE_TAG("post:%" PRId64, id))
CACHE_MEMOIZE(get_user_info, db_user_info, 60, struct user_info, CACHE_IGNORE(struct db *, db), (int64_t, id),
              CACHE_TAG("user:%" PRId64, id))
CACHE_MEMOIZE(get_product, db_product, 300, struct product, CACHE_IGNORE(struct db *, db), (int64_t, id),
              CACHE_TAG("product:%" PRId64, id))
CACHE_MEMOIZE(get_session, db_session, 60, struct user, CACHE_IGNORE(struct db *, db), (const char *, id),
              CACHE_TAG("session:%s", id))

/* A post changed: `before` is NULL for a new one, `after` for one that was deleted. */
void forget_post(struct blog *blog, const struct post *before, const struct post *after);

void forget_product(struct blog *blog, int64_t id);
void forget_activities(struct blog *blog, int64_t user);
void forget_session(struct blog *blog, const char *id);

#endif
