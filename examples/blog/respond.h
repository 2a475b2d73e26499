/* respond.h - the answers that every part of the blog gives. */
#ifndef RESPOND_H
#define RESPOND_H

#include <libcache/cache.h>

struct cJSON;

/* A page in HTML begins, up to its heading; the writer is for the rest, and html_end for its end. `here` is the path of
 * the menu's entry that it belongs to, or NULL. */
cache_writer *respond_html(cache_response *response, int status, const char *title, const char *here);

/* A page of one paragraph. */
cache_status respond_message(cache_response *response, int status, const char *title, const char *text);
cache_status respond_not_found(cache_response *response);

/* 303: go and get this page. */
cache_status respond_redirect(cache_response *response, const char *location);

/* The next page that the browser shows says what was done: one of the words in site.js, such as "published". */
void respond_tell(cache_response *response, const char *what);

/* Returns true if the client is a browser that wants a page to look at, and not JSON. */
bool respond_wants_html(const cache_request *request);

/* The object as JSON; it is taken over. NULL: there was no memory to make it. */
cache_status respond_json(cache_response *response, int status, struct cJSON *object);

/* {"error": …} */
cache_status respond_json_error(cache_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
