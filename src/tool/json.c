/* json.c - prints values as JSON: as text if they are text, else as base64. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns the size of the UTF-8 sequence at `at`; or 0 if it is invalid, or a control character that does not occur in
 * text. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80)
        return at[0] >= 0x20 || at[0] == '\n' || at[0] == '\r' || at[0] == '\t' ? 1 : 0;
    const size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    const bool is_overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    const bool is_no_character = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return is_overlong || is_no_character ? 0 : size;
}

static bool is_text(const unsigned char *data, size_t size)
{
    for (size_t i = 0, n; i < size; i += n)
        if ((n = utf8_sequence(data + i, size - i)) == 0)
            return false;
    return true;
}

static void put_base64(const unsigned char *data, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t n = size - i < 3 ? size - i : 3;
        const unsigned bits = (unsigned)data[i] << 16 | (n > 1 ? (unsigned)data[i + 1] << 8 : 0) |
                              (n > 2 ? data[i + 2] : 0u);
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = n > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = n > 2 ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

void tool_json_bytes(cJSON *object, const char *name, const void *data, size_t size)
{
    char other[64];
    char *text = malloc(size / 3 * 4 + 5);
    if (text == NULL)
        return;
    if (is_text(data, size)) {
        memcpy(text, data, size);
        text[size] = '\0';
        (void)snprintf(other, sizeof other, "%s", name);
    } else {
        put_base64(data, size, text);
        (void)snprintf(other, sizeof other, "%s_base64", name);
    }
    (void)cJSON_AddStringToObject(object, other, text);
    free(text);
}

void tool_json_seconds(cJSON *object, const char *name, double seconds)
{
    if (seconds == CACHE_TTL_FOREVER)
        (void)cJSON_AddNullToObject(object, name);
    else
        (void)cJSON_AddNumberToObject(object, name, seconds);
}

int tool_json_print(cJSON *object, int status)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL)
        (void)puts(text);
    else
        status = tool_fail("JSON", CACHE_ERR_NOMEM);
    cJSON_free(text);
    cJSON_Delete(object);
    return status;
}
