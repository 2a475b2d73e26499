/* dashboard.c - each user's own page: kept as a whole for that user, and its activities as a part of it. */
#include "dashboard.h"

#include "dashboard.html.h"
#include "html.h"
#include "posts.h"
#include "respond.h"

#include <libcache/template.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LISTED_ACTIVITIES = 10 };

bool dashboard_prepare(struct blog *blog)
{
    if (cache_template_compile((const char *)dashboard_html, &blog->dashboard) == CACHE_OK)
        return true;
    fprintf(stderr, "blog: dashboard.html: %s\n", cache_last_error());
    return false;
}

/* ---- the values of the template's names -------------------------------------------------------------------------- */

static cache_status put_activities(cache_writer *out, struct db *db, int64_t user)
{
    struct activity activities[LISTED_ACTIVITIES];
    size_t n = 0;
    const cache_status status = db_activities(db, user, activities, LISTED_ACTIVITIES, &n);
    for (size_t i = 0; i < n; i++) {
        (void)cache_writer_puts(out, "<li>");
        html_text(out, activities[i].text);
        (void)cache_writer_puts(out, " <span class=\"about\">");
        html_time(out, activities[i].at);
        (void)cache_writer_puts(out, "</span></li>\n");
    }
    return status;
}

static cache_status put_own_posts(cache_writer *out, struct db *db, int64_t user)
{
    struct post posts[LISTED_POSTS];
    size_t n = 0;
    const cache_status status = db_posts_by(db, user, 0, posts, LISTED_POSTS, &n);
    (void)cache_writer_puts(out, n > 0 ? "<ul>\n" : "<p>There are none yet.</p>\n");
    for (size_t i = 0; i < n; i++) {
        (void)cache_writer_printf(out, "<li><a href=\"/post/%" PRId64 "\">", posts[i].id);
        html_text(out, posts[i].title);
        (void)cache_writer_printf(out, "</a> <span class=\"about\">%" PRId64 " view%s, <a href=\"/edit-post/%" PRId64
                                       "\">edit</a></span></li>\n", posts[i].views, posts[i].views == 1 ? "" : "s",
                                  posts[i].id);
    }
    (void)cache_writer_puts(out, n > 0 ? "</ul>\n" : "");
    if (n == LISTED_POSTS)
        (void)cache_writer_printf(out, "<p><a href=\"/author/%" PRId64 "\">All your posts</a></p>\n", user);
    return status;
}

static cache_status resolve(void *ctx, const char *name, cache_writer *out)
{
    const struct visit *visit = ctx;
    if (strcmp(name, "user.id") == 0)
        return cache_writer_printf(out, "%" PRId64, visit->user.id);
    if (strcmp(name, "posts") == 0)
        return put_own_posts(out, visit->blog->db, visit->user.id);
    if (strcmp(name, "activities") == 0)
        return put_activities(out, visit->blog->db, visit->user.id);
    return CACHE_MISS;
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

cache_status dashboard_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    char title[USER_NAME_MAX + 20];
    (void)request;
    (void)snprintf(title, sizeof title, "Hello, %s", visit->user.name);
    cache_writer *out = respond_html(response, 200, title, "/dashboard");
    const cache_status status = cache_template_render(visit->blog->dashboard, visit->blog->cache, resolve, visit, out);
    if (status != CACHE_OK)
        return status;
    html_end(out);
    return cache_writer_status(out);
}
