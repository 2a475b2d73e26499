/* cluster_many.c - many keys of a cluster. One request goes to each node that has some of the keys, to all nodes at the
 * same time. If a key turns out to be on another node, it is requested again, alone. */
#include "store.h"

#include "hooks.h"
#include "results.h"

#include <stdio.h>
#include <string.h>

enum { KEYS_A_REQUEST = 2000, BYTES_A_REQUEST = 1 << 20 };

enum work { GET, SET, REMOVE };

enum state { LEFT, SENT, DONE, AGAIN };

struct many {
    struct redis_store *store;
    enum work work;
    const cache_bytes *keys, *values;
    size_t n;
    int64_t ttl_ms;
    cache_results *out;
    size_t removed;
    uint64_t deadline;
    uint16_t *nodes;                   /* the node of each key */
    unsigned char *states;
    size_t *order;                     /* the keys of the current requests, grouped by request */
    cache_status first;                /* the first failure, but CACHE_ERR_NOMEM replaces any other */
    char message[256];
};

/* The request to one node. */
struct part {
    struct many *many;
    struct redis_node *node;
    cache_writer out;
    const size_t *order;
    struct redis_request request;
    struct cache_exchange exchange;
};

/* Without memory a request may be incomplete and must not be sent. So CACHE_ERR_NOMEM, which ends the work, is kept
 * even after another failure. */
static void keep_first(struct many *many, cache_status status)
{
    if (status == CACHE_OK || (many->first != CACHE_OK && status != CACHE_ERR_NOMEM))
        return;
    many->first = status;
    (void)snprintf(many->message, sizeof many->message, "%s", cache_last_error());
}

/* ---- commands and replies of one key ----------------------------------------------------------------------------- */

static const char *types_of(enum work work)
{
    return work == GET ? "sn" : work == SET ? "o" : "i";
}

static cache_status put_command(const struct many *many, size_t key, cache_writer *out)
{
    if (many->work == SET)
        return cache_redis_put_set(out, many->keys[key], many->values[key], many->ttl_ms);
    const char *name = many->work == GET ? "GET" : cache_redis_removal(many->store);
    (void)cache_redis_begin_command(out, 2);
    (void)cache_redis_put_word(out, name, strlen(name));
    return cache_redis_put_word(out, many->keys[key].data, many->keys[key].size);
}

static void use_reply(struct many *many, size_t key, const redisReply *reply)
{
    many->states[key] = DONE;
    if (reply->type == REDIS_REPLY_STRING && many->work == GET)
        keep_first(many, cache_results_put(many->out, key, reply->str, reply->len));
}

static bool use(struct redis_request *request, size_t index, const redisReply *reply)
{
    struct part *part = request->ctx;
    const size_t key = part->order[index];
    if (reply->type == REDIS_REPLY_ERROR && cache_redis_is_redirection(reply)) {
        part->many->states[key] = AGAIN;
        return true;
    }
    use_reply(part->many, key, reply);
    return false;
}

static void forget(struct redis_request *request)
{
    struct part *part = request->ctx;
    for (size_t i = 0; i < request->n_replies; i++) {
        const size_t key = part->order[i];
        part->many->states[key] = SENT;
        if (part->many->work == GET && key < part->many->out->n) {
            cache_value_release(&part->many->out->out[key]);
            part->many->out->out[key] = (cache_value){ 0 };
        }
    }
}

/* ---- a request to each node -------------------------------------------------------------------------------------- */

/* Make the request for the remaining keys of `node`, up to a limit. Puts their indices into `order`. Returns how many
 * there are. */
static size_t make_part(struct many *many, uint16_t node, size_t *order, struct part *part)
{
    size_t n = 0;
    *part = (struct part){ .many = many, .node = atomic_load(&many->store->cluster->nodes[node]), .order = order };
    cache_writer_init(&part->out, cache_env_allocator(many->store->env));
    for (size_t i = 0; i < many->n && n < KEYS_A_REQUEST && part->out.size < BYTES_A_REQUEST; i++) {
        if (many->states[i] != LEFT || many->nodes[i] != node)
            continue;
        many->states[i] = SENT;
        order[n++] = i;
        keep_first(many, put_command(many, i, &part->out));
    }
    part->request = (struct redis_request){ .parts = { { part->out.data, part->out.size } }, .n_parts = 1,
                                            .n_replies = n, .repeatable = true, .overwrites = many->work == SET,
                                            .alone = n > REDIS_FEW, .fold = true, .use = use, .restart = forget,
                                            .ctx = part, .types = types_of(many->work) };
    part->exchange = cache_redis_exchange(&part->request);
    return n;
}

