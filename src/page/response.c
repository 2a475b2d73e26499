/* response.c - the response of a handler: status, headers, body. */
#include "response.h"

#include "http_rules.h"
#include "time_to_live.h"

#include <string.h>

void cache_response_init(cache_response *response, const cache_env *env)
{
    *response = (cache_response){ .env = env, .status = 200 };
    cache_writer_init(&response->body, env->allocator);
}

void cache_response_release(cache_response *response)
{
    for (size_t i = 0; i < response->n; i++)
        cache_env_free(response->env, response->headers[i].name);
    cache_env_free(response->env, response->headers);
    cache_writer_release(&response->body);
}

/* The failure of a setter is kept. So a handler that ignores it cannot send an incomplete response. */
static cache_status fail(cache_response *response, cache_status status, const char *what)
{
    if (response->failure == CACHE_OK)
        response->failure = status;
    return cache_fail(status, "response: %s", what);
}

void cache_response_set_status(cache_response *response, int status)
{
    if (status < 100 || status > 599)
        (void)fail(response, CACHE_ERR_INVALID, "a status is 100..599");
    else
        response->status = status;
}

int cache_response_status(const cache_response *response)
{
    return response->status;
}

const char *cache_response_next(const cache_response *response, const char *name, size_t *at)
{
    while (*at < response->n) {
        const struct response_header *header = &response->headers[(*at)++];
        if (cache_http_same_name(header->name, name))
            return header->value;
    }
    return NULL;
}

const char *cache_response_header(const cache_response *response, const char *name)
{
    size_t at = 0;
    return name != NULL ? cache_response_next(response, name, &at) : NULL;
}

static cache_status check(cache_response *response, const char *name, const char *value)
{
    if (name == NULL || !cache_http_is_token(name))
        return fail(response, CACHE_ERR_INVALID, "a header's name is no token");
    if (value == NULL || !cache_http_is_field_value(value))
        return fail(response, CACHE_ERR_INVALID, "a header's value has control characters, or is NULL");
    return CACHE_OK;
}

static bool make_room(cache_response *response)
{
    if (response->n < response->capacity)
        return true;
    const size_t capacity = response->capacity > 0 ? 2 * response->capacity : 8;
    struct response_header *headers =
        cache_env_resize(response->env, response->headers, capacity * sizeof *headers);
    if (headers == NULL)
        return false;
    response->headers = headers;
    response->capacity = capacity;
    return true;
}

cache_status cache_response_add_header(cache_response *response, const char *name, const char *value)
{
    const cache_status status = check(response, name, value);
    if (status != CACHE_OK)
        return status;
    const size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1;
    char *block = make_room(response) ? cache_env_alloc(response->env, name_size + value_size) : NULL;
    if (block == NULL)
        return fail(response, CACHE_ERR_NOMEM, "out of memory for a header");
    memcpy(block, name, name_size);
    memcpy(block + name_size, value, value_size);
    response->headers[response->n++] = (struct response_header){ block, block + name_size };
    return CACHE_OK;
}

cache_status cache_response_set_header(cache_response *response, const char *name, const char *value)
{
    /* The new header is added first, because `value` may point into one that is removed. If adding fails, the old ones
     * stay. */
    const size_t before = response->n;
    const cache_status status = cache_response_add_header(response, name, value);
    if (status != CACHE_OK)
        return status;
    size_t kept = 0;
    for (size_t i = 0; i < response->n; i++) {
        struct response_header *header = &response->headers[i];
        if (i < before && cache_http_same_name(header->name, name))
            cache_env_free(response->env, header->name);
        else
            response->headers[kept++] = *header;
    }
    response->n = kept;
    return CACHE_OK;
}

cache_writer *cache_response_body(cache_response *response)
{
    return &response->body;
}

const char *cache_response_content(const cache_response *response, size_t *size)
{
    return cache_writer_data(&response->body, size);
}

cache_status cache_response_set_ttl(cache_response *response, double ttl)
{
    int64_t ms = 0;
    const cache_status status = cache_ttl_ms(ttl, 0, &ms);
    if (status != CACHE_OK)
        return fail(response, status, "the ttl is none");
    response->ttl = ttl;
    response->has_ttl = ttl != CACHE_TTL_DEFAULT;
    return CACHE_OK;
}

void cache_response_no_store(cache_response *response)
{
    response->no_store = true;
}
