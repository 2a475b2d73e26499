/* http.h - a server around the adapter in ../adapters/mhd_adapter.h: time limits, a log, work that is handed over. Copy
 * it into a server of your own with access_log.c, clients.c, responses.c, workers.c and the adapter. */
#ifndef HTTP_H
#define HTTP_H

#include <libcache/cache.h>

struct http_server;

struct workers;

/* Answer a request; anything but CACHE_OK becomes a plain 500. Called from several threads. */
typedef cache_status http_serve_fn(void *ctx, const cache_request *request, cache_page *page);

struct http_handlers {
    http_serve_fn *serve;
    /* The workers that are to run `serve` for this request, because it takes long; NULL: the thread that serves. */
    struct workers *(*workers_for)(void *ctx, const cache_request *request);
    http_serve_fn *busy;       /* answers in place of `serve` when the workers' queue is full */
    void *ctx;
};

struct http_options {
    const char *bind;          /* an IPv4 or IPv6 address; "::" is every one of both */
    int port;                  /* 0: any that is free */
    unsigned threads;
    const char *access_log;    /* a file, "-" for stdout, or NULL */
    double time_limit;         /* seconds for a client to send a request, and again to take the answer */
    unsigned per_address;      /* connections that one address may hold; 0: any number */
};

/* NULL: it cannot be, and stderr says why. */
struct http_server *http_start(const struct http_options *options, const struct http_handlers *handlers);
void http_reopen_log(struct http_server *server);    /* a log that was moved away begins anew under its name */
int http_port(const struct http_server *server);
void http_stop(struct http_server *server);    /* requests in flight are finished, for at most some seconds */

#endif
