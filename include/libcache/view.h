/* libcache/view.h - caches whole pages, for any HTTP server.
 *
 * An adapter turns the server's request into a cache_request, calls cache_view_serve, and sends the cache_page that it
 * returns; examples/blog/http.c is an adapter for libmicrohttpd. The library never sees the server. It follows RFC 9110
 * and RFC 9111 as far as they apply to an application's own cache. */
#ifndef LIBCACHE_VIEW_H
#define LIBCACHE_VIEW_H

#include <libcache/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the request --------------------------------------------------------------------------------------------- */

/* Returns the value of the request's header (or cookie) `name`, or NULL if there is none. Header names are compared
 * without case. */
typedef const char *cache_lookup_fn(void *ctx, const char *name);

/* Initialise it by field names, so that all other fields are zero: later versions will read more of them. */
typedef struct cache_request {
    const char *method;            /* "GET" */
    const char *path;              /* "/products"; percent-decoded or not, but always in the same way */
    const char *query;             /* "a=1&b=2" as received, without '?'; NULL or "": none */
    const char *user;              /* the user who is logged in, as any text that identifies one user; NULL: nobody. A
                                    * session cookie does not count as credentials: set `user` if there is a session */
    cache_lookup_fn *header;       /* NULL: no headers */
    cache_lookup_fn *cookie;       /* NULL: the library parses the Cookie header */
    void *lookup_ctx;
    const void *body;              /* the body, whatever the method: of a POST that is a query, or even of a GET */
    size_t body_size;
    const char *host;              /* "example.com" or "localhost:8080", in any case; NULL: not known */
    const char *scheme;            /* "https"; NULL: not known. Both are used only with vary_host */
    void *reserved[6];             /* zero */
} cache_request;

/* ---- the response, as the handler makes it -------------------------------------------------------------------- */

/* The response that a handler makes. */
typedef struct cache_response cache_response;

/* A response starts with status 200 and no headers. A body without Content-Type is text/html in UTF-8. Names and values
 * with control characters are CACHE_ERR_INVALID. If one of these calls fails, the response is not sent, and
 * cache_view_serve returns the first such failure. The library drops the handler's Content-Length, Age and X-Cache, and
 * headers that belong to the connection. */
void cache_response_set_status(cache_response *response, int status);
cache_status cache_response_set_header(cache_response *response, const char *name, const char *value);   /* replaces */
cache_status cache_response_add_header(cache_response *response, const char *name, const char *value);
int cache_response_status(const cache_response *response);
const char *cache_response_header(const cache_response *response, const char *name);    /* NULL: not set */
cache_writer *cache_response_body(cache_response *response);
const char *cache_response_content(const cache_response *response, size_t *size);    /* the body so far */

/* Set the page's ttl to `ttl` seconds, whatever the view and the headers say; or return the page without storing it.
 * The response's own Cache-Control applies too. With no-store, no-cache or private the page is not stored; private is
 * allowed if the page is for a user and the view has vary_user. s-maxage, max-age, or else Expires shorten the view's
 * ttl. stale-while-revalidate and stale-if-error override the view's stale and stale_if_error, and must-revalidate
 * forbids both. */
cache_status cache_response_set_ttl(cache_response *response, double ttl);
void cache_response_no_store(cache_response *response);

/* Makes the page. For HEAD, `request` says GET. If it returns anything but CACHE_OK, nothing is stored, and
 * cache_view_serve returns that status. */
typedef cache_status cache_handler_fn(void *ctx, const cache_request *request, cache_response *response);

/* ---- the view: what is stored, for how long, under which key --------------------------------------------------- */

/* Adds a tag to the tags of one page. The name is formatted as by printf: cache_tag_list_add(tags, "post:%d", id).
 * Returns CACHE_ERR_INVALID if the name is empty or longer than a key, or if there are more than 64 tags, including the
 * view's. After a failure the page is served and not stored, and the log hook is called. */
