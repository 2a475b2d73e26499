/* utf8.h - whether a text is UTF-8, as all that goes into pages and JSON must be. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>

bool is_utf8(const char *text);

#endif
