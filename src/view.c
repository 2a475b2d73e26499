/* view.c - whole pages: from the request to the page, by way of cache_fetch. */
#include "handle.h"
#include "view_key.h"
#include "view_page.h"
#include "view_rules.h"

#include <string.h>

/* What the computation tells the fetch, where the response is the one request's alone. Positive: no stale page takes its
 * place. Negative: a stale page does, if there is one. Neither is ever returned to the user. */
#define VIEW_UNCACHEABLE ((cache_status)100)
#define VIEW_FAILED      ((cache_status)-100)

#define MAX_TAGS 64

struct call {
    cache_t *cache;
    cache_view view;
    cache_request request;             /* HEAD is GET here */
    cache_handler_fn *handler;
    void *ctx;
    bool ran;                          /* the handler did, in this call */
    cache_status outcome;              /* and then what came of it */
    cache_value own;                   /* its response, encoded, if that may not be shared */
};

/* ---- running the handler ----------------------------------------------------------------------------------------- */

/* Keep the response for this call's request alone. */
static cache_status keep(struct call *call, const cache_response *response)
{
    cache_writer writer;
    cache_writer_init(&writer, call->cache->store->env.allocator);
    cache_status status = cache_page_encode(response, &writer);
    if (status == CACHE_OK)
        status = cache_writer_take(&writer, &call->own);
    cache_writer_release(&writer);
    return status;
}

/* `*storable` and `*ttl` are judged by what the handler said, before anything is added to it. */
static cache_status run_handler(struct call *call, cache_response *response, bool *storable, double *ttl)
{
    call->ran = true;
    const cache_status status = call->handler(call->ctx, &call->request, response);
    if (status != CACHE_OK)
        return status;
    *storable = cache_view_may_store(call->cache, &call->view, response, ttl);
    return cache_view_complete(&call->view, &call->request, response);
}

/* The computation of cache_fetch. */
static cache_status compute(void *ctx, cache_writer *out)
{
    struct call *call = ctx;
    bool storable = false;
    double ttl = 0;
    cache_response response;
    cache_response_init(&response, &call->cache->store->env);
    cache_status status = run_handler(call, &response, &storable, &ttl);
    if (status == CACHE_OK && storable) {
        status = cache_writer_set_ttl(out, ttl);
        if (status == CACHE_OK)
            status = cache_page_encode(&response, out);
    } else if (status == CACHE_OK) {
        status = keep(call, &response);
        if (status == CACHE_OK)
            status = response.status >= 500 ? VIEW_FAILED : VIEW_UNCACHEABLE;
    }
    cache_response_release(&response);
    return call->outcome = status;
}

static cache_status give_own(struct call *call, const cache_request *asked, const char *verdict, cache_page *page)
{
    const cache_status status =
        cache_page_make(&call->cache->store->env, &call->own, asked, verdict, -1, page);
    cache_value_release(&call->own);
    return status;
}

/* Not from the cache, and not into it. */
static cache_status run_alone(struct call *call, const cache_request *asked, const char *verdict, cache_page *page)
{
    bool storable = false;
    double ttl = 0;
    cache_response response;
    cache_response_init(&response, &call->cache->store->env);
    cache_status status = run_handler(call, &response, &storable, &ttl);
    if (status == CACHE_OK)
        status = keep(call, &response);
    cache_response_release(&response);
    return status == CACHE_OK ? give_own(call, asked, verdict, page) : status;
}

/* ---- through the cache ------------------------------------------------------------------------------------------- */

static bool is_page(void *ctx, const cache_value *value)
{
    (void)ctx;
    struct stored_page stored;
    return cache_page_decode((cache_bytes){ value->data, value->size }, &stored);
}

static bool is_fresh_only(const cache_value *value)
{
    struct stored_page stored;
    return cache_page_decode((cache_bytes){ value->data, value->size }, &stored) && stored.fresh_only;
}

/* The view's tags, and the path's where one path has several keys. */
static cache_status list_tags(const cache_view *view, const char *path_tag, const char *tags[MAX_TAGS + 1], size_t *n)
{
    *n = 0;
    if (cache_view_has_variants(view))
        tags[(*n)++] = path_tag;
    for (const char *const *tag = view->tags; tag != NULL && *tag != NULL; tag++) {
        if (*n > MAX_TAGS - 1)
            return cache_fail(CACHE_ERR_INVALID, "view: more than %d tags", MAX_TAGS - 1);
        tags[(*n)++] = *tag;
    }
    return CACHE_OK;
}

static cache_status fetch(struct call *call, const char *key, const char *path_tag, cache_fetch_info *info,
                          cache_value *value)
{
    const cache_view *view = &call->view;
    const char *tags[MAX_TAGS + 1];
    size_t n_tags = 0;
    cache_status status = list_tags(view, path_tag, tags, &n_tags);
    if (status != CACHE_OK)
        return status;
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = view->ttl;
    options.stale = view->stale;
    options.stale_if_error = view->stale_if_error;
    options.jitter = view->jitter;
    options.lock = view->lock;
    options.force = view->forced_update != NULL && view->forced_update(view->ctx, &call->request);
    options.type = "page";
    options.validate = is_page;
    options.tags = tags;
    options.n_tags = n_tags;
    options.name = view->name;
    options.info = info;
    status = cache_fetch(call->cache, key, &options, compute, call, value);
    if (status == CACHE_OK && info->source == CACHE_SOURCE_STALE && !call->ran && is_fresh_only(value)) {
        cache_value_release(value);
        options.stale = options.stale_if_error = 0;
        status = cache_fetch(call->cache, key, &options, compute, call, value);
    }
    return status;
}

