/* many.c - many keys at once, grouped by server, in batches of one request each. All servers work at the same time.
 *
 * A batch of gets is one command with all its keys. Sets and deletes are one command each, sent without waiting for the
 * replies to those before. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE_BYTES = 64 * 1024, MAX_SET_BYTES = 1024 * 1024 };

struct mc_wanted {
    struct mc_place place;
    size_t index;                      /* in the caller's array */
    bool answered;                     /* in the current request */
    bool found;                        /* the key existed */
};

/* The keys of one server, and the progress on them. */
struct mc_share {
    struct mc_many *many;
    struct mc_server *server;
    struct mc_wanted *wanted;
    size_t n, begin, end;              /* `n`: all keys of the share; `begin`, `end`: the current batch */
    size_t next;                       /* the key that the next reply should belong to */
    char *request;
    struct iovec part;
    struct cache_exchange exchange;
    struct mc_answer refusal;          /* the first refusal in the batch */
    bool refused;
    size_t refused_size;               /* the size of the refused value */
    cache_status status, taken;        /* the status of the share; the first failure to store a result */
};

struct mc_many {
    struct mc_store *store;
    enum mc_verb verb;
    const cache_bytes *keys, *values;
    int64_t expiration;
    cache_results *out;
    uint64_t deadline;                 /* for the whole call */
    struct mc_wanted *wanted;          /* ordered by server */
    struct mc_share *shares;
    struct cache_server_call *calls;
    size_t n, n_shares;
    cache_status first;                /* the first failure, and its message */
    char message[512];
};

/* Call after cache_fail. Only the first failure is kept, with its own message. */
static void keep_first(struct mc_many *many, cache_status status, const char *message)
{
    if (many->first != CACHE_OK || status >= 0)
        return;
    many->first = status;
    (void)snprintf(many->message, sizeof many->message, "%s", message);
}

/* ---- keys by server ---------------------------------------------------------------------------------------------- */