/* Use the outcome of a request. If the node failed and another one has its slots by now, that one gets the keys. If the
 * node may recover, the keys are requested again, too. */
static void use_outcome(struct many *many, const struct cache_server_call *call, struct part *part)
{
    const redisReply *error = call->status == CACHE_OK ? cache_redis_first_error(&part->request) : NULL;
    const bool is_cut_off = cache_redis_is_cut_off(error);
    if (call->status == CACHE_OK && !is_cut_off) {
        cache_redis_cluster_answered(part->node);
        if (error != NULL)
            keep_first(many, cache_redis_error(call->server->config.where, error->str));
        many->removed += (size_t)part->request.sum;
        return;
    }
    const bool may_recover = is_cut_off && cache_redis_cluster_may_recover(many->store, part->node, error);
    forget(&part->request);
    bool all_again = true;
    for (size_t i = 0; i < part->request.n_replies; i++) {
        const size_t key = part->order[i];
        uint16_t node = many->nodes[key];
        if (cache_redis_cluster_successor(many->store, cache_redis_slot(many->keys[key]), is_cut_off, many->deadline,
                                          &node) || may_recover)
            many->states[key] = AGAIN;
        else
            all_again = false;
    }
    if (!all_again)
        keep_first(many, is_cut_off ? cache_redis_error(call->server->config.where, error->str)
                                    : cache_fail(call->status, "%s", part->exchange.message));
}

/* Send each node its next request. Returns false if there was nothing left to send. */
static bool send_round(struct many *many, struct part parts[], struct cache_server_call calls[], size_t n_nodes)
{
    size_t n_calls = 0, at = 0;
    for (size_t node = 0; node < n_nodes; node++) {
        const size_t n = make_part(many, (uint16_t)node, many->order + at, &parts[n_calls]);
        at += n;
        if (n == 0)
            continue;
        calls[n_calls] = (struct cache_server_call){
            .server = &parts[n_calls].node->server, .exchange = &parts[n_calls].exchange
        };
        n_calls++;
    }
    if (many->first != CACHE_ERR_NOMEM)
        (void)cache_server_call_all(calls, n_calls, many->deadline);
    for (size_t i = 0; i < n_calls; i++) {
        if (many->first != CACHE_ERR_NOMEM)
            use_outcome(many, &calls[i], &parts[i]);
        cache_redis_release(&parts[i].request);
        cache_writer_release(&parts[i].out);
    }
    return n_calls > 0 && many->first != CACHE_ERR_NOMEM;
}

static void send_alone(struct many *many, size_t key)
{
    struct redis_request request = { .n_parts = 1, .n_replies = 1, .repeatable = true,
                                     .overwrites = many->work == SET, .types = types_of(many->work) };
    cache_writer out;
    cache_writer_init(&out, cache_env_allocator(many->store->env));
    cache_status status = put_command(many, key, &out);
    request.parts[0] = (struct iovec){ out.data, out.size };
    if (status == CACHE_OK)
        status = cache_redis_call(many->store, many->keys[key], &request, many->deadline);
    keep_first(many, status);
    if (status == CACHE_OK) {
        use_reply(many, key, request.replies[0]);
        many->removed += many->work == REMOVE ? (size_t)request.replies[0]->integer : 0;
    }
    cache_redis_release(&request);
    cache_writer_release(&out);
}

/* Request each key again that was at another node, or whose node was not ready. */
static void send_the_rest(struct many *many)
{
    for (size_t i = 0; i < many->n; i++) {
        if (many->states[i] != AGAIN)
            continue;
        if (cache_now_ns() >= many->deadline) {
            keep_first(many, cache_fail(CACHE_ERR_TIMEOUT, "%s: no answer within %lld ms", many->store->where,
                                        (long long)many->store->timeout_ms));
            return;
        }
        send_alone(many, i);
    }
}

