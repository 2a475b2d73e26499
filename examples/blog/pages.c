/* pages.c - the blog's pages.
 *
 *     path          cached as                              forgotten when
 *     /             the page, 60 s, key "view//"           a post is added
 *     /popular      the page, 300 s, key "view//popular"   it expires
 *     /post/ID      the post, memoized, 60 s               it expires; its views are counted beside the cache
 *     /new-post, /cache-stats, errors                      never stored */
#include "pages.h"

#include "db.h"
#include "form.h"
#include "html.h"
#include "style.h"
#include "view_counter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cache_status load_post(int64_t id, struct db *db, struct post *out)
{
    return db_post(db, id, out);
}

/* get_post(cache, id, db, &post): the database is asked once a minute and post. */
CACHE_MEMOIZE(get_post, load_post, 60, struct post, (int64_t, id), CACHE_IGNORE(struct db *, db))

/* ---- parts of pages ---------------------------------------------------------------------------------------------- */

static void set_html(cache_response *response, int status)
{
    cache_response_set_status(response, status);
    (void)cache_response_set_header(response, "Content-Type", "text/html; charset=utf-8");
}

static cache_status message_page(cache_response *response, int status, const char *title, const char *text)
{
    cache_writer *out = cache_response_body(response);
    set_html(response, status);
    html_begin(out, title);
    html_paragraphs(out, text);
    html_end(out);
    return cache_writer_status(out);
}

static cache_status not_found(cache_response *response)
{
    return message_page(response, 404, "Not found", "There is no such page.");
}

static void put_summary(void *ctx, const struct post *post)
{
    cache_writer *out = ctx;
    (void)cache_writer_printf(out, "<article><h2><a href=\"/post/%" PRId64 "\">", post->id);
    html_text(out, post->title);
    (void)cache_writer_puts(out, "</a></h2>\n");
    html_paragraphs(out, post->content);
    (void)cache_writer_printf(out, "<div class=\"about\">%s</div></article>\n", post->created);
}

static void put_ranked(void *ctx, const struct post *post)
{
    cache_writer *out = ctx;
    (void)cache_writer_printf(out, "<article><h2><a href=\"/post/%" PRId64 "\">", post->id);
    html_text(out, post->title);
    (void)cache_writer_printf(out, "</a></h2>\n<div class=\"about\">%" PRId64 " views</div></article>\n", post->views);
}

/* ---- the pages --------------------------------------------------------------------------------------------------- */

static cache_status home_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct blog *blog = ctx;
    cache_writer *out = cache_response_body(response);
    (void)request;
    set_html(response, 200);
    html_begin(out, "Newest posts");
    const cache_status status = db_newest(blog->db, HOME_POSTS, put_summary, out);
    html_end(out);
    return status;
}

static cache_status popular_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct blog *blog = ctx;
    cache_writer *out = cache_response_body(response);
    (void)request;
    set_html(response, 200);
    html_begin(out, "Most viewed");
    const cache_status status = db_popular(blog->db, HOME_POSTS, put_ranked, out);
    html_end(out);
    return status;
}

/* The id behind "/post/": a number above 0, and nothing else. */
static bool read_id(const char *text, int64_t *id)
{
    char *end = NULL;
    if (text[0] < '1' || text[0] > '9')
        return false;
    errno = 0;
    *id = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static cache_status post_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct blog *blog = ctx;
    struct post post;
    int64_t id = 0;
    if (!read_id(request->path + strlen("/post/"), &id))
        return not_found(response);
    const cache_status status = get_post(blog->cache, id, blog->db, &post);
    if (status == CACHE_MISS)
        return not_found(response);
    if (status != CACHE_OK)
        return status;
    view_counter_add(blog->views, id);
    cache_writer *out = cache_response_body(response);
    set_html(response, 200);
    html_begin(out, post.title);
    (void)cache_writer_printf(out, "<div class=\"about\">%s</div>\n", post.created);
    html_paragraphs(out, post.content);
    html_end(out);
    return cache_writer_status(out);
}

static cache_status form_page(cache_response *response, int status, const char *error, const char *title,
                              const char *content)
{
    cache_writer *out = cache_response_body(response);
    set_html(response, status);
    html_begin(out, "New post");
    if (error != NULL) {
        (void)cache_writer_puts(out, "<p class=\"error\" role=\"alert\">");
        html_text(out, error);
        (void)cache_writer_puts(out, "</p>\n");
    }
    (void)cache_writer_printf(out, "<form method=\"post\" action=\"/new-post\">\n<label>Title<input name=\"title\" required "
                                   "maxlength=\"%d\" value=\"", TITLE_MAX);
    html_text(out, title);
    (void)cache_writer_printf(out, "\"></label>\n<label>Text<textarea name=\"content\" required maxlength=\"%d\">\n",
                              CONTENT_MAX);
    html_text(out, content);
    (void)cache_writer_puts(out, "</textarea></label>\n<button>Publish</button>\n</form>\n");
    html_end(out);
    return cache_writer_status(out);
}

