/* site.h - a server of one page, for the tests of views. A test sets what its handler answers. Its runs are counted.
 *
 *     struct site site;
 *     site_open(&site, state);
 *     assert_get(&site, "MISS", "/p run 1");       the path, and how often the handler had run
 *     site_close(&site); */
#ifndef SITE_H
#define SITE_H

#include "stores.h"

#include <pthread.h>

#define SITE_MAX_HEADERS 4

struct pair {
    const char *name, *value;
};

struct site {
    cache_t *cache;
    cache_view view;                   /* ttl 60 */
    cache_config config;               /* of the cache */
    _Atomic int64_t now_ms;            /* 1000000: 16 minutes and 40 seconds past 1970 began */
    atomic_int runs;
    int status;                        /* of the handler's response */
    cache_status result;               /* the handler's return value */
    struct pair headers[SITE_MAX_HEADERS];    /* of the response; a name of NULL ends them */
    bool personal;                     /* each response has a cookie of its own */
    /* The handler calls this, unless it is NULL. */
    void (*inside)(struct site *site, const cache_request *request, cache_response *response);
    void *inside_ctx;
};

/* site_open opens it on the store on which the test runs. To set hooks in `site->config`, call site_init, and then
 * site_open_as. */
void site_open(struct site *site, void **state);
void site_init(struct site *site);
void site_open_as(struct site *site, void **state);
void site_close(struct site *site);
void site_pass(struct site *site, int seconds);

cache_status site_handler(void *ctx, const cache_request *request, cache_response *response);

/* Returns the page of a request, which the caller releases. */
cache_page site_serve(struct site *site, const cache_request *request);

/* Returns the value of a header, or NULL if the page has none. */
const char *page_header(const cache_page *page, const char *name);

/* Finds a header of a request in a table of pairs that ends with a name of NULL. */
const char *find_pair(void *pairs, const char *name);

void assert_page(const cache_page *page, const char *verdict, const char *body);
void assert_request(struct site *site, const cache_request *request, const char *verdict, const char *body);
void assert_get(struct site *site, const char *verdict, const char *body);    /* of /p */

/* ---- many threads ------------------------------------------------------------------------------------------------ */

enum { SITE_VISITORS = 32 };

struct visitor {
    struct site *site;
    pthread_barrier_t *start;
    cache_status status;
    char body[64], cookie[64], verdict[16];
};

/* Lets `n` threads ask for /p at once. */
void site_visit(struct site *site, struct visitor visitors[], unsigned n);

/* Waits until `*counter` is `n`, at most for a minute, so that a test with a deadlock fails and does not hang. Returns
 * false after that minute. */
bool site_wait_for(const atomic_int *counter, int n);

#endif
