/* form.c - fields of an application/x-www-form-urlencoded body, or of a query. */
#include "form.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

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

static bool is_utf8(const char *text)
{
    for (size_t size; *text != '\0'; text += size)
        if ((size = utf8_size((const unsigned char *)text)) == 0)
            return false;
    return true;
}

/* NULL: a % without two digits behind it, or a NUL, which no text has. */
static char *decode(const char *from, size_t size)
{
    char *text = malloc(size + 1), *to = text;
    for (size_t i = 0; text != NULL && i < size; i++) {
        int c = (unsigned char)from[i];
        if (c == '+')
            c = ' ';
        else if (c == '%') {
            c = i + 2 < size && hex(from[i + 1]) >= 0 && hex(from[i + 2]) >= 0 ? hex(from[i + 1]) * 16 + hex(from[i + 2]) : 0;
            i += 2;
        }
        if (c == 0) {
            free(text);
            return NULL;
        }
        *to++ = (char)c;
    }
    if (text != NULL)
        *to = '\0';
    return text;
}

static char *checked(char *text)
{
    if (text != NULL && !is_utf8(text)) {
        free(text);
        return NULL;
    }
    return text;
}

char *form_field(const char *body, size_t size, const char *name)
{
    const size_t name_size = strlen(name);
    for (const char *at = body, *end = body + size; at != NULL && at < end;) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        const size_t field = next != NULL ? (size_t)(next - at) : (size_t)(end - at);
        if (field > name_size && memcmp(at, name, name_size) == 0 && at[name_size] == '=')
            return checked(decode(at + name_size + 1, field - name_size - 1));
        at = next != NULL ? next + 1 : NULL;
    }
    return NULL;
}

char *form_trim(char *text)
{
    static const char blank[] = " \t\r\n";
    if (text == NULL)
        return NULL;
    const size_t skip = strspn(text, blank);
    size_t size = strlen(text + skip);
    while (size > 0 && strchr(blank, text[skip + size - 1]) != NULL)
        size--;
    memmove(text, text + skip, size);
    text[size] = '\0';
    return text;
}
