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

#endif
