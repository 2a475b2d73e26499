/* api.c - the JSON API under /api/, cached by rules alone. */
#include "api.h"

#include "json.h"
#include "respond.h"
#include "visit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LISTED = 100 };    /* on a page; one more is asked for, to know whether there is another page */

/* ---- the handlers, which read the database and nothing else ------------------------------------------------------ */

static cache_status posts(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    size_t n = 0, page = 1;
    if (!visit_page(request, &page))
        return respond_json_error(response, 400, JSON_WRONG_PAGE);
    struct post *list = malloc((LISTED + 1) * sizeof *list);
    if (list == NULL)
        return CACHE_ERR_NOMEM;
    cache_status status = db_newest(visit->blog->db, (page - 1) * LISTED, list, LISTED + 1, &n);
    if (status == CACHE_OK)
        status = respond_json(response, 200,
                              json_add_next(json_posts(list, n < LISTED ? n : LISTED), request->path, page,
                                            n > LISTED));
    free(list);
    return status;
}

static cache_status post(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct post found;
    char *content = NULL;
    int64_t id = 0;
    (void)request;
    if (!visit_id(visit, &id))
        return respond_json_error(response, 400, "a post's id is a number above 0");
    cache_status status = db_post(visit->blog->db, id, &found);
    if (status == CACHE_OK)
        status = db_post_content(visit->blog->db, id, &content);
    if (status == CACHE_MISS)
        return respond_json_error(response, 404, "there is no post %" PRId64, id);
    if (status != CACHE_OK)
        return status;
    cJSON *object = json_post(&found);
    (void)cJSON_AddStringToObject(object, "content", content);
    free(content);
    return respond_json(response, 200, object);
}

static cache_status products(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    size_t n = 0, page = 1;
    if (!visit_page(request, &page))
        return respond_json_error(response, 400, JSON_WRONG_PAGE);
    struct product *list = malloc((LISTED + 1) * sizeof *list);
    if (list == NULL)
        return CACHE_ERR_NOMEM;
    cache_status status = db_products(visit->blog->db, (page - 1) * LISTED, list, LISTED + 1, &n);
    if (status == CACHE_OK)
        status = respond_json(response, 200,
                              json_add_next(json_products(list, n < LISTED ? n : LISTED), request->path, page,
                                            n > LISTED));
    free(list);
    return status;
}

static cache_status product(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct product found;
    int64_t id = 0;
    (void)request;
    if (!visit_id(visit, &id))
        return respond_json_error(response, 400, "a product's id is a number above 0");
    const cache_status status = db_product(visit->blog->db, id, &found);
    if (status == CACHE_MISS)
        return respond_json_error(response, 404, "there is no product %" PRId64, id);
    return status == CACHE_OK ? respond_json(response, 200, json_product(&found)) : status;
}

static cache_status nothing(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return respond_json_error(response, 404, "there is no such resource");
}

static cache_status wrong_method(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    (void)cache_response_set_header(response, "Allow", "GET, HEAD");
    return respond_json_error(response, 405, "only GET and HEAD are allowed here");
}

static const struct {
    const char *path;                  /* one that ends with a slash stands for all that begin so */
    cache_handler_fn *handler;
} resources[] = {
    { "/api/posts", posts }, { "/api/posts/", post }, { "/api/products", products }, { "/api/products/", product },
};

static cache_status dispatch(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    if (strcmp(request->method, "GET") != 0)
        return wrong_method(ctx, request, response);
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        const size_t size = strlen(resources[i].path);
        const bool is_prefix = resources[i].path[size - 1] == '/';
        const size_t compared = is_prefix ? size : size + 1;    /* the NUL too */
        if (strncmp(request->path, resources[i].path, compared) == 0) {
            visit->rest = request->path + size;
            return resources[i].handler(ctx, request, response);
        }
    }
    return nothing(ctx, request, response);
}

/* ---- the cache --------------------------------------------------------------------------------------------------- */

static const char *const gets[] = { "GET", NULL };
static const char *const posts_tag[] = { "posts", NULL };
static const char *const products_tag[] = { "products", NULL };

static const char *const pages[] = { "page", NULL };    /* all that counts of the query */

static const cache_view posts_view = CACHE_VIEW("api posts", 60, .tags = posts_tag, .query_only = pages);
static const cache_view products_view = CACHE_VIEW("api products", 60, .tags = products_tag, .query_only = pages);

static const cache_rule rules[] = {
    { "/api/posts**", gets, &posts_view },
    { "/api/products**", gets, &products_view },
};

cache_status api_serve(struct blog *blog, const cache_request *request, cache_page *page)
{
    struct visit visit = { blog, { 0, false, "", "" }, "" };
    return cache_middleware(blog->cache, rules, sizeof rules / sizeof rules[0], request, dispatch, &visit, page);
}
