/* many.c - many keys in one round trip, and clearing all keys of a prefix. */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <string.h>

enum {
    KEYS_A_COMMAND = 500,              /* the server serves no other client during one command */
    KEYS_TO_GATHER = 16,               /* a request with more keys does not share its connection */
    BYTES_A_REQUEST = 1 << 20          /* of values, which are kept in memory until they are sent */
};

/* ---- commands of a list of keys ---------------------------------------------------------------------------------- */

static cache_status put_keys(cache_writer *out, const char *name, const cache_bytes keys[], size_t n)
{
    (void)cache_redis_begin_command(out, n + 1);
    cache_status status = cache_redis_put_word(out, name, strlen(name));
    for (size_t i = 0; i < n; i++)
        status = cache_redis_put_word(out, keys[i].data, keys[i].size);
    return status;
}

/* Send all keys in one round trip, with as many commands `name` as they need. */
static cache_status call_with_keys(struct redis_store *store, const char *name, const cache_bytes keys[], size_t n,
                                   uint64_t deadline, struct redis_request *request)
{
    char room[1024];
    cache_writer out;
    cache_writer_init_buffer(&out, cache_env_allocator(store->env), room, sizeof room);
    cache_status status = CACHE_OK;
    for (size_t i = 0; i < n && status == CACHE_OK; i += KEYS_A_COMMAND, request->n_replies++)
        status = put_keys(&out, name, keys + i, n - i < KEYS_A_COMMAND ? n - i : KEYS_A_COMMAND);
    request->parts[0] = (struct iovec){ out.data, out.size };
    request->n_parts = 1;
    request->repeatable = request->fold = true;
    request->alone = n > KEYS_TO_GATHER;
    if (status == CACHE_OK)
        status = cache_redis_call(store, keys[0], request, deadline);
    cache_writer_release(&out);
    return status;
}

/* ---- a node of a cluster that was taken for a server of its own --------------------------------------------------- *
 * A URL may name a node of a cluster as a single server. Such a node refuses a command whose keys have different slots.
 * It accepts them one by one, except for keys of other nodes. It is not asked again after its first refusal. */

/* Returns true if the server has refused the keys together. */
static bool is_refused_together(struct redis_store *store, const struct redis_request *request)
{
    const bool spans = request->error != NULL && cache_redis_spans_slots(request->error->str);
    if (spans)
        atomic_store(&store->spans_slots, true);
    return spans;
}

/* Returns true if it would refuse these. */
static bool would_be_refused(struct redis_store *store, const cache_bytes keys[], size_t n)
{
    if (!atomic_load_explicit(&store->spans_slots, memory_order_relaxed))
        return false;
    const unsigned slot = cache_redis_slot(keys[0]);
    size_t i = 1;
    while (i < n && cache_redis_slot(keys[i]) == slot)
        i++;
    return i < n;
}

/* Returns false if the server cannot be reached, so that it is useless to continue. Any other failure is kept in
 * `*all`. */
static bool goes_on(cache_status status, cache_status *all)
{
    if (status < 0)
        *all = status;
    return status >= 0 || status == CACHE_ERR_PROTOCOL;
}

static cache_status get_one_by_one(struct redis_store *store, const cache_bytes keys[], size_t n, uint64_t deadline,
                                   cache_results *out)
{
    cache_status all = CACHE_OK;
    bool going_on = true;
    for (size_t i = 0; i < n && going_on; i++) {
        cache_writer value;
        cache_writer_init(&value, cache_env_allocator(store->env));
        cache_status status = cache_redis_get_by(store, keys[i], deadline, &value);
        if (status == CACHE_OK)
            status = cache_results_put(out, i, value.data, value.size);
        cache_writer_release(&value);
        going_on = goes_on(status, &all);
    }
    return all;
}

static cache_status remove_one_by_one(struct redis_store *store, const cache_bytes keys[], size_t n, uint64_t deadline,
                                      size_t *removed)
{
    cache_status all = CACHE_OK;
    bool going_on = true;
    for (size_t i = 0; i < n && going_on; i++)
        going_on = goes_on(cache_redis_remove_by(store, &keys[i], 1, deadline, removed), &all);
    return all;
}

