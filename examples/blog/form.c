/* form.c - fields of an application/x-www-form-urlencoded body, or of a query. */
#include "form.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
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
            const bool whole = i + 2 < size && hex(from[i + 1]) >= 0 && hex(from[i + 2]) >= 0;
            c = whole ? hex(from[i + 1]) * 16 + hex(from[i + 2]) : 0;
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
