/* utf8.h - whether a text is UTF-8, as all that goes into pages and JSON must be. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>

bool is_utf8(const char *text);

/* Returns true if the text is UTF-8 without control characters and without those that turn the direction of writing
 * (bidi controls): with them "exe.txt" can look like "txt.exe". For what stands in one line, such as a title. */
bool is_plain_text(const char *text);

#endif
