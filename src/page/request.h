/* request.h - finds the headers and cookies of a request by name. */
#ifndef REQUEST_H
#define REQUEST_H

#include "http_rules.h"

#include <string.h>

/* Returns the value of a header, or NULL if there is none. */
static inline const char *cache_request_header(const cache_request *request, const char *name)
{
    return request->header != NULL ? request->header(request->lookup_ctx, name) : NULL;
}

/* Returns true if there is such a cookie. Its value does not end with NUL. */
static inline bool cache_request_cookie(const cache_request *request, const char *name, cache_bytes *value)
{
    if (request->cookie == NULL)
        return cache_http_find_cookie(cache_request_header(request, "Cookie"), name, value);
    const char *text = request->cookie(request->lookup_ctx, name);
    *value = (cache_bytes){ text, text != NULL ? strlen(text) : 0 };
    return text != NULL;
}

static inline bool cache_request_has_body(const cache_request *request)
{
    return request->body_size > 0;
}

/* Returns true for the methods that read a page. HEAD is answered from the page of GET. */
static inline bool cache_request_reads(const cache_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

#endif
