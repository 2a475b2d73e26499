/* view_rules.h - what a view does with a request, and with the response to it. */
#ifndef VIEW_RULES_H
#define VIEW_RULES_H

#include "handle.h"
#include "response.h"

/* May the request be answered from the cache at all? */
bool cache_view_asks_cache(const cache_view *view, const cache_request *request);

/* True if the request names somebody whose pages the view does not tell from others'. `view` may be NULL. */
bool cache_view_has_credentials(const cache_view *view, const cache_request *request);

/* May the response be stored? True: for `*ttl` seconds, as cache_writer_set_ttl takes it. */
bool cache_view_may_store(const cache_t *cache, const cache_view *view, const cache_response *response, double *ttl);

/* Add what the handler left unsaid: Content-Type, ETag, Cache-Control, Vary. `view` may be NULL. */
cache_status cache_view_complete(const cache_view *view, const cache_request *request, cache_response *response);

#endif
