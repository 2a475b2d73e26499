/* server.h - one server: its connections, which requests share them, and whether it is away.
 *
 * A store describes its protocol once (struct cache_protocol), has a cache_server for each server, and makes each
 * request a cache_exchange: the bytes to send, and a function that takes what comes until the reply is whole.
 *
 *     static enum cache_reply take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
 *                                  size_t *used)
 *     {
 *         struct get *get = exchange->ctx;
 *         const char *end = memchr(bytes, '\n', size);
 *         if (end == NULL)
 *             return CACHE_REPLY_MORE;         // *used is 0: the same bytes come again, with more behind them
 *         *used = (size_t)(end + 1 - bytes);
 *         get->found = memcmp(bytes, "VALUE ", 6) == 0;     // (…)
 *         return CACHE_REPLY_DONE;
 *     }
 *
 *     struct get get = { … };
 *     struct cache_exchange exchange = { .parts = parts, .n_parts = 1, .repeatable = true, .take = take, .ctx = &get };
 *     status = cache_server_call(server, &exchange, deadline);
 *     if (status == CACHE_OK)
 *         … what `get` says: the server's own answer, be it a refusal …
 *
 * A caller takes an idle connection; where all are busy it queues, and the requests that wait go out together, in one
 * write, on the first connection that comes free ("gathering"). One of their callers then leads: it sends, receives and
 * calls `take` of each in turn, in its own thread, while the others sleep.
 *
 * Deadlines are of cache_now_ns. No call of this file is a point of cancellation: a thread that is cancelled meanwhile
 * ends behind it, with no lock held and no reply lost. */
#ifndef WIRE_SERVER_H
#define WIRE_SERVER_H

#include "tls.h"
#include "wire.h"

#include "../breaker.h"
#include "../fork_guard.h"

struct cache_server;
struct cache_exchange;
struct cache_connection;

/* ---- what the store says of its protocol ------------------------------------------------------------------------- */

enum {
    CACHE_MAX_LINE = 8 * 1024,         /* bytes that `take` may leave and see again */
    CACHE_MAX_GATHERED = 64 * 1024,    /* bytes of a request that may go out with others */
    CACHE_MAX_MARK = 64
};

enum cache_reply {
    CACHE_REPLY_MORE,                  /* the reply is not whole yet */
    CACHE_REPLY_DONE,
    CACHE_REPLY_LAST,                  /* the same, and the server ends the connection with it */
    CACHE_REPLY_BROKEN                 /* no reply to this request: exchange->status is cache_fail's, and the connection
                                        * ends */
};

/* Take from the front of the `size` bytes that came, which may be none. `*used` (0 before) is how much was taken. With
 * MORE, what is left (below CACHE_MAX_LINE) comes again with more behind it; with DONE, it belongs to the next request.
 * `state` is the connection's own. May run in another thread than the caller's, which sleeps meanwhile: it may write to
 * all that `exchange->ctx` leads to. It must be able to begin anew: `restart` is called where the request goes out a
 * second time. */
typedef enum cache_reply cache_take_fn(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                       size_t *used);

struct cache_protocol {
    /* On a new connection: log in, with cache_connection_call. At least one reply must come, since a process that hangs
     * accepts connections too. Any failure ends the connection, and counts against the server. NULL: nothing. */
    cache_status (*greet)(struct cache_connection *connection, uint64_t deadline);
    /* Before each new connection, where the server has no fixed place: where it is now. NULL: config->place. */
    cache_status (*locate)(struct cache_server *server, uint64_t deadline, char host[256], int *port);
    /* The end of a connection's state. NULL: it has none. */
    void (*release)(void *state);
    /* Returns true if `state` holds bytes behind the last reply. If it is NULL, it never does. */
    bool (*has_more)(const void *state);
    /* A request that has no effect and an answer of its own each time, behind every batch: so that a reply which came
     * late or twice is never taken for another's. Write it to `out` and return its size; 0: none this time. NULL: there
     * is none. */
    size_t (*mark)(struct cache_connection *connection, char out[CACHE_MAX_MARK]);
    /* Take its answer, as cache_take_fn does. BROKEN: it is another's. LAST: the server refuses marks, none is sent to
     * it again; so it is with one that answers all but its first mark. */
    enum cache_reply (*take_mark)(struct cache_connection *connection, const char *bytes, size_t size, size_t *used);
};

/* ---- a request --------------------------------------------------------------------------------------------------- */

