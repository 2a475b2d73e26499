/* fragment.c - a part of a page, cached where it is written. */
#include "writer.h"

#include "number.h"

#include <string.h>

/* "fragment/NAME" and, for each vary part, its length and itself: no two lists of parts make one key. */
cache_status cache_fragment_key(char *buf, size_t cap, const char *const parts[], size_t n)
{
    if (buf == NULL || parts == NULL || n == 0 || parts[0] == NULL || parts[0][0] == '\0')
        return cache_fail(CACHE_ERR_INVALID, "fragment: %s", buf == NULL ? "buf is NULL" : "it has no name");
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        char head[NUMBER_MAX_SIZE + 3] = "fragment/";
        const size_t part = parts[i] != NULL ? strlen(parts[i]) : 0;
        if (i > 0 && parts[i] == NULL)
            memcpy(head, "/n", 3);
        else if (i > 0) {
            head[0] = '/';
            const size_t digits = cache_number_format((int64_t)part, head + 1);
            memcpy(head + 1 + digits, ":", 2);
        }
        const size_t head_size = strlen(head);
        if (part >= cap || head_size >= cap - part || size >= cap - part - head_size)
            return cache_fail(CACHE_ERR_TOO_LARGE, "fragment '%.40s': the key has more than %zu bytes", parts[0],
                              cap > 0 ? cap - 1 : 0);
        memcpy(buf + size, head, head_size);
        if (part > 0)
            memcpy(buf + size + head_size, parts[i], part);
        size += head_size + part;
        buf[size] = '\0';
    }
    return CACHE_OK;
}

cache_status cache_fragment_forget(cache_t *cache, const char *const parts[], size_t n)
{
    char key[CACHE_MAX_KEY + 1];
    const cache_status status = cache_fragment_key(key, sizeof key, parts, n);
    return status == CACHE_OK ? cache_delete(cache, key) : status;
}

cache_fragment cache_fragment_begin(cache_t *cache, cache_writer *out, double ttl, const char *const parts[], size_t n)
{
    cache_fragment fragment;
    fragment.cache = cache;
    fragment.out = out;
    fragment.ttl = ttl;
    fragment.running = cache_writer_status(out) == CACHE_OK;
    fragment.storable = false;
    if (!fragment.running)
        return fragment;
    fragment.begin = out->size;
    fragment.outer_failed = out->fragment_failed;
    out->fragment_failed = false;    /* also of a body that was left by break after it failed */
    cache_value value;
    /* A key that cannot be, or a store that fails, costs a rendering. */
    fragment.storable = cache != NULL && cache_fragment_key(fragment.key, sizeof fragment.key, parts, n) == CACHE_OK;
    if (fragment.storable && cache_get(cache, fragment.key, &value) == CACHE_OK) {
        (void)cache_writer_append(out, value.data, value.size);
        cache_value_release(&value);
        out->fragment_failed = fragment.outer_failed;
        fragment.running = false;
    }
    fragment.storable = fragment.storable && !out->no_store;
    return fragment;
}

void cache_fragment_end(cache_fragment *fragment)
{
    cache_writer *out = fragment->out;
    fragment->running = false;
    if (out->fragment_failed || out->status != CACHE_OK) {
        if (out->size > fragment->begin)
            cache_writer_undo(out, out->size - fragment->begin);
        out->no_store = true;    /* what is around it lacks a part */
    } else if (fragment->storable && !out->no_store)
        (void)cache_set(fragment->cache, fragment->key, out->data + fragment->begin, out->size - fragment->begin,
                        fragment->ttl);
    out->fragment_failed = fragment->outer_failed;
}

void cache_fragment_fail(cache_writer *out)
{
    if (out != NULL)
        out->fragment_failed = true;
}