static cache_status new_post_form(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return form_page(response, 200, NULL, "", "");
}

static const char *what_is_wrong(const char *title, const char *content)
{
    if (title == NULL || title[strspn(title, " \t\r\n")] == '\0')
        return "The post needs a title.";
    if (content == NULL || content[strspn(content, " \t\r\n")] == '\0')
        return "The post needs a text.";
    if (strlen(title) > TITLE_MAX)
        return "The title is too long.";
    return strlen(content) > CONTENT_MAX ? "The text is too long." : NULL;
}

static cache_status add_post(struct blog *blog, const char *title, const char *content, cache_response *response)
{
    char location[48];
    int64_t id = 0;
    const cache_status status = db_add_post(blog->db, title, content, &id);
    if (status != CACHE_OK)
        return status;
    (void)cache_delete(blog->cache, "view//");    /* the home page shows it at once */
    cache_response_set_status(response, 303);
    (void)snprintf(location, sizeof location, "/post/%" PRId64, id);
    return cache_response_set_header(response, "Location", location);
}

static cache_status new_post(void *ctx, const cache_request *request, cache_response *response)
{
    struct blog *blog = ctx;
    char *title = form_field(request->body, request->body_size, "title");
    char *content = form_field(request->body, request->body_size, "content");
    const char *wrong = what_is_wrong(title, content);
    const cache_status status =
        wrong != NULL ? form_page(response, 400, wrong, title != NULL ? title : "", content != NULL ? content : "")
                      : add_post(blog, title, content, response);
    free(title);
    free(content);
    return status;
}

static cache_status cache_stats_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct blog *blog = ctx;
    cache_counters counters;
    cache_writer *out = cache_response_body(response);
    (void)request;
    const cache_status status = cache_stats(blog->cache, &counters);
    if (status != CACHE_OK)
        return status;
    (void)cache_response_set_header(response, "Content-Type", "application/json");
    (void)cache_writer_printf(out, "{\"cache_hits\":%" PRIu64 ",\"cache_misses\":%" PRIu64 ",\"db_queries\":%" PRIu64 ",",
                              counters.hits, counters.misses, db_queries(blog->db));
    /* The rest is an object of its own: its members go on here. */
    cache_writer *rest = cache_writer_new();
    if (cache_stats_json(blog->cache, rest) == CACHE_OK)
        (void)cache_writer_puts(out, cache_writer_data(rest, NULL) + 1);
    cache_writer_free(rest);
    return cache_writer_status(out);
}

static cache_status style_sheet(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    (void)cache_response_set_header(response, "Content-Type", "text/css; charset=utf-8");
    (void)cache_response_set_header(response, "Cache-Control", "max-age=3600");
    return cache_writer_append(cache_response_body(response), style_css, sizeof style_css);
}

/* ---- the routes -------------------------------------------------------------------------------------------------- */

static bool always(void *ctx, const cache_request *request)
{
    (void)ctx, (void)request;
    return true;
}

static const cache_view uncached = { .size = sizeof(cache_view), .ttl = CACHE_TTL_DEFAULT, .unless = always };
static const cache_view one_minute = { .size = sizeof(cache_view), .ttl = 60 };
static const cache_view five_minutes = { .size = sizeof(cache_view), .ttl = 300 };

static const struct route {
    const char *method, *path;
    bool is_prefix;
    const cache_view *view;
    cache_handler_fn *handler;
} routes[] = {
    { "GET", "/", false, &one_minute, home_page },
    { "GET", "/post/", true, &uncached, post_page },
    { "GET", "/popular", false, &five_minutes, popular_page },
    { "GET", "/new-post", false, &uncached, new_post_form },
    { "POST", "/new-post", false, &uncached, new_post },
    { "GET", "/cache-stats", false, &uncached, cache_stats_page },
    { "GET", "/style.css", false, &five_minutes, style_sheet },
};

static bool is_at(const struct route *route, const char *path)
{
    return route->is_prefix ? strncmp(path, route->path, strlen(route->path)) == 0 : strcmp(path, route->path) == 0;
}

static cache_status no_such_page(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return not_found(response);
}

static cache_status wrong_method(void *ctx, const cache_request *request, cache_response *response)
{
    const char *allowed = strcmp(request->path, "/new-post") == 0 ? "GET, HEAD, POST" : "GET, HEAD";
    (void)ctx;
    (void)cache_response_set_header(response, "Allow", allowed);
    return message_page(response, 405, "Not allowed", "This page cannot be asked for in that way.");
}

cache_status pages_serve(struct blog *blog, const cache_request *request, cache_page *page)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    cache_handler_fn *handler = no_such_page;
    const cache_view *view = &uncached;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!is_at(&routes[i], request->path))
            continue;
        if (strcmp(routes[i].method, method) == 0) {
            handler = routes[i].handler;
            view = routes[i].view;
            break;
        }
        handler = wrong_method;
    }
    return cache_view_serve(blog->cache, view, request, handler, blog, page);
}
