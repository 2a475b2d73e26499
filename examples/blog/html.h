/* html.h - writing HTML: everything that is not ours goes through html_text. */
#ifndef HTML_H
#define HTML_H

#include <libcache/cache.h>

/* Append `text` with & < > " ' escaped: right in text and in quoted attributes. */
void html_text(cache_writer *out, const char *text);
void html_bytes(cache_writer *out, const char *text, size_t size);

/* A page from its doctype to its heading, and from there to its end. The same for everybody: a cached page is. */
void html_begin(cache_writer *out, const char *title);
void html_end(cache_writer *out);

#endif
