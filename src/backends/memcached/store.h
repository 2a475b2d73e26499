/* store.h - what the parts of the Memcached store share.
 *
 * Each host is a server of the transport (wire/), with connections and a circuit breaker of its own; ketama chooses the
 * host of a key. A request is a command of the text protocol and what is made of its replies. */
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
    MC_FLAG_COUNTER = 0x4c430001,      /* our counters: an unsigned decimal, to be read as two's complement */
    MC_FLAG_WRAPPED = 0x4c430002       /* the whole key stands before the value */
};

/* The generations that keys on this host carry, as this process last read them. */
struct mc_generation {
    pthread_mutex_t lock;              /* never held while the network runs */
    bool known, refreshing;
    bool bump;                         /* a clear could not reach the host: it gets a new generation when it is back */
    unsigned version;                  /* counts the clears of this process */
    struct mc_record record;
    int64_t read_again_at;             /* of the monotonic clock */
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
    struct cache_tls *tls;             /* NULL: plain */
    char *user, *password;             /* NULL: none */
    struct cache_server_counters counters;
    struct cache_fork_guard fork_guard;    /* the process that the locks of generations belong to */
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

/* When an operation that begins now must have ended, in all its requests. */
uint64_t cache_mc_deadline(const struct mc_store *store);

/* After a fork, in the child: locks that another thread held are free. */
void cache_mc_check_fork(struct mc_store *store);

/* ---- keys (key.c) ---------------------------------------------------------------------------------------------- */

struct mc_key {
    char text[MC_MAX_WIRE_KEY];        /* without a NUL */
    size_t size;
    bool hashed;                       /* the text is a head and a hash: the whole key travels with the value */
};

/* What all names of a generation begin with, in place of the prefix. */
enum { MC_GENERATION_DIGITS = 13 };    /* of an int64 in base 36 */
struct mc_key_head {
    char text[CACHE_MAX_STORED_PREFIX + MC_GENERATION_DIGITS + 1];
    size_t size, replaced;             /* replaced: bytes of the key for which it stands */
};

/* `generation` < 0: none. */
void cache_mc_key_head(const struct mc_store *store, int64_t generation, struct mc_key_head *out);

/* What `key`, which begins with the store's prefix, is called in memcached. */
void cache_mc_key(const struct mc_key_head *head, cache_bytes key, struct mc_key *out);

/* The name of the prefix's generation. It has no ':' behind the prefix, as every user's key has. */
void cache_mc_generation_key(const struct mc_store *store, struct mc_key *out);

static inline cache_bytes cache_mc_name(const struct mc_key *key)
{
    return (cache_bytes){ key->text, key->size };
}

/* Seconds as memcached wants them, rounded up; past 30 days they are a date. */
int64_t cache_mc_expiration(int64_t ttl_ms);

/* Where a key lives and what it is called there. */
struct mc_place {
    struct mc_server *server;
    struct mc_key wire;
};

/* Every operation on one key begins so. */
cache_status cache_mc_begin(struct mc_store *store, cache_bytes key, uint64_t *deadline, struct mc_place *place);

/* ---- values (value.c) ------------------------------------------------------------------------------------------ */

enum {
    MC_LENGTH_BYTES = 2,               /* before the whole key */
    MC_MAX_VALUE_HEAD = MC_MAX_COMMAND + MC_LENGTH_BYTES + CACHE_MAX_STORED_PREFIX + CACHE_MAX_INTERNAL_KEY
};

/* What the item means as the value of `key`. CACHE_MISS: it is of another key. A counter is printed into `number`. */
cache_status cache_mc_decode(const struct mc_reply *item, const struct mc_key *wire, cache_bytes key,
                             char number[NUMBER_MAX_SIZE + 1], cache_bytes *out);

/* Write what goes before the value of a store command: its line, and where the name is a hash, the whole key. Its
 * size. Without a key (key.data is NULL) the value stands alone under any name. */
size_t cache_mc_write_value_head(char out[MC_MAX_VALUE_HEAD], const char *verb, const struct mc_key *wire,
                                 cache_bytes key, const struct mc_item *item);

/* ---- requests (call.c) ------------------------------------------------------------------------------------------- */

enum mc_verb { MC_GET, MC_GETS, MC_SET, MC_ADD, MC_CAS, MC_DELETE, MC_INCR, MC_TOUCH };

struct mc_command {
    const char *text;                  /* "get" */
    bool repeatable;
    unsigned answers;                  /* the kinds of its last reply: a bit for each mc_kind */
};
extern const struct mc_command cache_mc_commands[];    /* by verb */

/* The last reply to a command, kept until its caller, who may be another thread, makes a status of it. */
struct mc_answer {
    enum mc_kind kind;
    char text[160];                    /* of an error: the server's words */
};

/* Keep the last reply to the command in `*out`. CACHE_REPLY_BROKEN, and exchange->status with its message: it is no
 * answer to the command, or one behind which more may come. */
enum cache_reply cache_mc_answer_take(struct cache_exchange *exchange, const char *where, enum mc_verb verb,
                                      const struct mc_reply *reply, struct mc_answer *out);

/* The status of an answer, to a command with a value of `value_size` bytes. */
cache_status cache_mc_answer_status(const char *where, const struct mc_answer *answer, size_t value_size);

/* The next reply among what came, as cache_take_fn is given it. CACHE_REPLY_DONE: it is in `*out`. */
enum cache_reply cache_mc_reply_next(struct cache_exchange *exchange, const char *where, void *state,
                                     const char *bytes, size_t size, size_t *used, struct mc_reply *out);

/* One command about one key. */
struct mc_call {
    enum mc_verb verb;
    const struct mc_place *place;
    uint64_t deadline;
    cache_bytes key;                   /* of set and add: the whole key, if it is to travel with the value */
    const struct mc_item *item;        /* of set, add and cas */
    uint64_t number;                   /* what incr adds, and then the new number; the expiration of touch */
    /* Of get and gets: the item that came, in any thread. What it returns is the call's outcome. */
    cache_status (*take)(void *ctx, const struct mc_reply *item);
    void (*restart)(void *ctx);        /* forget what was taken. NULL: there is nothing to forget */
    void *ctx;
    /* what came */
    struct mc_answer answer;
    cache_status taken;                /* by `take` */
    bool found;
};

/* CACHE_OK, CACHE_MISS, CACHE_NOT_STORED or a failure, with its message. */
cache_status cache_mc_call(struct mc_call *call);

/* How a connection begins and ends (greet.c). */
extern const struct cache_protocol cache_mc_protocol;

/* ---- the rest -------------------------------------------------------------------------------------------------- */

/* The generation of `key`, whose host is `server` (generation.c); -1 if the store has none. `*of_all`: it is that of
 * every key on this host. */
cache_status cache_mc_generation(struct mc_server *server, uint64_t deadline, cache_bytes key, int64_t *id,
                                 bool *of_all);

/* Clear the keys that begin with the store's prefix and the further one, which may be empty. */
cache_status cache_mc_clear(struct mc_store *store, cache_bytes further_prefix);

cache_inc_fn cache_mc_inc;
cache_get_many_fn cache_mc_get_many;
cache_set_many_fn cache_mc_set_many;
cache_remove_many_fn cache_mc_remove_many;

#endif