/* ---- get --------------------------------------------------------------------------------------------------------- */

/* The values go to the caller as they are parsed. A key that holds no string comes as nil, which is a miss. */
cache_status cache_redis_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct redis_store *store = self;
    if (store->cluster != NULL)
        return cache_redis_cluster_get_many(self, keys, n, out);
    const uint64_t deadline = cache_redis_deadline(store);
    if (would_be_refused(store, keys, n))
        return get_one_by_one(store, keys, n, deadline, out);
    struct redis_values values = { .out = out, .keys = n, .keys_a_reply = KEYS_A_COMMAND };
    struct redis_request request = { .types = "a", .values = &values };
    const cache_status status = call_with_keys(store, "MGET", keys, n, deadline, &request);
    const bool one_by_one = is_refused_together(store, &request);
    cache_redis_release(&request);
    if (one_by_one) {
        cache_redis_values_forget(&values);    /* from another command, whose keys all had one slot */
        return get_one_by_one(store, keys, n, deadline, out);
    }
    return status != CACHE_OK ? status : values.status;
}

/* ---- remove ------------------------------------------------------------------------------------------------------ */

/* Returns true if `error` rejects UNLINK. UNLINK is not sent again then. */
bool cache_redis_do_without_unlink(struct redis_store *store, const redisReply *error)
{
    return error != NULL && cache_redis_is_refusal(error) && !atomic_exchange(&store->no_unlink, true);
}

cache_status cache_redis_remove_by(struct redis_store *store, const cache_bytes keys[], size_t n, uint64_t deadline,
                                   size_t *removed)
{
    bool again = true, one_by_one = false;
    cache_status status = CACHE_OK;
    if (store->cluster != NULL)
        return cache_redis_cluster_remove_by(store, keys, n, deadline, removed);
    if (would_be_refused(store, keys, n))
        return remove_one_by_one(store, keys, n, deadline, removed);
    while (again) {
        struct redis_request request = { .types = "i" };
        status = call_with_keys(store, cache_redis_removal(store), keys, n, deadline, &request);
        again = cache_redis_do_without_unlink(store, request.error);
        one_by_one = is_refused_together(store, &request);
        *removed += status == CACHE_OK ? (size_t)request.sum : 0;
        cache_redis_release(&request);
    }
    return one_by_one ? remove_one_by_one(store, keys, n, deadline, removed) : status;
}

cache_status cache_redis_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    return cache_redis_remove_by(self, keys, n, cache_redis_deadline(self), removed);
}

/* ---- set --------------------------------------------------------------------------------------------------------- */

/* Send SET for as many keys as fit in a request. Sets `*n_sent` to their number. */
static cache_status set_some(struct redis_store *store, const cache_bytes keys[], const cache_bytes values[], size_t n,
                             int64_t ttl_ms, uint64_t deadline, size_t *n_sent)
{
    cache_writer out;
    cache_status status = CACHE_OK;
    *n_sent = 0;
    cache_writer_init(&out, cache_env_allocator(store->env));
    for (; *n_sent < n && status == CACHE_OK && out.size < BYTES_A_REQUEST; ++*n_sent)
        status = cache_redis_put_set(&out, keys[*n_sent], values[*n_sent], ttl_ms);
    if (status == CACHE_OK) {
        struct redis_request request = { .parts = { { out.data, out.size } }, .n_parts = 1, .n_replies = *n_sent,
                                         .repeatable = true, .overwrites = true, .alone = *n_sent > REDIS_FEW,
                                         .fold = true, .types = "o" };
        status = cache_redis_call(store, keys[0], &request, deadline);
        cache_redis_release(&request);
    }
    cache_writer_release(&out);
    return status;
}

