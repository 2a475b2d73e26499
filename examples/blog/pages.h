/* pages.h - the blog's pages: which path is answered by what, and how it is cached. */
#ifndef PAGES_H
#define PAGES_H

#include "blog.h"

/* Answer a request, from the cache where its page is a view. `page` is to be released. */
cache_status pages_serve(struct blog *blog, const cache_request *request, cache_page *page);

#endif
