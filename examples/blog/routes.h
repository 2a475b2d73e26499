/* routes.h - every request comes through here: what http.h wants of a program, with the blog as `ctx`. */
#ifndef ROUTES_H
#define ROUTES_H

#include "blog.h"

/* A failure is answered by a page of the blog, and logged. */
cache_status routes_serve(void *ctx, const cache_request *request, cache_page *page);
cache_status routes_busy(void *ctx, const cache_request *request, cache_page *page);

struct workers *routes_workers_for(void *ctx, const cache_request *request);

#endif