static void find_nodes(struct many *many)
{
    for (size_t i = 0; i < many->n; i++) {
        const cache_status status = cache_redis_cluster_node(many->store, cache_redis_slot(many->keys[i]),
                                                             many->deadline, &many->nodes[i]);
        many->states[i] = status == CACHE_OK ? LEFT : DONE;
        keep_first(many, status);
    }
}

static cache_status run(struct many *many)
{
    const cache_env *env = many->store->env;
    struct part *parts = NULL;
    struct cache_server_call *calls = NULL;
    many->nodes = cache_env_alloc(env, many->n * sizeof *many->nodes + 1);
    many->states = cache_env_alloc(env, many->n + 1);
    many->order = cache_env_alloc(env, many->n * sizeof *many->order + 1);
    if (many->nodes != NULL && many->states != NULL && many->order != NULL)
        find_nodes(many);
    const size_t n_nodes = atomic_load(&many->store->cluster->n_nodes);
    parts = cache_env_alloc(env, (n_nodes + 1) * sizeof *parts);
    calls = cache_env_alloc(env, (n_nodes + 1) * sizeof *calls);
    if (many->nodes == NULL || many->states == NULL || many->order == NULL || parts == NULL || calls == NULL)
        keep_first(many, cache_fail(CACHE_ERR_NOMEM, "%s: out of memory for %zu keys", many->store->where, many->n));
    else {
        while (send_round(many, parts, calls, n_nodes))
            continue;
        send_the_rest(many);
    }
    cache_env_free(env, calls);
    cache_env_free(env, parts);
    cache_env_free(env, many->order);
    cache_env_free(env, many->states);
    cache_env_free(env, many->nodes);
    return many->first == CACHE_OK ? CACHE_OK : cache_fail(many->first, "%s", many->message);
}

/* ---- the operations ---------------------------------------------------------------------------------------------- */

cache_status cache_redis_cluster_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct many many = { .store = self, .deadline = cache_redis_deadline(self), .work = GET, .keys = keys, .n = n,
                         .out = out };
    return run(&many);
}

cache_status cache_redis_cluster_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                          int64_t ttl_ms)
{
    struct many many = { .store = self, .deadline = cache_redis_deadline(self), .work = SET, .keys = keys,
                         .values = values, .n = n, .ttl_ms = ttl_ms };
    return run(&many);
}

/* If the server rejects UNLINK, everything is sent again as DEL. */
cache_status cache_redis_cluster_remove_by(struct redis_store *store, const cache_bytes keys[], size_t n,
                                           uint64_t deadline, size_t *removed)
{
    const bool unlinks = !atomic_load(&store->no_unlink);
    const struct many begun = { .store = store, .deadline = deadline, .work = REMOVE, .keys = keys, .n = n };
    struct many many = begun;
    cache_status status = run(&many);
    if (status != CACHE_OK && unlinks && cache_redis_refuses(many.message)) {
        atomic_store(&store->no_unlink, true);
        many = begun;
        status = run(&many);
    }
    *removed += many.removed;
    return status;
}

/* ---- clear ------------------------------------------------------------------------------------------------------- */

/* SCAN of one node, which is at `cursor`. */
struct walk {
    struct redis_node *node;
    bool ended;
    char cursor[REDIS_CURSOR_SIZE];
    cache_writer out;
    struct redis_request request;
    struct cache_exchange exchange;
};

/* Sends one SCAN to each node whose walk has not ended, to all at once. Returns how many these are. */
static size_t scan(struct many *many, struct walk walks[], size_t n, cache_bytes prefix,
                   struct cache_server_call calls[])
{
    size_t n_calls = 0;
    for (size_t i = 0; i < n && many->first != CACHE_ERR_NOMEM; i++) {
        struct walk *walk = &walks[i];
        walk->request = (struct redis_request){ .n_parts = 1, .n_replies = 1, .repeatable = true, .types = "a" };
        cache_writer_init(&walk->out, cache_env_allocator(many->store->env));
        if (walk->ended)
            continue;
        keep_first(many, cache_redis_put_scan(&walk->out, walk->cursor, prefix));
        walk->request.parts[0] = (struct iovec){ walk->out.data, walk->out.size };
        walk->exchange = cache_redis_exchange(&walk->request);
        calls[n_calls++] = (struct cache_server_call){ .server = &walk->node->server, .exchange = &walk->exchange };
    }
    if (many->first != CACHE_ERR_NOMEM)
        (void)cache_server_call_all(calls, n_calls, cache_redis_deadline(many->store));
    return n_calls;
}

