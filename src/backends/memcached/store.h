/* store.h - what the parts of the Memcached store share.
 *
 * Each host is a server of the transport (wire/), with its own connections and circuit breaker. Ketama chooses the host
 * of a key. A request is one command of the text protocol, and a function that uses its replies. */
#ifndef MEMCACHED_STORE_H
#define MEMCACHED_STORE_H

#include "../backends.h"
#include "../fork_guard.h"
#include "../wire/server.h"
#include "ketama.h"
#include "number.h"
#include "protocol.h"
#include "record.h"

#include <pthread.h>
#include <string.h>

enum {
    MC_FLAG_COUNTER = 0x4c430001,      /* a counter of ours: an unsigned decimal, read as two's complement */
    MC_FLAG_WRAPPED = 0x4c430002       /* the item holds the whole key before the value */
};

/* The generations of keys on this host, as this process last read them. */
struct mc_generation {
    pthread_mutex_t lock;              /* never held during network calls */
    bool known, refreshing;
    bool bump;                         /* a clear could not reach the host, so it gets a new generation when it is
                                        * back */
    unsigned version;                  /* counts the clears of this process */
    struct mc_record record;
    int64_t read_again_at;             /* on the monotonic clock */
};

struct mc_server {
    struct mc_store *store;
    char *host;                        /* or the path of a Unix socket */
    char where[160];                   /* "memcached 10.0.0.1:11211", for messages */
    struct cache_server link;
    struct mc_generation generation;
};

struct mc_store {
    const cache_env *env;
    struct mc_server *servers;
    size_t n_servers;
    struct mc_ketama ketama;
    struct cache_tls *tls;             /* NULL: no TLS */
    char *user, *password;             /* NULL: none */
    struct cache_server_counters counters;
    struct cache_fork_guard fork_guard;    /* knows which process the locks of generations belong to */
    bool generations;
    size_t prefix_size;
    char prefix[CACHE_MAX_STORED_PREFIX + 1];
};

/* ---- hosts (server.c) -------------------------------------------------------------------------------------------- */

cache_status cache_mc_servers_open(struct mc_store *store, const cache_backend_config *config);
void cache_mc_servers_close(struct mc_store *store);

static inline struct mc_server *cache_mc_route(const struct mc_store *store, cache_bytes key)
{
    return &store->servers[cache_mc_ketama_host(&store->ketama, key.data, key.size)];
}

/* Returns the time when an operation that begins now must have ended, including all its requests. */
uint64_t cache_mc_deadline(const struct mc_store *store);

/* If this process is a new child of a fork, free the locks that other threads of the parent held. */
void cache_mc_check_fork(struct mc_store *store);

/* ---- keys (key.c) ---------------------------------------------------------------------------------------------- */

struct mc_key {
    char text[MC_MAX_WIRE_KEY];        /* without a NUL */
    size_t size;
    bool hashed;                       /* the text is the beginning of the key and a hash, and the whole key is stored
                                        * with the value */
};

/* The beginning of all names of a generation. It replaces the store's prefix. */
enum { MC_GENERATION_DIGITS = 13 };    /* the digits of an int64 in base 36 */
struct mc_key_head {
    char text[CACHE_MAX_STORED_PREFIX + MC_GENERATION_DIGITS + 1];
    size_t size, replaced;             /* replaced: how many bytes of the key it replaces */
};

/* Make the beginning of the names. `generation` < 0 means no generation. */
void cache_mc_key_head(const struct mc_store *store, int64_t generation, struct mc_key_head *out);

/* Make the name that `key` has in memcached. `key` begins with the store's prefix. */
void cache_mc_key(const struct mc_key_head *head, cache_bytes key, struct mc_key *out);

/* Make the name of the record of generations. It has no ':' after the prefix, as the key of every user has, so they
 * cannot collide. */
void cache_mc_generation_key(const struct mc_store *store, struct mc_key *out);

static inline cache_bytes cache_mc_name(const struct mc_key *key)
{
    return (cache_bytes){ key->text, key->size };
}

/* Convert to seconds for memcached, rounded up. More than 30 days become a date. */
int64_t cache_mc_expiration(int64_t ttl_ms);

/* The server of a key, and its name there. */
struct mc_place {
    struct mc_server *server;
    struct mc_key wire;
};

/* Begin an operation on one key: find its deadline, its server and its name. */
cache_status cache_mc_begin(struct mc_store *store, cache_bytes key, uint64_t *deadline, struct mc_place *place);

