/* server.h - one server: its connections, the requests that share them, and whether it is down.
 *
 * A store describes its protocol once (struct cache_protocol), has a cache_server for each server, and makes each
 * request a cache_exchange: the bytes to send, and a function that takes the received bytes until the reply is whole.
 *
 *     static enum cache_reply take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
 *                                  size_t *used)
 *     {
 *         struct get *get = exchange->ctx;
 *         const char *end = memchr(bytes, '\n', size);
 *         if (end == NULL)
 *             return CACHE_REPLY_MORE;         // *used is 0: the same bytes come again, followed by more
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
 * A caller takes an idle connection. If all are busy, or if there are more callers than connections, it queues, and the
 * requests that wait are sent together, in one write, on the first connection that becomes free ("gathering"). One of
 * their callers then leads: it sends, receives and calls `take` of each request in turn, in its own thread, while the
 * others sleep.
 *
 * Any thread may call a server's functions at any time between cache_server_init and cache_server_release. A request
 * and what it points to belong to the caller, except during its call: then the thread that leads uses them. Deadlines
 * are of cache_now_ns. A call ends at its deadline at the latest, but for the system's look-up of a name. No function
 * of this file is a cancellation point: a thread that is cancelled in one ends after it, holds no lock, and loses no
 * reply. */
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
    CACHE_MAX_LINE = 8 * 1024,         /* the most bytes that `take` may leave and see again */
    CACHE_MAX_GATHERED = 64 * 1024,    /* the most bytes of a request that is sent with others */
    CACHE_MAX_MARK = 64
};

enum cache_reply {
    CACHE_REPLY_MORE,                  /* the reply is not whole yet */
    CACHE_REPLY_DONE,
    CACHE_REPLY_LAST,                  /* the reply is whole, and the server then ends the connection */
    CACHE_REPLY_BROKEN                 /* not a reply to this request: `take` called cache_fail and set
                                        * exchange->status; the connection ends */
};

/* Takes the front of the `size` received bytes, of which there may be none, and sets `*used`, which is 0, to the number
 * of bytes taken. With MORE, the bytes that are left (less than CACHE_MAX_LINE) come again, followed by more. With
 * DONE, they belong to the next request. `state` belongs to the connection. This may run in another thread than the
 * caller's, which sleeps meanwhile, so it may write to everything that `exchange->ctx` points to. If the request is
 * sent again, `restart` is called first. */
typedef enum cache_reply cache_take_fn(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                       size_t *used);

struct cache_protocol {
    /* NULL, or logs in on a new connection, with cache_connection_call. It must wait for at least one reply, since a
     * server that hangs still accepts connections. Any failure ends the connection, and counts against the server. */
    cache_status (*greet)(struct cache_connection *connection, uint64_t deadline);
    /* NULL, or finds the current place of the server before each new connection. If it is NULL, config->place is
     * used. */
    cache_status (*locate)(struct cache_server *server, uint64_t deadline, char host[256], int *port);
    /* NULL, or frees the state of a connection. */
    void (*release)(void *state);
    /* NULL, or returns true if `state` holds bytes after the last reply. */
    bool (*has_more)(const void *state);
    /* NULL, or writes a mark to `out` and returns its size, or 0 for none this time. A mark is a request without effect
     * and with a different answer each time. It is sent after each batch, so that a late or repeated reply never counts
     * as the reply to another request. */
    size_t (*mark)(struct cache_connection *connection, char out[CACHE_MAX_MARK]);
    /* Takes the answer to a mark, as cache_take_fn does. BROKEN means that it answers another request. LAST means that
     * the server refuses marks, so that none is sent to it again. The same is done if the server answers everything
     * except its first mark. */
    enum cache_reply (*take_mark)(struct cache_connection *connection, const char *bytes, size_t size, size_t *used);
};

/* ---- a request --------------------------------------------------------------------------------------------------- */

struct cache_exchange {
    const struct iovec *parts;         /* the bytes to send; they must not change */
    int n_parts;
    bool repeatable;                   /* may be sent again if its connection was lost */
    bool overwrites;                   /* would undo a newer change if the server did it late. So it is not sent again
                                        * while the server may still do its first copy: only if the server ended the
                                        * connection */
    bool alone;                        /* shares no batch: the request or the reply is long */
    cache_take_fn *take;
    void (*restart)(struct cache_exchange *exchange);    /* NULL, or forgets what was taken */
    void *ctx;
    /* The rest belongs to the transport. The caller zeroes it. */
    const char *where;                 /* for messages, in `take` */
    uint64_t deadline;
    size_t size;
    struct cache_exchange *next;
    struct cache_waiter *waiter;
    struct cache_attempt *attempt;     /* the caller's */
    bool begun;                        /* another thread has sent a batch with it first, which `attempt` describes */
    enum { CACHE_EXCHANGE_NEW, CACHE_EXCHANGE_SENT, CACHE_EXCHANGE_TAKEN } stage;
    bool again;                        /* it was sent a second time, and is not sent again */
    cache_status status;
    char message[256];
};

