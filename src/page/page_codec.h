/* page_codec.h - a page as it is stored, and as it is sent. */
#ifndef PAGE_CODEC_H
#define PAGE_CODEC_H

#include "response.h"

/* A stored page, read in place: everything points into the bytes. */
struct stored_page {
    int status;
    size_t n_headers;
    const unsigned char *entries;      /* where each header's name and value are in the texts */
    cache_bytes texts;
    cache_bytes body;
    const char *etag, *last_modified;  /* NULL: none */
};

/* Append a response, without the headers that are no part of a stored page. The writer's failures, or
 * CACHE_ERR_TOO_LARGE. */
cache_status cache_page_encode(const cache_response *response, cache_writer *out);

/* Whatever the bytes, nothing outside them is touched. Returns false if they are no page. */
bool cache_page_decode(cache_bytes bytes, struct stored_page *out);

/* The stored page as a response that can be read and not be written. Returns false for lack of memory. */
bool cache_page_as_response(const cache_env *env, const struct stored_page *stored, cache_response *out);
void cache_page_as_response_release(cache_response *response);

/* The page to send, of an encoded one, which becomes the page's on success. `age` below 0: it was not stored.
 * `verdict` is X-Cache's value, static. CACHE_ERR_NOMEM; CACHE_ERR_PROTOCOL: the value is no page. */
cache_status cache_page_make(const cache_env *env, cache_value *value, const cache_request *request,
                             const char *verdict, double age, cache_page *out);

#endif
