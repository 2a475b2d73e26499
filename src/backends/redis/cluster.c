/* cluster.c - finds the node of a key, and follows redirections from a wrong node.
 *
 * The map of slots is read for the first key, when a node says that a slot has moved, and when a node cannot be
 * reached, since its replica may have taken over. One caller reads it, at most every 100 ms, while the others continue
 * with the map that is known. */
#include "store.h"

#include "../wire/turn.h"
#include "hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_HOPS = 5,
    NANOSECONDS_IN_MS = 1000000,
    MAP_MS = 100,
    SHARE = 2,                         /* a node that is asked for the map may use one SHARE-th of the time left */
    FIRST_PAUSE_MS = 10,               /* before a request is sent again to a node that was not ready for it */
    MAX_PAUSE_MS = 100,
    LAST_SHARE = 8                     /* it is not sent again with less than this part of the timeout left */
};

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static struct redis_node *find_node(const struct redis_cluster *cluster, const char *host, int port, uint16_t *index)
{
    const size_t n = atomic_load(&cluster->n_nodes);
    for (size_t i = 0; i < n; i++) {
        struct redis_node *node = atomic_load(&cluster->nodes[i]);
        if (node->port == port && strcmp(node->host, host) == 0) {
            *index = (uint16_t)i;
            return node;
        }
    }
    return NULL;
}

