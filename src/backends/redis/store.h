/* store.h - what the parts of the Redis store share.
 *
 * hiredis parses replies; connections, deadlines and who shares which connection are the transport's
 * (../wire/server.h). */
#ifndef REDIS_STORE_H
#define REDIS_STORE_H

#include "../backends.h"
#include "../wire/server.h"
#include "number.h"
#include "writer.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>

enum redis_kind { REDIS_TCP, REDIS_UNIX, REDIS_SENTINEL, REDIS_CLUSTER };

enum { REDIS_SLOTS = 16384, REDIS_MAX_NODES = 1024, REDIS_MAX_HOST = 255 };

/* What a node says of its keys (watch.c). It is connected by calls that wait for the node anyway. Then it belongs to
 * whoever asks for changes, one thread at a time. */
enum redis_watch_state { WATCH_OFF, WATCH_CONNECTING, WATCH_ON };
struct redis_watch {
    atomic_int state;                  /* enum redis_watch_state */
    struct cache_connection connection;
    bool is_new;                       /* nobody has asked for changes since it was connected */
    uint64_t heard, sent, number;      /* all until then was heard; when PING `number` was sent, 0: none is out */
    _Atomic int64_t retry_ms;          /* of the monotonic clock: not connected before */
};

/* One server: the Redis, a Sentinel, or a node of a cluster. */
struct redis_node {
    struct cache_server server;
    char where[160];                   /* "redis 127.0.0.1:6379", for messages */
    char host[REDIS_MAX_HOST + 1];     /* of a cluster's node */
    int port;
    struct redis_watch watch;
    atomic_bool has_slots;             /* as of the map that the watches know */
};

/* Which node has which slot. Nodes are added and stay until the store is closed, so that the map is read without a
 * lock. */
struct redis_cluster {
    _Atomic(struct redis_node *) nodes[REDIS_MAX_NODES];
    atomic_size_t n_nodes;
    _Atomic uint16_t slots[REDIS_SLOTS];    /* 1 + the node's index; 0: nobody has it, as far as is known */
    atomic_bool known;                 /* the map was read once */
    atomic_uint changes;               /* of the map: slots that went to another node */
    _Atomic uint64_t read_at;          /* of cache_now_ns: when somebody last set out to read it */
    atomic_size_t ask_from;            /* the node that is asked for the map before the others, modulo their number */
    pthread_mutex_t lock;              /* of adding nodes: never held while the network runs */
    struct cache_fork_guard fork_guard;
};

struct redis_login {
    char *user, *password;             /* NULL: none */
};

struct redis_store {
    const cache_env *env;
    enum redis_kind kind;
    char where[160];
    cache_host *hosts;                 /* the server, or the sentinels */
    size_t n_hosts;
    char *name;                        /* the socket's path, or the service that the sentinels watch */
    struct redis_login login, sentinel_login;
    char *client_name;                 /* NULL: none is told */
    int64_t db;
    int pool;
    bool gather;
    int64_t timeout_ms, connect_timeout_ms, retry_after_ms;
    struct cache_tls *tls;             /* NULL: plain */
    struct redis_node node;            /* the server that has the keys */
    bool opened;                       /* it is there, and to be released */
    struct redis_cluster *cluster;     /* NULL: it is none */
    struct redis_node *sentinels;
    size_t n_sentinels;                /* that are open */
    atomic_size_t sentinel;            /* the one that answered last is asked first */
    redisReplyObjectFunctions objects; /* what makes replies: hiredis' own, with a limit */
    char *watch_prefix;                /* of the keys that are watched */
    uint64_t watch_interval_ns;        /* between two PINGs */
    atomic_bool is_watched, is_watch_refused;
    unsigned watched_map;              /* the cluster's `changes` when the watches last looked */
    struct cache_fork_guard watch_guard;
    atomic_bool no_unlink;             /* the server does not know UNLINK: DEL is sent in its place */
    atomic_bool told_of_cluster;       /* the operator was told that this is a node of a cluster */
    atomic_bool no_name;               /* the server ends connections that tell a name */
    _Atomic int64_t suspect_at;        /* of the monotonic clock: when READONLY may end the connections again */
    struct cache_server_counters counters, sentinel_counters;
};

/* ---- the URL (url.c) --------------------------------------------------------------------------------------------- */

extern const cache_option cache_redis_options[];

/* Read the URL and its options into a store that has its `env`. What was allocated is freed by the next. */
cache_status cache_redis_read_url(const cache_backend_config *config, struct redis_store *store);
void cache_redis_forget_url(struct redis_store *store);

/* ---- commands (command.c) ---------------------------------------------------------------------------------------- *
 * As they go over the wire. A writer's first failure stays, so the last call's outcome tells of all. */

