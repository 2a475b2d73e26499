/* store.h - what the parts of the Memcached store share.
 *
 * libmemcached's memcached_st is for one thread, and one that holds several hosts hides which of them failed. So each
 * handle here has one host, each host a pool of handles and a circuit breaker of its own, and a memcached_st that never
 * connects tells the host of a key (ketama, as every client of libmemcached does). */
#ifndef MEMCACHED_STORE_H
#define MEMCACHED_STORE_H

#include "../backends.h"
#include "../breaker.h"
#include "../fork_guard.h"
#include "../pool.h"
#include "protocol.h"

#include <libmemcached/memcached.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    MC_FLAG_COUNTER = 0x4c430001,      /* our counters: an unsigned decimal, to be read as two's complement */
    MC_FLAG_WRAPPED = 0x4c430002       /* the whole key stands before the value */
};

/* ---- handles (handle.c) ------------------------------------------------------------------------------------------ */

struct mc_handle {
    memcached_st *memc;                /* NULL: not made yet */
    memcached_result_st result;        /* reused, so that a get allocates nothing once it is large enough */
    unsigned epoch;                    /* the host's when it connected: an older one is a connection that was lost */
    bool connected;                    /* as far as we know */
    bool fresh;                        /* just now, for the request under way */
    bool used;                         /* it was connected once: the next time is a reconnect */
    int descriptor;                    /* its socket; -1: not looked for yet; -2: not to be told */
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
    char where[128];                   /* "memcached 10.0.0.1:11211", for messages */
    struct mc_handle *handles;         /* one for each slot of the pool */
    struct cache_pool pool;
    struct cache_breaker breaker;
    atomic_uint epoch;
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
    int64_t timeout_ms, connect_timeout_ms;
    struct cache_fork_guard forked;    /* the process that the connections belong to */
    _Atomic uint64_t timeouts, reconnects;
    size_t prefix_size;
    char prefix[CACHE_MAX_PREFIX + 1];
};

cache_status cache_mc_handle_make(struct mc_server *server, struct mc_handle *handle);
void cache_mc_handle_free(struct mc_handle *handle);

/* Connect, for at most `connect_timeout`, and see that the server answers. */
memcached_return_t cache_mc_handle_connect(const struct mc_server *server, struct mc_handle *handle, uint64_t deadline);

/* Close the connection, if there is one, without a wait for anything. */
void cache_mc_handle_disconnect(struct mc_handle *handle);

/* No wait from now on is longer than what is left until `deadline`: how many milliseconds that is. */
int64_t cache_mc_handle_limit(struct mc_handle *handle, uint64_t deadline);

/* The peer has neither closed the idle connection nor sent what nobody asked for. */
bool cache_mc_handle_is_quiet(const struct mc_server *server, struct mc_handle *handle);

/* Behind an answer: something that came with it and belongs to no request. No system call if there is nothing. */
bool cache_mc_handle_has_more(struct mc_handle *handle);

/* The status of libmemcached's answer, with the message set if it is a failure. */
cache_status cache_mc_handle_status(const struct mc_server *server, const struct mc_handle *handle,
                                    memcached_return_t rc);

/* The socket of a connected handle (descriptor.c); -1: it was not found. */
int cache_mc_descriptor(const struct mc_handle *handle, int port);

/* Make it refer to nothing that is shared with another process. False: it was not found. */
bool cache_mc_detach(const struct mc_handle *handle, int port);

/* ---- hosts (server.c) -------------------------------------------------------------------------------------------- */

cache_status cache_mc_servers_open(struct mc_store *store, const cache_backend_config *config);
void cache_mc_servers_close(struct mc_store *store);

/* The host that keeps `key`. */
struct mc_server *cache_mc_route(const struct mc_store *store, cache_bytes key);

/* When an operation that begins now must have ended: nanoseconds, as cache_now_ns counts them. */
uint64_t cache_mc_deadline(const struct mc_store *store);

/* A connected handle, whose waits end by `deadline`. At once what made it so, from a host that is away. A request that
 * is not `repeatable` gets a connection of which the server has not let go. */
cache_status cache_mc_acquire(struct mc_server *server, uint64_t deadline, bool repeatable, struct mc_handle **out);

/* Give it back with the outcome of its last request. The status of that outcome, with the message set if it is a
 * failure. After one the connection is closed: what arrives on it late belongs to nobody. */
cache_status cache_mc_release(struct mc_server *server, struct mc_handle *handle, memcached_return_t rc);

/* A request on a handle. MEMCACHED_SUCCESS, or what libmemcached said. */
typedef memcached_return_t mc_request_fn(struct mc_handle *handle, void *ctx);

/* Acquire, request, release. One that is `repeatable` is sent again when an idle connection turns out to be dead. */
cache_status cache_mc_call(struct mc_server *server, uint64_t deadline, mc_request_fn *request, void *ctx,
                           bool repeatable);

/* After a fork, in the child: let go of the parent's connections without a byte on them. */
void cache_mc_check_fork(struct mc_store *store);

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
cache_status cache_mc_encode(const struct mc_store *store, const struct mc_key *wire, cache_bytes key,
                             cache_bytes value, cache_bytes *out, uint32_t *flags, void **block);

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
cache_status cache_mc_place(struct mc_store *store, cache_bytes key, uint64_t deadline, struct mc_place *out);

/* The generation of the keys on `server` (generation.c); -1 if the store has none. */
cache_status cache_mc_generation(struct mc_server *server, uint64_t deadline, int64_t *id);
cache_status cache_mc_clear(struct mc_store *store);

/* Bytes that the host takes for one item; 0: it does not say. */
size_t cache_mc_item_size_max(struct mc_server *server, uint64_t deadline);

/* The failure for a value of `size` bytes, with the limit in its message. */
cache_status cache_mc_too_large(struct mc_server *server, uint64_t deadline, size_t size);

cache_inc_fn cache_mc_inc;
cache_get_many_fn cache_mc_get_many;
cache_set_many_fn cache_mc_set_many;
cache_remove_many_fn cache_mc_remove_many;

#endif
