/* statistics.c - what the cache has done, as JSON and for Prometheus; and whether the blog is well. */
#include "statistics.h"

#include <inttypes.h>

cache_status cache_stats_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    cache_counters counters;
    cache_writer *out = cache_response_body(response);
    (void)request;
    const cache_status status = cache_stats(visit->blog->cache, &counters);
    if (status != CACHE_OK)
        return status;
    (void)cache_response_set_header(response, "Content-Type", "application/json");
    (void)cache_writer_printf(out, "{\"cache_hits\":%" PRIu64 ",\"cache_misses\":%" PRIu64 ",\"db_queries\":%" PRIu64
                                   ",", counters.hits, counters.misses, db_queries(visit->blog->db));
    /* The rest is an object of its own: its members go on here. */
    cache_writer *rest = cache_writer_new();
    if (cache_stats_json(visit->blog->cache, rest) == CACHE_OK)
        (void)cache_writer_puts(out, cache_writer_data(rest, NULL) + 1);
    cache_writer_free(rest);
    return cache_writer_status(out);
}

cache_status metrics_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    cache_writer *out = cache_response_body(response);
    (void)request;
    (void)cache_response_set_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    const cache_status status = cache_stats_prometheus(visit->blog->cache, out);
    if (status != CACHE_OK)
        return status;
    return cache_writer_printf(out, "# HELP blog_db_queries_total Statements that the database ran.\n"
                                    "# TYPE blog_db_queries_total counter\n"
                                    "blog_db_queries_total %" PRIu64 "\n", db_queries(visit->blog->db));
}

/* For a load balancer: 200 while the database answers. A cache that is away costs time and no page, so it is told and
 * is no reason to take the blog out of service. */
cache_status health_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct post post;
    size_t n = 0;
    (void)request;
    const bool has_database = db_newest(visit->blog->db, 0, &post, 1, &n) == CACHE_OK;
    const bool has_cache = cache_ping(visit->blog->cache) == CACHE_OK;
    cache_response_set_status(response, has_database ? 200 : 503);
    (void)cache_response_set_header(response, "Content-Type", "text/plain; charset=utf-8");
    return cache_writer_printf(cache_response_body(response), "database: %s\ncache: %s\n",
                               has_database ? "answers" : "failed", has_cache ? "answers" : "away");
}
