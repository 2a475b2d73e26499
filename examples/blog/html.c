/* html.c - writing HTML. */
#include "html.h"

#include <string.h>

static const char *escape_of(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void html_bytes(cache_writer *out, const char *text, size_t size)
{
    size_t begin = 0;
    for (size_t i = 0; i < size; i++) {
        const char *escape = escape_of(text[i]);
        if (escape == NULL)
            continue;
        (void)cache_writer_append(out, text + begin, i - begin);
        (void)cache_writer_puts(out, escape);
        begin = i + 1;
    }
    (void)cache_writer_append(out, text + begin, size - begin);
}

void html_text(cache_writer *out, const char *text)
{
    html_bytes(out, text, strlen(text));
}

void html_begin(cache_writer *out, const char *title)
{
    (void)cache_writer_puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                                 "<link rel=\"icon\" href=\"/icon.svg\">\n<title>");
    html_text(out, title);
    (void)cache_writer_puts(out,
                            "</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<header><nav>"
                                 "<a class=\"brand\" href=\"/\">The cached blog</a><a href=\"/popular\">Popular</a>"
                                 "<a href=\"/new-post\">New post</a><a href=\"/weather/Berlin\">Weather</a>"
                                 "<a href=\"/dashboard\">Dashboard</a><a href=\"/admin\">Admin</a>"
                                 "</nav></header>\n<main>\n<h1>");
    html_text(out, title);
    (void)cache_writer_puts(out, "</h1>\n");
}

void html_end(cache_writer *out)
{
    (void)cache_writer_puts(out, "</main>\n<footer>Served by libcache, a cache for C programs. "
                                 "<a href=\"/cache-stats\">Statistics</a> "
                                 "<a href=\"/products\">Products</a> <a href=\"/api/posts\">API</a> "
                                 "<a href=\"/metrics\">Metrics</a></footer>\n</body>\n</html>\n");
}