/* ---- values (value.c) ------------------------------------------------------------------------------------------ */

enum {
    MC_LENGTH_BYTES = 2,               /* size of the length before the whole key */
    MC_MAX_VALUE_HEAD = MC_MAX_COMMAND + MC_LENGTH_BYTES + CACHE_MAX_STORED_PREFIX + CACHE_MAX_INTERNAL_KEY
};

/* Decodes an item as the value of `key`. Returns CACHE_MISS if the item belongs to another key. A counter is printed
 * into `number`. */
cache_status cache_mc_decode(const struct mc_reply *item, const struct mc_key *wire, cache_bytes key,
                             char number[NUMBER_MAX_SIZE + 1], cache_bytes *out);

/* Write everything before the value of a store command: its line, and the whole key if the name is a hash. Returns the
 * size. If key.data is NULL, the value is stored alone, whatever the name is. */
size_t cache_mc_write_value_head(char out[MC_MAX_VALUE_HEAD], const char *verb, const struct mc_key *wire,
                                 cache_bytes key, const struct mc_item *item);

/* ---- requests (call.c) ------------------------------------------------------------------------------------------- */

enum mc_verb { MC_GET, MC_GETS, MC_SET, MC_ADD, MC_CAS, MC_DELETE, MC_INCR, MC_TOUCH };

struct mc_command {
    const char *text;                  /* "get" */
    bool repeatable, overwrites;       /* whether it may be sent again (../wire/server.h) */
    unsigned answers;                  /* which kinds its last reply may have: a bit for each mc_kind */
};
extern const struct mc_command cache_mc_commands[];    /* indexed by mc_verb */

/* The last reply to a command. The caller, perhaps in another thread, converts it to a status. */
struct mc_answer {
    enum mc_kind kind;
    char text[160];                    /* of an error: the server's words */
};

/* Keeps the last reply to a command in `*out`. If the reply does not fit the command, or more replies may follow it, it
 * returns CACHE_REPLY_BROKEN and sets exchange->status, with a message. */
enum cache_reply cache_mc_answer_take(struct cache_exchange *exchange, const char *where, enum mc_verb verb,
                                      const struct mc_reply *reply, struct mc_answer *out);

/* Convert the answer to a status. The command's value had `value_size` bytes. */
cache_status cache_mc_answer_status(const char *where, const struct mc_answer *answer, size_t value_size);

/* Reads the next reply from bytes as a cache_take_fn gets them. If it returns CACHE_REPLY_DONE, the reply is in
 * `*out`. */
enum cache_reply cache_mc_reply_next(struct cache_exchange *exchange, const char *where, void *state,
                                     const char *bytes, size_t size, size_t *used, struct mc_reply *out);

/* One command on one key. */
struct mc_call {
    enum mc_verb verb;
    const struct mc_place *place;
    uint64_t deadline;
    cache_bytes key;                   /* for set and add: the whole key, if it is to be stored with the value */
    const struct mc_item *item;        /* for set, add and cas */
    uint64_t number;                   /* for incr: the step, and then the new number; for touch: the expiration */
    /* For get and gets: uses the item that came. It may run in any thread. Its return value is the outcome of the
     * call. */
    cache_status (*take)(void *ctx, const struct mc_reply *item);
    void (*restart)(void *ctx);        /* discard what `take` has used so far. NULL: there is nothing to discard */
    void *ctx;
    /* results */
    struct mc_answer answer;
    cache_status taken;                /* the return value of `take` */
    bool found;
};

/* Send the command and wait for its outcome: CACHE_OK, CACHE_MISS, CACHE_NOT_STORED or a failure with its message. */
cache_status cache_mc_call(struct mc_call *call);

/* The protocol of the connections: how one begins and ends (greet.c). */
extern const struct cache_protocol cache_mc_protocol;

/* ---- the rest -------------------------------------------------------------------------------------------------- */

/* Find the generation of `key` on its host `server` (generation.c); -1 if the store has none. Sets `*of_all` if it is
 * the generation of every key on this host. */
cache_status cache_mc_generation(struct mc_server *server, uint64_t deadline, cache_bytes key, int64_t *id,
                                 bool *of_all);

/* Clear the keys that begin with the store's prefix followed by the further prefix, which may be empty. */
cache_status cache_mc_clear(struct mc_store *store, cache_bytes further_prefix);

cache_inc_fn cache_mc_inc;
cache_get_many_fn cache_mc_get_many;
cache_set_many_fn cache_mc_set_many;
cache_remove_many_fn cache_mc_remove_many;

#endif
