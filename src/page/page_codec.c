/* page_codec.c - encodes a page for the store, and makes the page that is sent.
 *
 *     0 version (1)   1 zero (1)   2 status (2)   4 number of headers (2)   6 index of ETag (2)
 *     8 index of Last-Modified (2)   10 zero (2)   12 size of the texts (4)
 *     16 for each header, where in the texts its name (4) and its value (4) begin; the texts; the body
 *
 * Numbers are little-endian. Texts end with NUL, so that a page's headers point into the stored bytes; checking that
 * the last byte of all texts is NUL proves that every text inside is terminated. The upper bit of a name's place
 * says that a 304 has no such header. */
#include "page_codec.h"

#include "conditional.h"
#include "http_rules.h"
#include "little_endian.h"
#include "number.h"

#include <string.h>

enum {
    VERSION = 2,
    FIXED = 16,                        /* bytes before the headers */
    ENTRY = 8,                         /* bytes of the two places of one header */
    NO_INDEX = 0xffff,
    MAX_HEADERS = 1000,
    OWN_HEADERS = 2                    /* Age and X-Cache */
};

#define NOT_IN_304 0x80000000u

/* The memory of a page that is sent. The headers and the text of Age follow it. */
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

struct shape {
    size_t n, texts, etag, last_modified;
};

static struct shape shape_of(const cache_response *response)
{
    struct shape shape = { .etag = NO_INDEX, .last_modified = NO_INDEX };
    for (size_t i = 0; i < response->n; i++) {
        const struct response_header *header = &response->headers[i];
        if (cache_http_is_dropped(header->name))
            continue;
        if (cache_http_same_name(header->name, "ETag"))
            shape.etag = shape.n;
        else if (cache_http_same_name(header->name, "Last-Modified"))
            shape.last_modified = shape.n;
        shape.texts += strlen(header->name) + strlen(header->value) + 2;
        shape.n++;
    }
    return shape;
}

/* RFC 9110 section 15.4.5: headers that describe the content are left out. Last-Modified stays if it is the only
 * validator. */
static bool is_in_304(const struct shape *shape, size_t index, const char *name)
{
    return !(cache_http_is_of_content(name) || (index == shape->last_modified && shape->etag != NO_INDEX));
}

static void put_headers(const cache_response *response, const struct shape *shape, unsigned char *entry)
{
    unsigned char *const texts = entry + shape->n * ENTRY;
    size_t place = 0, n = 0;
    for (size_t i = 0; i < response->n; i++) {
        const struct response_header *header = &response->headers[i];
        if (cache_http_is_dropped(header->name))
            continue;
        const size_t name_size = strlen(header->name) + 1, whole = name_size + strlen(header->value) + 1;
        put_number(entry, place | (is_in_304(shape, n, header->name) ? 0 : NOT_IN_304), 4);
        put_number(entry + 4, place + name_size, 4);
        memcpy(texts + place, header->name, whole);    /* the value follows the name in their block */
        place += whole;
        entry += ENTRY;
        n++;
    }
}

