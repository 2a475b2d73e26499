/* same_origin.h - whether a request comes from this site, and an address leads to it. */
#ifndef SAME_ORIGIN_H
#define SAME_ORIGIN_H

#include <libcache/cache.h>

/* Returns true if the request was sent by a page of this site, or by no page at all. Browsers say where a request comes
 * from in Sec-Fetch-Site and Origin, which a page cannot forge; programs such as curl send neither. Sec-Fetch-Site
 * decides if it is there. Browsers omit it for plain HTTP to other machines; then Origin has to name the Host. */
bool is_same_origin(const cache_request *request);

/* Where to go when logged in: `path` if it is one of ours, never another site, and nothing that a header cannot hold;
 * else the dashboard. */
const char *safe_path(const char *path);

#endif
