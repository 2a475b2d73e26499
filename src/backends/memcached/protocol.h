/* protocol.h - memcached's classic text protocol, as functions of bytes alone: requests are written, replies are read.
 *
 * Only what memcached 1.4 to 1.6, mcrouter and twemproxy have in common: get, gets, set, add, cas, delete, incr, touch.
 * No function of the locale is called. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "api.h"

#include <stddef.h>
#include <stdint.h>

enum {
    MC_MAX_WIRE_KEY = 250,             /* what memcached takes */
    MC_MAX_COMMAND = 384               /* the line of any command with one key, and the end of its line */
};

#define MC_MAX_ITEM (UINT64_C(1) << 30)    /* bytes of one item: more than any memcached takes (-I) */

/* ---- requests ---------------------------------------------------------------------------------------------------- */

struct mc_item {
    cache_bytes value;
    uint32_t flags;
    int64_t expiration;                /* as cache_mc_expiration gives it */
    uint64_t cas;                      /* of the command cas alone */
};

/* Write a command line with its CR LF to `out` and return its size. `wire` is a key of at most MC_MAX_WIRE_KEY bytes.
 * Behind the line of a store command (set, add, cas) come the value and another CR LF. */
size_t cache_mc_write_command(char out[MC_MAX_COMMAND], const char *verb, cache_bytes wire);
size_t cache_mc_write_store(char out[MC_MAX_COMMAND], const char *verb, cache_bytes wire, const struct mc_item *item);
size_t cache_mc_write_incr(char out[MC_MAX_COMMAND], cache_bytes wire, uint64_t delta);
size_t cache_mc_write_touch(char out[MC_MAX_COMMAND], cache_bytes wire, int64_t expiration);

/* The decimal digits of `number`, and how many there are. */
enum { MC_MAX_DIGITS = 20 };
size_t cache_mc_write_number(char out[MC_MAX_DIGITS], uint64_t number);

/* Read `size` digits, and nothing else, as a number of at most `max`. */
bool cache_mc_read_number(const char *text, size_t size, uint64_t max, uint64_t *out);

/* ---- replies ----------------------------------------------------------------------------------------------------- */

enum mc_kind {
    MC_VALUE, MC_END,                  /* of get and gets: any number of values, then the end */
    MC_STORED, MC_NOT_STORED, MC_EXISTS, MC_NOT_FOUND, MC_DELETED, MC_TOUCHED,
    MC_NUMBER,                         /* of incr */
    MC_ERROR, MC_CLIENT_ERROR, MC_SERVER_ERROR
};

struct mc_reply {
    enum mc_kind kind;
    cache_bytes key, value;            /* of a value */
    uint32_t flags;
    uint64_t number;                   /* of incr; of a value of gets: its cas */
    cache_bytes text;                  /* of an error: the server's words */
    size_t size;                       /* bytes of the whole reply; 0: its first line is not there yet */
};

/* Read the first reply of the `size` bytes at `data`: how many bytes it has, and `*out`, which points into them.
 * 0: more must come. -1: it is no reply of memcached's. No number in the bytes is believed beyond what is there. */
ptrdiff_t cache_mc_read_reply(const char *data, size_t size, struct mc_reply *out);

/* Replies as their bytes come in, piece by piece. A reply that is whole in one piece is not copied; a large one is
 * collected in a buffer that grows with what came, never with what was announced. */
struct mc_reader {
    const cache_env *env;
    char *buffer;
    size_t filled, capacity;           /* filled: bytes of a reply that is not whole yet */
    size_t wanted;                     /* bytes that it has in all */
};

enum mc_read { MC_READ_MORE, MC_READ_REPLY, MC_READ_NONSENSE, MC_READ_NOMEM };

/* Take bytes from the front of what came, `*used` of them. MC_READ_REPLY: `*out` is a reply, and points to memory that
 * is good until the next call. MC_READ_MORE: what is left, less than `most_left` bytes, must come again with more
 * behind it. */
enum mc_read cache_mc_reader_next(struct mc_reader *reader, const char *data, size_t size, size_t most_left,
                                  size_t *used, struct mc_reply *out);

/* Between two requests: one large value does not cost its size for ever. */
void cache_mc_reader_rest(struct mc_reader *reader);
void cache_mc_reader_release(struct mc_reader *reader);

#endif
