/* routes.h - which path is answered by what, for whom, and how it is cached. */
#ifndef ROUTES_H
#define ROUTES_H

#include "blog.h"

/* Answer a request, from the cache where its page is a view. `page` is to be released. */
cache_status routes_serve(struct blog *blog, const cache_request *request, cache_page *page);

#endif
