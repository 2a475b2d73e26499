/* key.c - from our keys to what memcached takes: at most 250 bytes, no spaces, no control characters.
 *
 * What a byte is does not depend on the locale: another program, in another one, must find the same name. */
#include "store.h"

#include "sha256.h"

#include <string.h>
#include <time.h>

enum {
    HASH_DIGITS = 32,                  /* 128 bits */
    HEAD = 120,                        /* bytes of a hashed key that stay readable */
    GENERATION_DIGITS = 13,            /* of an int64 in base 36 */
    MONTH_SECONDS = 30 * 24 * 3600     /* more is a date, to memcached */
};

static bool is_allowed(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f;
}

static bool fits(const char *text, size_t size)
{
    if (size > MC_MAX_WIRE_KEY)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!is_allowed(text[i]))
            return false;
    return true;
}

/* `text` may be `out->text`, and is, if it has no more bytes than go there. */
static void shorten_key(const char *text, size_t size, struct mc_key *out)
{
    out->hashed = !fits(text, size);
    out->size = size;
    if (!out->hashed)
        return;
    char hash[SHA256_HEX_SIZE + 1];
    const size_t head = size < HEAD ? size : HEAD;
    cache_sha256_hex(text, size, hash);
    for (size_t i = 0; i < head; i++)
        out->text[i] = is_allowed(text[i]) ? text[i] : '_';
    out->text[head] = '#';
    memcpy(out->text + head + 1, hash, HASH_DIGITS);
    out->size = head + 1 + HASH_DIGITS;
}

static size_t write_base_36(int64_t id, char out[GENERATION_DIGITS])
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
        size += write_base_36(generation, text + size);
        text[size++] = ':';
    }
    memcpy(text + size, key.data + key.size - rest, rest);
    size += rest;
    if (text != out->text && size <= MC_MAX_WIRE_KEY) {
        memcpy(out->text, text, size);
        text = out->text;
    }
    shorten_key(text, size, out);
}

void cache_mc_generation_key(const struct mc_store *store, struct mc_key *out)
{
    static const char name[] = "generation";
    memcpy(out->text, store->prefix, store->prefix_size);
    memcpy(out->text + store->prefix_size, name, sizeof name - 1);
    shorten_key(out->text, store->prefix_size + sizeof name - 1, out);
}

int64_t cache_mc_expiration(int64_t ttl_ms)
{
    const int64_t seconds = ttl_ms / 1000 + (ttl_ms % 1000 != 0);
    if (seconds <= MONTH_SECONDS)
        return seconds;
    const int64_t now = (int64_t)time(NULL);
    if (seconds <= INT32_MAX - now)
        return now + seconds;
    /* memcached reads 32 bits with a sign: the last date it knows, or near that one, what it takes as a duration. */
    return INT32_MAX - now > MONTH_SECONDS ? INT32_MAX : MONTH_SECONDS;
}
