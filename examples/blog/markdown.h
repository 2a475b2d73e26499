/* markdown.h - posts' texts, which are Markdown, as HTML. */
#ifndef MARKDOWN_H
#define MARKDOWN_H

#include <libcache/cache.h>

/* Append the text as HTML. HTML in it is shown, not obeyed; links lead to http, https and mailto, or stay on this site.
 * Its tags are well nested. This is what takes time in a post: worth caching. */
cache_status markdown_html(const char *text, cache_writer *out);

/* Returns false if the text would become an endless page: a link that is defined once and used by a letter can repeat
 * its address thousands of times. markdown_html shows such a text as it was typed. */
bool markdown_is_bounded(const char *text);

/* Append its words alone, as one escaped line. */
cache_status markdown_words(const char *text, cache_writer *out);

#endif
