/* store.h - what the parts of the Redis store share.
 *
 * hiredis parses the replies. The transport (../wire/server.h) handles connections and deadlines, and decides which
 * threads share a connection. */
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

/* The watch of a node: a connection on which the node reports changes of its keys (watch.c). Calls that wait for the
 * node anyway connect it. A connected watch belongs to the thread that asks for changes; only one thread at a time may
 * ask. */
enum redis_watch_state { WATCH_OFF, WATCH_CONNECTING, WATCH_ON };
struct redis_watch {
    atomic_int state;                  /* enum redis_watch_state */
    struct cache_connection connection;
    bool is_new;                       /* no thread has asked for changes since it was connected */
    uint64_t heard, sent, number;      /* everything until `heard` has been received; PING `number` was sent at `sent`,
                                        * 0: no PING is unanswered */
    _Atomic int64_t retry_ms;          /* on the monotonic clock; no connection is tried before this time */
};

/* One server: the Redis server itself, a Sentinel, or a node of a cluster. */
struct redis_node {
    struct cache_server server;
    char where[160];                   /* "redis 127.0.0.1:6379", for messages */
    char host[REDIS_MAX_HOST + 1];     /* for a node of a cluster */
    int port;
    struct redis_watch watch;
    atomic_bool has_slots;             /* according to the map that the watches saw last */
    _Atomic uint64_t down_since;       /* since when it has said that the cluster is down; 0: it does not say so */
    _Atomic uint64_t down_last;        /* when it said so last */
};

/* The map of the cluster: which node has which slot. Nodes are added and stay until the store is closed, so the map is
 * read without a lock. */
struct redis_cluster {
    _Atomic(struct redis_node *) nodes[REDIS_MAX_NODES];
    atomic_size_t n_nodes;
    _Atomic uint16_t slots[REDIS_SLOTS];    /* 1 + the node's index; 0: no node is known to have it */
    atomic_bool known;                 /* the map has been read at least once */
    atomic_uint changes;               /* how often a slot of the map went to another node */
    _Atomic uint64_t read_at;          /* by cache_now_ns(): when a thread last began to read the map */
    atomic_size_t ask_from;            /* the node that is asked first for the map, modulo the number of nodes */
    pthread_mutex_t lock;              /* guards adding nodes; never held during network calls */
    struct cache_fork_guard fork_guard;
};

struct redis_login {
    char *user, *password;             /* NULL: none */
};

struct redis_store {
    const cache_env *env;
    enum redis_kind kind;
    char where[160];
    cache_host *hosts;                 /* the server, the sentinels, or some nodes of the cluster */
    size_t n_hosts;
    char *name;                        /* the socket's path, or the service that the sentinels watch */
    struct redis_login login, sentinel_login;
    char *client_name;                 /* NULL: the connections get no name */
    int64_t db;
    int pool;
    bool gather;
    int64_t timeout_ms, connect_timeout_ms, retry_after_ms;
    struct cache_tls *tls;             /* NULL: no TLS */
    struct redis_node node;            /* the server that has the keys */
    struct cache_protocol protocol;    /* of `node` */
    bool opened;                       /* `node` is open, and must be released */
    struct redis_cluster *cluster;     /* NULL: not a cluster */
    struct redis_node *sentinels;
    size_t n_sentinels;                /* number of open sentinels */
    atomic_size_t sentinel;            /* the sentinel that answered last; it is asked first */
    redisReplyObjectFunctions objects; /* functions that create replies: hiredis' own, with a limit for arrays */
    char *watch_prefix;                /* the prefix of the watched keys */
    uint64_t watch_interval_ns;        /* between two PINGs */
    atomic_bool is_watched, is_watch_refused;
    unsigned watched_map;              /* the cluster's `changes` when the watches last looked */
    struct cache_fork_guard watch_guard;
    atomic_bool no_unlink;             /* the server does not know UNLINK: DEL is sent in its place */
    atomic_bool spans_slots;           /* the server refused a command whose keys have different slots */
    atomic_bool told_of_cluster;       /* the log says that this server is a node of a cluster */
    atomic_bool no_name;               /* the server closes connections that send CLIENT SETNAME */
    _Atomic int64_t suspect_at;        /* on the monotonic clock: from when on a READONLY reply may close the
                                        * connections again */
    struct cache_server_counters counters, sentinel_counters;
};

