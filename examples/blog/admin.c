/* admin.c - the admin's dashboard. The page shows the numbers as they are; admin.js keeps them up to date, and
 * draws. */
#include "admin.h"

#include "form.h"
#include "history.h"
#include "html.h"
#include "respond.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_NAME_MAX = 200 };

/* ---- the numbers, which the page and the script share ------------------------------------------------------------ */

/* Whether the store answers, asked now. */
static cJSON *store_json(struct blog *blog)
{
    const bool answers = cache_ping(blog->cache) == CACHE_OK;
    cJSON *store = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(store, "kind", blog->store);
    (void)cJSON_AddStringToObject(store, "state", answers ? "answers" : cache_last_error());
    return store;
}

/* {"store": …, "stats": what cache_stats_json says, "history": …}; NULL: no memory. */
static cJSON *numbers_json(struct blog *blog)
{
    cache_writer *text = cache_writer_new();
    cJSON *stats = NULL;
    if (text != NULL && cache_stats_json(blog->cache, text) == CACHE_OK)
        stats = cJSON_Parse(cache_writer_data(text, NULL));
    cache_writer_free(text);
    if (stats == NULL)
        return NULL;
    cJSON *numbers = cJSON_CreateObject();
    (void)cJSON_AddItemToObject(numbers, "store", store_json(blog));
    (void)cJSON_AddItemToObject(numbers, "stats", stats);
    (void)cJSON_AddItemToObject(numbers, "history", history_json(blog->history));
    return numbers;
}

cache_status admin_numbers(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    (void)request;
    return respond_json(response, 200, numbers_json(visit->blog));
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

/* How a number is written; admin.js knows the same units. */
static void put_number(cache_writer *out, const char *unit, double number)
{
    static const char *const scale[][4] = { { "B", "kB", "MB", "GB" }, { "ns", "\xC2\xB5s", "ms", "s" } };
    const bool is_bytes = strcmp(unit, "bytes") == 0, is_time = strcmp(unit, "ns") == 0;
    if (is_time && number == 0) {    /* nothing was timed */
        (void)cache_writer_puts(out, "\xE2\x80\x93");
        return;
    }
    size_t step = 0;
    const double base = is_bytes ? 1024 : 1000;
    for (; (is_bytes || is_time) && number >= base && step < 3; step++)
        number /= base;
    (void)cache_writer_printf(out, step > 0 ? "%.1f" : "%.0f", number);
    if (is_bytes || is_time)
        (void)cache_writer_printf(out, " %s", scale[is_time][step]);
}

/* "latency.get.p99_ns" leads through objects; NULL: there is no such member. */
static const cJSON *member_at(const cJSON *object, const char *path)
{
    char copy[64], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (const char *name; object != NULL && (name = strtok_r(rest, ".", &rest)) != NULL;)
        object = cJSON_GetObjectItemCaseSensitive(object, name);
    return object;
}

static void put_member(cache_writer *out, const char *unit, const cJSON *member)
{
    if (cJSON_IsString(member))
        html_text(out, member->valuestring);
    else if (cJSON_IsNumber(member))
        put_number(out, unit, member->valuedouble);
    else                               /* the store does not know it */
        (void)cache_writer_puts(out, "\xE2\x80\x93");
}

static void put_tiles(cache_writer *out, const cJSON *stats)
{
    static const struct { const char *label, *path, *unit;
    } tiles[] = {
        { "Hit rate", "hit_rate", "" },
        { "Hits", "hits", "" },
        { "Misses", "misses", "" },
        { "Stale hits", "stale_hits", "" },
        { "Computations", "computations", "" },
        { "Computations shared", "waits_saved", "" },
        { "Errors", "errors", "" },
        { "Evictions", "evictions", "" },
        { "Expirations", "expirations", "" },
        { "Items", "items", "" },
        { "Memory", "bytes", "bytes" },
        { "Memory limit", "max_bytes", "bytes" },
        { "Get, median", "latency.get.p50_ns", "ns" },
        { "Get, 99th percentile", "latency.get.p99_ns", "ns" },
        { "Set, 99th percentile", "latency.set.p99_ns", "ns" },
        { "Compute, 99th percentile", "latency.compute.p99_ns", "ns" },
    };
    (void)cache_writer_puts(out, "<dl class=\"tiles\">\n");
    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
        (void)cache_writer_printf(out, "<div><dt>%s</dt><dd data-path=\"%s\" data-unit=\"%s\">", tiles[i].label,
                                  tiles[i].path, tiles[i].unit);
        put_member(out, tiles[i].unit, member_at(stats, tiles[i].path));
        (void)cache_writer_puts(out, "</dd></div>\n");
    }
    (void)cache_writer_puts(out, "</dl>\n");
}

