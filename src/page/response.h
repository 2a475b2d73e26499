/* response.h - the response of a handler: status, headers, body. */
#ifndef RESPONSE_H
#define RESPONSE_H

#include "hooks.h"
#include "writer.h"

struct response_header {
    char *name, *value;                /* one block, which begins with the name */
};

struct cache_response {
    const cache_env *env;
    int status;
    cache_status failure;              /* the first failure of a setter; such a response is not sent */
    struct response_header *headers;
    size_t n, capacity;
    cache_writer body;
    double ttl;                        /* as set by cache_response_set_ttl, if has_ttl */
    bool has_ttl, no_store;
};

void cache_response_init(cache_response *response, const cache_env *env);
void cache_response_release(cache_response *response);

/* Returns the first header with this name at or after `*at`, and sets `*at` after it; or NULL if there are no more. */
const char *cache_response_next(const cache_response *response, const char *name, size_t *at);

#endif
