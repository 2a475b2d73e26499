/* lookups.c - questions that are answered in JSON, and for browsers on a page where it helps. */
#include "lookups.h"

#include "caching.h"
#include "form.h"
#include "html.h"
#include "json.h"
#include "respond.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUERY_MAX = 200, FOUND_MAX = 20 };

/* ---- by cache_fetch, under a key of one's own -------------------------------------------------------------------- */

static cache_status put_json(cache_writer *out, cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    const cache_status status = text != NULL ? cache_writer_puts(out, text) : CACHE_ERR_NOMEM;
    cJSON_free(text);
    cJSON_Delete(object);
    return status;
}

/* The object that `compute` makes, from the cache if it can, with "source": "cache" or "fresh" at its front. */
static cache_status respond_fetched(struct blog *blog, const char *key, const cache_fetch_options *options,
                                    cache_compute_fn *compute, void *ctx, cache_response *response)
{
    cache_value value;
    cache_fetch_info info;
    cache_fetch_options asked = *options;
    asked.info = &info;
    const cache_status status = cache_fetch(blog->cache, key, &asked, compute, ctx, &value);
    if (status != CACHE_OK)
        return status;
    const bool is_stored = info.source == CACHE_SOURCE_HIT || info.source == CACHE_SOURCE_STALE;
    (void)cache_response_set_header(response, "Content-Type", "application/json");
    (void)cache_writer_printf(cache_response_body(response), "{\"source\":\"%s\",%s\n", is_stored ? "cache" : "fresh",
                              (const char *)value.data + 1);
    cache_value_release(&value);
    return cache_writer_status(cache_response_body(response));
}

/* ---- search ------------------------------------------------------------------------------------------------------ */

struct search {
    struct db *db;
    const char *text;
};

static cache_status compute_search(void *ctx, cache_writer *out)
{
    const struct search *search = ctx;
    struct found found[FOUND_MAX];
    char url[40];
    size_t n = 0;
    const cache_status status = db_search(search->db, search->text, found, FOUND_MAX, &n);
    if (status != CACHE_OK)
        return status;
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(object, "query", search->text);
    (void)cJSON_AddNumberToObject(object, "count", (double)n);
    cJSON *results = cJSON_AddArrayToObject(object, "results");
    for (size_t i = 0; i < n; i++) {
        const char *kind = found[i].is_product ? "product" : "post";
        cJSON *result = cJSON_CreateObject();
        (void)snprintf(url, sizeof url, "/%s/%" PRId64, kind, found[i].id);
        (void)cJSON_AddStringToObject(result, "type", kind);
        (void)cJSON_AddStringToObject(result, "title", found[i].title);
        (void)cJSON_AddStringToObject(result, "url", url);
        (void)cJSON_AddItemToArray(results, result);
    }
    return put_json(out, object);
}

static void put_search_form(cache_writer *out, const char *text, const char *error)
{
    if (error != NULL)
        (void)cache_writer_printf(out, "<p class=\"error\" role=\"alert\" id=\"error\">%s</p>\n", error);
    (void)cache_writer_puts(out, "<form class=\"buttons\" role=\"search\" action=\"/search\">"
                                 "<div class=\"field\"><label for=\"q\">Words</label>");
    (void)cache_writer_printf(out, "<input id=\"q\" type=\"search\" name=\"q\" required maxlength=\"%d\"%s value=\"",
                              QUERY_MAX, error != NULL ? " aria-invalid=\"true\" aria-describedby=\"error\"" : "");
    html_text(out, text != NULL ? text : "");
    (void)cache_writer_puts(out, "\"></div><button>Search</button></form>\n");
}

/* What was found, for a browser; `json` is what compute_search made. */
static cache_status respond_found(cache_response *response, const char *text, const char *json, bool is_stored)
{
    cJSON *object = cJSON_Parse(json);
    const cJSON *results = cJSON_GetObjectItemCaseSensitive(object, "results"), *result = NULL;
    const int n = cJSON_GetArraySize(results);
    cache_writer *out = respond_html(response, 200, "Search", "/search");
    put_search_form(out, text, NULL);
    (void)cache_writer_puts(out, "<p role=\"status\">");
    if (n == 0)
        (void)cache_writer_puts(out, "No post or product has");
    else
        (void)cache_writer_printf(out, "%d %s", n, n == 1 ? "post or product has" : "posts and products have");
    (void)cache_writer_printf(out, " these words. The answer was %s.</p>\n",
                              is_stored ? "in the cache" : "looked up for you");
    (void)cache_writer_puts(out, "<ul>\n");
    cJSON_ArrayForEach(result, results) {
        (void)cache_writer_puts(out, "<li><a href=\"");
        html_text(out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "url")));
        (void)cache_writer_puts(out, "\">");
        html_text(out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "title")));
        (void)cache_writer_printf(out, "</a> <span class=\"about\">%s</span></li>\n",
                                  cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "type")));
    }
    (void)cache_writer_puts(out, "</ul>\n");
    cJSON_Delete(object);
    html_end(out);
    return cache_writer_status(out);
}

