/* api.h - the JSON API under /api/. Its handlers know nothing of the cache: the middleware before them does. */
#ifndef API_H
#define API_H

#include "blog.h"

/* Answer a request whose path begins with "/api/". */
cache_status api_serve(struct blog *blog, const cache_request *request, cache_page *page);

#endif
