/* scan.c - SCAN: the command, and the keys in its reply. */
#include "store.h"

#include <string.h>

enum { SCAN_COUNT = 500 };             /* the server serves no other client while it looks at these */

/* Escape a prefix as a pattern: "a*b" becomes "a\*b*". */
static size_t pattern_of(cache_bytes prefix, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < prefix.size; i++) {
        if (strchr("*?[]\\^-", prefix.data[i]) != NULL)
            out[size++] = '\\';
        out[size++] = prefix.data[i];
    }
    out[size++] = '*';
    return size;
}

cache_status cache_redis_put_scan(cache_writer *out, const char *cursor, cache_bytes prefix)
{
    char pattern[2 * CACHE_MAX_STORED_PREFIX + 2];
    const size_t size = pattern_of(prefix, pattern);
    (void)cache_redis_begin_command(out, 6);
    (void)cache_redis_put_word(out, "SCAN", 4);
    (void)cache_redis_put_word(out, cursor, strlen(cursor));
    (void)cache_redis_put_word(out, "MATCH", 5);
    (void)cache_redis_put_word(out, pattern, size);
    (void)cache_redis_put_word(out, "COUNT", 5);
    return cache_redis_put_number(out, SCAN_COUNT);
}

cache_status cache_redis_read_scan(const char *where, const redisReply *reply, char cursor[REDIS_CURSOR_SIZE])
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[0]->len >= REDIS_CURSOR_SIZE || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return cache_redis_unexpected(where, reply);
    memcpy(cursor, reply->element[0]->str, reply->element[0]->len + 1);
    return CACHE_OK;
}

size_t cache_redis_scanned(const redisReply *reply, cache_bytes prefix, size_t *from, cache_bytes out[],
                           size_t capacity)
{
    const redisReply *keys = reply->element[1];
    size_t n = 0;
    for (; *from < keys->elements && n < capacity; ++*from) {
        const redisReply *key = keys->element[*from];
        if (key->type == REDIS_REPLY_STRING && key->len >= prefix.size &&
            memcmp(key->str, prefix.data, prefix.size) == 0)
            out[n++] = (cache_bytes){ key->str, key->len };
    }
    return n;
}
