/* utf8.h - checks whether a text is UTF-8, by the rules of RFC 3629. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Returns the size of one character of UTF-8, or 0 if it is not valid. */
static inline size_t character_size(const unsigned char *at)
{
    if (at[0] < 0x80)
        return 1;
    const size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||    /* overlong, surrogates */
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))      /* overlong, past U+10FFFF */
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)    /* this also stops at the final NUL */
            return 0;
    return size;
}

/* Returns true if the text is UTF-8. An empty text is. */
static inline bool text_is_utf8(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        const size_t size = character_size(at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

#endif
