/* ascii.h - compares words without case, in every locale alike. strcasecmp depends on the locale: in a Turkish one
 * "SIMPLE" is not "simple". */
#ifndef ASCII_H
#define ASCII_H

#include "api.h"

static inline char cache_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Returns true if `text` is `word`, but for the case of ASCII letters. */
static inline bool cache_ascii_same(cache_bytes text, const char *word)
{
    size_t i = 0;
    while (i < text.size && word[i] != '\0' && cache_ascii_lower(text.data[i]) == cache_ascii_lower(word[i]))
        i++;
    return i == text.size && word[i] == '\0';
}

#endif
