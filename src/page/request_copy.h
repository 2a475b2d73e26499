/* request_copy.h - a copy of a request, for a handler that runs when the connection is gone. */
#ifndef REQUEST_COPY_H
#define REQUEST_COPY_H

#include "hooks.h"

/* One block, to be freed with cache_env_free. Of the headers and cookies, those that the view's lists name. NULL: no
 * memory. */
cache_request *cache_request_copy(const cache_env *env, const cache_view *view, const cache_request *request);

#endif