/* A row for each view and memoized function. */
static void put_names(cache_writer *out, const cJSON *names)
{
    static const struct { const char *label, *path, *unit; } columns[] = {
        { "Hit rate", "hit_rate", "" }, { "Hits", "hits", "" }, { "Misses", "misses", "" },
        { "Computed", "computations", "" }, { "Failed", "compute_errors", "" },
        { "Get, median", "latency.get.p50_ns", "ns" },
        { "Compute, median", "latency.compute.p50_ns", "ns" },
        { "Compute, 99th percentile", "latency.compute.p99_ns", "ns" },
    };
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    (void)cache_writer_puts(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"By view and "
                                 "function\">"
                                 "<table id=\"names\">\n<thead><tr><th scope=\"col\">View or function</th>");
    for (size_t i = 0; i < COLUMNS; i++)
        (void)cache_writer_printf(out, "<th scope=\"col\" data-path=\"%s\" data-unit=\"%s\">%s</th>", columns[i].path,
                                  columns[i].unit, columns[i].label);
    (void)cache_writer_puts(out, "</tr></thead>\n<tbody>\n");
    for (const cJSON *name = names != NULL ? names->child : NULL; name != NULL; name = name->next) {
        (void)cache_writer_puts(out, "<tr><th scope=\"row\">");
        html_text(out, name->string);
        (void)cache_writer_puts(out, "</th>");
        for (size_t i = 0; i < COLUMNS; i++) {
            (void)cache_writer_puts(out, "<td>");
            put_member(out, columns[i].unit, member_at(name, columns[i].path));
            (void)cache_writer_puts(out, "</td>");
        }
        (void)cache_writer_puts(out, "</tr>\n");
    }
    (void)cache_writer_puts(out, "</tbody></table></div>\n");
}

/* Keys name visitors' sessions and searches: this page is the admin's alone. */
static void put_hot(cache_writer *out, cache_t *cache)
{
    cache_hot_key hot[CACHE_HOT_KEYS];
    size_t n = 0;
    if (cache_stats_hot(cache, hot, &n) != CACHE_OK || n == 0)
        return;
    (void)cache_writer_puts(out, "<h2>Read most</h2>\n"
                                 "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Read most\">"
                                 "<table id=\"hot\">\n<thead><tr><th scope=\"col\">Key</th>"
                                 "<th scope=\"col\">Reads, about</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n; i++) {
        (void)cache_writer_puts(out, "<tr><th scope=\"row\">");
        html_text(out, hot[i].key);
        (void)cache_writer_printf(out, "</th><td>%llu</td></tr>\n", (unsigned long long)hot[i].reads);
    }
    (void)cache_writer_puts(out, "</tbody></table></div>\n");
}

static void put_store(cache_writer *out, const cJSON *store)
{
    (void)cache_writer_puts(out, "<p>Store: <strong>");
    html_text(out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(store, "kind")));
    (void)cache_writer_puts(out, "</strong>, <span id=\"state\" role=\"status\">");
    html_text(out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(store, "state")));
    (void)cache_writer_puts(out, "</span>.</p>\n");
}

static void put_chart(cache_writer *out)
{
    (void)cache_writer_puts(out, "<h2>The last ten minutes</h2>\n<figure>\n"
                                 "<div class=\"chart\"><canvas id=\"chart\" role=\"img\" "
                                 "aria-labelledby=\"chart-says\">"
                                 "</canvas></div>\n<figcaption id=\"chart-says\">Reads in each two seconds, hits below "
                                 "and "
                                 "misses on top of them, and the hit rate as a line where anything was "
                                 "read.</figcaption>\n"
                                 "<details><summary>The same numbers as a table</summary>\n<div class=\"wide\" "
                                 "tabindex=\"0\" "
                                 "role=\"region\" aria-label=\"Numbers of the chart\"><table "
                                 "id=\"history\">\n<thead><tr>"
                                 "<th scope=\"col\">Time</th><th scope=\"col\">Hits</th><th scope=\"col\">Misses</th>"
                                 "<th scope=\"col\">Hit "
                                 "rate</th></tr></thead>\n<tbody></tbody></table></div></details>\n"
                                 "</figure>\n<noscript><p>The chart needs JavaScript; the numbers do "
                                 "not.</p></noscript>\n");
}

