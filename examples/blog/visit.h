/* visit.h - one request on its way to a handler: every handler's `ctx` is a visit. */
#ifndef VISIT_H
#define VISIT_H

#include "blog.h"
#include "db.h"

struct visit {
    struct blog *blog;
    struct user user;                  /* id 0: nobody, or the route does not ask */
    const char *rest;                  /* of the path, behind what its route begins with: "7" of "/post/7" */
};

/* The visit's `rest` as an id: a number above 0, and nothing else. */
bool visit_id(const struct visit *visit, int64_t *id);

/* The page of a list that the query asks for, from 1 on: 1 without "page". Returns false if it is no such number, or is
 * written in another way than this blog does: "01" would be one more copy in the cache. */
bool visit_page(const cache_request *request, size_t *page);

#endif
