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

void html_time(cache_writer *out, const char *time)
{
    if (strlen(time) < strlen("2026-11-24 21:41:36")) {
        html_text(out, time);
        return;
    }
    (void)cache_writer_printf(out, "<time datetime=\"%.10sT%.8sZ\">%.16s UTC</time>", time, time + 11, time);
}

void html_pages(cache_writer *out, size_t page, bool has_more, const char *before, const char *after)
{
    if (page == 1 && !has_more)
        return;
    (void)cache_writer_puts(out, "<nav class=\"pages\" aria-label=\"Pages\">");
    if (page == 2)
        (void)cache_writer_printf(out, "<a href=\"?\" rel=\"prev\">%s</a>", before);
    else if (page > 2)
        (void)cache_writer_printf(out, "<a href=\"?page=%zu\" rel=\"prev\">%s</a>", page - 1, before);
    (void)cache_writer_printf(out, "<span>Page %zu</span>", page);
    if (has_more)
        (void)cache_writer_printf(out, "<a href=\"?page=%zu\" rel=\"next\">%s</a>", page + 1, after);
    (void)cache_writer_puts(out, "</nav>\n");
}

/* ---- the frame of every page ------------------------------------------------------------------------------------- */

static void put_menu(cache_writer *out, const char *here)
{
    static const struct { const char *path, *label; } entries[] = {
        { "/popular", "Popular" }, { "/products", "Products" }, { "/search", "Search" },
        { "/weather/Berlin", "Weather" }, { "/new-post", "New post" }, { "/dashboard", "Dashboard" },
    };
    const bool is_home = here != NULL && strcmp(here, "/") == 0, is_login = here != NULL && strcmp(here, "/login") == 0;
    (void)cache_writer_printf(out, "<nav aria-label=\"Main\"><a class=\"brand\" href=\"/\"%s>The cached blog</a>\n"
                                   "<span id=\"account\"><a href=\"/login\"%s>Log in</a></span>\n<div class=\"menu\">",
                              is_home ? " aria-current=\"page\"" : "", is_login ? " aria-current=\"page\"" : "");
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        const bool is_here = here != NULL && strcmp(here, entries[i].path) == 0;
        (void)cache_writer_printf(out, "<a href=\"%s\"%s>%s</a>\n", entries[i].path,
                                  is_here ? " aria-current=\"page\"" : "", entries[i].label);
    }
    (void)cache_writer_puts(out, "</div></nav>");
}

void html_begin(cache_writer *out, const char *title, const char *here)
{
    (void)cache_writer_puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                                 "<meta name=\"color-scheme\" content=\"light dark\">\n"
                                 "<link rel=\"icon\" href=\"/icon.svg\">\n<title>");
    html_text(out, title);
    (void)cache_writer_puts(out, " – The cached blog</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n"
                                 "<script src=\"/site.js\" defer></script>\n</head>\n<body>\n"
                                 "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>");
    put_menu(out, here);
    (void)cache_writer_puts(out, "</header>\n<main id=\"main\" tabindex=\"-1\">\n<div id=\"said\" role=\"status\">"
                                 "</div>\n<h1>");
    html_text(out, title);
    (void)cache_writer_puts(out, "</h1>\n");
}

void html_end(cache_writer *out)
{
    (void)cache_writer_puts(out, "</main>\n<footer>\n<p id=\"bar\" class=\"bar\">What the cache did for this page is "
                                 "in "
                                 "its headers X-Cache, Age and Server-Timing.</p>\n<p>Served by libcache, a cache for "
                                 "C "
                                 "programs.</p>\n<nav aria-label=\"About this site\">"
                                 "<a href=\"/cache-stats\">Statistics</a>\n<a href=\"/metrics\">Metrics</a>\n"
                                 "<a href=\"/api/posts\">API</a>\n<a href=\"/admin\">Admin</a>\n"
                                 "<a href=\"/lab\">Lab</a></nav>\n</footer>\n</body>\n</html>\n");
}
