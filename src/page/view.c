/* view.c - caches whole pages: finds or computes the page of a request with cache_fetch. */
#include "hit_for_miss.h"
#include "page_codec.h"
#include "page_headers.h"
#include "page_key.h"
#include "page_policy.h"
#include "page_tags.h"
#include "request.h"
#include "request_copy.h"

/* These tell cache_fetch that a response is only for this request. With UNCACHEABLE there is nothing to store, so a
 * stale page is removed too. With the other two the computation has failed, so a stale page stays. For a 5xx it is
 * served instead. If the response is about this client, it stays for other clients. */
#define UNCACHEABLE  CACHE_MISS
#define SERVER_ERROR CACHE_ERR_COMPUTE
#define ABOUT_CLIENT CACHE_ERR_UNSUPPORTED

/* One request. It is on the caller's stack; a computation in the background has a copy. */
struct call {
    struct cache_store *store;
    cache_view view;
    cache_request request;             /* here HEAD has become GET */
    cache_handler_fn *handler;
    void *ctx;
    uint64_t hash;                     /* the hash of the key */
    bool ran;                          /* the handler was called in this call */
    bool lacks_lease;                  /* the view has `lock`, but this call takes no lease, and so stores nothing */
    cache_value own;                   /* the encoded response, if it must not be shared */
    bool is_about_client;              /* the response is about this client, so no stored page replaces it */
};

/* ---- running the handler ----------------------------------------------------------------------------------------- */

/* Keep the response for this request only. */
static cache_status keep(struct call *call, const cache_response *response)
{
    cache_writer writer;
    cache_writer_init(&writer, call->store->env.allocator);
    cache_status status = cache_page_encode(response, &writer);
    if (status == CACHE_OK)
        status = cache_writer_take(&writer, &call->own);
    cache_writer_release(&writer);
    return status;
}

static cache_status keep_uncacheable(struct call *call, const cache_response *response)
{
    const cache_status status = keep(call, response);
    if (status != CACHE_OK)
        return status;
    call->is_about_client = cache_http_is_about_client(response->status);
    if (response->status >= 500 || call->is_about_client)
        return cache_fail(call->is_about_client ? ABOUT_CLIENT : SERVER_ERROR, "view: the handler answered %d",
                          response->status);
    cache_hit_for_miss_set(call->store, call->hash);
    return UNCACHEABLE;
}

static cache_status encode_response(struct call *call, const cache_response *response,
                                    const struct cache_view_lifetime *lifetime, cache_writer *out)
{
    cache_hit_for_miss_clear(call->store, call->hash);
    if (call->lacks_lease) {           /* the next request stores the page */
        const cache_status kept = keep(call, response);
        return kept == CACHE_OK ? UNCACHEABLE : kept;
    }
    cache_status status = cache_writer_set_ttl(out, lifetime->ttl);
    if (status == CACHE_OK && lifetime->says_stale)
        status = cache_writer_set_stale(out, lifetime->stale, lifetime->stale_if_error);
    return status == CACHE_OK ? cache_page_encode(response, out) : status;
}

/* The computation of cache_fetch. Whether the response may be stored depends on what the handler set, before headers
 * are added. */
static cache_status compute(void *ctx, cache_writer *out)
{
    struct call *call = ctx;
    struct cache_view_lifetime lifetime;
    bool storable = false;
    cache_response response;
    cache_response_init(&response, &call->store->env);
    call->ran = true;
    cache_status status = call->handler(call->ctx, &call->request, &response);
    if (status == CACHE_OK) {
        storable = cache_view_may_store(&call->view, &call->request, &response, &lifetime);
        status = cache_view_complete(&call->view, &call->request, &response);
    }
    if (status == CACHE_OK)
        status = storable ? encode_response(call, &response, &lifetime, out) : keep_uncacheable(call, &response);
    cache_response_release(&response);
    return status;
}

static cache_status make_page(const struct call *call, cache_value *value, const cache_request *original,
                              const char *verdict, double age, cache_page *page)
{
    return cache_page_make(&call->store->env, value, original, verdict, age, page);
}

