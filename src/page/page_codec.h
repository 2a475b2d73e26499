/* page_codec.h - encodes a page for the store, and makes the page that is sent. */
#ifndef PAGE_CODEC_H
#define PAGE_CODEC_H

#include "response.h"

/* A stored page, read in place: all fields point into the stored bytes. */
struct stored_page {
    int status;
    size_t n_headers;
    const unsigned char *entries;      /* the places of each header's name and value in the texts */
    cache_bytes texts;
    cache_bytes body;
    const char *etag, *last_modified;  /* NULL: none */
};

/* Append a response, without headers that are not part of a stored page. Returns CACHE_OK, a failure of the writer, or
 * CACHE_ERR_TOO_LARGE. */
cache_status cache_page_encode(const cache_response *response, cache_writer *out);

/* Decode a page. The bytes may be anything; nothing outside them is read. Returns false if they are not a page. */
bool cache_page_decode(cache_bytes bytes, struct stored_page *out);

/* Present a stored page as a read-only response. Returns false if there is no memory. */
bool cache_page_as_response(const cache_env *env, const struct stored_page *stored, cache_response *out);
void cache_page_as_response_release(cache_response *response);

/* Makes the page to send from an encoded one. On success it takes over `*value`. `age` below 0 means that the page was
 * not stored. `verdict` is the value of X-Cache, a static text. Returns CACHE_OK, CACHE_ERR_NOMEM, or
 * CACHE_ERR_PROTOCOL if the value is not a page. */
cache_status cache_page_make(const cache_env *env, cache_value *value, const cache_request *request,
                             const char *verdict, double age, cache_page *out);

#endif
