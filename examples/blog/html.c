/* html.c - writing HTML. */
#include "html.h"

#include <string.h>

static void text_of(cache_writer *out, const char *text, size_t size)
{
    for (const char *end = text + size; text < end;) {
        const size_t plain = strcspn(text, "&<>\"'\n") < (size_t)(end - text) ? strcspn(text, "&<>\"'\n") : (size_t)(end - text);
        (void)cache_writer_append(out, text, plain);
        text += plain;
        if (text == end)
            break;
        switch (*text++) {
        case '&': (void)cache_writer_puts(out, "&amp;"); break;
        case '<': (void)cache_writer_puts(out, "&lt;"); break;
        case '>': (void)cache_writer_puts(out, "&gt;"); break;
        case '"': (void)cache_writer_puts(out, "&quot;"); break;
        case '\'': (void)cache_writer_puts(out, "&#39;"); break;
        default: (void)cache_writer_puts(out, "\n"); break;
        }
    }
}

void html_text(cache_writer *out, const char *text)
{
    text_of(out, text, strlen(text));
}

void html_paragraphs(cache_writer *out, const char *text)
{
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n"), *crlf = strstr(text, "\r\n\r\n");
        if (crlf != NULL && (end == NULL || crlf < end))
            end = crlf;
        const size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
        (void)cache_writer_puts(out, "<p>");
        text_of(out, text, size);
        (void)cache_writer_puts(out, "</p>\n");
        text += size;
        text += strspn(text, "\r\n");
    }
}

void html_begin(cache_writer *out, const char *title)
{
    (void)cache_writer_puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                                 "<link rel=\"icon\" href=\"data:,\">\n<title>");    /* else browsers ask for /favicon.ico */
    html_text(out, title);
    (void)cache_writer_puts(out, "</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<header><nav>"
                                 "<a class=\"brand\" href=\"/\">The cached blog</a><a href=\"/popular\">Popular</a>"
                                 "<a href=\"/new-post\">New post</a><a href=\"/cache-stats\">Statistics</a>"
                                 "</nav></header>\n<main>\n<h1>");
    html_text(out, title);
    (void)cache_writer_puts(out, "</h1>\n");
}

void html_end(cache_writer *out)
{
    (void)cache_writer_puts(out, "</main>\n<footer>Served by libcache, a cache for C programs.</footer>\n</body>\n</html>\n");
}