static const char *verdict_of(cache_source source)
{
    switch (source) {
    case CACHE_SOURCE_STALE:
        return "STALE";
    case CACHE_SOURCE_HIT:
    case CACHE_SOURCE_SHARED:
        return "HIT";
    default:
        return "MISS";
    }
}

static cache_status serve(struct call *call, const cache_request *asked, const char *key, const char *path_tag,
                          cache_page *page)
{
    cache_value value = { NULL, 0, NULL };
    cache_fetch_info info = { .source = CACHE_SOURCE_NONE };
    cache_status status = fetch(call, key, path_tag, &info, &value);
    /* The handler failed, and the stored page may not stand in for that. */
    if (status == CACHE_OK && info.source == CACHE_SOURCE_STALE && call->ran && is_fresh_only(&value))
        status = call->outcome;
    if (status == CACHE_OK) {
        const double age = info.source == CACHE_SOURCE_COMPUTED ? -1 : info.age;
        status = cache_page_make(&call->cache->store->env, &value, asked, verdict_of(info.source), age, page);
    } else if (call->own.data != NULL)
        status = give_own(call, asked, "MISS", page);
    else if ((status == VIEW_UNCACHEABLE || status == VIEW_FAILED) && !call->ran)
        status = run_alone(call, asked, "MISS", page);    /* another request's response is not ours */
    cache_value_release(&value);
    cache_value_release(&call->own);
    return status;
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

static cache_status copy_view(const cache_view *view, cache_view *out)
{
    *out = (cache_view)CACHE_VIEW_INIT;
    if (view == NULL)
        return CACHE_OK;
    if (view->size < offsetof(cache_view, ttl) + sizeof view->ttl)
        return cache_fail(CACHE_ERR_INVALID, "view: size is too small: begin with CACHE_VIEW_INIT");
    memcpy(out, view, view->size < sizeof *out ? view->size : sizeof *out);
    return CACHE_OK;
}

static cache_status check_request(cache_t *cache, const cache_request *request)
{
    if (cache == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: cache is NULL");
    if (request == NULL || request->method == NULL || request->path == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: the request has no method or path");
    return CACHE_OK;
}

static bool is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0 ||
           strcmp(method, "TRACE") == 0;
}

static cache_status bypass(struct call *call, const cache_request *asked, cache_page *page)
{
    const cache_status status = run_alone(call, asked, "BYPASS", page);
    /* RFC 9111 section 4.4: what an unsafe method changed is not served from before. */
    if (status == CACHE_OK && !is_safe(asked->method) && page->status < 400)
        (void)cache_view_forget_path(call->cache, asked->path);
    return status;
}

cache_status cache_view_serve(cache_t *cache, const cache_view *view, const cache_request *request,
                              cache_handler_fn *handler, void *ctx, cache_page *page)
{
    if (page == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: page is NULL");
    *page = (cache_page){ 0 };
    struct call call = { .cache = cache, .handler = handler, .ctx = ctx };
    cache_status status = check_request(cache, request);
    if (status == CACHE_OK && handler == NULL)
        status = cache_fail(CACHE_ERR_INVALID, "view: handler is NULL");
    if (status == CACHE_OK)
        status = copy_view(view, &call.view);
    if (status != CACHE_OK)
        return status;
    call.request = *request;
    if (strcmp(request->method, "HEAD") == 0)
        call.request.method = "GET";
    if (view == NULL || !cache_view_asks_cache(&call.view, request))
        return bypass(&call, request, page);

    char key_text[512], tag_text[512];
    cache_writer key, tag;
    cache_writer_init_buffer(&key, cache->store->env.allocator, key_text, sizeof key_text - 1);
    cache_writer_init_buffer(&tag, cache->store->env.allocator, tag_text, sizeof tag_text - 1);
    status = cache_view_key(&call.view, &call.request, &key);
    if (status == CACHE_OK)
        status = cache_view_path_tag(request->path, &tag);
    if (status == CACHE_OK)
        status = cache_writer_append(&key, "", 1);     /* in a caller's buffer nobody else ends it */
    if (status == CACHE_OK)
        status = cache_writer_append(&tag, "", 1);
    if (status == CACHE_OK)
        status = serve(&call, request, key.data, tag.data, page);
    cache_writer_release(&tag);
    cache_writer_release(&key);
    return status;
}

cache_status cache_view_forget(cache_t *cache, const cache_view *view, const cache_request *request)
{
    cache_view known;
    cache_status status = check_request(cache, request);
    if (status == CACHE_OK)
        status = copy_view(view, &known);
    if (status != CACHE_OK)
        return status;
    cache_request as_get = *request;
    if (strcmp(request->method, "HEAD") == 0)
        as_get.method = "GET";
    cache_writer key;
    cache_writer_init(&key, cache->store->env.allocator);
    status = cache_view_key(&known, &as_get, &key);
    if (status == CACHE_OK)
        status = cache_delete(cache, cache_writer_data(&key, NULL));
    cache_writer_release(&key);
    return status;
}

cache_status cache_view_forget_path(cache_t *cache, const char *path)
{
    if (cache == NULL || path == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: cache or path is NULL");
    cache_writer key, tag;
    cache_writer_init(&key, cache->store->env.allocator);
    cache_writer_init(&tag, cache->store->env.allocator);
    cache_status status = cache_view_plain_key(path, &key);
    if (status == CACHE_OK)
        status = cache_view_path_tag(path, &tag);
    if (status == CACHE_OK) {
        status = cache_delete(cache, cache_writer_data(&key, NULL));
        if (status == CACHE_MISS)
            status = CACHE_OK;
        cache_keep_first(&status, cache_invalidate_tag(cache, cache_writer_data(&tag, NULL)));
    }
    cache_writer_release(&tag);
    cache_writer_release(&key);
    return status;
}
