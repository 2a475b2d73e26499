/* session.h - who is logged in: a cookie with a random token, and a record under its hash in the database. */
#ifndef SESSION_H
#define SESSION_H

#include "blog.h"
#include "db.h"

/* Who sends the request. CACHE_OK, with id 0 if it is nobody. */
cache_status session_user(struct blog *blog, const cache_request *request, struct user *out);

/* A new session, whose cookies the response sets; and the end of the request's. */
cache_status session_begin(struct blog *blog, const cache_request *request, const struct user *user,
                           cache_response *response);
cache_status session_end(struct blog *blog, const cache_request *request, cache_response *response);

#endif
