/* throttle.h - how often an address may try what is dear, or dangerous when it is tried often.
 *
 * Attempts are counted in the database: a cache may forget them at any time, for room or because it is away. */
#ifndef THROTTLE_H
#define THROTTLE_H

#include "blog.h"

/* Count an attempt from this request's address, before it is made: two at once are then two. CACHE_OK, with `*allowed`
 * false if it is one too many. On an error it must be refused: what cannot be counted cannot be limited. */
cache_status throttle_login(struct blog *blog, const cache_request *request, const char *name, bool *allowed);
cache_status throttle_post(struct blog *blog, const cache_request *request, bool *allowed);

/* The login succeeded: it does not count, and the failures of this name from this address are forgotten. */
void throttle_login_succeeded(struct blog *blog, const cache_request *request, const char *name);

#endif
