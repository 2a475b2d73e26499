/* ulfius_adapter.h - libcache in a server that is made with Ulfius. Copy this file and ulfius_adapter.c. */
#ifndef ULFIUS_ADAPTER_H
#define ULFIUS_ADAPTER_H

#include <libcache/cache.h>
#include <ulfius.h>

/* Answer a request by a view, which may be NULL, in a callback of Ulfius:
 * `return ulfius_serve(request, response, cache, &view, handler, ctx);`. The framework copies the page's body. */
int ulfius_serve(const struct _u_request *request, struct _u_response *response, cache_t *cache, const cache_view *view,
                 cache_handler_fn *handler, void *ctx);

#endif
