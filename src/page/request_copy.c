/* request_copy.c - copies a request, for a handler that runs after the connection is closed. */
#include "request_copy.h"

#include "request.h"

#include <string.h>

struct pair {
    const char *name, *value;          /* value: NULL if the request has none */
};

/* The copy of a request. The pairs, headers first, and all texts follow it. */
struct copied {
    cache_request request;
    size_t n_headers, n_cookies;
    struct pair pairs[];
};

/* ---- asking the copy --------------------------------------------------------------------------------------------- */

static const char *find_header(void *ctx, const char *name)
{
    const struct copied *copied = ctx;
    for (size_t i = 0; i < copied->n_headers; i++)
        if (cache_http_same_name(copied->pairs[i].name, name))
            return copied->pairs[i].value;
    return NULL;
}

static const char *find_cookie(void *ctx, const char *name)
{
    const struct copied *copied = ctx;
    for (size_t i = copied->n_headers; i < copied->n_headers + copied->n_cookies; i++)
        if (strcmp(copied->pairs[i].name, name) == 0)
            return copied->pairs[i].value;
    return NULL;
}

/* ---- copying ----------------------------------------------------------------------------------------------------- */

static size_t count(const char *const *names)
{
    size_t n = 0;
    while (names != NULL && names[n] != NULL)
        n++;
    return n;
}

static bool ask_header(const cache_request *request, const char *name, cache_bytes *value)
{
    const char *text = cache_request_header(request, name);
    *value = (cache_bytes){ text, text != NULL ? strlen(text) : 0 };
    return text != NULL;
}

typedef bool ask_fn(const cache_request *request, const char *name, cache_bytes *value);

/* Returns the room that the values of `names` need. They are read again when they are copied. */
static size_t room_for(const cache_request *request, const char *const *names, ask_fn *ask)
{
    size_t size = 0;
    cache_bytes value;
    for (; names != NULL && *names != NULL; names++)
        size += ask(request, *names, &value) ? value.size + 1 : 0;
    return size;
}

static size_t text_room(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

/* Copy the bytes and a NUL to `*at`, if there is still room for them. */
static const char *copy_bytes(char **at, const char *end, cache_bytes bytes)
{
    if (bytes.data == NULL || (size_t)(end - *at) <= bytes.size)
        return NULL;
    char *text = *at;
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    *at += bytes.size + 1;
    return text;
}

static const char *copy_text(char **at, const char *end, const char *text)
{
    return copy_bytes(at, end, (cache_bytes){ text, text != NULL ? strlen(text) : 0 });
}

static void put_pairs(struct pair *pairs, const cache_request *request, const char *const *names, ask_fn *ask,
                      char **at, const char *end)
{
    cache_bytes value;
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        pairs[i] = (struct pair){ names[i], ask(request, names[i], &value) ? copy_bytes(at, end, value) : NULL };
}

cache_request *cache_request_copy(const cache_env *env, const cache_view *view, const cache_request *request)
{
    const size_t n_headers = count(view->vary_headers), n_cookies = count(view->vary_cookies);
    const size_t body_size = request->body != NULL ? request->body_size : 0;
    const size_t text = text_room(request->method) + text_room(request->path) + text_room(request->query) +
                        text_room(request->user) + text_room(request->host) + text_room(request->scheme) +
                        room_for(request, view->vary_headers, ask_header) +
                        room_for(request, view->vary_cookies, cache_request_cookie) + body_size + 1;
    const size_t head = sizeof(struct copied) + (n_headers + n_cookies) * sizeof(struct pair);
    struct copied *copied = cache_env_alloc(env, head + text);
    if (copied == NULL)
        return NULL;
    char *at = (char *)copied + head;
    const char *end = at + text;
    copied->n_headers = n_headers;
    copied->n_cookies = n_cookies;
    copied->request = (cache_request){
        .header = find_header, .cookie = find_cookie, .lookup_ctx = copied, .body_size = body_size,
        .method = copy_text(&at, end, request->method), .path = copy_text(&at, end, request->path),
        .query = copy_text(&at, end, request->query), .user = copy_text(&at, end, request->user),
        .host = copy_text(&at, end, request->host), .scheme = copy_text(&at, end, request->scheme),
        .body = copy_bytes(&at, end, (cache_bytes){ request->body, body_size }),
    };
    put_pairs(copied->pairs, request, view->vary_headers, ask_header, &at, end);
    put_pairs(copied->pairs + n_headers, request, view->vary_cookies, cache_request_cookie, &at, end);
    return &copied->request;
}