cache_status cache_redis_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                  int64_t ttl_ms)
{
    struct redis_store *store = self;
    const uint64_t deadline = cache_redis_deadline(store);
    char message[256];
    cache_status first = CACHE_OK;
    if (store->cluster != NULL)
        return cache_redis_cluster_set_many(self, keys, values, n, ttl_ms);
    for (size_t i = 0, n_sent = 0; i < n; i += n_sent) {
        const cache_status status = set_some(store, keys + i, values + i, n - i, ttl_ms, deadline, &n_sent);
        if (status == CACHE_OK || first != CACHE_OK)
            continue;
        first = status;
        (void)snprintf(message, sizeof message, "%s", cache_last_error());
    }
    return first == CACHE_OK ? CACHE_OK : cache_fail(first, "%s", message);
}

/* ---- clear -------------------------------------------------------------------------------------------------------- *
 * SCAN walks through the database in steps, and the server serves other clients between them. Each request sends UNLINK
 * for the keys that the last step found, together with the next SCAN. SCAN finds every key that exists during the whole
 * walk. Only keys of the prefix are removed. */

struct walk {
    struct redis_store *store;
    cache_bytes prefix;
    cache_writer found;                /* the UNLINK commands for the keys of this step */
    size_t n_found;                    /* number of commands in `found` */
    char cursor[REDIS_CURSOR_SIZE];
};

static cache_status use_keys(struct walk *walk, const redisReply *reply)
{
    cache_bytes ours[KEYS_A_COMMAND];
    size_t from = 0, n;
    cache_status status = CACHE_OK;
    while (status == CACHE_OK && (n = cache_redis_scanned(reply, walk->prefix, &from, ours, KEYS_A_COMMAND)) > 0) {
        status = put_keys(&walk->found, cache_redis_removal(walk->store), ours, n);
        walk->n_found++;
    }
    return status;
}

/* Do one step. Sets `*again` if the server does not know UNLINK, and the found keys still exist. */
static cache_status step(struct walk *walk, bool scan, bool *again)
{
    cache_writer out = walk->found;
    struct redis_request request = { .n_parts = 1, .n_replies = walk->n_found + scan, .repeatable = true,
                                     .alone = true, .types = "ia" };
    cache_writer_init(&walk->found, cache_env_allocator(walk->store->env));
    walk->n_found = 0;
    cache_status status = scan ? cache_redis_put_scan(&out, walk->cursor, walk->prefix) : CACHE_OK;
    if (status == CACHE_OK && request.n_replies > REDIS_FEW)
        status = cache_fail(CACHE_ERR_PROTOCOL, "%s: one reply to SCAN has too many keys", walk->store->where);
    request.parts[0] = (struct iovec){ out.data, out.size };
    if (status == CACHE_OK)
        status = cache_redis_call(walk->store, walk->prefix, &request, cache_redis_deadline(walk->store));
    *again = request.n_taken > 0 && cache_redis_do_without_unlink(walk->store, request.replies[0]);
    if (status == CACHE_OK && scan)
        status = cache_redis_read_scan(walk->store->where, request.replies[request.n_replies - 1], walk->cursor);
    if (status == CACHE_OK && scan)
        status = use_keys(walk, request.replies[request.n_replies - 1]);
    cache_redis_release(&request);
    cache_writer_release(&out);
    return status;
}

static cache_status walk_once(struct redis_store *store, cache_bytes prefix, bool *again)
{
    struct walk walk = { .store = store, .prefix = prefix, .cursor = "0" };
    cache_writer_init(&walk.found, cache_env_allocator(store->env));
    cache_status status;
    do
        status = step(&walk, true, again);
    while (status == CACHE_OK && strcmp(walk.cursor, "0") != 0);
    if (status == CACHE_OK && walk.n_found > 0)
        status = step(&walk, false, again);
    cache_writer_release(&walk.found);
    return status;
}

cache_status cache_redis_clear(void *self, cache_bytes prefix)
{
    struct redis_store *store = self;
    bool again = false;
    if (prefix.size == 0)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "%s: clear with an empty prefix would remove other programs' keys",
                          store->where);
    if (store->cluster != NULL)
        return cache_redis_cluster_clear(self, prefix);
    const cache_status status = walk_once(store, prefix, &again);
    return again ? walk_once(store, prefix, &again) : status;
}
