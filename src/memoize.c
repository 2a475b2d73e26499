/* memoize.c - the keys and calls of memoized functions: what stands behind CACHE_MEMOIZE's doorway. */
#include "env.h"
#include "number.h"
#include "writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static void put(cache_memo_key *key, const char *text, size_t size)
{
    if (size > CACHE_MAX_KEY - key->size) {
        key->too_long = true;
        return;
    }
    memcpy(key->text + key->size, text, size);
    key->size += size;
    key->text[key->size] = '\0';
}

static void put_text(cache_memo_key *key, const char *text)
{
    put(key, text, strlen(text));
}

static void put_number(cache_memo_key *key, int64_t number)
{
    char text[NUMBER_MAX_SIZE + 1];
    put(key, text, cache_number_format(number, text));
}

void cache_memo_begin(cache_memo_key *key, const char *name, const char *type, size_t size)
{
    key->size = 0;
    key->too_long = false;
    put_text(key, "memo/");
    put_text(key, name);
    put_text(key, "/");
    put_text(key, type);
    put_text(key, "/");
    put_number(key, (int64_t)size);
    (void)snprintf(key->tag, sizeof key->tag, "%.*s", (int)sizeof key->tag - 1, key->text);
    put_text(key, "(");
}

void cache_memo_bool(cache_memo_key *key, bool argument)
{
    put_text(key, argument ? "b1," : "b0,");
}

void cache_memo_int(cache_memo_key *key, long long argument)
{
    put_text(key, "i");
    put_number(key, argument);
    put_text(key, ",");
}

void cache_memo_uint(cache_memo_key *key, unsigned long long argument)
{
    char text[24];
    put(key, text, (size_t)snprintf(text, sizeof text, "u%llu,", argument));
}

/* By its bits, which no locale changes; but both zeros are one, and all that is no number is too. */
void cache_memo_double(cache_memo_key *key, double argument)
{
    uint64_t bits = 0;
    char text[24] = "dnan,";
    if (argument == 0)
        argument = 0;
    memcpy(&bits, &argument, sizeof bits);
    if (argument == argument)
        (void)snprintf(text, sizeof text, "d%016" PRIx64 ",", bits);
    put_text(key, text);
}

void cache_memo_text(cache_memo_key *key, const char *argument)
{
    if (argument == NULL) {
        put_text(key, "n,");
        return;
    }
    const size_t size = strlen(argument);
    put_text(key, "s");
    put_number(key, (int64_t)size);
    put_text(key, ":");
    put(key, argument, size);
    put_text(key, ",");
}

void cache_memo_end(cache_memo_key *key)
{
    put_text(key, ")");
}

cache_status cache_memo_copy_key(const cache_memo_key *key, char *buf, size_t cap)
{
    if (key->too_long || key->size + 1 > cap || buf == NULL)
        return cache_fail(CACHE_ERR_TOO_LARGE, "memoize: the key has more than %zu bytes", cap > 0 ? cap - 1 : 0);
    memcpy(buf, key->text, key->size + 1);
    return CACHE_OK;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static cache_status compute_uncached(cache_compute_fn *compute, void *ctx, cache_value *out)
{
    cache_writer writer;
    cache_writer_init(&writer, &cache_allocator_default);
    cache_status status = compute(ctx, &writer);
    if (status == CACHE_OK)
        status = cache_writer_take(&writer, out);
    cache_writer_release(&writer);
    return status;
}

cache_status cache_memo_fetch_value(cache_t *cache, const cache_memo_key *key, const char *type,
                                    const cache_fetch_options *options, cache_compute_fn *compute, void *ctx,
                                    cache_value *out)
{
    *out = (cache_value){ NULL, 0, NULL };
    if (cache == NULL || key->too_long)
        return compute_uncached(compute, ctx, out);
    cache_fetch_options with_tag = *options;
    const char *const tag = key->tag;
    with_tag.type = type;
    with_tag.tags = &tag;
    with_tag.n_tags = 1;
    return cache_fetch(cache, key->text, &with_tag, compute, ctx, out);
}

cache_status cache_memo_fetch(cache_t *cache, const cache_memo_key *key, const char *type,
                              const cache_fetch_options *options, cache_compute_fn *compute, void *ctx, void *out,
                              size_t size)
{
    cache_value value;
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "memoize: out is NULL");
    cache_status status = cache_memo_fetch_value(cache, key, type, options, compute, ctx, &value);
    if (status == CACHE_OK && value.size == size)
        memcpy(out, value.data, size);
    else if (status == CACHE_OK) {
        /* Stored by a program with another idea of the type: computed anew, never misread. */
        cache_value_release(&value);
        cache_fetch_options again = *options;
        again.force = true;
        status = cache_memo_fetch_value(cache, key, type, &again, compute, ctx, &value);
        if (status == CACHE_OK)
            memcpy(out, value.data, value.size < size ? value.size : size);
    }
    cache_value_release(&value);
    return status;
}

cache_status cache_memo_fetch_text(cache_t *cache, const cache_memo_key *key, const cache_fetch_options *options,
                                   cache_compute_fn *compute, void *ctx, char **out)
{
    cache_value value;
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "memoize: out is NULL");
    *out = NULL;
    cache_status status = cache_memo_fetch_value(cache, key, "char *", options, compute, ctx, &value);
    if (status == CACHE_OK) {
        *out = malloc(value.size + 1);    /* not the handle's allocator: the caller frees it with free */
        if (*out != NULL)
            memcpy(*out, value.data, value.size + 1);
        else
            status = cache_fail(CACHE_ERR_NOMEM, "memoize: out of memory for a text of %zu bytes", value.size);
    }
    cache_value_release(&value);
    return status;
}

cache_status cache_memo_put_text(cache_writer *out, char *text)
{
    const cache_status status = text != NULL ? cache_writer_puts(out, text) : CACHE_MISS;
    free(text);
    return status;
}

cache_status cache_memo_forget(cache_t *cache, const cache_memo_key *key)
{
    return key->too_long ? CACHE_MISS : cache_delete(cache, key->text);
}

cache_status cache_memo_forget_all(cache_t *cache, const cache_memo_key *key)
{
    return cache_invalidate_tag(cache, key->tag);
}

void cache_memo_zero(void *result, size_t size)
{
    memset(result, 0, size);
}
