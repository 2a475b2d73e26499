/* page_key.c - makes the key of a request's page: the path, the normalized query, and what else the view counts. */
#include "page_key.h"

#include "ascii.h"
#include "hex.h"
#include "request.h"
#include "sha256.h"
#include "writer.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 200 };                   /* bytes of a hashed key that are kept as they are, for people who read it */

/* Each part follows a tab. In a key no path contains a tab, so the key of a variant never equals the plain key of
 * another path. */
#define PART "\t"

struct parameter {
    cache_bytes text, name;            /* "a=1", "a" */
};

bool cache_view_has_variants(const cache_view *view)
{
    return view->make_key != NULL || view->query_string || view->query_only != NULL || view->query_ignore != NULL ||
           view->vary_headers != NULL || view->vary_cookies != NULL || view->vary_user || view->post_by_body ||
           view->vary_host;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if (is_control(*text))
            return true;
    return false;
}

/* Append the text, with control characters as in %09. '%' is escaped too, unless the text arrived percent-encoded. */
static void put_escaped(cache_writer *key, cache_bytes text, bool is_encoded)
{
    size_t plain = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_control(text.data[i]) && (is_encoded || text.data[i] != '%'))
            continue;
        (void)cache_writer_append(key, text.data + plain, i - plain);
        (void)cache_writer_printf(key, "%%%02X", (unsigned)(unsigned char)text.data[i]);
        plain = i + 1;
    }
    if (text.size > plain)
        (void)cache_writer_append(key, text.data + plain, text.size - plain);
}

static void put_lower(cache_writer *key, const char *name)
{
    for (; *name != '\0'; name++) {
        const char c = cache_ascii_lower(*name);
        (void)cache_writer_append(key, &c, 1);
    }
}

/* The hashed text is not stored and cannot be compared on a hit. A fast hash would let a client forge the key of
 * another request. */
static void put_hash(cache_writer *key, const void *data, size_t size)
{
    char hash[SHA256_HEX_SIZE + 1];
    cache_sha256_hex(data, size, hash);
    (void)cache_writer_append(key, hash, SHA256_HEX_SIZE);
}

/* Shorten a key that is too long to its beginning, followed by the hash of all of it. */
static cache_status shorten(cache_writer *key)
{
    if (cache_writer_status(key) != CACHE_OK || key->size <= CACHE_MAX_KEY)
        return cache_writer_status(key);
    char hash[SHA256_HEX_SIZE + 1];
    cache_sha256_hex(key->data, key->size, hash);
    cache_writer_undo(key, key->size - HEAD);
    return cache_writer_printf(key, PART "#%s", hash);
}

/* ---- the query --------------------------------------------------------------------------------------------------- */

/* Returns the next character of a name, decoded. A handler reads "p%61ge" as "page", so the lists of names must do so
 * too. */
static char next_decoded(const char **at, const char *end)
{
    const char c = *(*at)++;
    if (c == '+')
        return ' ';
    if (c != '%' || end - *at < 2 || cache_hex_digit((*at)[0]) < 0 || cache_hex_digit((*at)[1]) < 0)
        return c;
    const char decoded = (char)(cache_hex_digit((*at)[0]) * 16 + cache_hex_digit((*at)[1]));
    *at += 2;
    return decoded;
}

/* Returns true if handlers may read the parameter in different ways: some decode '+', some end a name at %00 or a
 * parameter at ';', some drop a '%' without two digits after it. Such a parameter always counts, since a handler may
 * read another name than the lists would. */
static bool is_ambiguous(const struct parameter *parameter)
{
    if (memchr(parameter->text.data, ';', parameter->text.size) != NULL)
        return true;
    const char *at = parameter->name.data, *end = at + parameter->name.size;
    while (at < end) {
        const char c = *at;
        const char decoded = next_decoded(&at, end);
        if (c == '+' || decoded == '\0' || (c == '%' && at[-1] == '%'))
            return true;
    }
    return false;
}

static bool matches(cache_bytes name, const char *pattern)
{
    const char *at = name.data, *end = name.data + name.size;
    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '*' && pattern[1] == '\0')
            return true;
        if (at == end || next_decoded(&at, end) != *pattern)
            return false;
    }
    return at == end;
}

static bool is_in(cache_bytes name, const char *const patterns[])
{
    for (; *patterns != NULL; patterns++)
        if (matches(name, *patterns))
            return true;
    return false;
}

static bool counts(const cache_view *view, const struct parameter *parameter)
{
    const bool is_wanted = view->query_only == NULL || is_in(parameter->name, view->query_only);
    const bool is_ignored = view->query_ignore != NULL && is_in(parameter->name, view->query_ignore);
    return (is_wanted && !is_ignored) || is_ambiguous(parameter);
}

/* Compare decoded names up to a NUL, where handlers in C end them. Parameters that a handler may take for the same one
 * stay in the order in which it reads them. */
static int by_name(const void *a, const void *b)
{
    const struct parameter *x = a, *y = b;
    const char *at_x = x->name.data, *end_x = at_x + x->name.size;
    const char *at_y = y->name.data, *end_y = at_y + y->name.size;
    for (;;) {
        const unsigned char of_x = at_x < end_x ? (unsigned char)next_decoded(&at_x, end_x) : 0;
        const unsigned char of_y = at_y < end_y ? (unsigned char)next_decoded(&at_y, end_y) : 0;
        if (of_x != of_y)
            return of_x < of_y ? -1 : 1;
        if (of_x == 0)
            return x->text.data < y->text.data ? -1 : 1;
    }
}

