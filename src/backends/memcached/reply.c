/* reply.c - reads replies of memcached's text protocol. The bytes are not trusted. */
#include "protocol.h"

#include "hooks.h"

#include <string.h>

enum { MAX_LINE = 2048 };    /* the line of a value has at most 320 bytes; the rest is for the text of an error */

/* ---- numbers and words ------------------------------------------------------------------------------------------- */

bool cache_mc_read_number(const char *text, size_t size, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        const unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9 || (i >= MC_MAX_DIGITS - 1 && number > (UINT64_MAX - digit) / 10))
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return number <= max;
}

/* Take the bytes up to the next space from `line`. Returns an empty word if there is none. */
static cache_bytes take_word(cache_bytes *line)
{
    const char *space = line->size > 0 ? memchr(line->data, ' ', line->size) : NULL;
    const cache_bytes word = { line->data, space != NULL ? (size_t)(space - line->data) : line->size };
    const size_t taken = word.size + (space != NULL);
    line->data += taken;
    line->size -= taken;
    return word;
}

static bool take_number(cache_bytes *line, uint64_t max, uint64_t *out)
{
    const cache_bytes word = take_word(line);
    return cache_mc_read_number(word.data, word.size, max, out);
}

static bool is_word(cache_bytes line, const char *word)
{
    return line.size == strlen(word) && memcmp(line.data, word, line.size) == 0;
}

/* Take the first word and the space after it, if the word is `verb`. The rest stays in `line`. */
static bool take_verb(cache_bytes *line, const char *verb)
{
    const size_t size = strlen(verb);
    if (line->size <= size || memcmp(line->data, verb, size) != 0 || line->data[size] != ' ')
        return false;
    line->data += size + 1;
    line->size -= size + 1;
    return true;
}

/* ---- one line ---------------------------------------------------------------------------------------------------- */

/* Read "key flags bytes[ cas]". `*bytes` is the size of the value that follows the line. */
static bool read_value_line(cache_bytes line, struct mc_reply *out, size_t *bytes)
{
    uint64_t flags = 0, size = 0;
    out->kind = MC_VALUE;
    out->key = take_word(&line);
    if (out->key.size == 0 || out->key.size > MC_MAX_WIRE_KEY || !take_number(&line, UINT32_MAX, &flags)
        || !take_number(&line, MC_MAX_ITEM, &size))
        return false;
    if (line.size > 0 && (!take_number(&line, UINT64_MAX, &out->number) || line.size > 0))
        return false;
    out->flags = (uint32_t)flags;
    *bytes = (size_t)size;
    return true;
}

/* Read a decimal number. If a number became shorter, memcached may leave spaces after it. */
static bool read_count(cache_bytes line, struct mc_reply *out)
{
    while (line.size > 0 && line.data[line.size - 1] == ' ')
        line.size--;
    out->kind = MC_NUMBER;
    return cache_mc_read_number(line.data, line.size, UINT64_MAX, &out->number);
}

static bool read_plain_line(cache_bytes line, struct mc_reply *out)
{
    static const struct { const char *word; enum mc_kind kind; } words[] = {
        { "END", MC_END }, { "STORED", MC_STORED }, { "NOT_STORED", MC_NOT_STORED }, { "EXISTS", MC_EXISTS },
        { "NOT_FOUND", MC_NOT_FOUND }, { "DELETED", MC_DELETED }, { "TOUCHED", MC_TOUCHED }, { "ERROR", MC_ERROR },
        { "CLIENT_ERROR", MC_CLIENT_ERROR }, { "SERVER_ERROR", MC_SERVER_ERROR },
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is_word(line, words[i].word)) {
            out->kind = words[i].kind;
            out->text = line;
            return true;
        }
    static const struct { const char *verb; enum mc_kind kind; } errors[] = {
        { "CLIENT_ERROR", MC_CLIENT_ERROR }, { "SERVER_ERROR", MC_SERVER_ERROR }, { "ERROR", MC_ERROR },
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (take_verb(&line, errors[i].verb)) {
            out->kind = errors[i].kind;
            out->text = line;
            return true;
        }
    return read_count(line, out);
}

/* ---- replies ----------------------------------------------------------------------------------------------------- */

ptrdiff_t cache_mc_read_reply(const char *data, size_t size, struct mc_reply *out)
{
    const size_t searched = size < MAX_LINE ? size : MAX_LINE;
    const char *newline = size > 0 ? memchr(data, '\n', searched) : NULL;
    *out = (struct mc_reply){ .kind = MC_ERROR };
    if (newline == NULL)
        return searched < MAX_LINE ? 0 : -1;
    const size_t line_size = (size_t)(newline + 1 - data);
    if (line_size < 2 || newline[-1] != '\r')
        return -1;
    cache_bytes line = { data, line_size - 2 };
    out->size = line_size;
    if (!take_verb(&line, "VALUE"))
        return read_plain_line(line, out) ? (ptrdiff_t)line_size : -1;
    size_t bytes = 0;
    if (!read_value_line(line, out, &bytes))
        return -1;
    out->size = line_size + bytes + 2;
    if (size < out->size)
        return 0;
    out->value = (cache_bytes){ data + line_size, bytes };
    return memcmp(data + line_size + bytes, "\r\n", 2) == 0 ? (ptrdiff_t)out->size : -1;
}

/* ---- replies in pieces ------------------------------------------------------------------------------------------- */

enum { FIRST_CAPACITY = 32 * 1024, KEPT_CAPACITY = 64 * 1024 };

/* Make room for a piece of `size` bytes. The buffer is at most twice as large as the bytes that came. */
static bool make_room(struct mc_reader *reader, size_t size)
{
    const size_t needed = reader->filled + size;
    if (needed <= reader->capacity)
        return true;
    size_t capacity = reader->capacity > 0 ? reader->capacity : FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    char *buffer = cache_env_resize(reader->env, reader->buffer, capacity);
    if (buffer == NULL)
        return false;
    reader->buffer = buffer;
    reader->capacity = capacity;
    return true;
}

static enum mc_read collect(struct mc_reader *reader, const char *data, size_t size, size_t *used,
                            struct mc_reply *out)
{
    const size_t missing = reader->wanted - reader->filled, n = size < missing ? size : missing;
    if (!make_room(reader, n))
        return MC_READ_NOMEM;
    memcpy(reader->buffer + reader->filled, data, n);
    reader->filled += n;
    *used = n;
    if (n < missing)
        return MC_READ_MORE;
    reader->filled = 0;
    return cache_mc_read_reply(reader->buffer, reader->wanted, out) > 0 ? MC_READ_REPLY : MC_READ_NONSENSE;
}

enum mc_read cache_mc_reader_next(struct mc_reader *reader, const char *data, size_t size, size_t most_left,
                                  size_t *used, struct mc_reply *out)
{
    *used = 0;
    if (reader->filled > 0)
        return collect(reader, data, size, used, out);
    const ptrdiff_t read = cache_mc_read_reply(data, size, out);
    if (read < 0)
        return MC_READ_NONSENSE;
    if (read > 0) {
        *used = (size_t)read;
        return MC_READ_REPLY;
    }
    if (out->size < most_left)
        return MC_READ_MORE;
    reader->wanted = out->size;
    return collect(reader, data, size, used, out);
}

void cache_mc_reader_rest(struct mc_reader *reader)
{
    if (reader->capacity > KEPT_CAPACITY)
        cache_mc_reader_release(reader);
}

void cache_mc_reader_release(struct mc_reader *reader)
{
    cache_env_free(reader->env, reader->buffer);
    *reader = (struct mc_reader){ .env = reader->env };
}