/* Uses what a node answered. Its walk ends at the end of its keys, or if it failed; the others go on. */
static void use_walk_outcome(struct many *many, struct walk *walk, const struct cache_server_call *call)
{
    const redisReply *error = call->status == CACHE_OK ? cache_redis_first_error(&walk->request) : NULL;
    cache_status status = call->status;
    if (status != CACHE_OK)
        (void)cache_fail(status, "%s", walk->exchange.message);
    else if (error != NULL)
        status = cache_redis_error(walk->node->where, error->str);
    else
        status = cache_redis_read_scan(walk->node->where, walk->request.replies[0], walk->cursor);
    if (status != CACHE_OK)
        cache_redis_release(&walk->request);
    keep_first(many, status);
    walk->ended = status != CACHE_OK || strcmp(walk->cursor, "0") == 0;
}

/* Removes the keys that all nodes found, in one request to each. */
static void remove_found(struct many *many, const struct walk walks[], size_t n, cache_bytes prefix)
{
    size_t most = 0, n_found = 0, removed = 0;
    for (size_t i = 0; i < n; i++)
        most += walks[i].request.n_taken > 0 ? walks[i].request.replies[0]->element[1]->elements : 0;
    if (most == 0)
        return;
    cache_bytes *found = cache_env_alloc(many->store->env, most * sizeof *found);
    if (found == NULL) {
        keep_first(many, cache_fail(CACHE_ERR_NOMEM, "%s: out of memory for %zu keys", many->store->where, most));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t from = 0;
        if (walks[i].request.n_taken > 0)
            n_found += cache_redis_scanned(walks[i].request.replies[0], prefix, &from, found + n_found, most - n_found);
    }
    if (n_found > 0)
        keep_first(many, cache_redis_cluster_remove_by(many->store, found, n_found, cache_redis_deadline(many->store),
                                                       &removed));
    cache_env_free(many->store->env, found);
}

/* Returns false once all walks have ended. */
static bool clear_step(struct many *many, struct walk walks[], size_t n, cache_bytes prefix,
                       struct cache_server_call calls[])
{
    const size_t n_calls = scan(many, walks, n, prefix, calls);
    for (size_t i = 0, k = 0; i < n && many->first != CACHE_ERR_NOMEM; i++)
        if (k < n_calls && calls[k].exchange == &walks[i].exchange)
            use_walk_outcome(many, &walks[i], &calls[k++]);
    if (many->first != CACHE_ERR_NOMEM)    /* else some replies were not looked at */
        remove_found(many, walks, n, prefix);
    for (size_t i = 0; i < n; i++) {
        cache_redis_release(&walks[i].request);
        cache_writer_release(&walks[i].out);
    }
    return n_calls > 0 && many->first != CACHE_ERR_NOMEM;
}

/* The masters are walked at the same time. If one fails, the keys of the others are removed all the same. */
cache_status cache_redis_cluster_clear(void *self, cache_bytes prefix)
{
    struct redis_store *store = self;
    struct redis_cluster *cluster = store->cluster;
    struct many many = { .store = store };
    uint16_t any = 0;
    const cache_status status = cache_redis_cluster_node(store, cache_redis_slot(prefix), cache_redis_deadline(store),
                                                         &any);
    if (status != CACHE_OK)
        return status;
    const size_t n_nodes = atomic_load(&cluster->n_nodes);
    struct walk *walks = cache_env_alloc(store->env, n_nodes * sizeof *walks);
    struct cache_server_call *calls = cache_env_alloc(store->env, n_nodes * sizeof *calls);
    if (walks == NULL || calls == NULL)
        keep_first(&many, cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where));
    else {
        size_t n = 0;
        for (size_t i = 0; i < n_nodes; i++)
            if (cache_redis_has_slots(cluster, i))
                walks[n++] = (struct walk){ .node = atomic_load(&cluster->nodes[i]), .cursor = "0" };
        while (clear_step(&many, walks, n, prefix, calls))
            continue;
    }
    cache_env_free(store->env, calls);
    cache_env_free(store->env, walks);
    return many.first == CACHE_OK ? CACHE_OK : cache_fail(many.first, "%s", many.message);
}
