/* prefix.c - defines how a prefix is stored, so that no two prefixes share a key.
 *
 * If prefixes were stored unchanged, "app" and "app2" would share keys: "app" + "2k" equals "app2" + "k". So each
 * stored prefix ends with the only ':' in it, and none begins with another. If a prefix already has this form, such as
 * "app:", it is stored unchanged, so that other programs can read it. In any other prefix ':' becomes "%3A" and '%'
 * becomes "%25", and "%:" is appended: "app" is stored as "app%:", and "app:v1:" as "app%3Av1%3A%:". An empty prefix
 * stays empty. */
#include "prefix.h"

#include <string.h>

/* Returns true if the prefix can be stored unchanged. Only other prefixes end with "%:". */
static bool is_plain(const char *prefix)
{
    const char *colon = strchr(prefix, ':');
    const bool ends_there = colon != NULL && colon[1] == '\0';
    return prefix[0] == '\0' || (ends_there && (colon == prefix || colon[-1] != '%') &&
                                 prefix[0] != CACHE_INTERNAL_MARK[0]);
}

/* Append, and return the new size. If there is no room, the size is larger than the room. */
static size_t append_text(char *to, size_t size, const char *text)
{
    const size_t more = strlen(text);
    if (size + more > CACHE_MAX_STORED_PREFIX)
        return CACHE_MAX_STORED_PREFIX + 1;
    memcpy(to + size, text, more + 1);
    return size + more;
}

static size_t put_escaped(char *to, size_t size, char byte)
{
    const char plain[] = { byte, '\0' };
    if (byte == ':')
        return append_text(to, size, "%3A");
    if (byte == '%')
        return append_text(to, size, "%25");
    /* Internal keys begin with this byte. */
    return append_text(to, size, byte == CACHE_INTERNAL_MARK[0] ? "%01" : plain);
}

cache_status cache_prefix_append(char *stored, size_t *stored_size, const char *prefix)
{
    size_t size = *stored_size;
    if (is_plain(prefix))
        size = append_text(stored, size, prefix);
    else {
        for (const char *at = prefix; *at != '\0'; at++)
            size = put_escaped(stored, size, *at);
        size = append_text(stored, size, "%:");
    }
    if (size > CACHE_MAX_STORED_PREFIX) {
        stored[*stored_size] = '\0';
        return cache_fail(CACHE_ERR_INVALID, "the prefix '%.40s' has more than %d bytes in its stored form", prefix,
                          CACHE_MAX_STORED_PREFIX);
    }
    *stored_size = size;
    return CACHE_OK;
}
