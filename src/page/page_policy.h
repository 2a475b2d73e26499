/* page_policy.h - decides whether a request may be answered from the cache, and whether and how long its response may
 * be stored. */
#ifndef PAGE_POLICY_H
#define PAGE_POLICY_H

#include "response.h"

/* Returns true if the request carries credentials, and the view does not separate the pages of different users. `view`
 * may be NULL. */
bool cache_view_has_credentials(const cache_view *view, const cache_request *request);

/* Returns true if the request may be answered from the cache. */
bool cache_view_asks_cache(const cache_view *view, const cache_request *request);

/* The lifetime of a response in seconds, as cache_writer_set_ttl and cache_writer_set_stale take it. */
struct cache_view_lifetime {
    double ttl, stale, stale_if_error;
    bool says_stale;                   /* the last two come from the response and not from the view */
};

/* Returns true if the response may be stored, and sets its lifetime. The ttl of the view must not be CACHE_TTL_DEFAULT
 * any more. response_filter is called last. */
bool cache_view_may_store(const cache_view *view, const cache_request *request, const cache_response *response,
                          struct cache_view_lifetime *lifetime);

#endif
