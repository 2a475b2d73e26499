/* http_rules.h - the rules of RFC 9110 (HTTP semantics) and RFC 9111 (HTTP caching) that page caching needs, as
 * questions about texts. Nothing here allocates. */
#ifndef HTTP_RULES_H
#define HTTP_RULES_H

#include "api.h"

/* RFC 9110 section 5.6.2, and 5.5 without obs-text's line folding: what may stand in a header's name and value. */
bool cache_http_is_token(const char *text);
bool cache_http_is_token_of(cache_bytes text);
bool cache_http_is_field_value(const char *text);

/* Names of headers and directives, without case. */
bool cache_http_same_name(const char *a, const char *b);

/* Take the next element off a comma-separated list, without the spaces around it; commas in quotes do not count.
 * Returns false if there is none. */
bool cache_http_next_element(const char **list, cache_bytes *element);

/* Returns true if an element of the list is `name`, without case. `list` may be NULL. */
bool cache_http_list_has(const char *list, const char *name);

/* RFC 6265 section 4.2.1: "name=value; name=value". The first cookie of the name counts, as everywhere. `cookies` may
 * be NULL. */
bool cache_http_find_cookie(const char *cookies, const char *name, cache_bytes *value);

/* What a response's Cache-Control says, with RFC 5861's two. Spans are seconds, below 0 what is not said; one that is
 * said twice is the shorter of the two, one that is no number is 0. */
struct cache_http_control {
    bool no_store, no_cache, is_private, must_revalidate;
    double max_age, s_maxage, stale_while_revalidate, stale_if_error;
};

#define CACHE_HTTP_CONTROL_INIT { false, false, false, false, -1, -1, -1, -1 }

/* Add what one Cache-Control header says. A header with a part that cannot be read, such as "private; max-age=60", is
 * no-store: nobody knows what it was meant to forbid. */
void cache_http_read_control(const char *value, struct cache_http_control *control);

/* May a response with this status be stored without an explicit lifetime (RFC 9110 section 15.1), or with one? */
bool cache_http_is_cacheable(int status);
bool cache_http_may_be_cacheable(int status);

/* Returns true if the status answers this client's request (a range, a condition, a bad or too frequent request) and
 * says nothing of the page: what is stored for the others stays. */
bool cache_http_is_about_client(int status);

/* RFC 9111 section 3.1, and what this library or the server says itself: headers that are no part of a stored page. */
bool cache_http_is_dropped(const char *name);

/* RFC 9110 section 15.4.5: headers that describe a content that a 304 does not have. */
bool cache_http_is_of_content(const char *name);

/* RFC 9110 section 5.6.7, in any of its three forms: seconds since 1970. Returns false if it is none. */
bool cache_http_read_date(const char *text, int64_t *seconds);

/* RFC 9110 section 13.1.2: true if If-None-Match names this ETag, compared weakly. `etag` may be NULL: a star names any
 * page. */
bool cache_http_none_match(const char *if_none_match, const char *etag);

#endif
