/* store.h - what the parts of the Redis store share.
 *
 * hiredis connects, writes commands and parses replies; the bytes are moved here, so that a whole operation has one
 * deadline and a lost connection raises no SIGPIPE. */
#ifndef REDIS_STORE_H
#define REDIS_STORE_H

#include "../backends.h"
#include "../breaker.h"
#include "../fork_guard.h"
#include "../pool.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>

enum redis_kind { REDIS_TCP, REDIS_UNIX, REDIS_SENTINEL };

struct redis_connection {
    redisContext *context;             /* NULL: not connected */
    unsigned epoch;                    /* the store's when it connected: an older one was lost */
    bool used;                         /* it was connected once: the next time is a reconnect */
};

struct redis_store {
    const cache_env *env;
    enum redis_kind kind;
    char where[160];                   /* "redis 127.0.0.1:6379", for messages */
    cache_host *hosts;                 /* the server, or the sentinels */
    size_t n_hosts;
    atomic_size_t sentinel;            /* the one that answered last is asked first */
    char *name;                        /* the socket's path, or the service that the sentinels watch */
    char *user, *password;             /* NULL: none */
    int64_t db;
    int64_t timeout_ms, connect_timeout_ms;
    struct redis_connection *connections;    /* one for each slot of the pool */
    struct cache_pool pool;
    struct cache_breaker breaker;
    redisReplyObjectFunctions objects; /* what makes replies: hiredis' own, with a limit */
    atomic_uint epoch;
    _Atomic int64_t suspect_at;        /* of the monotonic clock: when READONLY may end the connections again */
    struct cache_fork_guard forked;    /* the process that the connections belong to */
    _Atomic uint64_t timeouts, reconnects;
};

/* ---- one connection (connection.c) ----------------------------------------------------------------------------- *
 * Deadlines are of cache_now_ns, at most `timeout` away. After any failure the context is good for nothing but
 * redisFree. */

struct redis_address {
    char host[256];                    /* or a socket's path, with port 0 */
    int port;
};

/* Before the first: CACHE_ERR_NOMEM. */
cache_status cache_redis_prepare(struct redis_store *store);

cache_status cache_redis_dial(const struct redis_store *store, const struct redis_address *to, uint64_t deadline,
                              redisContext **out);
cache_status cache_redis_send(const struct redis_store *store, redisContext *context, const char *data, size_t size,
                              uint64_t deadline);
cache_status cache_redis_receive(const struct redis_store *store, redisContext *context, uint64_t deadline,
                                 redisReply **out);

/* The peer has neither closed the idle connection nor sent what nobody asked for. */
bool cache_redis_is_quiet(const redisContext *context);

/* Something came behind the last reply, and belongs to no request. */
bool cache_redis_has_more(const redisContext *context);

/* Connected to the server (or the service's master), logged in, in its database. */
cache_status cache_redis_connect(struct redis_store *store, uint64_t deadline, redisContext **out);

/* ---- sentinels (sentinel.c) -------------------------------------------------------------------------------------- */

/* Ask the sentinels for the master of the service. */
cache_status cache_redis_find_master(struct redis_store *store, uint64_t deadline, struct redis_address *out);

/* ---- requests (call.c) ------------------------------------------------------------------------------------------- */

/* Where strings in arrays go as they come (values.c). The reply that is handed on has NULL in their places. */
struct redis_values {
    cache_results *out;
    size_t keys, keys_a_reply;         /* in all, and in every reply but the last */
    size_t base, n;                    /* of the reply under way: the index of its first key, and its keys */
    cache_status status;               /* the first failure of `out` */
    bool any;                          /* something was put there: the request is not sent again */
    redisReplyObjectFunctions functions, *others;
};

void cache_redis_values_begin(struct redis_values *values, redisContext *context);
void cache_redis_values_next(struct redis_values *values, size_t reply);
void cache_redis_values_end(struct redis_values *values, redisContext *context);

/* One reply that is no error. What it returns is the outcome of the call; CACHE_ERR_PROTOCOL also ends the
 * connection. */
typedef cache_status redis_reply_fn(void *ctx, size_t index, const redisReply *reply);

struct redis_request {
    const char *data;                  /* commands as they go over the wire */
    size_t size;
    size_t n_replies;
    bool repeatable;                   /* may be sent again when an idle connection turns out to be dead */
    bool transaction;                  /* nothing is done before the last reply */
    redis_reply_fn *reply;
    void *ctx;
    struct redis_values *values;       /* NULL: strings in arrays are handed on like all else */
};

/* Send a request on a connection of the pool and hand each reply to `reply`. The first failure, of the connection, of
 * the server (an error reply) or of `reply`; what comes behind it is read and dropped. */
cache_status cache_redis_call(struct redis_store *store, const struct redis_request *request);

/* The status of an error reply, with Redis' own words as the message. */
cache_status cache_redis_error(const char *where, const char *text);

/* For a reply of a type that the command does not have. */
cache_status cache_redis_unexpected(const struct redis_store *store, const redisReply *reply);

/* In the child of a fork: let go of the parent's connections. */
void cache_redis_check_fork(struct redis_store *store);

/* ---- many keys (many.c) ------------------------------------------------------------------------------------------ */

cache_get_many_fn cache_redis_get_many;
cache_set_many_fn cache_redis_set_many;
cache_remove_many_fn cache_redis_remove_many;
cache_clear_fn cache_redis_clear;

#endif
