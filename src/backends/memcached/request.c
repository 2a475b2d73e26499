/* request.c - writes the commands of memcached's text protocol. */
#include "protocol.h"

#include <string.h>

size_t cache_mc_write_number(char out[MC_MAX_DIGITS], uint64_t number)
{
    char reversed[MC_MAX_DIGITS];
    size_t n = 0;
    do {
        reversed[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

static char *put_text(char *to, const char *text, size_t size)
{
    memcpy(to, text, size);
    return to + size;
}

static char *put_number(char *to, uint64_t number)
{
    *to++ = ' ';
    return to + cache_mc_write_number(to, number);
}

static char *put_key(char *to, const char *verb, cache_bytes wire)
{
    to = put_text(to, verb, strlen(verb));
    *to++ = ' ';
    return put_text(to, wire.data, wire.size);
}

static size_t end_line(const char *begin, char *end)
{
    return (size_t)(put_text(end, "\r\n", 2) - begin);
}

size_t cache_mc_write_command(char out[MC_MAX_COMMAND], const char *verb, cache_bytes wire)
{
    return end_line(out, put_key(out, verb, wire));
}

size_t cache_mc_write_store(char out[MC_MAX_COMMAND], const char *verb, cache_bytes wire, const struct mc_item *item)
{
    char *to = put_key(out, verb, wire);
    to = put_number(to, item->flags);
    to = put_number(to, (uint64_t)item->expiration);
    to = put_number(to, item->value.size);
    if (strcmp(verb, "cas") == 0)
        to = put_number(to, item->cas);
    return end_line(out, to);
}

size_t cache_mc_write_incr(char out[MC_MAX_COMMAND], cache_bytes wire, uint64_t delta)
{
    return end_line(out, put_number(put_key(out, "incr", wire), delta));
}

size_t cache_mc_write_touch(char out[MC_MAX_COMMAND], cache_bytes wire, int64_t expiration)
{
    return end_line(out, put_number(put_key(out, "touch", wire), (uint64_t)expiration));
}
