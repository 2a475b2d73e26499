/* bench_view - nanoseconds per page from the memory store: cache_view_serve on a hit, beside cache_get of the same
 * key.
 *
 * A page of 10 kB with six headers; a 304; a page by its query (which is ordered, and the path's tag compared); and
 * one whose validate looks at a header. Rounds are interleaved, medians of nine. */
#include <libcache/cache.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { OPERATIONS = 200000, ROUNDS = 9, MAX_THREADS = 2, BODY = 10240 };

static cache_t *cache;

/* ---- a server ---------------------------------------------------------------------------------------------------- */

static cache_status handler(void *ctx, const cache_request *request, cache_response *response)
{
    char body[BODY];
    (void)ctx, (void)request;
    memset(body, 'x', sizeof body);
    (void)cache_response_set_header(response, "Content-Type", "text/html; charset=utf-8");
    (void)cache_response_set_header(response, "Content-Security-Policy", "default-src 'self'");
    (void)cache_response_set_header(response, "X-Content-Type-Options", "nosniff");
    (void)cache_response_set_header(response, "Referrer-Policy", "same-origin");
    return cache_writer_append(cache_response_body(response), body, sizeof body);
}

static const char *no_header(void *ctx, const char *name)
{
    (void)ctx, (void)name;
    return NULL;
}

static const char *any_etag(void *ctx, const char *name)
{
    (void)ctx;
    return strcasecmp(name, "If-None-Match") == 0 ? "\"00000000000000000000000000000000\", *" : NULL;
}

static bool has_type(void *ctx, const cache_request *request, const cache_response *stored)
{
    (void)ctx, (void)request;
    return cache_response_header(stored, "Content-Type") != NULL;
}

static const cache_view plain = CACHE_VIEW("plain", 3600), queried = CACHE_VIEW("queried", 3600, .query_string = true),
                        validated = CACHE_VIEW("validated", 3600, .validate = has_type);

static void serve(const cache_view *view, const cache_request *request)
{
    cache_page page;
    if (cache_view_serve(cache, view, request, handler, NULL, &page) != CACHE_OK)
        abort();
    cache_page_release(&page);
}

/* ---- what is measured -------------------------------------------------------------------------------------------- */

static void get_value(void)
{
    cache_value value;
    if (cache_get(cache, "view//products", &value) != CACHE_OK)
        abort();
    cache_value_release(&value);
}

static void serve_page(void)
{
    serve(&plain, &(cache_request){ .method = "GET", .path = "/products", .header = no_header });
}

static void serve_304(void)
{
    serve(&plain, &(cache_request){ .method = "GET", .path = "/products", .header = any_etag });
}

static void serve_query(void)
{
    const cache_request request = { .method = "GET", .path = "/find", .query = "q=shoes&page=2", .header = no_header };
    serve(&queried, &request);
}

static void serve_validated(void)
{
    serve(&validated, &(cache_request){ .method = "GET", .path = "/checked", .header = no_header });
}

static const struct { const char *name; void (*operation)(void); } cases[] = {
    { "cache_get", get_value },
    { "page", serve_page },
    { "304", serve_304 },
    { "page by query", serve_query },
    { "page, validated", serve_validated },
};

enum { CASES = sizeof cases / sizeof cases[0] };

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    void (*const operation)(void) = cases[*(const int *)arg].operation;
    for (int i = 0; i < OPERATIONS; i++)
        operation();
    return NULL;
}

/* Processor nanoseconds per operation: what else runs on the machine does not count. */
static double measure(int which, int threads)
{
    struct timespec begun, ended;
    pthread_t thread[MAX_THREADS];
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begun);
    for (int i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, run, &which);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
    const double took = (double)(ended.tv_sec - begun.tv_sec) * 1e9 + (double)(ended.tv_nsec - begun.tv_nsec);
    return took / OPERATIONS / threads;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    if (cache_open("memory://", &cache) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        return 1;
    }
    serve_page();
    printf("%-16s %12s %12s\n", "ns per call", "1 thread", "2 threads");
    double times[CASES][MAX_THREADS][ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        for (int threads = 1; threads <= MAX_THREADS; threads++)
            for (int i = 0; i < CASES; i++)
                times[i][threads - 1][round] = measure(i, threads);
    for (int i = 0; i < CASES; i++) {
        for (int threads = 0; threads < MAX_THREADS; threads++)
            qsort(times[i][threads], ROUNDS, sizeof times[i][threads][0], compare);
        printf("%-16s %12.0f %12.0f\n", cases[i].name, times[i][0][ROUNDS / 2], times[i][1][ROUNDS / 2]);
    }
    cache_close(cache);
    return 0;
}
