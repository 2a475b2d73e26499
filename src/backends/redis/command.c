/* command.c - writes commands in the wire format. */
#include "store.h"

#include "number.h"

#include <string.h>

static cache_status put_count(cache_writer *out, char kind, int64_t count)
{
    char text[NUMBER_MAX_SIZE + 4] = { kind };
    const size_t size = cache_number_format(count, text + 1) + 1;
    memcpy(text + size, "\r\n", 2);
    return cache_writer_append(out, text, size + 2);
}

cache_status cache_redis_begin_command(cache_writer *out, size_t n_words)
{
    return put_count(out, '*', (int64_t)n_words);
}

cache_status cache_redis_put_head(cache_writer *out, size_t size)
{
    return put_count(out, '$', (int64_t)size);
}

cache_status cache_redis_put_word(cache_writer *out, const char *data, size_t size)
{
    (void)cache_redis_put_head(out, size);
    (void)cache_writer_append(out, data, size);
    return cache_writer_append(out, "\r\n", 2);
}

cache_status cache_redis_put_number(cache_writer *out, int64_t number)
{
    char text[NUMBER_MAX_SIZE + 1];
    return cache_redis_put_word(out, text, cache_number_format(number, text));
}

cache_status cache_redis_put_command(cache_writer *out, const char *const words[])
{
    size_t n = 0;
    while (words[n] != NULL)
        n++;
    cache_status status = cache_redis_begin_command(out, n);
    for (size_t i = 0; i < n; i++)
        status = cache_redis_put_word(out, words[i], strlen(words[i]));
    return status;
}

cache_status cache_redis_put_set(cache_writer *out, cache_bytes key, cache_bytes value, int64_t ttl_ms)
{
    (void)cache_redis_begin_command(out, ttl_ms > 0 ? 5 : 3);
    (void)cache_redis_put_word(out, "SET", 3);
    (void)cache_redis_put_word(out, key.data, key.size);
    const cache_status status = cache_redis_put_word(out, value.data, value.size);
    if (ttl_ms == 0)
        return status;
    (void)cache_redis_put_word(out, "PX", 2);
    return cache_redis_put_number(out, ttl_ms);
}

/* UNLINK exists since Redis 4, and an ACL may forbid it. DEL does the same, but blocks the server meanwhile. */
const char *cache_redis_removal(struct redis_store *store)
{
    return atomic_load_explicit(&store->no_unlink, memory_order_relaxed) ? "DEL" : "UNLINK";
}