/* Take the next parameter from the query. Returns false at its end. */
static bool next_parameter(const char **query, struct parameter *out)
{
    while (**query == '&')
        ++*query;
    const size_t size = strcspn(*query, "&"), name_size = strcspn(*query, "=&");
    *out = (struct parameter){ { *query, size }, { *query, name_size } };
    *query += size;
    return size > 0;
}

static cache_status put_query(const cache_view *view, const char *query, cache_writer *key)
{
    size_t room = 2, n = 0;    /* room for one more than is kept */
    for (const char *at = query; *at != '\0'; at++)
        room += *at == '&';
    const cache_allocator *allocator = key->allocator;
    struct parameter few[16], *parameters = few;
    if (room > sizeof few / sizeof few[0])
        parameters = allocator->alloc(allocator->ctx, room * sizeof *parameters);
    if (parameters == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "view: out of memory for a query of %zu parameters", room);
    while (next_parameter(&query, &parameters[n]))
        n += counts(view, &parameters[n]);
    qsort(parameters, n, sizeof *parameters, by_name);
    for (size_t i = 0; i < n; i++) {
        (void)cache_writer_puts(key, i == 0 ? PART "?" : "&");
        put_escaped(key, parameters[i].text, true);
    }
    if (parameters != few)
        allocator->free(allocator->ctx, parameters);
    return cache_writer_status(key);
}

/* ---- headers, cookies, user, body -------------------------------------------------------------------------------- */

/* Append "=value", or nothing if there is no value. An empty value is another variant than no value. */
static void put_value(cache_writer *key, cache_bytes value)
{
    if (value.data == NULL)
        return;
    (void)cache_writer_puts(key, "=");
    put_escaped(key, value, false);
}

static void put_header(const cache_request *request, const char *name, cache_writer *key)
{
    const char *value = cache_request_header(request, name);
    (void)cache_writer_puts(key, PART);
    put_lower(key, name);
    put_value(key, (cache_bytes){ value, value != NULL ? strlen(value) : 0 });
}

static void put_cookie(const cache_request *request, const char *name, cache_writer *key)
{
    cache_bytes value = { NULL, 0 };
    (void)cache_writer_puts(key, PART "cookie ");
    (void)cache_writer_puts(key, name);
    (void)cache_request_cookie(request, name, &value);
    put_value(key, value);
}

/* Schemes and hosts are compared ignoring case. The port of the host counts. */
static void put_lower_part(cache_writer *key, const char *part, const char *text)
{
    (void)cache_writer_puts(key, part);
    for (; *text != '\0'; text++) {
        const char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        put_escaped(key, (cache_bytes){ &c, 1 }, false);
    }
}

static void put_variants(const cache_view *view, const cache_request *request, cache_writer *key)
{
    if (view->vary_host && request->host != NULL)
        put_lower_part(key, PART "host ", request->host);
    if (view->vary_host && request->scheme != NULL)
        put_lower_part(key, PART "scheme ", request->scheme);
    for (const char *const *name = view->vary_headers; name != NULL && *name != NULL; name++)
        put_header(request, *name, key);
    for (const char *const *name = view->vary_cookies; name != NULL && *name != NULL; name++)
        put_cookie(request, *name, key);
    if (view->vary_user && request->user != NULL) {
        (void)cache_writer_puts(key, PART "user ");
        put_escaped(key, (cache_bytes){ request->user, strlen(request->user) }, false);
    }
    if (view->post_by_body && (strcmp(request->method, "POST") == 0 || cache_request_has_body(request))) {
        (void)cache_writer_printf(key, PART "%s ", request->method);
        put_hash(key, request->body != NULL ? request->body : "", request->body != NULL ? request->body_size : 0);
    }
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static cache_status make_own_key(const cache_view *view, const cache_request *request, cache_writer *key)
{
    const cache_status status = view->make_key(view->ctx, request, key);
    if (status != CACHE_OK)
        return status;
    if (cache_writer_status(key) == CACHE_OK && (key->size == 0 || memchr(key->data, '\0', key->size) != NULL))
        return cache_fail(CACHE_ERR_INVALID, "view: make_key wrote no key, or one that contains a NUL");
    return shorten(key);
}

/* Append "view/" and the path, byte by byte. Control characters are escaped, because a path must not look as if parts
 * followed it. */
static void put_path(const char *path, cache_writer *key)
{
    (void)cache_writer_puts(key, "view/");
    if (!has_control(path)) {
        (void)cache_writer_puts(key, path);
        return;
    }
    put_escaped(key, (cache_bytes){ path, strlen(path) }, false);
    (void)cache_writer_puts(key, PART "~");
}

cache_status cache_view_plain_key(const char *path, cache_writer *key)
{
    put_path(path, key);
    return shorten(key);
}

cache_status cache_view_path_tag(const char *path, cache_writer *tag)
{
    (void)cache_writer_puts(tag, "path:");
    (void)cache_writer_puts(tag, path);
    return shorten(tag);
}

cache_status cache_view_key(const cache_view *view, const cache_request *request, cache_writer *key)
{
    if (view->make_key != NULL)
        return make_own_key(view, request, key);
    put_path(request->path, key);
    const bool by_query = view->query_string || view->query_only != NULL || view->query_ignore != NULL;
    if (by_query && request->query != NULL) {
        const cache_status status = put_query(view, request->query, key);
        if (status != CACHE_OK)
            return status;
    }
    put_variants(view, request, key);
    return shorten(key);
}
