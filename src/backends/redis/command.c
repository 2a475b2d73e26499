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
