/* hex.h - reads hexadecimal digits, for percent-encoding. */
#ifndef HEX_H
#define HEX_H

/* Returns the value of a hexadecimal digit, or -1 if it is none. */
static inline int cache_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

#endif
