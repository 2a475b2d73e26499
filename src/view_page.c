/* view_page.c - a page as it is stored, and as it is sent.
 *
 *     version 1 byte, zero 1, status 2, number of headers 4, their size 8; "name\0value\0" of each; the body
 *
 * Numbers are little-endian. Names and values end with NUL, so that a page's headers point into the stored bytes. */
#include "view_page.h"

#include "number.h"
#include "request.h"

#include <string.h>

enum {
    VERSION = 1,
    FIXED = 16,                        /* bytes before the headers */
    MAX_HEADERS = 1000,
    OWN_HEADERS = 2                    /* Age and X-Cache */
};

/* What a sent page holds on to. The headers and Age's text stand behind it. */
struct page_owner {
    const cache_allocator *allocator;
    cache_value value;
    char age[24];
    cache_header headers[];
};

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static void put_number(unsigned char *at, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(number >> (8 * i));
}

static uint64_t get_number(const unsigned char *at, int bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number |= (uint64_t)at[i] << (8 * i);
    return number;
}

cache_status cache_page_encode(const cache_response *response, cache_writer *out)
{
    size_t n = 0, size = 0;
    for (size_t i = 0; i < response->n; i++)
        if (!cache_http_is_dropped(response->headers[i].name)) {
            n++;
            size += strlen(response->headers[i].name) + strlen(response->headers[i].value) + 2;
        }
    if (n > MAX_HEADERS)
        return cache_fail(CACHE_ERR_TOO_LARGE, "view: a response has more than %d headers", MAX_HEADERS);
    unsigned char *at = cache_writer_reserve(out, FIXED + size);
    if (at == NULL)
        return cache_writer_status(out);
    at[0] = VERSION;
    at[1] = 0;
    put_number(at + 2, (uint64_t)response->status, 2);
    put_number(at + 4, n, 4);
    put_number(at + 8, size, 8);
    at += FIXED;
    for (size_t i = 0; i < response->n; i++) {
        const struct response_header *header = &response->headers[i];
        if (cache_http_is_dropped(header->name))
            continue;
        const size_t whole = strlen(header->name) + strlen(header->value) + 2;
        memcpy(at, header->name, whole);    /* the value follows the name in their block */
        at += whole;
    }
    return cache_writer_append(out, response->body.data, response->body.size);
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

/* Take a text and its NUL off the bytes. NULL: there is no NUL. */
static const char *next_text(cache_bytes *bytes)
{
    const char *text = bytes->data;
    const char *end = bytes->size > 0 ? memchr(text, '\0', bytes->size) : NULL;
    if (end == NULL)
        return NULL;
    bytes->size -= (size_t)(end - text) + 1;
    bytes->data = end + 1;
    return text;
}

bool cache_page_decode(cache_bytes bytes, struct stored_page *out)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    if (bytes.size < FIXED || at[0] != VERSION || at[1] != 0)
        return false;
    const uint64_t headers_size = get_number(at + 8, 8);
    *out = (struct stored_page){ .status = (int)get_number(at + 2, 2), .n_headers = (size_t)get_number(at + 4, 4) };
    if (out->n_headers > MAX_HEADERS || headers_size > bytes.size - FIXED || out->status < 100 || out->status > 599)
        return false;
    out->headers = (cache_bytes){ bytes.data + FIXED, (size_t)headers_size };
    out->body = (cache_bytes){ out->headers.data + headers_size, bytes.size - FIXED - (size_t)headers_size };
    cache_bytes rest = out->headers;
    for (size_t i = 0; i < out->n_headers; i++) {
        const char *name = next_text(&rest), *value = name != NULL ? next_text(&rest) : NULL;
        if (value == NULL)
            return false;
        if (cache_http_same_name(name, "ETag"))
            out->etag = value;
        else if (cache_http_same_name(name, "Last-Modified"))
            out->last_modified = value;
    }
    return rest.size == 0;
}

