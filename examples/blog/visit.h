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

/* Whether the request was sent by a page of ours, or by no page at all. Browsers say where a request comes from in
 * Sec-Fetch-Site and Origin, which a page cannot forge; programs such as curl send neither. */
bool visit_is_from_here(const cache_request *request);

#endif
