/* number.c - converts counters to text and back. */
#include "number.h"

#include <string.h>

bool cache_number_parse(const char *text, size_t size, int64_t *out)
{
    const bool negative = size > 0 && text[0] == '-';
    const size_t first = negative ? 1 : 0;
    if (size == first || size > NUMBER_MAX_SIZE || (text[first] == '0' && (size > first + 1 || negative)))
        return false;
    /* Count downwards, since -INT64_MIN does not fit in int64. */
    int64_t number = 0;
    for (size_t i = first; i < size; i++) {
        const int digit = text[i] - '0';
        if (digit < 0 || digit > 9 || number < (INT64_MIN + digit) / 10)
            return false;
        number = number * 10 - digit;
    }
    if (!negative && number == INT64_MIN)
        return false;
    *out = negative ? number : -number;
    return true;
}

size_t cache_number_format(int64_t number, char out[NUMBER_MAX_SIZE + 1])
{
    char text[NUMBER_MAX_SIZE + 1];
    char *at = text + NUMBER_MAX_SIZE;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    *at = '\0';
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (number < 0)
        *--at = '-';
    const size_t size = (size_t)(text + NUMBER_MAX_SIZE - at);
    memcpy(out, at, size + 1);
    return size;
}

bool cache_number_add(int64_t a, int64_t b, int64_t *sum)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
        return false;
    *sum = a + b;
    return true;
}
