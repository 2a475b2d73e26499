/* fcgi_adapter.h - libcache in a FastCGI program, behind nginx, Apache or lighttpd. Copy this file and
 * fcgi_adapter.c. */
#ifndef FCGI_ADAPTER_H
#define FCGI_ADAPTER_H

#include <fcgiapp.h>
#include <libcache/cache.h>

/* Answer a request that FCGX_Accept_r has accepted by a view, which may be NULL. A body of more than 64 KiB is answered
 * with 413, and a failure of the handler with 500. */
void fcgi_serve(FCGX_Request *request, cache_t *cache, const cache_view *view, cache_handler_fn *handler, void *ctx);

#endif