cache_status cache_page_encode(const cache_response *response, cache_writer *out)
{
    const struct shape shape = shape_of(response);
    if (shape.n > MAX_HEADERS || shape.texts >= NOT_IN_304)
        return cache_fail(CACHE_ERR_TOO_LARGE, "view: a response has more than %d headers, or 2 GB of them",
                          MAX_HEADERS);
    unsigned char *at = cache_writer_reserve(out, FIXED + shape.n * ENTRY + shape.texts);
    if (at == NULL)
        return cache_writer_status(out);
    memset(at, 0, FIXED);
    at[0] = VERSION;
    put_number(at + 2, (uint64_t)response->status, 2);
    put_number(at + 4, shape.n, 2);
    put_number(at + 6, shape.etag, 2);
    put_number(at + 8, shape.last_modified, 2);
    put_number(at + 12, shape.texts, 4);
    put_headers(response, &shape, at + FIXED);
    return cache_writer_append(out, response->body.data, response->body.size);
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

/* Returns the name or the value of a header. */
static const char *text_at(const struct stored_page *stored, size_t index, int part, bool *in_304)
{
    const uint32_t place = little_32(stored->entries + index * ENTRY + 4 * part);
    if (in_304 != NULL)
        *in_304 = (place & NOT_IN_304) == 0;
    return stored->texts.data + (place & ~NOT_IN_304);
}

static cache_header header_at(const struct stored_page *stored, size_t index, bool *in_304)
{
    const char *name = text_at(stored, index, 0, in_304);
    return (cache_header){ name, text_at(stored, index, 1, NULL) };
}

static bool places_are_inside(const struct stored_page *stored)
{
    for (size_t i = 0; i < 2 * stored->n_headers; i++)
        if ((little_32(stored->entries + 4 * i) & ~NOT_IN_304) >= stored->texts.size)
            return false;
    return stored->n_headers == 0 || stored->texts.data[stored->texts.size - 1] == '\0';
}

static const char *value_at(const struct stored_page *stored, uint64_t index)
{
    return index < stored->n_headers ? header_at(stored, (size_t)index, NULL).value : NULL;
}

bool cache_page_decode(cache_bytes bytes, struct stored_page *out)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    if (bytes.size < FIXED || at[0] != VERSION || at[1] != 0)
        return false;
    const size_t left = bytes.size - FIXED, n = little_16(at + 4), texts = little_32(at + 12);
    *out = (struct stored_page){ .status = little_16(at + 2), .n_headers = n };
    if (n > MAX_HEADERS || n * ENTRY > left || texts > left - n * ENTRY || out->status < 100 || out->status > 599)
        return false;
    out->entries = at + FIXED;
    out->texts = (cache_bytes){ bytes.data + FIXED + n * ENTRY, texts };
    out->body = (cache_bytes){ out->texts.data + texts, left - n * ENTRY - texts };
    if (!places_are_inside(out))
        return false;
    out->etag = value_at(out, little_16(at + 6));
    out->last_modified = value_at(out, little_16(at + 8));
    return true;
}

bool cache_page_as_response(const cache_env *env, const struct stored_page *stored, cache_response *out)
{
    cache_response_init(out, env);
    out->status = stored->status;
    out->headers = stored->n_headers > 0 ? cache_env_alloc(env, stored->n_headers * sizeof *out->headers) : NULL;
    if (stored->n_headers > 0 && out->headers == NULL)
        return false;
    for (; out->n < stored->n_headers; out->n++) {
        const cache_header header = header_at(stored, out->n, NULL);
        out->headers[out->n].name = (char *)(uintptr_t)header.name;
        out->headers[out->n].value = (char *)(uintptr_t)header.value;
    }
    cache_writer_init_buffer(&out->body, env->allocator, (char *)(uintptr_t)stored->body.data, stored->body.size);
    out->body.size = stored->body.size;
    return true;
}

void cache_page_as_response_release(cache_response *response)
{
    cache_env_free(response->env, response->headers);    /* the texts belong to the page */
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void list_headers(const struct stored_page *stored, const char *verdict, double age, struct page_owner *owner,
                         cache_page *page)
{
    for (size_t i = 0; i < stored->n_headers; i++) {
        bool in_304 = false;
        owner->headers[page->n_headers] = header_at(stored, i, &in_304);
        page->n_headers += in_304 || page->status != 304;
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
        return cache_fail(CACHE_ERR_PROTOCOL, "view: the stored value is not a page");
    struct page_owner *owner =
        cache_env_alloc(env, sizeof *owner + (stored.n_headers + OWN_HEADERS) * sizeof owner->headers[0]);
    if (owner == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "view: out of memory for a page of %zu headers", stored.n_headers);
    owner->allocator = env->allocator;
    const bool not_modified = cache_page_is_not_modified(&stored, request);
    *out = (cache_page){ .status = not_modified ? 304 : stored.status, .owner = owner };
    list_headers(&stored, verdict, age, owner, out);
    const bool has_body = out->status != 304 && out->status != 204 && out->status >= 200;
    out->body = has_body ? stored.body.data : "";
    out->body_size = has_body ? stored.body.size : 0;
    /* If the handler itself answered with 304, the size of the content is unknown. */
    out->content_size = has_body || not_modified ? stored.body.size : 0;
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
