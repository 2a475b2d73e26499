/* page_headers.h - adds the headers that the handler did not set: Content-Type, ETag, Cache-Control, Vary. */
#ifndef PAGE_HEADERS_H
#define PAGE_HEADERS_H

#include "response.h"

/* Add the headers that the handler did not set: Content-Type, ETag, Cache-Control, Vary. `view` may be NULL. */
cache_status cache_view_complete(const cache_view *view, const cache_request *request, cache_response *response);

#endif