bool cache_page_as_response(const cache_env *env, const struct stored_page *stored, cache_response *out)
{
    cache_response_init(out, env);
    out->status = stored->status;
    out->headers = stored->n_headers > 0 ? cache_env_alloc(env, stored->n_headers * sizeof *out->headers) : NULL;
    if (stored->n_headers > 0 && out->headers == NULL)
        return false;
    cache_bytes rest = stored->headers;
    for (; out->n < stored->n_headers; out->n++) {
        const char *name = next_text(&rest), *value = next_text(&rest);
        out->headers[out->n] = (struct response_header){ (char *)(uintptr_t)name, (char *)(uintptr_t)value };
    }
    cache_writer_init_buffer(&out->body, env->allocator, (char *)(uintptr_t)stored->body.data, stored->body.size);
    out->body.size = stored->body.size;
    return true;
}

void cache_page_as_response_release(cache_response *response)
{
    cache_env_free(response->env, response->headers);    /* the texts are the page's */
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

/* RFC 9110 section 13.2.2: If-Modified-Since counts where there is no If-None-Match. */
static bool is_not_modified(const struct stored_page *stored, const cache_request *request)
{
    if (stored->status != 200 || !cache_request_reads(request))
        return false;
    const char *none_match = cache_request_header(request, "If-None-Match");
    if (none_match != NULL)
        return cache_http_none_match(none_match, stored->etag);
    if (stored->last_modified == NULL)
        return false;
    const char *since = cache_request_header(request, "If-Modified-Since");
    int64_t theirs = 0, ours = 0;
    return since != NULL && cache_http_read_date(since, &theirs) &&
           cache_http_read_date(stored->last_modified, &ours) && ours <= theirs;
}

/* RFC 9110 section 15.4.5: what describes the content is left out; Last-Modified stays where it is the only validator. */
static bool is_sent(const struct stored_page *stored, const char *name, int status)
{
    return status != 304 || !(cache_http_is_of_content(name) ||
                              (stored->etag != NULL && cache_http_same_name(name, "Last-Modified")));
}

static void list_headers(const struct stored_page *stored, const char *verdict, double age, struct page_owner *owner,
                         cache_page *page)
{
    cache_bytes rest = stored->headers;
    for (size_t i = 0; i < stored->n_headers; i++) {
        const char *name = next_text(&rest);
        const cache_header header = { name, next_text(&rest) };
        if (is_sent(stored, name, page->status))
            owner->headers[page->n_headers++] = header;
    }
    if (age >= 0) {
        (void)cache_number_format(age < 1e15 ? (int64_t)age : INT64_C(1000000000000000), owner->age);
        owner->headers[page->n_headers++] = (cache_header){ "Age", owner->age };
    }
    owner->headers[page->n_headers++] = (cache_header){ "X-Cache", verdict };
    page->headers = owner->headers;
}

cache_status cache_page_make(const cache_env *env, cache_value *value, const cache_request *request,
                             const char *verdict, double age, cache_page *out)
{
    struct stored_page stored;
    if (!cache_page_decode((cache_bytes){ value->data, value->size }, &stored))
        return cache_fail(CACHE_ERR_PROTOCOL, "view: the stored value is no page");
    struct page_owner *owner =
        cache_env_alloc(env, sizeof *owner + (stored.n_headers + OWN_HEADERS) * sizeof owner->headers[0]);
    if (owner == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "view: out of memory for a page of %zu headers", stored.n_headers);
    owner->allocator = env->allocator;
    *out = (cache_page){ .status = is_not_modified(&stored, request) ? 304 : stored.status, .owner = owner };
    list_headers(&stored, verdict, age, owner, out);
    const bool has_body = out->status != 304 && out->status != 204 && out->status >= 200;
    out->body = has_body ? stored.body.data : "";
    out->body_size = has_body ? stored.body.size : 0;
    out->content_size = stored.body.size;
    owner->value = *value;
    *value = (cache_value){ NULL, 0, NULL };
    return CACHE_OK;
}

void cache_page_release(cache_page *page)
{
    if (page == NULL)
        return;
    struct page_owner *owner = page->owner;
    *page = (cache_page){ 0 };
    if (owner == NULL)
        return;
    cache_value_release(&owner->value);
    owner->allocator->free(owner->allocator->ctx, owner);
}
