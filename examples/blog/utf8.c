/* utf8.c - whether a text is UTF-8, and whether it hides something. */
#include "utf8.h"

#include <stddef.h>

/* How many bytes the sequence at `text` has; 0: it is no UTF-8, or longer than it need be, or a surrogate. */
static size_t utf8_size(const unsigned char *text)
{
    static const struct { unsigned char mask, head; unsigned least; } kinds[] = {
        { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
    };
    for (size_t n = 0; n < 4; n++) {
        if ((text[0] & kinds[n].mask) != kinds[n].head)
            continue;
        unsigned code = text[0] & (unsigned char)~kinds[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (text[i] & 0x3fu);
        }
        return code < kinds[n].least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n + 1;
    }
    return 0;
}

bool is_utf8(const char *text)
{
    for (size_t size; *text != '\0'; text += size)
        if ((size = utf8_size((const unsigned char *)text)) == 0)
            return false;
    return true;
}

static bool is_control(const unsigned char *c)
{
    if (*c < ' ' || *c == 0x7f)
        return true;
    if (*c == 0xc2)    /* U+0080 to U+009F */
        return c[1] < 0xa0;
    if (*c == 0xd8)    /* U+061C, the Arabic letter mark */
        return c[1] == 0x9c;
    if (*c != 0xe2)
        return false;
    /* U+200E and F, U+2028 to 202E: marks, line ends, embeddings, overrides; U+2066 to 2069: isolates */
    return (c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
           (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

bool is_plain_text(const char *text)
{
    if (!is_utf8(text))
        return false;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        if (is_control(at))
            return false;
    return true;
}
