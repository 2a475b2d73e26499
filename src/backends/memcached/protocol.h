/* protocol.h - memcached's classic text protocol, as functions on bytes: they write requests and read replies.
 *
 * Only commands that memcached 1.4 to 1.6, mcrouter and twemproxy have in common: get, gets, set, add, cas, delete,
 * incr, touch. No function here depends on the locale. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "api.h"

#include <stddef.h>
#include <stdint.h>

enum {
    MC_MAX_WIRE_KEY = 250,             /* the longest key that memcached accepts */
    MC_MAX_COMMAND = 384               /* the line of any command with one key, including CR LF */
};

#define MC_MAX_ITEM (UINT64_C(1) << 30)    /* bytes of one item: more than any memcached accepts (-I) */

/* ---- requests ---------------------------------------------------------------------------------------------------- */

struct mc_item {
    cache_bytes value;
    uint32_t flags;
    int64_t expiration;                /* as returned by cache_mc_expiration */
    uint64_t cas;                      /* only for the command cas */
};

/* Write a command line with its CR LF to `out` and return its size. `wire` is a key of at most MC_MAX_WIRE_KEY bytes.
 * After the line of a store command (set, add, cas), the value and another CR LF must follow. */
size_t cache_mc_write_command(char out[MC_MAX_COMMAND], const char *verb, cache_bytes wire);
size_t cache_mc_write_store(char out[MC_MAX_COMMAND], const char *verb, cache_bytes wire, const struct mc_item *item);
size_t cache_mc_write_incr(char out[MC_MAX_COMMAND], cache_bytes wire, uint64_t delta);
size_t cache_mc_write_touch(char out[MC_MAX_COMMAND], cache_bytes wire, int64_t expiration);

/* Write the decimal digits of `number`. Returns how many there are. */
enum { MC_MAX_DIGITS = 20 };
size_t cache_mc_write_number(char out[MC_MAX_DIGITS], uint64_t number);

/* Read a text of exactly `size` digits as a number of at most `max`. Returns false if it is anything else. */
bool cache_mc_read_number(const char *text, size_t size, uint64_t max, uint64_t *out);

/* ---- replies ----------------------------------------------------------------------------------------------------- */

enum mc_kind {
    MC_VALUE, MC_END,                  /* replies to get and gets: any number of values, then the end */
    MC_STORED, MC_NOT_STORED, MC_EXISTS, MC_NOT_FOUND, MC_DELETED, MC_TOUCHED,
    MC_NUMBER,                         /* of incr */
    MC_ERROR, MC_CLIENT_ERROR, MC_SERVER_ERROR
};

struct mc_reply {
    enum mc_kind kind;
    cache_bytes key, value;            /* for a value */
    uint32_t flags;
    uint64_t number;                   /* for incr: the new number; for a value of gets: its cas */
    cache_bytes text;                  /* for an error: the server's text */
    size_t size;                       /* bytes of the whole reply; 0: its first line is not complete yet */
};

/* Read the first reply in the `size` bytes at `data`. Returns its size, and `*out` points into the bytes. Returns 0 if
 * more bytes are needed, and -1 if it is not a reply of memcached. No size in the bytes is trusted beyond the bytes
 * that are there. */
ptrdiff_t cache_mc_read_reply(const char *data, size_t size, struct mc_reply *out);

/* Reads replies that arrive in pieces. A reply that is complete in one piece is not copied. A larger one is collected
 * in a buffer that grows with the bytes that came, never with the announced size. */
struct mc_reader {
    const cache_env *env;
    char *buffer;
    size_t filled, capacity;           /* filled: bytes of a reply that is not complete yet */
    size_t wanted;                     /* the whole size of that reply */
};

enum mc_read { MC_READ_MORE, MC_READ_REPLY, MC_READ_NONSENSE, MC_READ_NOMEM };

/* Takes `*used` bytes from the front of `data`. If it returns MC_READ_REPLY, `*out` is a reply, valid until the next
 * call. If it returns MC_READ_MORE, the bytes that were not used, fewer than `most_left`, must be passed again, with
 * more bytes after them. */
enum mc_read cache_mc_reader_next(struct mc_reader *reader, const char *data, size_t size, size_t most_left,
                                  size_t *used, struct mc_reply *out);

/* Call between two requests. Frees a large buffer, so that one large value does not hold its memory for ever. */
void cache_mc_reader_rest(struct mc_reader *reader);
void cache_mc_reader_release(struct mc_reader *reader);

#endif