cache_status cache_redis_begin_command(cache_writer *out, size_t n_words);
cache_status cache_redis_put_word(cache_writer *out, const char *data, size_t size);
cache_status cache_redis_put_number(cache_writer *out, int64_t number);

/* One whole command of texts, up to the first that is NULL. */
cache_status cache_redis_put_command(cache_writer *out, const char *const words[]);

/* Only its head: "$5\r\n", in front of `size` bytes and "\r\n" that go out from elsewhere. */
cache_status cache_redis_put_head(cache_writer *out, size_t size);

#define REDIS_WORD(text) ((cache_bytes){ text, sizeof text - 1 })

/* ---- one connection (connection.c) ------------------------------------------------------------------------------- */

/* Before the first: CACHE_ERR_NOMEM. */
cache_status cache_redis_prepare(struct redis_store *store);

/* Of the server; of the master that Sentinels name; of a Sentinel. */
extern const struct cache_protocol cache_redis_protocol, cache_redis_master_protocol, cache_redis_sentinel_protocol;

/* ---- sentinels (sentinel.c) -------------------------------------------------------------------------------------- */

cache_status cache_redis_open_sentinels(struct redis_store *store);
void cache_redis_close_sentinels(struct redis_store *store);

/* Ask the sentinels for the master of the service. */
cache_status cache_redis_find_master(struct cache_server *server, uint64_t deadline, char host[256], int *port);

/* ---- requests (call.c) ------------------------------------------------------------------------------------------- */

/* Where strings in arrays go as they come (values.c). The reply that is kept has NULL in their places. */
struct redis_values {
    cache_results *out;
    size_t keys, keys_a_reply;         /* in all, and in every reply but the last */
    size_t base, n;                    /* of the reply under way: the index of its first key, and its keys */
    cache_status status;               /* the first failure of `out` */
    redisReplyObjectFunctions functions;
    const redisReplyObjectFunctions *others;
};

void cache_redis_values_begin(struct redis_values *values, redisReader *reader, size_t reply);
void cache_redis_values_end(struct redis_values *values, redisReader *reader);

/* Take back what was put: the request goes out again, or failed. */
void cache_redis_values_forget(struct redis_values *values);

enum { REDIS_FEW = 16 };               /* replies that a request keeps */

struct redis_request {
    struct iovec parts[3];             /* commands as they go over the wire */
    int n_parts;
    size_t n_replies;                  /* above REDIS_FEW only with `fold` */
    bool repeatable;                   /* may be sent again when a connection turns out to be dead */
    bool alone;                        /* has a connection to itself */
    bool fold;                         /* of the replies only the sum of all integers is kept */
    /* With `fold`: use a reply, in whichever thread. Returns true if an error was used too, and is not kept. If
     * it is NULL, no reply is used. */
    bool (*use)(struct redis_request *request, size_t index, const redisReply *reply);
    void (*restart)(struct redis_request *request);    /* forget what was used. NULL: there is nothing to forget */
    void *ctx;
    bool takes_errors;                 /* the caller looks for error replies itself */
    const char *types;                 /* what may come but errors: "s" a string, "n" nil, "o" a status, "i" an integer,
                                        * "a" an array */
    struct redis_values *values;       /* NULL: strings in arrays are kept like all else */
    /* the outcome */
    size_t n_taken;
    int64_t sum;
    redisReply *replies[REDIS_FEW];
    redisReply *error;                 /* the first error reply, of those that were folded */
};

/* The exchange's take and restart. */
enum cache_reply cache_redis_take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                  size_t *used);
void cache_redis_restart(struct cache_exchange *exchange);

/* Send a request to the server, or the node that has `key`. CACHE_OK: its replies are there, and none is an error,
 * unless the caller looks for those itself. Release the request in any case. */
cache_status cache_redis_call(struct redis_store *store, cache_bytes key, struct redis_request *request,
                              uint64_t deadline);

/* The exchange that sends the request. */
struct cache_exchange cache_redis_exchange(struct redis_request *request);

/* The first error reply; NULL: there is none. */
const redisReply *cache_redis_first_error(const struct redis_request *request);
void cache_redis_release(struct redis_request *request);

/* Send one command to where `key` is, and leave its reply in the request, which is to be released in any case. */
cache_status cache_redis_command(struct redis_store *store, cache_bytes key, const cache_bytes words[], size_t n,
                                 struct redis_request *request);

uint64_t cache_redis_deadline(const struct redis_store *store);

/* The status of an error reply, with Redis' own words as the message. */
cache_status cache_redis_error(const char *where, const char *text);

