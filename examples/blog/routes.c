/* routes.c - which path is answered by what, for whom, and how it is cached. */
#include "routes.h"

#include "address.h"
#include "admin.h"
#include "api.h"
#include "dashboard.h"
#include "files.h"
#include "lab.h"
#include "login.h"
#include "log.h"
#include "lookups.h"
#include "posts.h"
#include "products.h"
#include "respond.h"
#include "same_origin.h"
#include "session.h"
#include "statistics.h"
#include "visit.h"
#include "weather.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- tags that the address decides ------------------------------------------------------------------------------- */

static cache_status tag_author(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx;
    return cache_tag_list_add(tags, "author:%s", request->path + strlen("/author/"));
}

static cache_status tag_tag(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx;
    return cache_tag_list_add(tags, "tag:%s", request->path + strlen("/tag/"));
}

static cache_status tag_user(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx;
    return cache_tag_list_add(tags, "user:%s", request->path + strlen("/user/"));
}

static cache_status tag_visitor(void *ctx, const cache_request *request, cache_tag_list *tags)
{
    (void)ctx;
    return cache_tag_list_add(tags, "user:%s", request->user);
}

/* ---- the views --------------------------------------------------------------------------------------------------- */

static const char *const posts_tag[] = { "posts", NULL };
static const char *const products_tag[] = { "products", NULL };

static const char *const pages[] = { "page", NULL };    /* all that counts of a list's query */
static const char *const accept[] = { "Accept", NULL };

static const cache_view home_view = CACHE_VIEW("home", 60, .tags = posts_tag, .query_only = pages);
static const cache_view post_view = CACHE_VIEW("post", 60, .tags = posts_tag);    /* for those who are not logged in */
static const cache_view popular_view = CACHE_VIEW("popular", 300, .tags = posts_tag, .query_only = pages);
static const cache_view author_view = CACHE_VIEW("author", 60, .make_tags = tag_author, .query_only = pages);
static const cache_view tag_view = CACHE_VIEW("tag", 60, .make_tags = tag_tag, .query_only = pages);
static const cache_view dashboard_view = CACHE_VIEW("dashboard", 60, .vary_user = true, .make_tags = tag_visitor);
static const cache_view products_view = CACHE_VIEW("products", 300, .tags = products_tag, .vary_headers = accept,
                                                   .query_only = pages);
static const cache_view user_view = CACHE_VIEW("user", 60, .make_tags = tag_user);
static const cache_view file_view = CACHE_VIEW("files", 300);

/* ---- the routes -------------------------------------------------------------------------------------------------- */

enum visitor {
    ANYBODY,       /* nobody is asked who he is: the page is the same for all, and may be cached for all */
    KNOWN,         /* asked, and may be nobody */
    USER,          /* must log in */
    ADMIN
};