/* ---- a connection, for greet ------------------------------------------------------------------------------------- */

struct cache_connection {
    struct cache_server *server;
    struct cache_wire wire;
    void *state;                       /* of the protocol; set by greet, NULL before */
    unsigned epoch;                    /* of the server when it connected; if it is older, the connection is lost */
    bool connected, used;              /* was connected before, so the next time counts as a reconnect */
    bool once_more;                    /* greet failed, and wants to try again on a new connection */
};

/* For a separate connection that belongs to the caller, who sets its `server`, and wire.fd to -1.
 * cache_connection_open connects and greets; after a failure the connection is closed. The server's breaker is not
 * involved. cache_connection_close sends no byte to the server, so a forked child may close its parent's connection. */
cache_status cache_connection_open(struct cache_connection *connection, uint64_t deadline);
void cache_connection_close(struct cache_connection *connection);

/* Sends and receives on this connection, which belongs to the caller. */
cache_status cache_connection_call(struct cache_connection *connection, struct cache_exchange *exchange,
                                   uint64_t deadline);

/* ---- a server ---------------------------------------------------------------------------------------------------- */

struct cache_server_counters {
    _Atomic uint64_t timeouts, reconnects;
};

struct cache_server_config {
    const cache_env *env;
    const char *where;                 /* "redis 127.0.0.1:6379", for messages */
    struct cache_place place;          /* port 0: the path of a Unix socket. With `locate`: the name for TLS */
    const struct cache_protocol *protocol;
    void *ctx;                         /* of the store, available as server->config.ctx */
    struct cache_tls *tls;             /* NULL: plain */
    int pool;                          /* the most connections; they are made when needed */
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
    _Atomic uint64_t connect_ns;       /* time to make the last connection; 0: none yet */
    _Atomic enum { CACHE_MARKS_UNTRIED, CACHE_MARKS_ANSWERED, CACHE_MARKS_REFUSED } marks;
    atomic_uint failed_tries;          /* consecutive failed probes while it is down */
    atomic_int n_callers;              /* threads that wait for the outcome of a request that is not `alone` */
    pthread_mutex_t lock;              /* guards the rest; never held during network calls */
    bool *busy;                        /* one for each slot */
    struct cache_exchange *first, **last;    /* requests that wait for a connection */
    int n_waiting;
    int n_busy, n_gathering;           /* slots in use; those of them whose batch is not `alone` */
};

/* Copies `config`. What its pointers point to must outlive the server. Returns CACHE_OK or CACHE_ERR_NOMEM. */
cache_status cache_server_init(struct cache_server *server, const struct cache_server_config *config);
void cache_server_release(struct cache_server *server);

/* Returns the deadline of an operation that begins now. All requests of the operation share it. */
uint64_t cache_server_deadline(const struct cache_server *server);

/* Sends the request and receives its reply. Returns CACHE_OK if `take` returned DONE. Any other status has a message:
 * the server is down (returned at once), there was no connection or answer in time, the connection was lost, or `take`
 * failed. It says nothing about what the server did. The server may even do the request later, if it has received it.
 * The caller must ignore the result of a failed request. */
cache_status cache_server_call(struct cache_server *server, struct cache_exchange *exchange, uint64_t deadline);

/* The same for one request to each of several servers. All are sent before waiting for the first reply, so the servers
 * work in parallel. The outcomes are in calls[i].status, with calls[i].exchange->message. Returns the first failure,
 * which is also this thread's last error. */
struct cache_server_call {
    struct cache_server *server;
    struct cache_exchange *exchange;
    cache_status status;
    int slot;                          /* its own */
};
cache_status cache_server_call_all(struct cache_server_call calls[], size_t n, uint64_t deadline);

/* Call this if the connections lead to the wrong place. Each is replaced by a new one before its next use. */
void cache_server_distrust(struct cache_server *server);

/* Call this if the server answers, but serves nobody. It then counts as down, as if it could not be reached; this
 * thread's last error is the reason. After each retry_after one caller probes it. An answer does not end that, but only
 * one of the next two: cache_server_serves, if the server has served a request, or cache_server_forgive, if it shall
 * have another chance. */
void cache_server_trip(struct cache_server *server, cache_status status);
void cache_server_serves(struct cache_server *server);
void cache_server_forgive(struct cache_server *server);

/* Returns true, without a message, if a call would now fail at once because the server is down. */
bool cache_server_is_away(struct cache_server *server);

/* Adds to the counters of the store. */
void cache_server_count(const struct cache_server *server, cache_counters *out);

#endif
