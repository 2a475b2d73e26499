/* site.h - a server of one page, for the tests of views: what its handler answers can be set, and its runs are counted.
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
    cache_config config;               /* that it was opened with */
    _Atomic int64_t now_ms;            /* 1000000: 16 minutes and 40 seconds past 1970 began */
    atomic_int runs;
    int status;                        /* what the handler answers */
    cache_status result;               /* what it returns */
    struct pair headers[SITE_MAX_HEADERS];    /* that it adds; a name of NULL ends them */
    bool personal;                     /* each response has a cookie of its own */
    /* NULL, or called by it. */
    void (*inside)(struct site *site, const cache_request *request, cache_response *response);
    void *inside_ctx;
};

/* On the store that the test runs on. `site->config`'s hooks may be set with site_init before. */
void site_open(struct site *site, void **state);
void site_init(struct site *site);
void site_open_as(struct site *site, void **state);    /* after site_init */
void site_close(struct site *site);
void site_pass(struct site *site, int seconds);

cache_status site_handler(void *ctx, const cache_request *request, cache_response *response);

/* The page of a request, to be released. */
cache_page site_serve(struct site *site, const cache_request *request);

/* NULL: the page has none. */
const char *page_header(const cache_page *page, const char *name);

/* A request's headers: a table of pairs that ends with a name of NULL. */
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

/* `n` threads ask for /p at once. */
void site_visit(struct site *site, struct visitor visitors[], unsigned n);

/* Wait until `*counter` is `n`, or for a minute: a test that deadlocked fails, and does not hang. */
bool site_wait_for(const atomic_int *counter, int n);

#endif
