/* seal_key.c - the file that holds the keys of sealed values. */
#include "seal_key.h"

#include "hex.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { HEX_SIZE = 2 * CODEC_KEY_SIZE, MAX_FILE = 2 * (HEX_SIZE + 2) };

/* Read at most `cap` bytes. Returns how many, or -1. */
static ssize_t read_file(const char *path, char *out, size_t cap)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t size = 0;
    ssize_t n = 1;
    while (size < cap && n != 0) {
        n = read(fd, out + size, cap - size);
        if (n < 0 && errno != EINTR)
            break;
        size += n > 0 ? (size_t)n : 0;
    }
    const int error = errno;
    (void)close(fd);
    errno = error;
    return n < 0 ? -1 : (ssize_t)size;
}

/* Take one line of digits off `*text`. Returns false if there is none. */
static bool take_line(const char **text, const char *end, unsigned char out[CODEC_KEY_SIZE])
{
    if (end - *text < HEX_SIZE)
        return false;
    for (size_t i = 0; i < CODEC_KEY_SIZE; i++) {
        const int high = cache_hex_digit((*text)[2 * i]), low = cache_hex_digit((*text)[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    *text += HEX_SIZE;
    if (*text < end && **text == '\r')
        ++*text;
    if (*text < end && *(*text)++ != '\n')
        return false;
    return true;
}

cache_status cache_seal_key_read(const char *path, struct cache_codec_format *out)
{
    char text[MAX_FILE + 1];
    const ssize_t size = read_file(path, text, sizeof text);
    if (size < 0)
        return cache_fail(CACHE_ERR_IO, "seal: %s: %s", path, strerror(errno));
    const char *at = text, *end = text + size;
    bool is_right = size == CODEC_KEY_SIZE;
    out->n_keys = 0;
    if (is_right)
        memcpy(out->keys[out->n_keys++], text, CODEC_KEY_SIZE);
    else {
        while (out->n_keys < CODEC_MAX_KEYS && take_line(&at, end, out->keys[out->n_keys]))
            out->n_keys++;
        is_right = out->n_keys > 0 && at == end;
    }
    /* The compiler must not leave this out, since it is the key. */
    for (volatile char *byte = text; byte < text + sizeof text; byte++)
        *byte = 0;
    if (!is_right)
        return cache_fail(CACHE_ERR_CONFIG,
                          "seal: %s: must hold a key of 32 bytes, or one or two lines of 64 hexadecimal digits", path);
    return CACHE_OK;
}