static const struct route {
    const char *method, *path;         /* a path that ends with a slash stands for all that begin so; "/" for itself */
    enum visitor visitor;
    const cache_view *view;            /* NULL: not cached as a page */
    cache_handler_fn *handler;
    enum { AT_ONCE, HASHES_PASSWORDS, ASKS_OUTSIDE } work;    /* what takes long is done by workers of its own kind */
} routes[] = {
    { "GET", "/", ANYBODY, &home_view, home_page, AT_ONCE },
    { "GET", "/post/", KNOWN, &post_view, post_page, AT_ONCE },
    { "GET", "/popular", ANYBODY, &popular_view, popular_page, AT_ONCE },
    { "GET", "/author/", ANYBODY, &author_view, author_page, AT_ONCE },
    { "GET", "/tag/", ANYBODY, &tag_view, tag_page, AT_ONCE },
    { "GET", "/delete-post/", USER, NULL, delete_post_form, AT_ONCE },
    { "GET", "/new-post", ANYBODY, NULL, new_post_form, AT_ONCE },
    { "POST", "/new-post", KNOWN, NULL, new_post, AT_ONCE },
    { "GET", "/edit-post/", USER, NULL, edit_post_form, AT_ONCE },
    { "POST", "/edit-post/", USER, NULL, edit_post, AT_ONCE },
    { "POST", "/delete-post/", USER, NULL, delete_post, AT_ONCE },

    { "GET", "/login", ANYBODY, NULL, login_form, AT_ONCE },
    { "POST", "/login", ANYBODY, NULL, login, HASHES_PASSWORDS },
    { "POST", "/logout", ANYBODY, NULL, logout, AT_ONCE },
    { "GET", "/dashboard", USER, &dashboard_view, dashboard_page, AT_ONCE },

    { "GET", "/products", ANYBODY, &products_view, products_page, AT_ONCE },
    { "GET", "/products.json", ANYBODY, &products_view, products_page, AT_ONCE },
    { "GET", "/product/", ANYBODY, NULL, product_page, AT_ONCE },
    { "POST", "/update-product/", ANYBODY, NULL, update_product, AT_ONCE },
    { "GET", "/search", ANYBODY, NULL, search_page, AT_ONCE },
    { "GET", "/search.json", ANYBODY, NULL, search_page, AT_ONCE },
    { "GET", "/user/", ANYBODY, &user_view, user_page, AT_ONCE },
    { "GET", "/user-info/", ANYBODY, NULL, user_info_page, AT_ONCE },
    { "GET", "/data/", ANYBODY, NULL, data_page, AT_ONCE },

    { "GET", "/weather/", ANYBODY, NULL, weather_page, ASKS_OUTSIDE },

    { "GET", "/admin", ADMIN, NULL, admin_page, AT_ONCE },
    { "GET", "/admin/numbers", ADMIN, NULL, admin_numbers, AT_ONCE },
    { "GET", "/admin/clear", ADMIN, NULL, admin_clear_form, AT_ONCE },
    { "POST", "/admin/clear", ADMIN, NULL, admin_clear, AT_ONCE },
    { "GET", "/lab", ADMIN, NULL, lab_page, AT_ONCE },
    { "GET", "/lab/result", ADMIN, NULL, lab_result, AT_ONCE },
    { "POST", "/lab/run", ADMIN, NULL, lab_run, AT_ONCE },
    { "GET", "/healthz", ANYBODY, NULL, health_page, AT_ONCE },
    { "GET", "/metrics", ANYBODY, NULL, metrics_page, AT_ONCE },
    { "GET", "/cache-stats", ANYBODY, NULL, cache_stats_page, AT_ONCE },
    { "GET", "/style.css", ANYBODY, &file_view, style_sheet, AT_ONCE },
    { "GET", "/site.js", ANYBODY, &file_view, site_script, AT_ONCE },
    { "GET", "/robots.txt", ANYBODY, &file_view, robots, AT_ONCE },
    { "GET", "/favicon.ico", ANYBODY, &file_view, icon, AT_ONCE },
    { "GET", "/icon.svg", ANYBODY, &file_view, icon, AT_ONCE },
    { "GET", "/lab.js", ANYBODY, &file_view, lab_script, AT_ONCE },
    { "GET", "/admin.js", ANYBODY, &file_view, admin_script, AT_ONCE },
    { "GET", "/chart.js", ANYBODY, &file_view, chart_script, AT_ONCE },
};

enum { ROUTES = sizeof routes / sizeof routes[0] };

static bool is_at(const struct route *route, const char *path)
{
    const size_t size = strlen(route->path);
    const bool is_prefix = size > 1 && route->path[size - 1] == '/';
    return strncmp(path, route->path, is_prefix ? size : size + 1) == 0;    /* the NUL too */
}

/* ---- what no route answers --------------------------------------------------------------------------------------- */

static cache_status no_such_page(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return respond_not_found(response);
}

static cache_status wrong_method(void *ctx, const cache_request *request, cache_response *response)
{
    char allowed[40] = "";
    (void)ctx;
    for (size_t i = 0; i < ROUTES; i++)
        if (is_at(&routes[i], request->path)) {
            const char *method = strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method;
            const size_t used = strlen(allowed);
            (void)snprintf(allowed + used, sizeof allowed - used, "%s%s", used > 0 ? ", " : "", method);
        }
    (void)cache_response_set_header(response, "Allow", allowed);
    return respond_message(response, 405, "Method not allowed", "This page does not accept requests with this method.");
}

static cache_status cross_site(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return respond_message(response, 403, "Request from another site",
                           "The form was sent by a page of another site, so nothing was changed.");
}

static cache_status log_in_first(void *ctx, const cache_request *request, cache_response *response)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-/";    /* all such paths are: nothing to encode */
    char location[100];
    const bool comes_back = strcmp(request->method, "GET") == 0 && request->path[strspn(request->path, plain)] == '\0';
    (void)ctx;
    (void)snprintf(location, sizeof location, "/login?next=%s", comes_back ? request->path : "/dashboard");
    return respond_redirect(response, location);
}

static cache_status not_the_admin(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return respond_message(response, 403, "Admins only", "Only the admin may see this page.");
}

/* ---- serving ----------------------------------------------------------------------------------------------------- */

/* Of the Accept header counts alone whether it asks for HTML: browsers write it in a hundred ways. */
static const char *plain_accept(void *ctx, const char *name)
{
    const cache_request *request = ctx;
    if (strcasecmp(name, "Accept") == 0)
        return respond_wants_html(request) ? "text/html" : "application/json";
    return request->header(request->lookup_ctx, name);
}

