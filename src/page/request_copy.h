/* request_copy.h - copies a request, for a handler that runs after the connection is closed. */
#ifndef REQUEST_COPY_H
#define REQUEST_COPY_H

#include "hooks.h"

/* Returns a copy in one block, which the caller frees with cache_env_free; or NULL if there is no memory. It has only
 * the headers and cookies that the lists of the view name. */
cache_request *cache_request_copy(const cache_env *env, const cache_view *view, const cache_request *request);

#endif
