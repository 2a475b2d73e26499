/* libcache/view.h - caching of whole pages, for any HTTP server.
 *
 * An adapter turns the server's request into a cache_request, calls cache_view_serve, and sends the cache_page that
 * comes back; examples/blog/http.c is one for libmicrohttpd. The library never sees the server. What is stored is
 * right by RFC 9111 and RFC 9110 as far as an application's own cache is concerned. */
#ifndef LIBCACHE_VIEW_H
#define LIBCACHE_VIEW_H

#include <libcache/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the request --------------------------------------------------------------------------------------------- */

/* The value of the request's header (or cookie) `name`, compared without case for headers; NULL: none. */
typedef const char *cache_lookup_fn(void *ctx, const char *name);

/* Make it with the names of its fields, so that those you do not name are zero: later versions read more of them. */
typedef struct cache_request {
    const char *method;            /* "GET" */
    const char *path;              /* "/products", percent-decoded or not, as long as it is always the same */
    const char *query;             /* "a=1&b=2" as it came, without '?'; NULL or "": none */
    const char *user;              /* who is logged in, any text that names one user; NULL: nobody. A session cookie
                                    * alone does not make a request one with credentials: say here whose it is */
    cache_lookup_fn *header;       /* NULL: no headers */
    cache_lookup_fn *cookie;       /* NULL: cookies are taken from the Cookie header */
    void *lookup_ctx;
    const void *body;              /* of any method: a POST that is a query, or a GET that has one all the same */
    size_t body_size;
    const char *host;              /* "example.com", "localhost:8080", in any case; NULL: not known */
    const char *scheme;            /* "https"; NULL: not known. Both count where the view has vary_host */
    void *reserved[6];             /* zero */
} cache_request;

/* ---- the response, as the handler makes it -------------------------------------------------------------------- */

typedef struct cache_response cache_response;

/* Status 200 and no headers until said otherwise; a body without Content-Type is text/html in UTF-8. Names and values
 * with control characters are CACHE_ERR_INVALID. The first failure of these stays: such a response is not sent.
 * Headers of the connection, Content-Length, Age and X-Cache are not the handler's to say, and are dropped. */
void cache_response_set_status(cache_response *response, int status);
cache_status cache_response_set_header(cache_response *response, const char *name, const char *value);   /* replaces */
cache_status cache_response_add_header(cache_response *response, const char *name, const char *value);
int cache_response_status(const cache_response *response);
const char *cache_response_header(const cache_response *response, const char *name);    /* NULL: not set */
cache_writer *cache_response_body(cache_response *response);
const char *cache_response_content(const cache_response *response, size_t *size);    /* the body so far */

/* Keep this page `ttl` seconds, whatever the view and the headers say; or hand it out and do not keep it. The
 * response's own Cache-Control is heeded too: no-store, private (unless it is for a user whom the view tells apart)
 * and no-cache keep it out of the store; s-maxage, max-age, or Expires where neither stands, shorten the view's ttl;
 * stale-while-revalidate and stale-if-error go before the view's stale and stale_if_error; must-revalidate forbids
 * both. */
cache_status cache_response_set_ttl(cache_response *response, double ttl);
void cache_response_no_store(cache_response *response);

/* Make the page; for HEAD `request` says GET. Anything but CACHE_OK is handed back by cache_view_serve, and nothing
 * is stored. */
typedef cache_status cache_handler_fn(void *ctx, const cache_request *request, cache_response *response);

/* ---- the view: what is stored, for how long, under which key --------------------------------------------------- */

/* The tags of one page. The name is formatted as by printf: cache_tag_list_add(tags, "post:%d", id). CACHE_ERR_INVALID:
 * it is empty or longer than a key, or there are more than 64 with the view's own; the first failure stays. The page is
 * then served and not stored, and the log hook hears of it. */
typedef struct cache_tag_list cache_tag_list;
cache_status cache_tag_list_add(cache_tag_list *tags, const char *format, ...);

/* A view's lists, texts and `ctx` must stay where they are while a request is served by it; with `detached`, also until
 * the background tasks have run. */
