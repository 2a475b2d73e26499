/* http_rules.c - the rules of RFC 9110 and RFC 9111 that page caching needs. */
#include "http_rules.h"

#include "ascii.h"

#include <string.h>

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static bool is_token_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-!#$%&'*+.^_`|~", c) != NULL);
}

static size_t token_size(const char *text, const char *end)
{
    const char *at = text;
    while (at < end && is_token_character(*at))
        at++;
    return (size_t)(at - text);
}

bool cache_http_is_token_of(cache_bytes text)
{
    return text.size > 0 && token_size(text.data, text.data + text.size) == text.size;
}

bool cache_http_is_token(const char *text)
{
    return cache_http_is_token_of((cache_bytes){ text, strlen(text) });
}

bool cache_http_is_field_value(const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool cache_http_same_name(const char *a, const char *b)
{
    return cache_ascii_lower(a[0]) == cache_ascii_lower(b[0]) &&
           cache_ascii_same((cache_bytes){ a, strlen(a) }, b);
}

static bool is_one_of(const char *name, const char *const names[])
{
    for (; *names != NULL; names++)
        if (cache_http_same_name(name, *names))
            return true;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* In a quoted string a backslash escapes the next character. In an entity tag it is a character like any other. */
static bool next_element(const char **list, bool escapes, cache_bytes *element)
{
    const char *at = *list;
    while (is_space(*at) || *at == ',')
        at++;
    const char *begin = at;
    bool quoted = false;
    for (; *at != '\0' && (quoted || *at != ','); at++) {
        if (*at == '"')
            quoted = !quoted;
        else if (escapes && quoted && *at == '\\' && at[1] != '\0')
            at++;
    }
    *list = at;
    while (at > begin && is_space(at[-1]))
        at--;
    *element = (cache_bytes){ begin, (size_t)(at - begin) };
    return element->size > 0;
}

bool cache_http_next_element(const char **list, cache_bytes *element)
{
    return next_element(list, true, element);
}

bool cache_http_list_has(const char *list, const char *name)
{
    cache_bytes element;
    while (list != NULL && cache_http_next_element(&list, &element))
        if (cache_ascii_same(element, name))
            return true;
    return false;
}

/* ---- cookies -------------------------------------------------------------------------------------------------- */

bool cache_http_find_cookie(const char *cookies, const char *name, cache_bytes *value)
{
    const size_t size = strlen(name);
    while (cookies != NULL && *cookies != '\0') {
        cookies += strspn(cookies, " \t;");
        const size_t length = strcspn(cookies, ";");
        if (length > size && strncmp(cookies, name, size) == 0 && cookies[size] == '=') {
            *value = (cache_bytes){ cookies + size + 1, length - size - 1 };
            return true;
        }
        cookies += length;
    }
    return false;
}

/* ---- Cache-Control ----------------------------------------------------------------------------------------------- */

/* Read the argument of a directive in seconds. Some servers put it in quotes. RFC 9111 section 4.2.1: if it is not a
 * number, the response is stale. */
static double read_seconds(cache_bytes argument)
{
    double seconds = 0;
    size_t i = 0;
    if (argument.size >= 2 && argument.data[0] == '"')
        argument = (cache_bytes){ argument.data + 1, argument.size - 2 };
    for (; i < argument.size && argument.data[i] >= '0' && argument.data[i] <= '9' && seconds < 1e9; i++)
        seconds = seconds * 10 + (argument.data[i] - '0');
    return i > 0 && (i == argument.size || seconds >= 1e9) ? seconds : 0;
}

static void set_shorter(double *span, double seconds)
{
    if (*span < 0 || seconds < *span)
        *span = seconds;
}

/* If no-cache or private name fields, they still apply to the whole response: storing it without these fields would
 * gain little. */
static void read_directive(cache_bytes name, cache_bytes argument, struct cache_http_control *control)
{
    if (cache_ascii_same(name, "no-store"))
        control->no_store = true;
    else if (cache_ascii_same(name, "no-cache"))
        control->no_cache = true;
    else if (cache_ascii_same(name, "private"))
        control->is_private = true;
    else if (cache_ascii_same(name, "must-revalidate") || cache_ascii_same(name, "proxy-revalidate"))
        control->must_revalidate = true;
    else if (cache_ascii_same(name, "s-maxage")) {
        set_shorter(&control->s_maxage, read_seconds(argument));
        control->must_revalidate = true;    /* section 5.2.2.10: it implies proxy-revalidate */
    } else if (cache_ascii_same(name, "max-age"))
        set_shorter(&control->max_age, read_seconds(argument));
    else if (cache_ascii_same(name, "stale-while-revalidate"))
        set_shorter(&control->stale_while_revalidate, read_seconds(argument));
    else if (cache_ascii_same(name, "stale-if-error"))
        set_shorter(&control->stale_if_error, read_seconds(argument));
}

/* Returns true for a token, or for a quoted string that ends where the text ends. */
static bool is_argument(cache_bytes text)
{
    if (text.size == 0 || text.data[0] != '"')
        return cache_http_is_token_of(text);
    size_t i = 1;
    while (i < text.size && text.data[i] != '"')
        i += text.data[i] == '\\' ? 2 : 1;
    return i + 1 == text.size;
}

/* Split "name" or "name=argument". Spaces around '=' are accepted. Returns false if the element has another form. */
static bool split_directive(cache_bytes element, cache_bytes *name, cache_bytes *argument)
{
    const char *at = element.data, *end = at + element.size;
    *name = (cache_bytes){ at, token_size(at, end) };
    *argument = (cache_bytes){ "", 0 };
    at += name->size;
    while (at < end && is_space(*at))
        at++;
    if (name->size == 0 || at == end)
        return name->size > 0;
    if (*at++ != '=')
        return false;
    while (at < end && is_space(*at))
        at++;
    *argument = (cache_bytes){ at, (size_t)(end - at) };
    return is_argument(*argument);
}

void cache_http_read_control(const char *value, struct cache_http_control *control)
{
    cache_bytes element, name, argument;
    while (cache_http_next_element(&value, &element)) {
        if (split_directive(element, &name, &argument))
            read_directive(name, argument, control);
        else
            control->no_store = true;
    }
}

/* ---- statuses and headers ---------------------------------------------------------------------------------------- */

bool cache_http_is_cacheable(int status)
{
    return status == 200 || status == 203 || status == 204 || status == 300 || status == 301 || status == 308 ||
           status == 404 || status == 410;
}

bool cache_http_is_about_client(int status)
{
    return status == 206 || status == 304 ||
           (status >= 400 && status < 500 && status != 401 && status != 403 && status != 404 && status != 410 &&
            status != 451);
}

bool cache_http_may_be_cacheable(int status)
{
    /* A partial response (206) and an answer to the client's own condition (304, 412, 416) are not the page. */
    return status >= 200 && status < 500 && status != 206 && status != 304 && status != 412 && status != 416;
}

bool cache_http_is_dropped(const char *name)
{
    static const char *const dropped[] = { "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate",
        "Proxy-Authentication-Info", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "Content-Length", "Age", "X-Cache", NULL };
    return is_one_of(name, dropped);
}

bool cache_http_is_of_content(const char *name)
{
    static const char *const of_content[] = { "Content-Type", "Content-Encoding", "Content-Language", "Content-Range",
        "Content-Disposition", NULL };
    return is_one_of(name, of_content);
}

/* ---- conditional requests ---------------------------------------------------------------------------------------- */

static cache_bytes without_weakness(cache_bytes etag)
{
    if (etag.size >= 2 && etag.data[0] == 'W' && etag.data[1] == '/')
        return (cache_bytes){ etag.data + 2, etag.size - 2 };
    return etag;
}

bool cache_http_none_match(const char *if_none_match, const char *etag)
{
    const cache_bytes ours = without_weakness((cache_bytes){ etag, etag != NULL ? strlen(etag) : 0 });
    cache_bytes element;
    while (next_element(&if_none_match, false, &element)) {
        const cache_bytes theirs = without_weakness(element);
        if ((element.size == 1 && element.data[0] == '*') ||
            (etag != NULL && theirs.size == ours.size && memcmp(theirs.data, ours.data, ours.size) == 0))
            return true;
    }
    return false;
}
