/* page_policy.c - decides whether a request may be answered from the cache, and whether and how long its response may
 * be stored. */
#include "page_policy.h"

#include "request.h"

/* ---- the request ------------------------------------------------------------------------------------------------- */

bool cache_view_has_credentials(const cache_view *view, const cache_request *request)
{
    if (view != NULL && view->vary_user && request->user != NULL)
        return false;
    return request->user != NULL || cache_request_header(request, "Authorization") != NULL;
}

bool cache_view_asks_cache(const cache_view *view, const cache_request *request)
{
    /* A handler may let its answer to a GET depend on the request's body. Only a view that counts bodies can tell such
     * requests apart. */
    const bool counts = view->post_by_body ? cache_request_reads(request) || strcmp(request->method, "POST") == 0
                                           : cache_request_reads(request) && !cache_request_has_body(request);
    return counts && !cache_view_has_credentials(view, request) &&
           (view->unless == NULL || !view->unless(view->ctx, request));
}

/* ---- the response ------------------------------------------------------------------------------------------------ */

static bool is_covered(const cache_view *view, cache_bytes field)
{
    char name[128];
    if (field.size >= sizeof name)
        return false;
    memcpy(name, field.data, field.size);
    name[field.size] = '\0';
    for (const char *const *header = view->vary_headers; header != NULL && *header != NULL; header++)
        if (cache_http_same_name(*header, name))
            return true;
    return (view->vary_cookies != NULL || view->vary_user) && cache_http_same_name(name, "Cookie");
}

/* RFC 9111 section 4.1: everything that a response varies by must be in its key. With make_key the application
 * guarantees this, except for a Vary that cannot be read. */
static bool varies_beyond(const cache_view *view, const cache_response *response)
{
    size_t at = 0;
    for (const char *list; (list = cache_response_next(response, "Vary", &at)) != NULL;) {
        if (cache_http_list_has(list, "*"))
            return true;
        cache_bytes field;
        while (cache_http_next_element(&list, &field))
            if (!cache_http_is_token_of(field) || (view->make_key == NULL && !is_covered(view, field)))
                return true;
    }
    return false;
}

/* Returns the explicit lifetime. RFC 9111 section 4.2.1: s-maxage, else max-age, else Expires minus Date. An invalid
 * date counts as expired. Below 0: no lifetime is given. */
static double explicit_lifetime(const cache_response *response, const struct cache_http_control *control)
{
    const char *expires = cache_response_header(response, "Expires"), *date = cache_response_header(response, "Date");
    if (control->s_maxage >= 0 || control->max_age >= 0 || expires == NULL)
        return control->s_maxage >= 0 ? control->s_maxage : control->max_age;
    int64_t end = 0, begin = 0;
    if (!cache_http_read_date(expires, &end))
        return 0;
    if (date == NULL || !cache_http_read_date(date, &begin))
        begin = cache_env_wall_ms(response->env) / 1000;
    return end > begin ? (double)(end - begin) : 0;
}

static bool is_negative(const cache_response *response)
{
    return response->status == 404 || response->status == 410;
}

/* Returns false if the response has no lifetime, or a lifetime of 0. */
static bool find_ttl(const cache_view *view, const cache_response *response, const struct cache_http_control *control,
                     double *ttl)
{
    const double said = explicit_lifetime(response, control);
    *ttl = is_negative(response) ? view->negative_ttl : view->ttl;
    if (response->has_ttl)
        *ttl = response->ttl;
    else if ((is_negative(response) && view->negative_ttl <= 0) || said == 0 ||
             (!cache_http_is_cacheable(response->status) && said < 0))
        return false;
    else if (said > 0 && (*ttl == CACHE_TTL_FOREVER || said < *ttl))
        *ttl = said;
    return true;
}

static void find_stale(const cache_view *view, const cache_response *response, const struct cache_http_control *control,
                       struct cache_view_lifetime *lifetime)
{
    lifetime->stale = control->stale_while_revalidate >= 0 ? control->stale_while_revalidate : view->stale;
    lifetime->stale_if_error = control->stale_if_error >= 0 ? control->stale_if_error : view->stale_if_error;
    if (control->must_revalidate || is_negative(response))
        lifetime->stale = lifetime->stale_if_error = 0;
    lifetime->says_stale = lifetime->stale != view->stale || lifetime->stale_if_error != view->stale_if_error;
}

bool cache_view_may_store(const cache_view *view, const cache_request *request, const cache_response *response,
                          struct cache_view_lifetime *lifetime)
{
    struct cache_http_control control = CACHE_HTTP_CONTROL_INIT;
    size_t at = 0;
    for (const char *value; (value = cache_response_next(response, "Cache-Control", &at)) != NULL;)
        cache_http_read_control(value, &control);
    /* "private" means for one user. An unknown user is not a user. */
    const bool is_others = control.is_private && !(view->vary_user && request->user != NULL);
    if (response->no_store || control.no_store || control.no_cache || is_others ||
        cache_response_header(response, "Set-Cookie") != NULL || varies_beyond(view, response) ||
        !cache_http_may_be_cacheable(response->status) || !find_ttl(view, response, &control, &lifetime->ttl))
        return false;
    find_stale(view, response, &control, lifetime);
    return view->response_filter == NULL || view->response_filter(view->ctx, response);
}