/* Run the handler. The response is neither read from the cache nor stored. */
static cache_status run_alone(struct call *call, const cache_request *original, const char *verdict, cache_page *page)
{
    cache_response response;
    cache_response_init(&response, &call->store->env);
    cache_status status = call->handler(call->ctx, &call->request, &response);
    if (status == CACHE_OK)
        status = cache_view_complete(&call->view, &call->request, &response);
    if (status == CACHE_OK)
        status = keep(call, &response);
    cache_response_release(&response);
    if (status == CACHE_OK)
        status = make_page(call, &call->own, original, verdict, -1, page);
    cache_value_release(&call->own);
    return status;
}

/* ---- in the background ------------------------------------------------------------------------------------------- */

static void *copy_call(void *ctx)
{
    const struct call *call = ctx;
    const cache_env *env = &call->store->env;
    struct call *copy = cache_env_alloc(env, sizeof *copy);
    cache_request *request = copy != NULL ? cache_request_copy(env, &call->view, &call->request) : NULL;
    if (request == NULL) {
        cache_env_free(env, copy);
        return NULL;
    }
    *copy = *call;
    copy->request = *request;
    copy->own = (cache_value){ NULL, 0, NULL };
    return copy;
}

/* The context of the lookups is the block of cache_request_copy. */
static void free_call(void *ctx)
{
    struct call *copy = ctx;
    const cache_env *env = &copy->store->env;
    cache_value_release(&copy->own);
    cache_env_free(env, copy->request.lookup_ctx);
    cache_env_free(env, copy);
}

/* ---- through the cache ------------------------------------------------------------------------------------------- */

static bool still_holds(void *ctx, const cache_value *value)
{
    const struct call *call = ctx;
    const cache_env *env = &call->store->env;
    struct stored_page stored;
    if (!cache_page_decode((cache_bytes){ value->data, value->size }, &stored))
        return false;
    if (call->view.validate == NULL)
        return true;
    cache_response response;
    const bool holds = cache_page_as_response(env, &stored, &response) &&
                       call->view.validate(call->view.ctx, &call->request, &response);
    cache_page_as_response_release(&response);
    return holds;
}

