/* key.c - from our keys to what memcached takes: at most 250 bytes, no spaces, no control characters. */
#include "store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    HASH_DIGITS = 32,
    HEAD = 120,                        /* bytes of a hashed key that stay readable */
    GENERATION_DIGITS = 13,            /* of an int64 in base 36 */
    MONTH_SECONDS = 30 * 24 * 3600     /* more is a date, to memcached */
};

/* libmemcached cuts the key out of a reply with the locale's isspace and iscntrl: in a Latin-1 locale some bytes of
 * UTF-8 are such to it, and a key that has them would be misread. */
static bool is_allowed(unsigned char c)
{
    return c > ' ' && c != 0x7f && (c < 0x80 || (!isspace(c) && !iscntrl(c)));
}

static bool fits(const char *text, size_t size)
{
    if (size > MC_MAX_WIRE_KEY)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!is_allowed((unsigned char)text[i]))
            return false;
    return true;
}

/* `text` may be `out->text`, and is, if it has no more bytes than go there. */
static void name(const char *text, size_t size, struct mc_key *out)
{
    out->hashed = !fits(text, size);
    out->size = size;
    if (out->hashed) {
        const XXH128_hash_t hash = XXH3_128bits(text, size);    /* unseeded: every process must find it */
        const size_t head = size < HEAD ? size : HEAD;
        for (size_t i = 0; i < head; i++)
            out->text[i] = is_allowed((unsigned char)text[i]) ? text[i] : '_';
        (void)snprintf(out->text + head, sizeof out->text - head, "#%016llx%016llx", (unsigned long long)hash.high64,
                       (unsigned long long)hash.low64);
        out->size = head + 1 + HASH_DIGITS;
    }
    out->text[out->size] = '\0';
}

static size_t print_base_36(int64_t id, char out[GENERATION_DIGITS])
{
    char reversed[GENERATION_DIGITS];
    size_t n = 0;
    do {
        reversed[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[id % 36];
        id /= 36;
    } while (id > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

void cache_mc_key(const struct mc_store *store, cache_bytes key, int64_t generation, struct mc_key *out)
{
    char whole[CACHE_MAX_PREFIX + GENERATION_DIGITS + 1 + CACHE_MAX_INTERNAL_KEY];
    char *text = key.size + GENERATION_DIGITS + 1 <= MC_MAX_WIRE_KEY ? out->text : whole;
    size_t size = generation >= 0 ? store->prefix_size : 0;
    const size_t rest = key.size - size;
    memcpy(text, key.data, size);
    if (generation >= 0) {
        size += print_base_36(generation, text + size);
        text[size++] = ':';
    }
    memcpy(text + size, key.data + key.size - rest, rest);
    size += rest;
    if (text != out->text && size <= MC_MAX_WIRE_KEY) {
        memcpy(out->text, text, size);
        text = out->text;
    }
    name(text, size, out);
}

void cache_mc_generation_key(const struct mc_store *store, struct mc_key *out)
{
    const int size = snprintf(out->text, sizeof out->text, "%sgeneration", store->prefix);
    name(out->text, (size_t)size, out);
}

time_t cache_mc_expiration(int64_t ttl_ms)
{
    const int64_t seconds = ttl_ms / 1000 + (ttl_ms % 1000 != 0);
    if (seconds <= MONTH_SECONDS)
        return (time_t)seconds;
    const int64_t now = (int64_t)time(NULL);
    if (seconds <= INT32_MAX - now)
        return (time_t)(now + seconds);
    /* memcached reads 32 bits with a sign: the last date it knows, or near that one, what it takes as a duration. */
    return INT32_MAX - now > MONTH_SECONDS ? (time_t)INT32_MAX : MONTH_SECONDS;
}