/* Returns true if the server does not know the command, or refuses it to this user. */
bool cache_redis_is_refusal(const redisReply *reply);

/* The same of a message that has the server's words in it. */
bool cache_redis_refuses(const char *message);

/* For a reply of a type that the command does not have. */
cache_status cache_redis_unexpected(const char *where, const redisReply *reply);

/* ---- a cluster (cluster.c) --------------------------------------------------------------------------------------- */

/* In the child of a fork (fork.c). */
void cache_redis_check_fork(struct redis_cluster *cluster);

/* The slot of a key: of what stands between its first '{' and the next '}', if that is anything (slot.c). */
unsigned cache_redis_slot(cache_bytes key);

cache_status cache_redis_open_cluster(struct redis_store *store);
void cache_redis_close_cluster(struct redis_store *store);

/* cache_redis_call, with redirections followed. */
cache_status cache_redis_cluster_call(struct redis_store *store, cache_bytes key, struct redis_request *request,
                                      uint64_t deadline);

/* Returns true if a slot leads to the node. */
bool cache_redis_has_slots(const struct redis_cluster *cluster, size_t node);

/* The node that has the slot, after a look at the map if nobody is known to have it. */
cache_status cache_redis_cluster_node(struct redis_store *store, unsigned slot, uint64_t deadline, uint16_t *node);

/* The same after a node failed: the map is read again if that was not done a moment ago. Returns false if it is not
 * known. */
bool cache_redis_cluster_look_again(struct redis_store *store, unsigned slot, uint64_t deadline, uint16_t *node);

/* Returns true for the error of a node that takes the cluster to be down. Perhaps only the node itself is cut off, and
 * the others have given its slots to its replica. */
bool cache_redis_is_cut_off(const redisReply *error);

/* After such an error: the map is read again, each time from another node. Returns true if the slot is another node's
 * by now. */
bool cache_redis_cluster_doubt(struct redis_store *store, unsigned slot, uint64_t deadline, uint16_t *node);

/* Returns true if the error says that the key is elsewhere. */
bool cache_redis_is_redirection(const redisReply *error);

/* Returns true for the error of a command whose keys have different slots. */
bool cache_redis_spans_slots(const char *error);

/* One request to each node, all at once (cluster_many.c). */
cache_get_many_fn cache_redis_cluster_get_many;
cache_set_many_fn cache_redis_cluster_set_many;
cache_remove_many_fn cache_redis_cluster_remove_many;
cache_clear_fn cache_redis_cluster_clear;

/* ---- changes (watch.c) ------------------------------------------------------------------------------------------- */

cache_status cache_redis_open_watch(const cache_backend_config *config, struct redis_store *store);
void cache_redis_close_watch(struct redis_store *store);

/* After an answer of the server: connect the watch, if it is wanted and is not connected. */
void cache_redis_connect_watch(struct redis_store *store, uint64_t deadline);

cache_changes_fn cache_redis_changes;

/* The parser of a connection that has logged in. */
redisReader *cache_redis_reader(const struct cache_connection *connection);

/* ---- looking at the store (inspect.c) ---------------------------------------------------------------------------- */

cache_get_left_fn cache_redis_get_left;
cache_list_fn cache_redis_list;
cache_ping_fn cache_redis_ping;
/* ---- one key (compare.c) ----------------------------------------------------------------------------------------- */

cache_compare_and_set_fn cache_redis_compare_and_set;

/* ---- many keys (many.c) ------------------------------------------------------------------------------------------ */

cache_get_many_fn cache_redis_get_many;
cache_set_many_fn cache_redis_set_many;
cache_remove_many_fn cache_redis_remove_many;
cache_clear_fn cache_redis_clear;

/* Append SET, or what removes a key. */
cache_status cache_redis_put_set(cache_writer *out, cache_bytes key, cache_bytes value, int64_t ttl_ms);
const char *cache_redis_removal(struct redis_store *store);

/* Returns true if `error` was the answer to UNLINK, which is not sent again. */
bool cache_redis_do_without_unlink(struct redis_store *store, const redisReply *error);

/* SCAN of the prefix from the cursor, and the cursor that came; "0" at the end. */
enum { REDIS_CURSOR_SIZE = 24 };
cache_status cache_redis_put_scan(cache_writer *out, const char *cursor, cache_bytes prefix);
cache_status cache_redis_read_scan(const char *where, const redisReply *reply, char cursor[REDIS_CURSOR_SIZE]);

/* The keys of a SCAN's reply that begin with the prefix; at most `capacity`. */
size_t cache_redis_scanned(const redisReply *reply, cache_bytes prefix, size_t *from, cache_bytes out[],
                           size_t capacity);

#endif