/* ---- the URL (url.c) --------------------------------------------------------------------------------------------- */

extern const cache_option cache_redis_options[];

/* Read the URL and its options into a store whose `env` is set. cache_redis_forget_url frees what this allocated, after
 * a failure as well. */
cache_status cache_redis_read_url(const cache_backend_config *config, struct redis_store *store);
void cache_redis_forget_url(struct redis_store *store);

/* ---- commands (command.c) ---------------------------------------------------------------------------------------- *
 * These functions append commands in the wire format. A writer keeps its first failure, so it is enough to check the
 * status of the last call. */

cache_status cache_redis_begin_command(cache_writer *out, size_t n_words);
cache_status cache_redis_put_word(cache_writer *out, const char *data, size_t size);
cache_status cache_redis_put_number(cache_writer *out, int64_t number);

/* Append a whole command whose words are texts; NULL ends the list. */
cache_status cache_redis_put_command(cache_writer *out, const char *const words[]);

/* Append only the head of a word, such as "$5\r\n". The caller sends its `size` bytes and the final "\r\n" from
 * elsewhere. */
cache_status cache_redis_put_head(cache_writer *out, size_t size);

/* Append a SET of one key. */
cache_status cache_redis_put_set(cache_writer *out, cache_bytes key, cache_bytes value, int64_t ttl_ms);
const char *cache_redis_removal(struct redis_store *store);    /* the command that removes keys: "UNLINK" or "DEL" */

#define REDIS_WORD(text) ((cache_bytes){ text, sizeof text - 1 })

/* ---- requests and replies (request.c, error.c) ------------------------------------------------------------------- */

/* The destination of strings in array replies: each goes to the caller as soon as it is parsed (values.c). The array
 * that is kept has NULL in their places. */
struct redis_values {
    cache_results *out;
    size_t keys, keys_a_reply;         /* in all replies, and in each reply except the last */
    size_t base, n;                    /* for the current reply: the index of its first key, and its number of keys */
    cache_status status;               /* the first failure of `out` */
    redisReplyObjectFunctions functions;
    const redisReplyObjectFunctions *others;
};

void cache_redis_values_begin(struct redis_values *values, redisReader *reader, size_t reply);
void cache_redis_values_end(struct redis_values *values, redisReader *reader);

/* Release the values that were already put. Call when the request is sent again or has failed. */
void cache_redis_values_forget(struct redis_values *values);

enum { REDIS_FEW = 16 };               /* the most replies that a request keeps */

struct redis_request {
    struct iovec parts[3];             /* the commands in the wire format */
    int n_parts;
    size_t n_replies;                  /* above REDIS_FEW only with `fold` */
    bool repeatable, overwrites;       /* whether it may be sent again (../wire/server.h) */
    bool alone;                        /* shares its connection with no other request */
    bool fold;                         /* the replies are not kept, only the sum of all integers */
    /* With `fold`: process one reply. It may run in any thread. Returns true if it also handled an error reply, which
     * is then not kept as `error`. NULL: replies are not processed. */
    bool (*use)(struct redis_request *request, size_t index, const redisReply *reply);
    void (*restart)(struct redis_request *request);    /* discard what `use` has processed so far. NULL: there is
                                                        * nothing to discard */
    void *ctx;
    bool takes_errors;                 /* the caller checks the replies for errors itself */
    const char *types;                 /* the reply types that are accepted besides errors: "s" a string, "n" nil, "o" a
                                        * status, "i" an integer, "a" an array */
    struct redis_values *values;       /* NULL: strings in arrays are kept as part of the reply */
    /* results */
    size_t n_taken;
    int64_t sum;
    redisReply *replies[REDIS_FEW];
    redisReply *error;                 /* with `fold`: the first error reply */
};

/* The state of a connection. */
struct redis_link {
    const cache_env *env;
    redisReader *reader;
    uint64_t mark;                     /* the mark that was sent last */
};

/* Call before the first connection is made: sets `objects`. Returns CACHE_OK or CACHE_ERR_NOMEM. */
cache_status cache_redis_prepare(struct redis_store *store);

