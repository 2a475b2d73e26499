/* page_headers.c - adds the headers that the handler did not set: Content-Type, ETag, Cache-Control, Vary. */
#include "page_headers.h"

#include "page_policy.h"
#include "request.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool has_vary(const cache_response *response, const char *name)
{
    size_t at = 0;
    for (const char *list; (list = cache_response_next(response, "Vary", &at)) != NULL;)
        if (cache_http_list_has(list, name))
            return true;
    return false;
}

static void add_vary(const cache_view *view, cache_response *response)
{
    for (const char *const *name = view->vary_headers; name != NULL && *name != NULL; name++)
        if (!has_vary(response, *name))
            (void)cache_response_add_header(response, "Vary", *name);
    if ((view->vary_cookies != NULL || view->vary_user) && !has_vary(response, "Cookie"))
        (void)cache_response_add_header(response, "Vary", "Cookie");
}

/* Write the ETag: a hash of the body and of the headers that describe it, as 32 hexadecimal digits in quotes. If the
 * type or language of a page was corrected, it is another page. */
static void write_etag(const cache_response *response, char etag[40])
{
    const cache_writer *body = &response->body;
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    (void)XXH3_128bits_reset(&state);
    for (size_t i = 0; i < response->n; i++) {
        const struct response_header *header = &response->headers[i];
        if (!cache_http_is_of_content(header->name))
            continue;
        for (const char *c = header->name; *c != '\0'; c++) {
            const char lower = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
            (void)XXH3_128bits_update(&state, &lower, 1);
        }
        (void)XXH3_128bits_update(&state, ":", 1);
        (void)XXH3_128bits_update(&state, header->value, strlen(header->value) + 1);
    }
    (void)XXH3_128bits_update(&state, body->size > 0 ? body->data : "", body->size);
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(&state));
    char *at = etag;
    *at++ = '"';
    for (size_t i = 0; i < sizeof hash.digest; i++) {
        *at++ = "0123456789abcdef"[hash.digest[i] >> 4];
        *at++ = "0123456789abcdef"[hash.digest[i] & 15];
    }
    memcpy(at, "\"", 2);
}

cache_status cache_view_complete(const cache_view *view, const cache_request *request, cache_response *response)
{
    const cache_writer *body = &response->body;
    if (body->size > 0 && cache_response_header(response, "Content-Type") == NULL)
        (void)cache_response_set_header(response, "Content-Type", "text/html; charset=utf-8");
    /* The answer to another method is not a page that can be requested again. RFC 9110 section 9.3.4 forbids an ETag
     * there. */
    if (response->status == 200 && cache_request_reads(request) && cache_response_header(response, "ETag") == NULL) {
        char etag[40];
        write_etag(response, etag);
        (void)cache_response_set_header(response, "ETag", etag);
    }
    /* The client may keep the page, but must revalidate it each time. Otherwise it would not learn that the page was
     * deleted here. */
    const bool is_personal = request->user != NULL || cache_view_has_credentials(view, request) ||
                             cache_response_header(response, "Set-Cookie") != NULL;
    if (cache_response_header(response, "Cache-Control") == NULL)
        (void)cache_response_set_header(response, "Cache-Control", is_personal ? "private, no-cache" : "no-cache");
    if (view != NULL)
        add_vary(view, response);
    return response->failure != CACHE_OK ? response->failure : cache_writer_status(body);
}