static cache_status make_node(struct redis_store *store, const char *host, int port, struct redis_node **out)
{
    struct redis_node *node = cache_env_alloc(store->env, sizeof *node);
    *out = NULL;
    if (node == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    memset(node, 0, sizeof *node);
    (void)snprintf(node->host, sizeof node->host, "%s", host);
    node->port = port;
    (void)snprintf(node->where, sizeof node->where, strchr(host, ':') != NULL ? "redis [%.120s]:%d" : "redis %.120s:%d",
                   host, port);
    const struct cache_server_config config = {
        .env = store->env, .where = node->where, .place = { node->host, port }, .protocol = &cache_redis_protocol,
        .ctx = store, .tls = store->tls, .pool = store->pool, .gather = store->gather, .timeout_ms = store->timeout_ms,
        .connect_timeout_ms = store->connect_timeout_ms, .retry_after_ms = store->retry_after_ms,
        .counters = &store->counters,
    };
    const cache_status status = cache_server_init(&node->server, &config);
    if (status == CACHE_OK)
        *out = node;
    else
        cache_env_free(store->env, node);
    return status;
}

/* Find the index of a node. A new node is added. */
static cache_status get_node(struct redis_store *store, const char *host, int port, uint16_t *index)
{
    struct redis_cluster *cluster = store->cluster;
    cache_status status = CACHE_OK;
    if (find_node(cluster, host, port, index) != NULL)
        return CACHE_OK;
    pthread_mutex_lock(&cluster->lock);
    const size_t n = atomic_load(&cluster->n_nodes);
    if (find_node(cluster, host, port, index) == NULL) {
        struct redis_node *node = NULL;
        status = n < REDIS_MAX_NODES ? make_node(store, host, port, &node)
                                     : cache_fail(CACHE_ERR_CONNECT, "%s: the cluster has more than %d nodes",
                                                  store->where, REDIS_MAX_NODES);
        if (node != NULL) {
            *index = (uint16_t)n;
            atomic_store(&cluster->nodes[n], node);
            atomic_store(&cluster->n_nodes, n + 1);
        }
    }
    pthread_mutex_unlock(&cluster->lock);
    return status;
}

/* Returns true if every key with this prefix has the same slot. */
static bool has_hash_tag(cache_bytes prefix)
{
    return cache_redis_hash_tag(prefix).size < prefix.size;
}

cache_status cache_redis_open_cluster(struct redis_store *store, const char *prefix)
{
    struct redis_cluster *cluster = cache_env_alloc(store->env, sizeof *cluster);
    if (cluster == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    memset(cluster, 0, sizeof *cluster);
    pthread_mutex_init(&cluster->lock, NULL);
    cache_fork_guard_init(&cluster->fork_guard);
    store->cluster = cluster;
    if (has_hash_tag((cache_bytes){ prefix, strlen(prefix) }))
        cache_env_log(store->env, CACHE_LOG_WARN,
                      "%s: one node gets all keys, because the prefix '%s' has braces, which choose the slot",
                      store->where, prefix);
    cache_status status = CACHE_OK;
    for (size_t i = 0; i < store->n_hosts && status == CACHE_OK; i++) {
        uint16_t index = 0;
        status = get_node(store, store->hosts[i].name, store->hosts[i].port, &index);
    }
    return status;
}

void cache_redis_close_cluster(struct redis_store *store)
{
    struct redis_cluster *cluster = store->cluster;
    if (cluster == NULL)
        return;
    for (size_t i = 0; i < atomic_load(&cluster->n_nodes); i++) {
        struct redis_node *node = atomic_load(&cluster->nodes[i]);
        cache_server_release(&node->server);
        cache_env_free(store->env, node);
    }
    pthread_mutex_destroy(&cluster->lock);
    cache_env_free(store->env, cluster);
}

/* ---- the map ----------------------------------------------------------------------------------------------------- */

/* Read the "host:port" of a redirection. If the host is empty, or "?", which a node says that does not know its name,
 * it is the host of the node that sent it. */
static cache_status read_address(const char *text, const struct redis_node *said_by, char host[REDIS_MAX_HOST + 1],
                                 int *port)
{
    const char *colon = strrchr(text, ':');
    const size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    char *end = NULL;
    const long number = colon != NULL ? strtol(colon + 1, &end, 10) : 0;
    if (number < 1 || number > UINT16_MAX || size > REDIS_MAX_HOST)
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: invalid redirection to '%.60s'", said_by->where, text);
    if (size == 0 || (size == 1 && text[0] == '?'))
        (void)snprintf(host, REDIS_MAX_HOST + 1, "%s", said_by->host);
    else {
        memcpy(host, text, size);
        host[size] = '\0';
    }
    *port = (int)number;
    return CACHE_OK;
}

static void set_slot(struct redis_cluster *cluster, unsigned slot, uint16_t node)
{
    if (atomic_exchange_explicit(&cluster->slots[slot], (uint16_t)(node + 1), memory_order_relaxed) != node + 1)
        atomic_fetch_add(&cluster->changes, 1);
}

/* Use one range of the reply to CLUSTER SLOTS: first slot, last slot, the master (host, port, …), the replicas. A
 * malformed range is skipped. */
static cache_status use_range(struct redis_store *store, const struct redis_node *said_by, const redisReply *range)
{
    const redisReply *master = range->elements >= 3 ? range->element[2] : NULL;
    if (range->type != REDIS_REPLY_ARRAY || master == NULL || master->type != REDIS_REPLY_ARRAY ||
        master->elements < 2 || master->element[1]->type != REDIS_REPLY_INTEGER ||
        range->element[0]->type != REDIS_REPLY_INTEGER || range->element[1]->type != REDIS_REPLY_INTEGER)
        return CACHE_OK;
    const redisReply *name = master->element[0];
    const bool named = name->type == REDIS_REPLY_STRING && name->len > 0 && name->len <= REDIS_MAX_HOST &&
                       strcmp(name->str, "?") != 0;
    const long long first = range->element[0]->integer, last = range->element[1]->integer;
    const long long port = master->element[1]->integer;
    uint16_t node = 0;
    if (first < 0 || last >= REDIS_SLOTS || port < 1 || port > UINT16_MAX)
        return CACHE_OK;
    const cache_status status = get_node(store, named ? name->str : said_by->host, (int)port, &node);
    for (long long slot = first; status == CACHE_OK && slot <= last; slot++)
        set_slot(store->cluster, (unsigned)slot, node);
    return status == CACHE_ERR_NOMEM ? status : CACHE_OK;    /* if the cluster has too many nodes, the first ones are
                                                              * used */
}

static cache_status ask_for_map(struct redis_store *store, struct redis_node *node, uint64_t deadline)
{
    static const char command[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
    struct redis_request request = { .parts = { { (char *)(uintptr_t)command, sizeof command - 1 } }, .n_parts = 1,
                                     .n_replies = 1, .repeatable = true, .types = "a" };
    struct cache_exchange exchange = cache_redis_exchange(&request);
    cache_status status = cache_server_call(&node->server, &exchange, deadline);
    const redisReply *error = cache_redis_first_error(&request);
    if (status == CACHE_OK && error != NULL)
        status = cache_redis_error(node->where, error->str);
    if (status == CACHE_OK && request.replies[0]->elements == 0)
        status = cache_fail(CACHE_ERR_CONNECT, "%s: this node has an empty map of slots", node->where);
    for (size_t i = 0; status == CACHE_OK && i < request.replies[0]->elements; i++)
        status = use_range(store, node, request.replies[0]->element[i]);
    cache_redis_release(&request);
    return status;
}

/* Ask one node after the other. Nodes whose circuit breaker is open come last. Each node is asked once, also if its
 * breaker opens or closes meanwhile, so there is at least one answer or failure. */
static cache_status read_map(struct redis_store *store, uint64_t deadline)
{
    struct redis_cluster *cluster = store->cluster;
    const size_t n = atomic_load(&cluster->n_nodes), from = atomic_load(&cluster->ask_from);
    bool asked[REDIS_MAX_NODES] = { false };
    cache_status status = CACHE_ERR_CONNECT;
    for (int away = 0; away < 2; away++)
        for (size_t i = 0; i < n; i++) {
            struct redis_node *node = atomic_load(&cluster->nodes[(from + i) % n]);
            const uint64_t now = cache_now_ns(), left = now < deadline ? deadline - now : 0;
            if (asked[i] || (away == 0 && cache_server_is_away(&node->server)))
                continue;
            asked[i] = true;
            status = ask_for_map(store, node, now + left / SHARE);
            if (status == CACHE_OK) {
                atomic_store(&cluster->known, true);
                return CACHE_OK;
            }
        }
    return status;
}

/* Read the map, unless it was read a moment ago; then the known map is used. */
static cache_status refresh(struct redis_store *store, uint64_t deadline)
{
    struct redis_cluster *cluster = store->cluster;
    uint64_t last = atomic_load(&cluster->read_at);
    const uint64_t now = cache_now_ns();
    const bool fresh = last != 0 && now - last < (uint64_t)MAP_MS * NANOSECONDS_IN_MS;
    if (atomic_load(&cluster->known) && (fresh || !atomic_compare_exchange_strong(&cluster->read_at, &last, now)))
        return CACHE_OK;
    return read_map(store, deadline);
}

bool cache_redis_has_slots(const struct redis_cluster *cluster, size_t node)
{
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
        if (atomic_load_explicit(&cluster->slots[slot], memory_order_relaxed) == node + 1)
            return true;
    return false;
}

cache_status cache_redis_cluster_node(struct redis_store *store, unsigned slot, uint64_t deadline, uint16_t *node)
{
    struct redis_cluster *cluster = store->cluster;
    cache_redis_check_fork(cluster);
    uint16_t which = atomic_load_explicit(&cluster->slots[slot], memory_order_relaxed);
    if (which == 0) {
        const cache_status status = refresh(store, deadline);
        if (status != CACHE_OK)
            return status;
        which = atomic_load(&cluster->slots[slot]);
    }
    if (which == 0)
        return cache_fail(CACHE_ERR_CONNECT, "%s: no node has slot %u", store->where, slot);
    *node = (uint16_t)(which - 1);
    return CACHE_OK;
}

/* ---- one key ----------------------------------------------------------------------------------------------------- */

static bool begins(const redisReply *error, const char *word)
{
    return error != NULL && strncmp(error->str, word, strlen(word)) == 0;
}

bool cache_redis_is_redirection(const redisReply *error)
{
    return begins(error, "MOVED ") || begins(error, "ASK ") || begins(error, "TRYAGAIN");
}

bool cache_redis_is_cut_off(const redisReply *error)
{
    return begins(error, "CLUSTERDOWN");
}

/* Send the request. With `asking`, the key is on this node only for the moment, so ASKING is sent before it. The reply
 * to ASKING is dropped. */
static cache_status send_to(struct redis_node *node, struct redis_request *request, bool asking, uint64_t deadline)
{
    static const char ask[] = "*1\r\n$6\r\nASKING\r\n";
    struct iovec parts[4] = { { (char *)(uintptr_t)ask, sizeof ask - 1 } };
    const char *types = request->types;
    struct cache_exchange exchange = cache_redis_exchange(request);
    if (asking) {
        memcpy(parts + 1, request->parts, (size_t)request->n_parts * sizeof *parts);
        exchange.parts = parts;
        exchange.n_parts = request->n_parts + 1;
        request->n_replies++;
        request->types = "snoia";
    }
    const cache_status status = cache_server_call(&node->server, &exchange, deadline);
    if (asking) {
        request->n_replies--;
        request->types = types;
    }
    if (asking && status == CACHE_OK) {
        freeReplyObject(request->replies[0]);
        memmove(&request->replies[0], &request->replies[1], --request->n_taken * sizeof request->replies[0]);
    }
    return status;
}

/* Find where a redirection sends the request. CACHE_OK: `*node` and `*asking` are set. */
static cache_status follow(struct redis_store *store, unsigned slot, const redisReply *error, uint16_t *node,
                           bool *asking)
{
    char host[REDIS_MAX_HOST + 1];
    int port = 0;
    const struct redis_node *said_by = atomic_load(&store->cluster->nodes[*node]);
    const char *space = strrchr(error->str, ' ');
    *asking = begins(error, "ASK ");
    cache_status status = read_address(space != NULL ? space + 1 : "", said_by, host, &port);
    if (status == CACHE_OK)
        status = get_node(store, host, port, node);
    if (status == CACHE_OK && !*asking)
        set_slot(store->cluster, slot, *node);
    return status;
}

bool cache_redis_cluster_successor(struct redis_store *store, unsigned slot, bool is_cut_off, uint64_t deadline,
                                   uint16_t *node)
{
    const uint16_t before = *node;
    char message[256];
    (void)snprintf(message, sizeof message, "%s", cache_last_error());
    if (is_cut_off)
        atomic_fetch_add(&store->cluster->ask_from, 1);
    const bool other = cache_now_ns() < deadline && refresh(store, deadline) == CACHE_OK &&
                       cache_redis_cluster_node(store, slot, deadline, node) == CACHE_OK && *node != before;
    (void)cache_fail(CACHE_ERR_CONNECT, "%s", message);
    return other;
}

bool cache_redis_cluster_may_recover(const struct redis_store *store, struct redis_node *node,
                                     const redisReply *error)
{
    /* While it is down, at least the probes, one each retry_after, hear that it is. After a longer silence nobody
     * asked, and it may have been up meanwhile. */
    const int64_t longest_silence_ms = store->timeout_ms + store->retry_after_ms;
    const uint64_t now = cache_now_ns();
    if (strcmp(error->str, "CLUSTERDOWN The cluster is down") != 0)
        return false;    /* other texts are about one slot, or about writes alone */
    const uint64_t last = atomic_exchange(&node->down_last, now);
    uint64_t since = atomic_load(&node->down_since);
    if (since == 0 || (int64_t)(now - last) > longest_silence_ms * NANOSECONDS_IN_MS) {
        atomic_store(&node->down_since, now);
        since = now;
        cache_server_forgive(&node->server);
    }
    if ((int64_t)(now - since) < store->timeout_ms * NANOSECONDS_IN_MS)
        return true;
    cache_server_trip(&node->server, cache_redis_error(node->where, error->str));
    return false;
}

void cache_redis_cluster_answered(struct redis_node *node)
{
    if (atomic_load_explicit(&node->down_since, memory_order_relaxed) != 0)
        atomic_store(&node->down_since, 0);
    cache_server_serves(&node->server);
}

/* Wait before a request is sent again, twice as long each time. Returns false if that would be too late: what the node
 * said is a better outcome than a timeout. This is not a cancellation point. */
static bool wait_before_next(const struct redis_store *store, uint64_t *pause_ns, uint64_t deadline)
{
    struct cache_turn turn;
    const uint64_t until = cache_now_ns() + *pause_ns;
    if (until + (uint64_t)store->timeout_ms * NANOSECONDS_IN_MS / LAST_SHARE >= deadline)
        return false;
    cache_turn_init(&turn);
    (void)cache_turn_wait(&turn, until);
    cache_turn_destroy(&turn);
    if (*pause_ns < (uint64_t)MAX_PAUSE_MS * NANOSECONDS_IN_MS)
        *pause_ns *= 2;
    return true;
}

cache_status cache_redis_cluster_call(struct redis_store *store, cache_bytes key, struct redis_request *request,
                                      uint64_t deadline)
{
    const unsigned slot = cache_redis_slot(key);
    uint16_t node = 0;
    bool asking = false;
    int hops = 0;
    uint64_t pause_ns = (uint64_t)FIRST_PAUSE_MS * NANOSECONDS_IN_MS;
    cache_status status = cache_redis_cluster_node(store, slot, deadline, &node);
    while (status == CACHE_OK) {
        struct redis_node *asked = atomic_load(&store->cluster->nodes[node]);
        const bool asked_for_now = asking;
        status = send_to(asked, request, asking, deadline);
        const redisReply *error = status == CACHE_OK ? cache_redis_first_error(request) : NULL;
        const bool is_cut_off = cache_redis_is_cut_off(error);
        const bool failed = status == CACHE_ERR_CONNECT || status == CACHE_ERR_TIMEOUT || is_cut_off;
        const bool may_recover = is_cut_off && cache_redis_cluster_may_recover(store, asked, error);
        asking = false;
        if (status == CACHE_OK && !is_cut_off)
            cache_redis_cluster_answered(asked);
        if (failed && hops < MAX_HOPS && cache_redis_cluster_successor(store, slot, is_cut_off, deadline, &node) &&
            (is_cut_off || request->repeatable)) {    /* a node that is cut off has done nothing */
            status = CACHE_OK;
            hops++;
        } else if ((may_recover || begins(error, "TRYAGAIN")) && wait_before_next(store, &pause_ns, deadline)) {
            asking = asked_for_now;
            hops = 0;
        } else if (begins(error, "TRYAGAIN"))
            return cache_fail(CACHE_ERR_CONNECT, "%s: %s", asked->where, error->str);
        else if (!begins(error, "MOVED ") && !begins(error, "ASK "))
            return status;
        else if (hops++ == MAX_HOPS)
            return cache_fail(CACHE_ERR_CONNECT, "%s: redirected %d times, and once more by %s: %.80s", store->where,
                              MAX_HOPS, atomic_load(&store->cluster->nodes[node])->where, error->str);
        else {
            const bool moved = begins(error, "MOVED ");
            status = follow(store, slot, error, &node, &asking);
            if (moved)
                (void)refresh(store, deadline);
        }
        cache_redis_release(request);
    }
    return status;
}