/* Parses the next whole reply from the bytes that the reader has, and sets `*out` to it. If the bytes are not a reply,
 * it returns CACHE_REPLY_BROKEN and sets exchange->status, with a message. */
enum cache_reply cache_redis_next_reply(struct cache_exchange *exchange, redisReader *reader, redisReply **out);

/* The `take` and `restart` functions of the exchange. */
enum cache_reply cache_redis_take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                  size_t *used);
void cache_redis_restart(struct cache_exchange *exchange);

/* Returns the transport's exchange for the request. */
struct cache_exchange cache_redis_exchange(struct redis_request *request);

/* Returns the first error reply, or NULL if there is none. */
const redisReply *cache_redis_first_error(const struct redis_request *request);
void cache_redis_release(struct redis_request *request);

/* Returns the status for an error reply, and makes the server's text the error message. */
cache_status cache_redis_error(const char *where, const char *text);

/* Returns true if the server does not know the command, or does not permit it to this user. */
bool cache_redis_is_refusal(const redisReply *reply);

/* The same for an error message that contains the server's text. */
bool cache_redis_refuses(const char *message);

/* Report a reply whose type does not fit the command. Returns CACHE_ERR_PROTOCOL. */
cache_status cache_redis_unexpected(const char *where, const redisReply *reply);

/* Returns true for the error of a command whose keys have different slots. */
bool cache_redis_spans_slots(const char *error);

/* Returns true for an error that only a node of a cluster returns. */
bool cache_redis_is_of_a_cluster(const char *error);

/* ---- one connection (connection.c) ------------------------------------------------------------------------------- */

/* The protocols of a server and of a Sentinel. */
extern const struct cache_protocol cache_redis_protocol, cache_redis_sentinel_protocol;

/* Returns the reply parser of a connection that has logged in. */
redisReader *cache_redis_reader(const struct cache_connection *connection);

/* ---- sentinels (sentinel.c) -------------------------------------------------------------------------------------- */

cache_status cache_redis_open_sentinels(struct redis_store *store);
void cache_redis_close_sentinels(struct redis_store *store);

/* Ask the sentinels for the master of the service. */
cache_status cache_redis_find_master(struct cache_server *server, uint64_t deadline, char host[256], int *port);

/* ---- calls (call.c) ---------------------------------------------------------------------------------------------- */

/* Send a request to the server, or to the node that has `key`. CACHE_OK: the replies are in the request, and none of
 * them is an error, unless `takes_errors` is set. Release the request in every case. */
cache_status cache_redis_call(struct redis_store *store, cache_bytes key, struct redis_request *request,
                              uint64_t deadline);

uint64_t cache_redis_deadline(const struct redis_store *store);

/* ---- a cluster (cluster.c) --------------------------------------------------------------------------------------- */

/* If this process is a new child of a fork, make the lock usable again (fork.c). */
void cache_redis_check_fork(struct redis_cluster *cluster);

/* Returns the slot of a key. If the first '{' is followed by a '}' with at least one byte in between, only the bytes
 * between them count (a hash tag, slot.c). */
unsigned cache_redis_slot(cache_bytes key);

/* Returns the part of a key that decides its slot: what the first braces enclose, or else the whole key. */
cache_bytes cache_redis_hash_tag(cache_bytes key);

cache_status cache_redis_open_cluster(struct redis_store *store, const char *prefix);
void cache_redis_close_cluster(struct redis_store *store);

/* Like cache_redis_call, and follows redirections. */
cache_status cache_redis_cluster_call(struct redis_store *store, cache_bytes key, struct redis_request *request,
                                      uint64_t deadline);

/* Returns true if the map has a slot of this node. */
bool cache_redis_has_slots(const struct redis_cluster *cluster, size_t node);

/* Find the node that has the slot. If no node is known to have it, the map is read first. */
cache_status cache_redis_cluster_node(struct redis_store *store, unsigned slot, uint64_t deadline, uint16_t *node);

/* Returns true for the error of a node that believes the cluster is down. Perhaps only this node is cut off, and its
 * replica has already taken over its slots. */
bool cache_redis_is_cut_off(const redisReply *error);

