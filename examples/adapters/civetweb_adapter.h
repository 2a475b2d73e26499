/* civetweb_adapter.h - libcache in a server that is made with CivetWeb. Copy this file and civetweb_adapter.c. */
#ifndef CIVETWEB_ADAPTER_H
#define CIVETWEB_ADAPTER_H

#include <libcache/cache.h>

struct mg_connection;

/* Answer the request of a connection by a view, which may be NULL. Returns the HTTP status, as a request handler of
 * CivetWeb does: `return civetweb_serve(connection, cache, &view, handler, ctx);`. A body of more than 64 KiB is
 * answered with 413, and a failure of the handler with 500. */
int civetweb_serve(struct mg_connection *connection, cache_t *cache, const cache_view *view, cache_handler_fn *handler,
                   void *ctx);

#endif
