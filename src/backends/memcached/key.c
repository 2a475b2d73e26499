/* key.c - converts our keys to memcached's: at most 250 bytes, without spaces and control characters.
 *
 * The test for such bytes does not depend on the locale, because a program with another locale must find the same
 * name. */
#include "store.h"

#include "sha256.h"

#include <string.h>
#include <time.h>

enum {
    HASH_DIGITS = 32,                  /* 128 bits */
    HEAD = 120,                        /* bytes of a hashed key that are kept as they are, for people who read it */
    MONTH_SECONDS = 30 * 24 * 3600     /* memcached takes a larger number as a date */
};

static bool is_allowed(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f;
}

/* The loop has no early exit, so that the compiler can check many bytes at once. */
static bool fits(const char *text, size_t size)
{
    unsigned wrong = size > MC_MAX_WIRE_KEY;
    for (size_t i = 0; i < size; i++)
        wrong |= !is_allowed(text[i]);
    return !wrong;
}

/* If `text` has at most MC_MAX_WIRE_KEY bytes, it must already be in `out->text`. */
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

static size_t write_base_36(int64_t id, char out[MC_GENERATION_DIGITS])
{
    char reversed[MC_GENERATION_DIGITS];
    size_t n = 0;
    do {
        reversed[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[id % 36];
        id /= 36;
    } while (id > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

void cache_mc_key_head(const struct mc_store *store, int64_t generation, struct mc_key_head *out)
{
    *out = (struct mc_key_head){ .text = "" };
    if (generation < 0)
        return;
    memcpy(out->text, store->prefix, store->prefix_size);
    out->size = store->prefix_size + write_base_36(generation, out->text + store->prefix_size);
    out->text[out->size++] = ':';
    out->replaced = store->prefix_size;
}

void cache_mc_key(const struct mc_key_head *head, cache_bytes key, struct mc_key *out)
{
    char whole[sizeof head->text + CACHE_MAX_STORED_PREFIX + CACHE_MAX_INTERNAL_KEY];
    const size_t rest = key.size - head->replaced, size = head->size + rest;
    char *text = size <= MC_MAX_WIRE_KEY ? out->text : whole;
    memcpy(text, head->text, head->size);
    memcpy(text + head->size, key.data + head->replaced, rest);
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
    /* memcached reads a signed 32-bit number. Use the last date that it knows; near that date, use the longest
     * duration. */
    return INT32_MAX - now > MONTH_SECONDS ? INT32_MAX : MONTH_SECONDS;
}
