/* http.h - libmicrohttpd on one side, cache_request and cache_page on the other. Copy it into a server of your own. */
#ifndef HTTP_H
#define HTTP_H

#include <libcache/cache.h>

struct http_server;

/* Answer a request; anything but CACHE_OK becomes a plain 500. Called from several threads. */
typedef cache_status http_serve_fn(void *ctx, const cache_request *request, cache_page *page);

struct http_options {
    const char *bind;
    int port;
    unsigned threads;
};

/* NULL: it cannot be, and stderr says why. */
struct http_server *http_start(const struct http_options *options, http_serve_fn *serve, void *ctx);
void http_stop(struct http_server *server);    /* requests in flight are finished, for at most some seconds */

#endif