struct cache_exchange {
    const struct iovec *parts;         /* the bytes to send; they stay as they are */
    int n_parts;
    bool repeatable;                   /* may be sent again when the connection turns out to be dead */
    bool alone;                        /* has the connection to itself: a long request, or a long reply */
    cache_take_fn *take;
    void (*restart)(struct cache_exchange *exchange);    /* forget what was taken. NULL: there is nothing to forget */
    void *ctx;
    /* the transport's own, from here on: zeroed by whoever makes it */
    const char *where;                 /* for messages, in `take` */
    uint64_t deadline;
    size_t size;
    struct cache_exchange *next;
    struct cache_waiter *waiter;
    enum { CACHE_EXCHANGE_NEW, CACHE_EXCHANGE_SENT, CACHE_EXCHANGE_TAKEN } stage;
    bool again;                        /* it goes out a second time, and not a third */
    cache_status status;
    char message[256];
};

/* ---- a connection, for greet ------------------------------------------------------------------------------------- */

struct cache_connection {
    struct cache_server *server;
    struct cache_wire wire;
    void *state;                       /* the protocol's: set by greet, NULL before */
    unsigned epoch;                    /* the server's when it connected: an older one was lost */
    bool connected, used;              /* it was connected once: the next time is a reconnect */
    bool once_more;                    /* greet, which failed, wants to begin anew on another connection */
};

/* A connection of the caller's own, beside the server's: set its `server`, and wire.fd to -1. Open it: connect and
 * greet. It is closed again after a failure. The server's breaker is neither asked nor told. Close it: without a byte
 * to the server, so that a child of a fork may close its parent's. */
cache_status cache_connection_open(struct cache_connection *connection, uint64_t deadline);
void cache_connection_close(struct cache_connection *connection);

/* Send and receive on this connection, which is the caller's. */
cache_status cache_connection_call(struct cache_connection *connection, struct cache_exchange *exchange,
                                   uint64_t deadline);

/* ---- a server ---------------------------------------------------------------------------------------------------- */

struct cache_server_counters {
    _Atomic uint64_t timeouts, reconnects;
};

struct cache_server_config {
    const cache_env *env;
    const char *where;                 /* "redis 127.0.0.1:6379", for messages */
    struct cache_place place;          /* port 0: the path of a Unix socket. Where it is located: the name for TLS */
    const struct cache_protocol *protocol;
    void *ctx;                         /* the store's, as server->config.ctx */
    struct cache_tls *tls;             /* NULL: plain */
    int pool;                          /* connections, made as needed */
    bool gather;
    int64_t timeout_ms, connect_timeout_ms, retry_after_ms;
    struct cache_server_counters *counters;
};

struct cache_server {
    struct cache_server_config config;
    struct cache_breaker breaker;
    struct cache_resolver resolver;
    struct cache_fork_guard fork_guard;
    struct cache_connection *connections;    /* one for each slot */
    atomic_uint epoch;
    _Atomic uint64_t connect_ns;       /* what the last connection took to be made; 0: there was none yet */
    _Atomic enum { CACHE_MARKS_UNTRIED, CACHE_MARKS_ANSWERED, CACHE_MARKS_REFUSED } marks;
    atomic_uint failed_tries;          /* to reach it while it was away, in a row */
    pthread_mutex_t lock;              /* of what follows: never held while the network runs */
    bool *busy;                        /* one for each slot */
    struct cache_exchange *first, **last;    /* that wait for a connection */
    int n_waiting;
    int n_busy, n_gathering;           /* slots in use, and those of them whose batch others may follow */
};

/* `config` is copied; what its pointers lead to must outlive the server. CACHE_ERR_NOMEM. */
cache_status cache_server_init(struct cache_server *server, const struct cache_server_config *config);
void cache_server_release(struct cache_server *server);

/* When an operation that begins now must have ended. All requests of one operation share it. */
uint64_t cache_server_deadline(const struct cache_server *server);

/* Send the request and receive its reply. CACHE_OK: `take` said DONE. Else nothing is known of what the server did, and
 * the message is set: away (at once), no connection or answer in time, a connection lost, or what `take` failed with.
 * The result of a request that failed is to be forgotten. */
cache_status cache_server_call(struct cache_server *server, struct cache_exchange *exchange, uint64_t deadline);

/* The same for one request to each of several servers, which work at once: all are sent before the first reply is
 * waited for. The outcomes are in calls[i].status, with calls[i].exchange->message; the first failure is returned, as
 * this thread's last error. */
struct cache_server_call {
    struct cache_server *server;
    struct cache_exchange *exchange;
    cache_status status;
    int slot;                          /* its own */
};
cache_status cache_server_call_all(struct cache_server_call calls[], size_t n, uint64_t deadline);

/* The connections lead to where they should not: each is made anew before its next use. */
void cache_server_distrust(struct cache_server *server);

/* True, at once and without a message, if a call would fail at once because the server is away. */
bool cache_server_is_away(struct cache_server *server);

/* Add to the store's counters. */
void cache_server_count(const struct cache_server *server, cache_counters *out);

#endif
