/* http.h - libmicrohttpd on one side, cache_request and cache_page on the other. Copy it into a server of your own,
 * with access_log.c, clients.c and responses.c. */
#ifndef HTTP_H
#define HTTP_H

#include <libcache/cache.h>

struct http_server;

/* Answer a request; anything but CACHE_OK becomes a plain 500. Called from several threads. */
typedef cache_status http_serve_fn(void *ctx, const cache_request *request, cache_page *page);

struct http_options {
    const char *bind;          /* an IPv4 or IPv6 address; "::" is every one of both */
    int port;                  /* 0: any that is free */
    unsigned threads;
    const char *access_log;    /* a file, "-" for stdout, or NULL */
    double time_limit;         /* seconds for a client to send a request, and again to take the answer */
};

/* NULL: it cannot be, and stderr says why. */
struct http_server *http_start(const struct http_options *options, http_serve_fn *serve, void *ctx);
int http_port(const struct http_server *server);
void http_stop(struct http_server *server);    /* requests in flight are finished, for at most some seconds */

#endif