/* The page with the form alone: nothing was asked, or too much. */
static cache_status respond_search_form(cache_response *response, const char *text)
{
    const bool is_wrong = text != NULL;
    cache_writer *out = respond_html(response, is_wrong ? 400 : 200, "Search", "/search");
    put_search_form(out, text, is_wrong ? "Type some words, of at most 200 letters together." : NULL);
    html_end(out);
    return cache_writer_status(out);
}

static cache_status search(struct blog *blog, const char *text, bool as_html, cache_response *response)
{
    static const char *const tags[] = { "posts", "products" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_fetch_info info;
    cache_value value;
    char key[QUERY_MAX + 8];
    options.ttl = 60;
    options.name = "search";
    options.tags = tags;
    options.n_tags = 2;
    (void)snprintf(key, sizeof key, "search_%s", text);
    struct search question = { blog->db, text };
    if (!as_html)
        return respond_fetched(blog, key, &options, compute_search, &question, response);
    options.info = &info;
    cache_status status = cache_fetch(blog->cache, key, &options, compute_search, &question, &value);
    if (status != CACHE_OK)
        return status;
    const bool is_stored = info.source == CACHE_SOURCE_HIT || info.source == CACHE_SOURCE_STALE;
    status = respond_found(response, text, value.data, is_stored);
    cache_value_release(&value);
    return status;
}

cache_status search_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    const bool as_html = respond_wants_html(request);
    cache_status status = CACHE_OK;
    char *text = request->query != NULL ? form_field(request->query, strlen(request->query), "q") : NULL;
    (void)cache_response_set_header(response, "Vary", "Accept");
    if (text != NULL && text[0] != '\0' && strlen(text) <= QUERY_MAX)
        status = search(visit->blog, text, as_html, response);
    else if (as_html)
        status = respond_search_form(response, text);
    else
        status = respond_json_error(response, 400, "q must be a text of 1 to %d bytes", QUERY_MAX);
    free(text);
    return status;
}

/* ---- what is in a post ------------------------------------------------------------------------------------------- */

struct question {
    struct db *db;
    int64_t id;
};

static cJSON *measure(const struct post *post, const char *content)
{
    size_t words = 0, lines = 1;
    bool in_word = false;
    for (const char *at = content; *at != '\0'; at++) {
        const bool is_space = isspace((unsigned char)*at) != 0;
        words += !is_space && !in_word ? 1 : 0;
        lines += *at == '\n' ? 1 : 0;
        in_word = !is_space;
    }
    cJSON *data = json_post(post);
    (void)cJSON_AddNumberToObject(data, "bytes", (double)strlen(content));
    (void)cJSON_AddNumberToObject(data, "words", (double)words);
    (void)cJSON_AddNumberToObject(data, "lines", (double)lines);
    return data;
}

static cache_status compute_data(void *ctx, cache_writer *out)
{
    const struct question *question = ctx;
    struct post post;
    char *content = NULL;
    cache_status status = db_post(question->db, question->id, &post);
    if (status == CACHE_OK)
        status = db_post_content(question->db, question->id, &content);
    if (status != CACHE_OK)
        return status;
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddItemToObject(object, "data", measure(&post, content));
    free(content);
    return put_json(out, object);
}

cache_status data_page(void *ctx, const cache_request *request, cache_response *response)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    struct visit *visit = ctx;
    char key[40], tag[40];
    int64_t id = 0;
    (void)request;
    if (!visit_id(visit, &id))
        return respond_json_error(response, 400, "an id is a number above 0");
    (void)snprintf(key, sizeof key, "data_%" PRId64, id);
    (void)snprintf(tag, sizeof tag, "post:%" PRId64, id);
    options.ttl = 300;
    options.name = "data";
    options.tags = (const char *const[]){ tag };
    options.n_tags = 1;
    struct question question = { visit->blog->db, id };
    const cache_status status = respond_fetched(visit->blog, key, &options, compute_data, &question, response);
    return status == CACHE_MISS ? respond_json_error(response, 404, "there is no data %" PRId64, id) : status;
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

/* Cached as a page: routes.c. */
cache_status user_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct user user;
    int64_t id = 0;
    (void)request;
    if (!visit_id(visit, &id))
        return respond_json_error(response, 400, "a user's id is a number above 0");
    const cache_status status = db_user(visit->blog->db, id, &user);
    if (status == CACHE_MISS)
        return respond_json_error(response, 404, "there is no user %" PRId64, id);
    return status == CACHE_OK ? respond_json(response, 200, json_user(&user)) : status;
}

/* Memoized: caching.h. */
cache_status user_info_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct user_info info;
    int64_t id = 0;
    (void)request;
    if (!visit_id(visit, &id))
        return respond_json_error(response, 400, "a user's id is a number above 0");
    const cache_status status = get_user_info(visit->blog->cache, visit->blog->db, id, &info);
    if (status == CACHE_MISS)
        return respond_json_error(response, 404, "there is no user %" PRId64, id);
    if (status != CACHE_OK)
        return status;
    cJSON *object = json_user(&info.user);
    (void)cJSON_AddNumberToObject(object, "posts", (double)info.posts);
    (void)cJSON_AddNumberToObject(object, "views", (double)info.views);
    return respond_json(response, 200, object);
}
