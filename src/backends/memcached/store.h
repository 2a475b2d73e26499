/* store.h - what the parts of the Memcached store share.
 *
 * libmemcached's memcached_st is for one thread, and one that holds several hosts hides which of them failed. So each
 * handle here has one host, each host a pool of handles and a circuit breaker of its own, and a memcached_st that never
 * connects tells the host of a key (ketama, as every client of libmemcached does). */
#ifndef MEMCACHED_STORE_H
#define MEMCACHED_STORE_H

#include "../backends.h"

#include <libmemcached/memcached.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
    MC_MAX_WIRE_KEY = 250,             /* what memcached takes */
    MC_FLAG_COUNTER = 0x4c430001,      /* our counters: an unsigned decimal, to be read as two's complement */
    MC_FLAG_WRAPPED = 0x4c430002       /* the whole key stands before the value */
};

/* ---- handles and hosts (server.c) ------------------------------------------------------------------------------ */

struct mc_handle {
    atomic_int state;                  /* who owns the rest: nobody yet, the pool, a caller */
    memcached_st *memc;
    memcached_result_st result;        /* reused, so that a get allocates nothing once it is large enough */
    unsigned epoch;                    /* the host's when it connected: an older one is a connection that was lost */
    bool connected;                    /* as far as we know */
    bool used;                         /* it was connected once: the next time is a reconnect */
};

/* The generation that keys on this host carry, as this process last read it. */
struct mc_generation {
    pthread_mutex_t lock;              /* never held while the network runs */
    bool known, refreshing;
    bool bump;                         /* a clear could not reach the host: it gets a new generation when it is back */
    unsigned version;                  /* counts the clears of this process */
    int64_t id;
    int64_t read_again_at;             /* of the monotonic clock */
};

struct mc_server {
    struct mc_store *store;
    const char *host;
    int port;
    char where[128];                   /* "10.0.0.1:11211", for messages */
    struct mc_handle *handles;         /* store->pool of them */
    pthread_mutex_t lock;              /* for waiting on `freed` alone */
    pthread_cond_t freed;
    atomic_int waiting;
    atomic_uint epoch;
    _Atomic int64_t retry_at;          /* 0: in use; else away until then (monotonic) */
    atomic_int timeouts_in_a_row;
    atomic_size_t item_size_max;       /* 0: not asked yet */
    struct mc_generation generation;
};

struct mc_store {
    const cache_env *env;
    struct mc_server *servers;
    size_t n_servers;
    memcached_st *router;              /* NULL for one host */
    int pool;
    bool generations;
    int64_t timeout_ms, connect_timeout_ms, retry_after_ms;
    _Atomic pid_t pid;                 /* the process that the connections belong to */
    _Atomic uint64_t timeouts, reconnects;
    size_t prefix_size;
    char prefix[CACHE_MAX_PREFIX + 1];
};

cache_status cache_mc_servers_open(struct mc_store *store, const cache_backend_config *config);
void cache_mc_servers_close(struct mc_store *store);

/* The host that keeps `key`. */
struct mc_server *cache_mc_route(const struct mc_store *store, cache_bytes key);

/* A connected or fresh handle of a host that is in use, after a wait of at most `timeout`. CACHE_ERR_CONNECT at once from
 * a host that is away. */
cache_status cache_mc_acquire(struct mc_server *server, struct mc_handle **out);

/* Give it back with the outcome of its last request. The status of that outcome, with the message set if it is a failure.
 * After one the connection is closed: what arrives on it late belongs to nobody. */
cache_status cache_mc_release(struct mc_server *server, struct mc_handle *handle, memcached_return_t rc);

/* A request on a handle. MEMCACHED_SUCCESS, or what libmemcached said. */
typedef memcached_return_t mc_request_fn(struct mc_handle *handle, void *ctx);

/* Acquire, request, release. One that is `repeatable` is sent again when an idle connection turns out to be dead. */
cache_status cache_mc_call(struct mc_server *server, mc_request_fn *request, void *ctx, bool repeatable);

/* ---- keys (key.c) ---------------------------------------------------------------------------------------------- */

struct mc_key {
    char text[MC_MAX_WIRE_KEY + 1];
    size_t size;
    bool hashed;                       /* the text is a head and a hash: the whole key travels with the value */
};

/* What `key`, which begins with the store's prefix, is called in memcached. `generation` < 0: none. */
void cache_mc_key(const struct mc_store *store, cache_bytes key, int64_t generation, struct mc_key *out);

/* The name of the prefix's generation. It has no ':' behind the prefix, as every user's key has. */
void cache_mc_generation_key(const struct mc_store *store, struct mc_key *out);

/* Seconds as memcached wants them, rounded up; past 30 days they are a date. */
time_t cache_mc_expiration(int64_t ttl_ms);

/* ---- values (value.c) ------------------------------------------------------------------------------------------ */

enum { MC_NUMBER_SIZE = 24 };

/* What the item means as the value of `key`. CACHE_MISS: it is of another key. A counter is printed into `number`. */
cache_status cache_mc_decode(const memcached_result_st *item, const struct mc_key *wire, cache_bytes key,
                             char number[MC_NUMBER_SIZE], cache_bytes *out);

/* What to store for `value`, and its flag. `*block` is to be freed with cache_env_free. CACHE_ERR_NOMEM. */
cache_status cache_mc_encode(const struct mc_store *store, const struct mc_key *wire, cache_bytes key, cache_bytes value,
                             cache_bytes *out, uint32_t *flags, void **block);

/* Ask for one item: MEMCACHED_SUCCESS and it stands in handle->result, MEMCACHED_NOTFOUND, or a failure. */
memcached_return_t cache_mc_read(struct mc_handle *handle, const struct mc_key *wire);

/* Behind a read that succeeded: take the end of the reply off the connection. handle->result is gone then. */
memcached_return_t cache_mc_read_end(struct mc_handle *handle);

/* ---- the rest -------------------------------------------------------------------------------------------------- */

/* Where a key lives and what it is called there. */
struct mc_place {
    struct mc_server *server;
    struct mc_key wire;
};
cache_status cache_mc_place(struct mc_store *store, cache_bytes key, struct mc_place *out);

/* The generation of the keys on `server` (generation.c); -1 if the store has none. */
cache_status cache_mc_generation(struct mc_server *server, int64_t *id);
cache_status cache_mc_clear(struct mc_store *store);

/* Bytes that the host takes for one item; 0: it does not say. */
size_t cache_mc_item_size_max(struct mc_server *server);

/* The failure for a value of `size` bytes, with the limit in its message. */
cache_status cache_mc_too_large(struct mc_server *server, size_t size);

/* After a fork, in the child: let go of the parent's connections without a byte on them (fork.c). */
void cache_mc_check_fork(struct mc_store *store);

/* Make the descriptor of `handle` refer to nothing that is shared with another process. False: it was not found. */
bool cache_mc_detach(struct mc_handle *handle, int port);
void cache_mc_servers_forked(struct mc_store *store);

cache_inc_fn cache_mc_inc;
cache_get_many_fn cache_mc_get_many;
cache_set_many_fn cache_mc_set_many;

#endif