typedef struct cache_tag_list cache_tag_list;
cache_status cache_tag_list_add(cache_tag_list *tags, const char *format, ...);

/* What is stored, for how long, and under which key. The view's lists, texts and `ctx` must stay valid while a request
 * is served, and with `detached` until the background tasks have run. */
typedef struct cache_view {
    size_t size;                        /* sizeof(cache_view) */
    const char *name;                   /* NULL, or its name in the statistics */
    double ttl;
    double stale;                       /* seconds after ttl in which a page is served while one request recomputes */
    double stale_if_error;              /* the same if the handler fails or answers 5xx */
    double negative_ttl;                /* seconds for which a 404 or 410 is stored; 0: it is not stored */
    double jitter;                      /* as in cache_fetch_options */
    bool lock;                          /* as in cache_fetch_options */
    bool query_string;                  /* the query is part of the key; the order of parameters does not matter */
    const char *const *query_only;      /* NULL, or the only parameters that are part of the key; NULL-terminated */
    const char *const *query_ignore;    /* NULL, or parameters that are not, such as "utm_*"; NULL-terminated */
    const char *const *vary_headers;    /* NULL, or request headers that are part of the key; NULL-terminated */
    const char *const *vary_cookies;
    bool vary_user;                     /* each user has separate pages; without it, requests with credentials bypass
                                         * the cache */
    bool post_by_body;                  /* a POST is cached too: its method and a hash of its body are part of the key,
                                         * as is the body of a GET. Without it, a GET with a body bypasses the cache */
    const char *const *tags;            /* NULL, or tags for cache_invalidate_tag; NULL-terminated; see make_tags */
    /* NULL, or writes the whole key, instead of all fields above. vary_user then promises that it includes the user. */
    cache_status (*make_key)(void *ctx, const cache_request *request, cache_writer *key);
    bool (*unless)(void *ctx, const cache_request *request);                /* true: bypass the cache */
    bool (*forced_update)(void *ctx, const cache_request *request);         /* true: recompute the page */
    bool (*response_filter)(void *ctx, const cache_response *response);     /* false: do not store this page */
    void *ctx;                          /* passed to these functions */
    /* NULL, or called on each hit: false recomputes the page. `stored` is the page as the handler made it. */
    bool (*validate)(void *ctx, const cache_request *request, const cache_response *stored);
    /* NULL, or adds tags such as "post:7" to `tags` for this request's page. It is called before the page is read, so
     * an invalidation at any time while the handler runs makes the stored page a miss. An error is returned to the
     * caller. */
    cache_status (*make_tags)(void *ctx, const cache_request *request, cache_tag_list *tags);
    /* The handler can run without the connection: if cache_config.spawn is set, a stale page is recomputed in the
     * background. The handler then gets a copy of the request with only the headers and cookies that vary_headers and
     * vary_cookies name (even with make_key). The `ctx` of cache_view_serve must stay valid until the handler ran. */
    bool detached;
    bool vary_host;                     /* each host and scheme has separate pages: see cache_request.host */
    double wait;                        /* longest wait for another request's handler, in seconds; 0: 30. After that the
                                         * request runs the handler itself, and does not store the page */
    double soft_timeout;                /* as in cache_fetch_options, like the next two */
    double refresh_after;
    double error_ttl;
} cache_view;

/* Every cache_view begins with this, or is made by CACHE_VIEW. */
#define CACHE_VIEW_INIT \
    { sizeof(cache_view), NULL, CACHE_TTL_DEFAULT, 0, 0, 0, 0, false, false, NULL, NULL, NULL, NULL, false, false, \
      NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, false, 0, 0, 0, 0 }

/* A view in one line: its name, its ttl, and then other fields (C, or C++20):
 *
 *     static const cache_view search = CACHE_VIEW("search", 60, .query_string = true); */
#define CACHE_VIEW(its_name, ...) { .size = sizeof(cache_view), .name = (its_name), .ttl = __VA_ARGS__ }

