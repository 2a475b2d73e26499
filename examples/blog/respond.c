/* respond.c - the answers that every part of the blog gives. */
#include "respond.h"

#include "html.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Nothing is loaded from another site, no script stands in a page, no other site puts a page of ours in a frame. */
static const char content_security_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'";

cache_writer *respond_html(cache_response *response, int status, const char *title, const char *here)
{
    cache_writer *out = cache_response_body(response);
    cache_response_set_status(response, status);
    (void)cache_response_set_header(response, "Content-Type", "text/html; charset=utf-8");
    (void)cache_response_set_header(response, "Content-Security-Policy", content_security_policy);
    (void)cache_response_set_header(response, "Referrer-Policy", "same-origin");
    html_begin(out, title, here);
    return out;
}

cache_status respond_message(cache_response *response, int status, const char *title, const char *text)
{
    cache_writer *out = respond_html(response, status, title, NULL);
    (void)cache_writer_puts(out, "<p>");
    html_text(out, text);
    (void)cache_writer_puts(out, "</p>\n");
    html_end(out);
    return cache_writer_status(out);
}

cache_status respond_not_found(cache_response *response)
{
    cache_writer *out = respond_html(response, 404, "Page not found", NULL);
    (void)cache_writer_puts(out, "<p>There is no page at this address. It may have been deleted, or the link is wrong."
                                 "</p>\n<p>The <a href=\"/\">newest posts</a> are there, and the "
                                 "<a href=\"/search\">search</a>.</p>\n");
    html_end(out);
    return cache_writer_status(out);
}

cache_status respond_redirect(cache_response *response, const char *location)
{
    cache_response_set_status(response, 303);
    return cache_response_set_header(response, "Location", location);
}

void respond_tell(cache_response *response, const char *what)
{
    char cookie[80];
    (void)snprintf(cookie, sizeof cookie, "said=%s; Path=/; Max-Age=60; SameSite=Lax", what);
    (void)cache_response_add_header(response, "Set-Cookie", cookie);
}

bool respond_wants_html(const cache_request *request)
{
    const char *accepted = request->header(request->lookup_ctx, "Accept");
    const size_t size = strlen(request->path);
    if (size > 5 && strcmp(request->path + size - 5, ".json") == 0)
        return false;
    return accepted != NULL && strstr(accepted, "text/html") != NULL;
}

cache_status respond_json(cache_response *response, int status, struct cJSON *object)
{
    cache_writer *out = cache_response_body(response);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (text == NULL)
        return CACHE_ERR_NOMEM;
    cache_response_set_status(response, status);
    (void)cache_response_set_header(response, "Content-Type", "application/json");
    (void)cache_writer_puts(out, text);
    (void)cache_writer_puts(out, "\n");
    cJSON_free(text);
    return cache_writer_status(out);
}

cache_status respond_json_error(cache_response *response, int status, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(object, "error", text);
    return respond_json(response, status, object);
}