static int by_server(const void *a, const void *b)
{
    const struct mc_wanted *left = a, *right = b;
    if (left->place.server != right->place.server)
        return left->place.server < right->place.server ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* All names on one server begin alike, unless parts of the keys were cleared. Most consecutive keys are on the same
 * server, so the beginning is kept. */
struct neighbour {
    const struct mc_server *server;    /* NULL: the name of the next key may begin differently */
    struct mc_key_head head;
};

static cache_status find_place(struct mc_many *many, cache_bytes key, struct neighbour *last, struct mc_place *out)
{
    out->server = cache_mc_route(many->store, key);
    if (out->server != last->server) {
        int64_t generation = -1;
        bool of_all = true;
        const cache_status status = cache_mc_generation(out->server, many->deadline, key, &generation, &of_all);
        if (status != CACHE_OK)
            return status;
        last->server = of_all ? out->server : NULL;
        cache_mc_key_head(many->store, generation, &last->head);
    }
    cache_mc_key(&last->head, key, &out->wire);
    return CACHE_OK;
}

static void find_places(struct mc_many *many, size_t n)
{
    struct neighbour last = { .server = NULL };
    for (size_t i = 0; i < n; i++) {
        struct mc_wanted *wanted = &many->wanted[many->n];
        wanted->index = i;
        wanted->answered = wanted->found = false;
        const cache_status status = find_place(many, many->keys[i], &last, &wanted->place);
        keep_first(many, status, cache_last_error());
        many->n += status == CACHE_OK;
    }
}

static void share_out(struct mc_many *many)
{
    for (size_t i = 0; i < many->n; i++) {
        if (i == 0 || many->wanted[i].place.server != many->wanted[i - 1].place.server)
            many->shares[many->n_shares++] = (struct mc_share){ .many = many, .server = many->wanted[i].place.server,
                                                                .wanted = &many->wanted[i] };
        many->shares[many->n_shares - 1].n++;
    }
}

static cache_status many_init(struct mc_many *many, size_t n)
{
    const struct mc_store *store = many->store;
    many->wanted = cache_env_alloc(store->env, n * sizeof *many->wanted);
    many->shares = cache_env_alloc(store->env, store->n_servers * sizeof *many->shares);
    many->calls = cache_env_alloc(store->env, store->n_servers * sizeof *many->calls);
    if (many->wanted == NULL || many->shares == NULL || many->calls == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory for %zu keys", n);
    find_places(many, n);
    if (store->n_servers > 1)
        qsort(many->wanted, many->n, sizeof *many->wanted, by_server);
    share_out(many);
    return CACHE_OK;
}

static void many_release(struct mc_many *many)
{
    for (size_t i = 0; i < many->n_shares; i++)
        cache_env_free(many->store->env, many->shares[i].request);
    cache_env_free(many->store->env, many->wanted);
    cache_env_free(many->store->env, many->shares);
    cache_env_free(many->store->env, many->calls);
}

/* ---- a batch's request ------------------------------------------------------------------------------------------- */

/* Returns the most bytes that a key may take in the request. */
static size_t room_for(const struct mc_many *many, const struct mc_wanted *wanted)
{
    const size_t size = wanted->place.wire.size;
    if (many->verb == MC_GET)
        return size + 1;
    if (many->verb == MC_DELETE)
        return size + sizeof "delete \r\n";
    return MC_MAX_COMMAND + MC_LENGTH_BYTES + many->keys[wanted->index].size + many->values[wanted->index].size + 2;
}

static size_t write_set(const struct mc_many *many, const struct mc_wanted *wanted, char *out)
{
    const cache_bytes value = many->values[wanted->index];
    const struct mc_item item = { .value = value, .expiration = many->expiration };
    char *to = out + cache_mc_write_value_head(out, "set", &wanted->place.wire, many->keys[wanted->index], &item);
    if (value.size > 0)
        memcpy(to, value.data, value.size);
    memcpy(to + value.size, "\r\n", 2);
    return (size_t)(to - out) + value.size + 2;
}

static size_t write_key(const struct mc_many *many, const struct mc_wanted *wanted, char *out)
{
    if (many->verb == MC_SET)
        return write_set(many, wanted, out);
    if (many->verb == MC_DELETE)
        return cache_mc_write_command(out, "delete", cache_mc_name(&wanted->place.wire));
    out[0] = ' ';
    memcpy(out + 1, wanted->place.wire.text, wanted->place.wire.size);
    return wanted->place.wire.size + 1;
}

static void write_batch(const struct mc_many *many, struct mc_share *share)
{
    size_t size = 0;
    if (many->verb == MC_GET)
        size += (size_t)(stpcpy(share->request, "get") - share->request);
    for (size_t i = share->begin; i < share->end; i++)
        size += write_key(many, &share->wanted[i], share->request + size);
    if (many->verb == MC_GET) {
        memcpy(share->request + size, "\r\n", 2);
        size += 2;
    }
    share->part = (struct iovec){ share->request, size };
}

static void restart(struct cache_exchange *exchange)
{
    struct mc_share *share = exchange->ctx;
    share->next = share->begin;
    share->refused = false;
    for (size_t i = share->begin; i < share->end; i++)
        share->wanted[i].answered = false;
}

static cache_take_fn take;

/* Make the next batch of the share. Returns false if there is no memory; then its keys are given up. */
static bool next_batch(struct mc_many *many, struct mc_share *share)
{
    const size_t most = many->verb == MC_SET ? MAX_SET_BYTES : MAX_LINE_BYTES;
    size_t room = sizeof "get\r\n", end = share->end;
    while (end < share->n && (end == share->end || room + room_for(many, &share->wanted[end]) <= most))
        room += room_for(many, &share->wanted[end++]);
    cache_env_free(many->store->env, share->request);
    share->request = cache_env_alloc(many->store->env, room);
    share->begin = share->end;
    share->end = end;
    if (share->request == NULL) {
        share->status = cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory for a request of %zu bytes", room);
        keep_first(many, share->status, cache_last_error());
        return false;
    }
    write_batch(many, share);
    share->exchange = (struct cache_exchange){ .parts = &share->part, .n_parts = 1, .repeatable = true,
                                               .overwrites = cache_mc_commands[many->verb].overwrites, .alone = true,
                                               .take = take, .restart = restart, .ctx = share };
    restart(&share->exchange);
    return true;
}

/* ---- a batch's replies, in any thread ---------------------------------------------------------------------------- */

/* Find the key of a reply in the batch. Replies keep the order of the request, so it is the next key or one soon after.
 * If a proxy changes the order, the search takes longer. */
static struct mc_wanted *find_wanted(struct mc_share *share, cache_bytes key)
{
    const size_t n = share->end - share->begin;
    for (size_t i = 0; i < n; i++) {
        const size_t at = share->begin + (share->next - share->begin + i) % n;
        struct mc_wanted *wanted = &share->wanted[at];
        if (!wanted->answered && wanted->place.wire.size == key.size
            && memcmp(wanted->place.wire.text, key.data, key.size) == 0) {
            share->next = at + 1;
            return wanted;
        }
    }
    return NULL;
}

/* Put each value in its place as soon as it comes. If a value was put there before the request was sent again, it
 * stays. */
static bool take_value(struct mc_share *share, const struct mc_reply *reply)
{
    const struct mc_many *many = share->many;
    struct mc_wanted *wanted = many->verb == MC_GET ? find_wanted(share, reply->key) : NULL;
    char number[NUMBER_MAX_SIZE + 1];
    cache_bytes value = { "", 0 };
    if (wanted == NULL)
        return false;
    wanted->answered = true;
    if (wanted->found
        || cache_mc_decode(reply, &wanted->place.wire, many->keys[wanted->index], number, &value) != CACHE_OK)
        return true;
    wanted->found = true;
    const cache_status status = cache_results_put(many->out, wanted->index, value.data, value.size);
    if (status < 0 && share->taken == CACHE_OK)
        share->taken = status;
    return true;
}

/* Take the last reply to a command. For a get it belongs to all keys, else to the next key. */
static enum cache_reply take_answer(struct cache_exchange *exchange, const struct mc_reply *reply)
{
    struct mc_share *share = exchange->ctx;
    const struct mc_many *many = share->many;
    struct mc_answer answer;
    const enum cache_reply taken = cache_mc_answer_take(exchange, share->server->where, many->verb, reply, &answer);
    if (taken == CACHE_REPLY_BROKEN)
        return taken;
    if (answer.kind == MC_SERVER_ERROR && !share->refused) {
        share->refused = true;
        share->refusal = answer;
        share->refused_size = many->verb == MC_SET ? many->values[share->wanted[share->next].index].size : 0;
    }
    if (many->verb == MC_GET)
        return CACHE_REPLY_DONE;
    struct mc_wanted *wanted = &share->wanted[share->next++];
    wanted->found = wanted->found || answer.kind == MC_DELETED;
    return share->next == share->end ? CACHE_REPLY_DONE : CACHE_REPLY_MORE;
}

static enum cache_reply take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size, size_t *used)
{
    struct mc_share *share = exchange->ctx;
    const char *where = share->server->where;
    struct mc_reply reply;
    enum cache_reply read;
    while ((read = cache_mc_reply_next(exchange, where, state, bytes, size, used, &reply)) == CACHE_REPLY_DONE) {
        if (reply.kind != MC_VALUE) {
            read = take_answer(exchange, &reply);
            if (read != CACHE_REPLY_MORE)
                break;
        } else if (!take_value(share, &reply)) {
            exchange->status = cache_fail(CACHE_ERR_PROTOCOL, "%s: received a value that was not requested", where);
            return CACHE_REPLY_BROKEN;
        }
    }
    if (read == CACHE_REPLY_DONE)
        cache_mc_reader_rest(state);
    return read;
}

/* ---- all batches ------------------------------------------------------------------------------------------------- */

/* If the server of a share failed, the share is given up. If the server only refused part of a batch, the next batch is
 * still sent. */
static void end_batch(struct mc_many *many, struct mc_share *share, cache_status status)
{
    share->status = status;
    keep_first(many, status, share->exchange.message);
    if (status == CACHE_OK && share->refused)
        keep_first(many, cache_mc_answer_status(share->server->where, &share->refusal, share->refused_size),
                   cache_last_error());
    keep_first(many, share->taken, "memcached: out of memory for the values");
}

/* In each round, send every server its next batch. */
static void run(struct mc_many *many)
{
    for (;;) {
        size_t n = 0;
        for (size_t i = 0; i < many->n_shares; i++) {
            struct mc_share *share = &many->shares[i];
            if (share->status == CACHE_OK && share->end < share->n && next_batch(many, share))
                many->calls[n++] = (struct cache_server_call){ &share->server->link, &share->exchange, CACHE_OK, 0 };
        }
        if (n == 0)
            return;
        (void)cache_server_call_all(many->calls, n, many->deadline);
        for (size_t i = 0; i < n; i++)
            end_batch(many, many->calls[i].exchange->ctx, many->calls[i].status);
    }
}

static cache_status many_run(struct mc_many *many, size_t n, size_t *removed)
{
    cache_mc_check_fork(many->store);
    many->deadline = cache_mc_deadline(many->store);
    cache_status status = many_init(many, n);
    if (status == CACHE_OK) {
        run(many);
        for (size_t i = 0; i < many->n && removed != NULL; i++)
            *removed += many->wanted[i].found;
        if (many->first != CACHE_OK)
            status = cache_fail(many->first, "%s", many->message);
    }
    many_release(many);
    return status;
}

cache_status cache_mc_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct mc_many many = { .store = self, .verb = MC_GET, .keys = keys, .out = out };
    return many_run(&many, n, NULL);
}

cache_status cache_mc_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                               int64_t ttl_ms)
{
    struct mc_many many = { .store = self, .verb = MC_SET, .keys = keys, .values = values,
                            .expiration = cache_mc_expiration(ttl_ms) };
    return many_run(&many, n, NULL);
}

cache_status cache_mc_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    struct mc_many many = { .store = self, .verb = MC_DELETE, .keys = keys };
    return many_run(&many, n, removed);
}
