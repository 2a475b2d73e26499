/* html.h - writing HTML: everything that is not ours goes through html_text. */
#ifndef HTML_H
#define HTML_H

#include <libcache/cache.h>

/* Append `text` with & < > " ' escaped: right in text and in quoted attributes. */
void html_text(cache_writer *out, const char *text);
void html_bytes(cache_writer *out, const char *text, size_t size);

/* Append a time of the database's, "2026-11-24 21:41:36" in UTC, as a <time> that says so. */
void html_time(cache_writer *out, const char *time);

/* The links to the pages of a list before and after `page`, with these words; nothing if it is the only one. */
void html_pages(cache_writer *out, size_t page, bool has_more, const char *before, const char *after);

/* A page from its doctype to its heading, and from there to its end. `here` is the path of the menu's entry that the
 * page belongs to, or NULL. The same for everybody, since a cached page is: who is logged in, and what the cache did,
 * is added in the browser by site.js. */
void html_begin(cache_writer *out, const char *title, const char *here);
void html_end(cache_writer *out);

#endif