typedef struct cache_view {
    size_t size;                        /* sizeof(cache_view) */
    const char *name;                   /* NULL, or its name in the statistics */
    double ttl;
    double stale;                       /* seconds past ttl in which a page is served while one request recomputes */
    double stale_if_error;              /* the same when the handler fails or answers 5xx */
    double negative_ttl;                /* seconds to keep a 404 or 410; 0: not at all */
    double jitter;                      /* as in cache_fetch_options */
    bool lock;                          /* as in cache_fetch_options */
    bool query_string;                  /* the query counts, its parameters in any order */
    const char *const *query_only;      /* NULL, or the only parameters that count; NULL-terminated */
    const char *const *query_ignore;    /* NULL, or those that do not: "utm_*"; NULL-terminated */
    const char *const *vary_headers;    /* NULL, or request headers that count; NULL-terminated */
    const char *const *vary_cookies;
    bool vary_user;                     /* each user has pages of their own; without it, requests with credentials
                                         * bypass the cache */
    bool post_by_body;                  /* POST is a query: its method and the hash of its body count, and so does the
                                         * body of a GET. Without it a GET with a body bypasses the cache */
    const char *const *tags;            /* NULL, or NULL-terminated: cache_invalidate_tag. More of them: make_tags */
    /* NULL, or writes the whole key in place of all of the above; vary_user says then that it holds the user. */
    cache_status (*make_key)(void *ctx, const cache_request *request, cache_writer *key);
    bool (*unless)(void *ctx, const cache_request *request);                /* true: do not use the cache */
    bool (*forced_update)(void *ctx, const cache_request *request);         /* true: make the page anew */
    bool (*response_filter)(void *ctx, const cache_response *response);     /* false: do not store this one */
    void *ctx;                          /* for these functions */
    /* NULL, or asked on each hit: false makes the page anew. `stored` is the page as the handler made it. */
    bool (*validate)(void *ctx, const cache_request *request, const cache_response *stored);
    /* NULL, or names the tags of this request's page, "post:7", beside `tags`. It is called before the page is read,
     * so an invalidation at any time while the handler runs makes what it stores a miss. An error is handed back. */
    cache_status (*make_tags)(void *ctx, const cache_request *request, cache_tag_list *tags);
    /* The handler can run without the connection: where cache_config.spawn is set, a stale page is made anew in the
     * background. It then gets a copy of the request, whose headers and cookies are those that vary_headers and
     * vary_cookies name (also beside make_key), and no others; the `ctx` of cache_view_serve must live until it ran. */
    bool detached;
    bool vary_host;                     /* each host has pages of its own, and each scheme of it: cache_request.host */
    double wait;                        /* longest wait for another request's handler, seconds; 0: 30. Who has waited so
                                         * long runs the handler itself, and does not store */
} cache_view;

#define CACHE_VIEW_INIT \
    { sizeof(cache_view), NULL, CACHE_TTL_DEFAULT, 0, 0, 0, 0, false, false, NULL, NULL, NULL, NULL, false, false, \
      NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, false, 0 }

/* A view in one line, its name and ttl first (C, or C++20):
 *
 *     static const cache_view search = CACHE_VIEW("search", 60, .query_string = true); */
#define CACHE_VIEW(its_name, ...) { .size = sizeof(cache_view), .name = (its_name), .ttl = __VA_ARGS__ }

/* ---- serving --------------------------------------------------------------------------------------------------- */

typedef struct cache_header {
    const char *name, *value;
} cache_header;

/* What to send. Everything it points to is pinned until cache_page_release. */
typedef struct cache_page {
    int status;                         /* 304, 204 and 1xx have no body */
    const cache_header *headers;        /* with ETag, Cache-Control, Vary, X-Cache, and Age if it was stored */
    size_t n_headers;
    const void *body;
    size_t body_size;
    void *owner;
    size_t content_size;                /* Content-Length: body_size, but of a 304 the size of what is left out. A
                                         * 1xx, 204, or a 304 of the handler's own has 0: send no Content-Length */
    void *reserved[4];
} cache_page;

/* Answer `request` from the cache, or through `handler`, by the rules of `view`; NULL: not from the cache. CACHE_OK:
 * `*page` is to be released. HEAD is answered from the stored GET: send the headers with content_size as
 * Content-Length, and not the body. X-Cache says HIT, MISS, STALE, or BYPASS where the cache was not asked: other
 * methods than GET and HEAD, a request with an Authorization header, or of a user without vary_user. One handler runs
 * a key at a time, and all who wait get its page; but a response that may not be stored (by the rules above, with
 * Set-Cookie, 5xx, an own Vary that the view does not cover) goes to the one request it was made for, and for some
 * seconds the requests of that key do not wait for each other. An unsafe method that succeeds forgets its path.
 * Errors: the handler's, make_key's, make_tags', cache_fetch's. */
cache_status cache_view_serve(cache_t *cache, const cache_view *view, const cache_request *request,
                              cache_handler_fn *handler, void *ctx, cache_page *page);

void cache_page_release(cache_page *page);

/* Forget the page of this request (path, query, vary parts), or every variant of a path, on all that share the store.
 * A page that is being made in this process is not stored then; in another, with `lock`, and for forget_path if the
 * path has variants. CACHE_MISS: cache_view_forget found none. */
cache_status cache_view_forget(cache_t *cache, const cache_view *view, const cache_request *request);
cache_status cache_view_forget_path(cache_t *cache, const char *path);

/* ---- middleware ------------------------------------------------------------------------------------------------ */

/* What a server does with the requests to some paths, so that handlers need not know of the cache. */
typedef struct cache_rule {
    const char *path;                   /* the whole path; a star stands for a run without a slash, two for any run */
    const char *const *methods;         /* NULL: all; or those it is for, NULL-terminated; GET stands for HEAD too */
    const cache_view *view;             /* NULL: not from the cache. What counts of a query, and the ttl, stand there */
} cache_rule;

/* Serve by the first of `n` rules that fits the request, as cache_view_serve does; not from the cache if none does. */
cache_status cache_middleware(cache_t *cache, const cache_rule rules[], size_t n, const cache_request *request,
                              cache_handler_fn *handler, void *ctx, cache_page *page);

/* The same, with the size of a rule as the program was built. The macro sees to it that cache_rule may grow at its end. */
cache_status cache_middleware_sized(cache_t *cache, const cache_rule rules[], size_t n, size_t rule_size,
                                    const cache_request *request, cache_handler_fn *handler, void *ctx,
                                    cache_page *page);
#define cache_middleware(cache, rules, n, request, handler, ctx, page)                                                 \
    cache_middleware_sized(cache, rules, n, sizeof(cache_rule), request, handler, ctx, page)

#ifdef __cplusplus
}
#endif

#endif