static void put_buttons(cache_writer *out)
{
    (void)cache_writer_printf(out,
                              "<h2>Forgetting</h2>\n"
                              "<form class=\"buttons\" method=\"post\" action=\"/admin/clear\">"
                              "<div class=\"field\"><label for=\"tag\">Tag</label><input id=\"tag\" name=\"tag\" "
                              "required "
                              "maxlength=\"%d\" aria-describedby=\"tag-hint\"></div><button>Forget this "
                              "tag</button></form>\n"
                              "<p class=\"hint\" id=\"tag-hint\">For example posts, post:7 or author:ada.</p>\n"
                              "<p class=\"buttons\"><a class=\"button danger\" href=\"/admin/clear\">Clear the "
                              "cache</a>\n"
                              "<a class=\"button quiet\" href=\"/lab\">The lab</a></p>\n",
                              TAG_NAME_MAX);
}

cache_status admin_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    (void)request;
    cJSON *numbers = numbers_json(visit->blog);
    const cJSON *stats = cJSON_GetObjectItemCaseSensitive(numbers, "stats");
    if (stats == NULL)
        return CACHE_ERR_NOMEM;
    cache_writer *out = respond_html(response, 200, "The cache", NULL);
    put_store(out, cJSON_GetObjectItemCaseSensitive(numbers, "store"));
    put_tiles(out, stats);
    put_chart(out);
    (void)cache_writer_puts(out, "<h2>By view and function</h2>\n");
    put_names(out, cJSON_GetObjectItemCaseSensitive(stats, "names"));
    (void)cache_writer_puts(out, "<p class=\"about\">Half of the operations took no longer than the median, 99 of 100 "
                                 "no "
                                 "longer than the 99th percentile. Times are rounded up to a power of 2.</p>\n");
    put_hot(out, visit->blog->cache);
    put_buttons(out);
    (void)cache_writer_puts(out,
                            "<script src=\"/chart.js\" defer></script>\n<script src=\"/admin.js\" defer></script>\n");
    html_end(out);
    cJSON_Delete(numbers);
    return cache_writer_status(out);
}

/* ---- the buttons ------------------------------------------------------------------------------------------------- */

/* It asks first. */
cache_status admin_clear_form(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    cache_writer *out = respond_html(response, 200, "Clear the cache?", NULL);
    (void)cache_writer_puts(out, "<p>Everything that the blog keeps in it will be made anew when it is next asked for. "
                                 "Nothing is lost but time.</p>\n<form class=\"buttons\" method=\"post\" "
                                 "action=\"/admin/clear\"><input type=\"hidden\" name=\"all\" value=\"yes\">"
                                 "<button class=\"danger\">Clear the cache</button>\n"
                                 "<a class=\"button quiet\" href=\"/admin\">Leave it</a></form>\n");
    html_end(out);
    return cache_writer_status(out);
}

cache_status admin_clear(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    char *all = form_field(request->body, request->body_size, "all");
    char *tag = form_trim(form_field(request->body, request->body_size, "tag"));
    cache_status status = CACHE_MISS;
    if (all != NULL)
        status = cache_clear(visit->blog->cache);
    else if (tag != NULL && tag[0] != '\0' && strlen(tag) <= TAG_NAME_MAX)
        status = cache_invalidate_tag(visit->blog->cache, tag);
    const char *done = all != NULL ? "cleared" : "forgotten";
    free(all);
    free(tag);
    if (status == CACHE_MISS)
        return respond_message(response, 400, "Nothing was cleared", "A tag is needed, of at most 200 bytes.");
    if (status != CACHE_OK)
        return status;
    respond_tell(response, done);
    return respond_redirect(response, "/admin");
}