static cache_status fetch(cache_t *cache, struct call *call, const char *key, const cache_tag_list *tags,
                          cache_fetch_info *info, cache_value *value)
{
    const cache_view *view = &call->view;
    const char *names[CACHE_MAX_VIEW_TAGS];
    cache_tag_list_names(tags, names);
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = view->ttl;
    options.stale = view->stale;
    options.stale_if_error = view->stale_if_error;
    options.jitter = view->jitter;
    options.wait = view->wait;
    options.soft_timeout = view->soft_timeout;
    options.refresh_after = view->refresh_after;
    options.error_ttl = view->error_ttl;
    options.no_wait = cache_hit_for_miss_is_set(call->store, call->hash);
    options.lock = view->lock && !options.no_wait;
    call->lacks_lease = view->lock && options.no_wait;
    options.force = view->forced_update != NULL && view->forced_update(view->ctx, &call->request);
    options.type = "page";
    options.validate = still_holds;
    options.validate_ctx = call;
    options.tags = names;
    options.n_tags = tags->n;
    options.name = view->name;
    options.info = info;
    options.ctx_copy = view->detached ? copy_call : NULL;
    options.ctx_free = view->detached ? free_call : NULL;
    return cache_fetch(cache, key, &options, compute, call, value);
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

static cache_status serve(cache_t *cache, struct call *call, const cache_request *original, const char *key,
                          const cache_tag_list *tags, cache_page *page)
{
    cache_value value = { NULL, 0, NULL };
    cache_fetch_info info = { .source = CACHE_SOURCE_NONE };
    cache_status status = fetch(cache, call, key, tags, &info, &value);
    /* The response of another request must not be used here. And a request that has waited long enough for another runs
     * the handler itself. */
    const bool is_left_alone = status == UNCACHEABLE || status == SERVER_ERROR || status == ABOUT_CLIENT ||
                               status == CACHE_ERR_TIMEOUT;
    if (call->is_about_client)
        status = make_page(call, &call->own, original, "MISS", -1, page);
    else if (status == CACHE_OK) {
        const double age = info.source == CACHE_SOURCE_COMPUTED ? -1 : info.age;
        status = make_page(call, &value, original, verdict_of(info.source), age, page);
    } else if (call->own.owner != NULL)
        status = make_page(call, &call->own, original, "MISS", -1, page);
    else if (is_left_alone && !call->ran)
        status = run_alone(call, original, "MISS", page);
    cache_value_release(&value);
    cache_value_release(&call->own);
    return status;
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

static cache_status copy_view(const cache_view *view, cache_view *out)
{
    if (view != NULL && view->size == sizeof *out) {
        *out = *view;
        return CACHE_OK;
    }
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
        return cache_fail(CACHE_ERR_NOMEM, "view: out of memory for what stands in for a NULL cache");
    if (request == NULL || request->method == NULL || request->path == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: the request has no method or path");
    return CACHE_OK;
}

static bool is_safe(const cache_request *request)
{
    return cache_request_reads(request) || strcmp(request->method, "OPTIONS") == 0 ||
           strcmp(request->method, "TRACE") == 0;
}

/* RFC 9111 section 4.4: after an unsafe method has changed a page, the old one must not be served. The change itself is
 * made already, so if the store cannot forget the page, the request does not fail. */
static void forget_changed(cache_t *cache, const struct call *call, const cache_request *original)
{
    if (cache_view_forget_path(cache, original->path) < 0)
        cache_env_log(&call->store->env, CACHE_LOG_WARN, "view: %.16s %.200s: the old page may still be served: %s",
                      original->method, original->path, cache_last_error());
}

static cache_status bypass(cache_t *cache, struct call *call, const cache_request *original, cache_page *page)
{
    const cache_status status = run_alone(call, original, "BYPASS", page);
    if (status == CACHE_OK && !is_safe(original) && page->status < 400)
        forget_changed(cache, call, original);
    return status;
}

static cache_status serve_by_key(cache_t *cache, struct call *call, const cache_request *original, cache_page *page)
{
    char key_text[512];
    cache_writer key;
    cache_tag_list tags;
    cache_writer_init_buffer(&key, call->store->env.allocator, key_text, sizeof key_text);
    cache_tag_list_init(&tags, call->store->env.allocator);
    cache_status status = cache_view_key(&call->view, &call->request, &key);
    if (status == CACHE_OK)
        status = cache_view_list_tags(&call->view, &call->request, &tags);
    const bool is_taggable = tags.failure == CACHE_OK;
    if (status == CACHE_OK && is_taggable) {
        call->hash = cache_hit_for_miss_hash(cache, key.data, key.size);
        status = cache_writer_append(&key, "", 1);     /* a text in a caller's buffer has no NUL yet */
    }
    if (status == CACHE_OK && is_taggable)
        status = serve(cache, call, original, key.data, &tags, page);
    else if (status == CACHE_OK) {
        /* Without its tags a page could not be invalidated, so it is not stored. Visitors still get it. */
        cache_env_log(&call->store->env, CACHE_LOG_WARN, "view: the page %.200s is not stored: %s",
                      call->request.path, cache_last_error());
        status = run_alone(call, original, "BYPASS", page);
    }
    cache_tag_list_release(&tags);
    cache_writer_release(&key);
    return status;
}

cache_status cache_view_serve(cache_t *cache, const cache_view *view, const cache_request *request,
                              cache_handler_fn *handler, void *ctx, cache_page *page)
{
    if (page == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: page is NULL");
    *page = (cache_page){ 0 };
    cache = cache_or_none(cache);
    struct call call = { .handler = handler, .ctx = ctx };
    cache_status status = check_request(cache, request);
    if (status == CACHE_OK && handler == NULL)
        status = cache_fail(CACHE_ERR_INVALID, "view: handler is NULL");
    if (status == CACHE_OK)
        status = copy_view(view, &call.view);
    if (status != CACHE_OK)
        return status;
    call.store = cache->store;
    call.request = *request;
    if (call.view.ttl == CACHE_TTL_DEFAULT)
        call.view.ttl = cache->default_ttl_ms > 0 ? (double)cache->default_ttl_ms / 1000 : CACHE_TTL_FOREVER;
    if (strcmp(request->method, "HEAD") == 0)
        call.request.method = "GET";
    if (view == NULL || !cache_view_asks_cache(&call.view, request))
        return bypass(cache, &call, request, page);
    return serve_by_key(cache, &call, request, page);
}

cache_status cache_view_forget(cache_t *cache, const cache_view *view, const cache_request *request)
{
    cache = cache_or_none(cache);
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
    if (path == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: path is NULL");
    if (cache == NULL)
        return CACHE_OK;
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
