/* html.h - writing HTML: everything that is not ours goes through html_text. */
#ifndef HTML_H
#define HTML_H

#include <libcache/cache.h>

/* Append `text` with & < > " ' escaped: right in text and in quoted attributes. */
void html_text(cache_writer *out, const char *text);

/* The same, each empty line beginning a new paragraph. */
void html_paragraphs(cache_writer *out, const char *text);

void html_begin(cache_writer *out, const char *title);
void html_end(cache_writer *out);

#endif
