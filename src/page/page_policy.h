/* page_policy.h - may a request be answered from the cache, may its response be stored, and for how long? */
#ifndef PAGE_POLICY_H
#define PAGE_POLICY_H

#include "response.h"

/* Returns true if the request names somebody whose pages the view does not tell from others'. `view` may be NULL. */
bool cache_view_has_credentials(const cache_view *view, const cache_request *request);

/* May the request be answered from the cache at all? */
bool cache_view_asks_cache(const cache_view *view, const cache_request *request);

/* How long a response is kept, in seconds, as cache_writer_set_ttl and cache_writer_set_stale take it. */
struct cache_view_lifetime {
    double ttl, stale, stale_if_error;
    bool says_stale;                   /* the last two are not the view's, but the response's own */
};

/* May the response be stored, and for how long? The view's ttl is no default any more. Asks response_filter last. */
bool cache_view_may_store(const cache_view *view, const cache_request *request, const cache_response *response,
                          struct cache_view_lifetime *lifetime);

#endif