/* A handler, and the time that it takes: site.js tells how much of it the cache has saved. */
struct timed {
    cache_handler_fn *handler;
    struct visit *visit;
};

static cache_status run_timed(void *ctx, const cache_request *request, cache_response *response)
{
    const struct timed *timed = ctx;
    struct timespec begun, ended;
    char text[48];
    clock_gettime(CLOCK_MONOTONIC, &begun);
    const cache_status status = timed->handler(timed->visit, request, response);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    (void)snprintf(text, sizeof text, "made;dur=%.3f", (double)(ended.tv_sec - begun.tv_sec) * 1e3 +
                                                           (double)(ended.tv_nsec - begun.tv_nsec) / 1e6);
    (void)cache_response_set_header(response, "Server-Timing", text);
    return status;
}

static cache_status answer(const struct route *route, struct visit *visit, const cache_request *request,
                           cache_page *page)
{
    char user[24];
    cache_request asked = *request;
    struct timed timed = { route->handler, visit };
    if (address_is_secure(request, visit->blog->behind_proxy))
        asked.scheme = "https";
    if (visit->user.id != 0) {
        (void)snprintf(user, sizeof user, "%" PRId64, visit->user.id);
        asked.user = user;
    }
    if (route->view == &products_view) {
        asked.header = plain_accept;
        asked.lookup_ctx = (void *)(uintptr_t)request;
    }
    const cache_status status = cache_view_serve(visit->blog->cache, route->view, &asked, run_timed, &timed, page);
    /* A page view counts, whether the page came from the cache or not. */
    if (status == CACHE_OK && route->handler == post_page && page->status < 400 && strcmp(request->method, "GET") == 0)
        count_page_view(visit);
    return status;
}

/* The same route, but with an answer that says why not. */
static struct route refusal(const struct route *route, cache_handler_fn *handler)
{
    struct route refused = *route;
    refused.view = NULL;
    refused.handler = handler;
    return refused;
}

static struct route find_route(const cache_request *request)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    struct route found = { method, request->path, ANYBODY, NULL, no_such_page, AT_ONCE };
    for (size_t i = 0; i < ROUTES; i++) {
        if (!is_at(&routes[i], request->path))
            continue;
        if (strcmp(routes[i].method, method) == 0)
            return routes[i];
        found.handler = wrong_method;
    }
    return found;
}

static cache_status serve(struct blog *blog, const cache_request *request, cache_page *page)
{
    if (strncmp(request->path, "/api/", strlen("/api/")) == 0)
        return api_serve(blog, request, page);
    struct route route = find_route(request);
    struct visit visit = { blog, { 0, false, "", "" }, "" };
    if (strlen(request->path) >= strlen(route.path))
        visit.rest = request->path + strlen(route.path);
    if (strcmp(route.method, "GET") != 0 && !is_same_origin(request))
        route = refusal(&route, cross_site);
    else if (route.visitor != ANYBODY) {
        const cache_status status = session_user(blog, request, &visit.user);
        if (status != CACHE_OK)
            return status;
        if (route.visitor >= USER && visit.user.id == 0)
            route = refusal(&route, log_in_first);
        else if (route.visitor == ADMIN && !visit.user.is_admin)
            route = refusal(&route, not_the_admin);
    }
    return answer(&route, &visit, request, page);
}

/* ---- what could not be answered ---------------------------------------------------------------------------------- */

static cache_status failed(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return respond_message(response, 500, "Something went wrong", "The page could not be made. Try again in a moment.");
}

static cache_status took_too_long(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    (void)cache_response_set_header(response, "Retry-After", "2");
    return respond_message(response, 503, "Too busy",
                           "There is too much to do at the moment. Try again in some seconds.");
}

cache_status routes_busy(void *ctx, const cache_request *request, cache_page *page)
{
    struct blog *blog = ctx;
    return cache_view_serve(blog->cache, NULL, request, took_too_long, NULL, page);
}

cache_status routes_serve(void *ctx, const cache_request *request, cache_page *page)
{
    struct blog *blog = ctx;
    const cache_status status = serve(blog, request, page);
    if (status == CACHE_OK)
        return status;
    if (status == CACHE_ERR_TIMEOUT)
        return routes_busy(ctx, request, page);
    log_error("%s: %s: %s %s", cache_strerror(status), cache_last_error(), request->method, request->path);
    return cache_view_serve(blog->cache, NULL, request, failed, NULL, page);
}

struct workers *routes_workers_for(void *ctx, const cache_request *request)
{
    struct blog *blog = ctx;
    switch (find_route(request).work) {
    case HASHES_PASSWORDS: return blog->logins;
    case ASKS_OUTSIDE: return blog->outside;
    default: return NULL;
    }
}