/* Call this if `*node` failed or is cut off. Reads the map again, unless it was read a moment ago. For a node that is
 * cut off, it is read each time from another node. Returns true if another node has the slot now, and sets `*node` to
 * it. The thread's last error stays as it was. */
bool cache_redis_cluster_successor(struct redis_store *store, unsigned slot, bool is_cut_off, uint64_t deadline,
                                   uint16_t *node);

/* `error` is the answer of a node that is cut off. Returns true if the node may serve keys again soon, as after a
 * restart or during a failover. If it has served no key at all for the whole timeout, it counts as down for
 * retry_after, so that not each call waits for it. */
bool cache_redis_cluster_may_recover(const struct redis_store *store, struct redis_node *node,
                                     const redisReply *error);

/* Call this if a node has answered with anything else. */
void cache_redis_cluster_answered(struct redis_node *node);

/* Returns true if the error is a redirection: another node has the key. */
bool cache_redis_is_redirection(const redisReply *error);

/* These send one request to each node, to all nodes at the same time (cluster_many.c). */
cache_get_many_fn cache_redis_cluster_get_many;
cache_set_many_fn cache_redis_cluster_set_many;
cache_status cache_redis_cluster_remove_by(struct redis_store *store, const cache_bytes keys[], size_t n,
                                           uint64_t deadline, size_t *removed);
cache_clear_fn cache_redis_cluster_clear;

/* ---- changes (watch.c) ------------------------------------------------------------------------------------------- */

cache_status cache_redis_open_watch(const cache_backend_config *config, struct redis_store *store);
void cache_redis_close_watch(struct redis_store *store);

/* Call after the server has answered: connects the watch if it is wanted and not connected. */
void cache_redis_connect_watch(struct redis_store *store, uint64_t deadline);

cache_changes_fn cache_redis_changes;

/* ---- looking at the store (inspect.c) ---------------------------------------------------------------------------- */

cache_get_left_fn cache_redis_get_left;
cache_list_fn cache_redis_list;
cache_ping_fn cache_redis_ping;

/* ---- one key (one_key.c, compare.c) ------------------------------------------------------------------------------ */

/* Send one command to the server or node that has `key`. The reply is left in the request, which must be released in
 * every case. */
cache_status cache_redis_command(struct redis_store *store, cache_bytes key, const cache_bytes words[], size_t n,
                                 uint64_t deadline, struct redis_request *request);

/* Returns `number` as a word. `room` has NUMBER_MAX_SIZE + 1 bytes and must stay as long as the word. */
cache_bytes cache_redis_number_word(int64_t number, char *room);

/* For operations that take several requests: all of them share one deadline. */
cache_status cache_redis_get_by(struct redis_store *store, cache_bytes key, uint64_t deadline, cache_writer *out);
cache_status cache_redis_set_by(struct redis_store *store, cache_bytes key, cache_bytes value, int64_t ttl_ms,
                                unsigned flags, uint64_t deadline);

cache_compare_and_set_fn cache_redis_compare_and_set;

/* ---- many keys (many.c) ------------------------------------------------------------------------------------------ */

cache_get_many_fn cache_redis_get_many;
cache_set_many_fn cache_redis_set_many;
cache_remove_many_fn cache_redis_remove_many;
cache_status cache_redis_remove_by(struct redis_store *store, const cache_bytes keys[], size_t n, uint64_t deadline,
                                   size_t *removed);
cache_clear_fn cache_redis_clear;

/* Returns true if `error` rejects UNLINK. UNLINK is not sent again then. */
bool cache_redis_do_without_unlink(struct redis_store *store, const redisReply *error);

/* ---- scan (scan.c) ----------------------------------------------------------------------------------------------- */

/* Append SCAN of the prefix from the cursor; read the next cursor from its reply, "0" at the end. */
enum { REDIS_CURSOR_SIZE = 24 };
cache_status cache_redis_put_scan(cache_writer *out, const char *cursor, cache_bytes prefix);
cache_status cache_redis_read_scan(const char *where, const redisReply *reply, char cursor[REDIS_CURSOR_SIZE]);

/* Put the keys of a SCAN reply that begin with the prefix into `out`, at most `capacity`. */
size_t cache_redis_scanned(const redisReply *reply, cache_bytes prefix, size_t *from, cache_bytes out[],
                           size_t capacity);

#endif