/* ---- serving --------------------------------------------------------------------------------------------------- */

/* One header of a page. */
typedef struct cache_header {
    const char *name, *value;
} cache_header;

/* The response to send. Everything that it points to stays valid until cache_page_release. */
typedef struct cache_page {
    int status;                         /* 304, 204 and 1xx have no body */
    const cache_header *headers;        /* with ETag, Cache-Control, Vary, X-Cache, and Age if it was stored */
    size_t n_headers;
    const void *body;
    size_t body_size;
    void *owner;
    size_t content_size;                /* the Content-Length: body_size, or for a 304 the size of the omitted body.
                                         * For a 1xx, a 204 and a handler's own 304 it is 0: send none then */
    void *reserved[4];
} cache_page;

/* Answers `request` from the cache or by `handler`, according to `view`. With a NULL view the cache is not used.
 * Returns CACHE_OK and sets `*page`, which the caller releases; or an error of the handler, make_key, make_tags or
 * cache_fetch. HEAD is answered from the stored GET: send the headers, with content_size as Content-Length, and no
 * body. The header X-Cache is HIT, MISS, STALE, or BYPASS if the cache was not used: for methods other than GET and
 * HEAD, and for a GET with a body, unless the view has post_by_body; for a request with a user or an Authorization
 * header, unless it has a user and the view has vary_user; if `unless` returned true; and if a tag was wrong. Only one
 * handler runs for a key at a time, and all waiting requests get its page. A response that may not be stored (by
 * the rules above, with Set-Cookie, with a 5xx status, or with a Vary that the view does not cover) goes only to the
 * request that it was made for; for some seconds the requests of that key then do not wait for each other
 * (hit-for-miss). An unsafe method that succeeds invalidates the pages of its path. */
cache_status cache_view_serve(cache_t *cache, const cache_view *view, const cache_request *request,
                              cache_handler_fn *handler, void *ctx, cache_page *page);

/* Releases the page and zeroes it. A zeroed page is fine. */
void cache_page_release(cache_page *page);

/* Delete the page of this request (path, query, vary parts), or every variant of a path, for all processes that share
 * the store. A page that a handler in this process is making is not stored then. In another process it is not stored if
 * the view has `lock`, or after forget_path if the path has variants. cache_view_forget returns CACHE_MISS if there was
 * no such page. */
cache_status cache_view_forget(cache_t *cache, const cache_view *view, const cache_request *request);
cache_status cache_view_forget_path(cache_t *cache, const char *path);

/* ---- middleware ------------------------------------------------------------------------------------------------ */

/* Says which view serves the requests to some paths, so that handlers need not know about the cache. */
typedef struct cache_rule {
    const char *path;                   /* a pattern for the whole path: * matches any text without '/', ** any text */
    const char *const *methods;         /* NULL for all, or a NULL-terminated list; GET includes HEAD */
    const cache_view *view;             /* the ttl, the parts of the key, and so on; NULL: do not use the cache */
} cache_rule;

/* Serves the request as cache_view_serve does, with the view of the first of `n` rules that matches it. If none
 * matches, the cache is not used. */
cache_status cache_middleware(cache_t *cache, const cache_rule rules[], size_t n, const cache_request *request,
                              cache_handler_fn *handler, void *ctx, cache_page *page);

/* The same, with the size of cache_rule that the program was compiled with. The macro passes it, so that cache_rule may
 * grow at its end. */
cache_status cache_middleware_sized(cache_t *cache, const cache_rule rules[], size_t n, size_t rule_size,
                                    const cache_request *request, cache_handler_fn *handler, void *ctx,
                                    cache_page *page);
#define cache_middleware(cache, rules, n, request, handler, ctx, page)                                                 \
    cache_middleware_sized(cache, rules, n, sizeof(cache_rule), request, handler, ctx, page)

#ifdef __cplusplus
}
#endif

#endif
