/* site.c - a server of one page, for the tests of views. */
#include "site.h"

#include <strings.h>
#include <time.h>

/* ---- its handler ------------------------------------------------------------------------------------------------- */

cache_status site_handler(void *ctx, const cache_request *request, cache_response *response)
{
    struct site *site = ctx;
    const int run = atomic_fetch_add(&site->runs, 1) + 1;
    cache_response_set_status(response, site->status);
    (void)cache_response_set_header(response, "Content-Type", "text/plain");
    for (int i = 0; i < SITE_MAX_HEADERS && site->headers[i].name != NULL; i++)
        (void)cache_response_add_header(response, site->headers[i].name, site->headers[i].value);
    if (site->personal) {
        char cookie[32];
        (void)snprintf(cookie, sizeof cookie, "id=%d", run);
        (void)cache_response_add_header(response, "Set-Cookie", cookie);
    }
    if (site->inside != NULL)
        site->inside(site, request, response);
    size_t size = 0;
    (void)cache_response_content(response, &size);
    if (size == 0)    /* `inside` wrote none */
        (void)cache_writer_printf(cache_response_body(response), "%s run %d", request->path, run);
    return strcmp(request->method, "HEAD") != 0 ? site->result : CACHE_ERR_INVALID;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

void site_init(struct site *site)
{
    memset(site, 0, sizeof *site);
    site->view = (cache_view)CACHE_VIEW_INIT;
    site->view.ttl = 60;
    site->status = 200;
    site->config = (cache_config)CACHE_CONFIG_INIT;
    atomic_store(&site->now_ms, 1000000);
    site->config.clock = test_clock(&site->now_ms);
}

void site_open_as(struct site *site, void **state)
{
    site->cache = test_store_open(state, &site->config);
}

void site_open(struct site *site, void **state)
{
    site_init(site);
    site_open_as(site, state);
}

void site_close(struct site *site)
{
    cache_close(site->cache);
    site->cache = NULL;
}

void site_pass(struct site *site, int seconds)
{
    atomic_fetch_add(&site->now_ms, seconds * INT64_C(1000));
}

/* ---- asking it --------------------------------------------------------------------------------------------------- */

cache_page site_serve(struct site *site, const cache_request *request)
{
    cache_page page;
    assert_status(CACHE_OK, cache_view_serve(site->cache, &site->view, request, site_handler, site, &page));
    return page;
}

const char *page_header(const cache_page *page, const char *name)
{
    for (size_t i = 0; i < page->n_headers; i++)
        if (strcasecmp(page->headers[i].name, name) == 0)
            return page->headers[i].value;
    return NULL;
}

const char *find_pair(void *pairs, const char *name)
{
    for (const struct pair *pair = pairs; pair != NULL && pair->name != NULL; pair++)
        if (strcasecmp(pair->name, name) == 0)
            return pair->value;
    return NULL;
}

void assert_page(const cache_page *page, const char *verdict, const char *body)
{
    const char *got = page_header(page, "X-Cache");
    if (got == NULL || strcmp(got, verdict) != 0 || page->body_size != strlen(body) ||
        memcmp(page->body, body, page->body_size) != 0)
        fail_msg("%s '%.*s', not %s '%s'", got, (int)page->body_size, (const char *)page->body, verdict, body);
}

void assert_request(struct site *site, const cache_request *request, const char *verdict, const char *body)
{
    cache_page page = site_serve(site, request);
    assert_page(&page, verdict, body);
    cache_page_release(&page);
}

void assert_get(struct site *site, const char *verdict, const char *body)
{
    assert_request(site, &(cache_request){ .method = "GET", .path = "/p" }, verdict, body);
}

/* ---- many threads ------------------------------------------------------------------------------------------------ */

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    const cache_request request = { .method = "GET", .path = "/p" };
    cache_page page = { 0 };
    (void)pthread_barrier_wait(visitor->start);
    visitor->status =
        cache_view_serve(visitor->site->cache, &visitor->site->view, &request, site_handler, visitor->site, &page);
    if (visitor->status != CACHE_OK)
        return NULL;
    const char *cookie = page_header(&page, "Set-Cookie");
    (void)snprintf(visitor->body, sizeof visitor->body, "%.*s", (int)page.body_size, (const char *)page.body);
    (void)snprintf(visitor->cookie, sizeof visitor->cookie, "%s", cookie != NULL ? cookie : "");
    (void)snprintf(visitor->verdict, sizeof visitor->verdict, "%s", page_header(&page, "X-Cache"));
    cache_page_release(&page);
    return NULL;
}

void site_visit(struct site *site, struct visitor visitors[], unsigned n)
{
    pthread_t threads[SITE_VISITORS];
    pthread_barrier_t start;
    assert_true(n <= SITE_VISITORS);
    pthread_barrier_init(&start, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        visitors[i] = (struct visitor){ .site = site, .start = &start };
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors[i]), 0);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

bool site_wait_for(const atomic_int *counter, int n)
{
    for (int i = 0; i < 60000; i++) {
        if (atomic_load(counter) >= n)
            return true;
        (void)nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
    return false;
}
