/* http_rules.h - the rules of RFC 9110 (HTTP semantics) and RFC 9111 (HTTP caching) that page caching needs, as
 * functions on texts. Nothing here allocates. */
#ifndef HTTP_RULES_H
#define HTTP_RULES_H

#include "api.h"

/* These return true if the text may be the name or the value of a header: RFC 9110 section 5.6.2, and section 5.5
 * without line folding. */
bool cache_http_is_token(const char *text);
bool cache_http_is_token_of(cache_bytes text);
bool cache_http_is_field_value(const char *text);

/* Returns true if two names of headers or directives are equal, ignoring case. */
bool cache_http_same_name(const char *a, const char *b);

/* Take the next element from a comma-separated list, without the spaces around it. Commas in quotes do not separate.
 * Returns false if there is none. */
bool cache_http_next_element(const char **list, cache_bytes *element);

/* Returns true if an element of the list is `name`, ignoring case. `list` may be NULL. */
bool cache_http_list_has(const char *list, const char *name);

/* Find a cookie (RFC 6265 section 4.2.1: "name=value; name=value"). If the name occurs more than once, the first cookie
 * counts, as in all servers. `cookies` may be NULL. Returns false if there is none. */
bool cache_http_find_cookie(const char *cookies, const char *name, cache_bytes *value);

/* The Cache-Control of a response, including the two directives of RFC 5861. Spans are in seconds; below 0, they are
 * not given. If a span is given twice, the shorter one counts. If it is not a number, it is 0. */
struct cache_http_control {
    bool no_store, no_cache, is_private, must_revalidate;
    double max_age, s_maxage, stale_while_revalidate, stale_if_error;
};

#define CACHE_HTTP_CONTROL_INIT { false, false, false, false, -1, -1, -1, -1 }

/* Add one Cache-Control header. If a part of it cannot be read, as in "private; max-age=60", it counts as no-store,
 * since its intention is unknown. */
void cache_http_read_control(const char *value, struct cache_http_control *control);

/* These return true if a response with this status may be stored: without an explicit lifetime (RFC 9110 section 15.1),
 * or with one. */
bool cache_http_is_cacheable(int status);
bool cache_http_may_be_cacheable(int status);

/* Returns true if the status concerns this client's request (a range, a condition, a bad or too frequent request) and
 * not the page. Then the page that is stored for other clients stays. */
bool cache_http_is_about_client(int status);

/* Returns true for headers that are not part of a stored page: those of RFC 9111 section 3.1, and those that this
 * library or the server sets itself. */
bool cache_http_is_dropped(const char *name);

/* Returns true for headers that describe the content, which a 304 does not have (RFC 9110 section 15.4.5). */
bool cache_http_is_of_content(const char *name);

/* Read a date of RFC 9110 section 5.6.7 in any of its three forms, as seconds since 1970. Returns false if it is not a
 * date. */
bool cache_http_read_date(const char *text, int64_t *seconds);

/* Returns true if If-None-Match names this ETag, compared weakly (RFC 9110 section 13.1.2). A star matches any page, so
 * `etag` may be NULL. */
bool cache_http_none_match(const char *if_none_match, const char *etag);

#endif
