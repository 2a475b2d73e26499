/* many.c - many keys in one round trip a host.
 *
 * The requests to all hosts are sent before the first reply is read, so that hosts work at the same time. One request has at
 * most 64 KiB of keys: what a host that stopped reading still takes, so that sending never waits long. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_REQUEST_BYTES = 64 * 1024,
    ITEM_OVERHEAD = 128,
    SMALLEST_LIMIT = 1024              /* of an item: no server has a lower -I */
};

struct wanted {
    struct mc_place place;
    size_t index;                      /* in the caller's array */
};

/* One host's share of the call, and how far it is. */
struct share {
    struct mc_server *server;
    struct wanted *wanted;
    size_t n, sent;                    /* sent: the end of the batch that is under way */
    struct mc_handle *handle;          /* NULL: nothing is under way */
    cache_status status;
};

struct many {
    struct mc_store *store;
    const cache_bytes *keys;
    struct wanted *wanted;             /* ordered by host */
    const char **texts;
    size_t *sizes;
    struct share *shares;
    size_t n, n_shares;
    cache_status first;
    void *memory;
};

static void keep_first(cache_status *first, cache_status status)
{
    if (*first == CACHE_OK && status < 0)
        *first = status;
}

/* ---- keys by host ---------------------------------------------------------------------------------------------- */

static int by_server(const void *a, const void *b)
{
    const struct wanted *left = a, *right = b;
    if (left->place.server != right->place.server)
        return left->place.server < right->place.server ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static cache_status many_init(struct many *many, struct mc_store *store, const cache_bytes keys[], size_t n)
{
    *many = (struct many){ .store = store, .keys = keys, .first = CACHE_OK };
    const size_t bytes = n * (sizeof *many->wanted + sizeof *many->texts + sizeof *many->sizes)
        + store->n_servers * sizeof *many->shares;
    many->memory = cache_env_alloc(store->env, bytes);
    if (many->memory == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory for %zu keys", n);
    many->wanted = many->memory;
    many->shares = (struct share *)(void *)(many->wanted + n);
    many->texts = (const char **)(void *)(many->shares + store->n_servers);
    many->sizes = (size_t *)(void *)(many->texts + n);
    for (size_t i = 0; i < n; i++) {
        struct wanted *wanted = &many->wanted[many->n];
        wanted->index = i;
        const cache_status status = cache_mc_place(store, keys[i], &wanted->place);
        keep_first(&many->first, status);
        many->n += status == CACHE_OK;
    }
    if (store->n_servers > 1)
        qsort(many->wanted, many->n, sizeof *many->wanted, by_server);
    for (size_t i = 0; i < many->n; i++) {
        many->texts[i] = many->wanted[i].place.wire.text;
        many->sizes[i] = many->wanted[i].place.wire.size;
        if (i == 0 || many->wanted[i].place.server != many->wanted[i - 1].place.server)
            many->shares[many->n_shares++] = (struct share){ .server = many->wanted[i].place.server,
                                                             .wanted = &many->wanted[i] };
        many->shares[many->n_shares - 1].n++;
    }
    return CACHE_OK;
}

static void many_release(struct many *many)
{
    cache_env_free(many->store->env, many->memory);
}

/* ---- get ------------------------------------------------------------------------------------------------------- */

/* Send the share's next batch, from `from` on. An idle connection that turns out to be dead is replaced once. */
static void send_batch(const struct many *many, struct share *share, size_t from)
{
    const size_t offset = (size_t)(share->wanted - many->wanted) + from;
    size_t n = 0, bytes = 0;
    while (from + n < share->n && (n == 0 || bytes < MAX_REQUEST_BYTES))
        bytes += many->sizes[offset + n++] + 1;
    share->sent = from + n;
    for (bool again = true; again;) {
        share->status = cache_mc_acquire(share->server, &share->handle);
        if (share->status != CACHE_OK)
            return;
        again = share->handle->connected;
        const memcached_return_t rc = memcached_mget(share->handle->memc, &many->texts[offset], &many->sizes[offset], n);
        if (rc == MEMCACHED_SUCCESS)
            return;
        share->status = cache_mc_release(share->server, share->handle, rc);
        share->handle = NULL;
        again = again && share->status == CACHE_ERR_CONNECT;
    }
}

/* The key that came, among those of the batch: replies keep the order of the request, so that it is the next or soon behind
 * it. A proxy that mixes them costs a longer look. */
static struct wanted *find(const struct share *share, const struct mc_handle *handle, size_t from, size_t *next)
{
    const size_t size = memcached_result_key_length(&handle->result), n = share->sent - from;
    for (size_t i = 0; i < n; i++) {
        const size_t at = from + (*next - from + i) % n;
        const struct mc_key *wire = &share->wanted[at].place.wire;
        if (wire->size == size && memcmp(wire->text, handle->result.item_key, size) == 0) {
            *next = at + 1;
            return &share->wanted[at];
        }
    }
    return NULL;
}

static memcached_return_t receive_batch(struct many *many, struct share *share, size_t from, cache_results *out,
                                        bool *received)
{
    struct mc_handle *handle = share->handle;
    memcached_return_t rc = MEMCACHED_SUCCESS;
    size_t next = from;
    *received = false;
    while (memcached_fetch_result(handle->memc, &handle->result, &rc) != NULL) {
        struct wanted *wanted = find(share, handle, from, &next);
        if (wanted == NULL)
            return MEMCACHED_PROTOCOL_ERROR;
        char number[MC_NUMBER_SIZE];
        cache_bytes value = { "", 0 };
        if (cache_mc_decode(&handle->result, &wanted->place.wire, many->keys[wanted->index], number, &value) == CACHE_OK)
            keep_first(&many->first, cache_results_put(out, wanted->index, value.data, value.size));
        wanted->place.wire.size = 0;    /* no index is filled twice */
        *received = true;
    }
    return memcached_last_error(handle->memc);
}

static void receive(struct many *many, struct share *share, cache_results *out)
{
    size_t from = 0;
    bool repeatable = true, received = false;
    while (share->handle != NULL) {
        const bool was_idle = share->handle->connected;
        const memcached_return_t rc = receive_batch(many, share, from, out, &received);
        share->status = cache_mc_release(share->server, share->handle, rc);
        share->handle = NULL;
        if (share->status == CACHE_OK) {
            from = share->sent;
            if (from < share->n)
                send_batch(many, share, from);
        } else if (share->status == CACHE_ERR_CONNECT && was_idle && repeatable && !received) {
            repeatable = false;
            send_batch(many, share, from);
        }
    }
    keep_first(&many->first, share->status);
}

cache_status cache_mc_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct many many;
    const cache_status status = many_init(&many, self, keys, n);
    if (status != CACHE_OK)
        return status;
    for (size_t i = 0; i < many.n_shares; i++)
        send_batch(&many, &many.shares[i], 0);
    for (size_t i = 0; i < many.n_shares; i++)
        receive(&many, &many.shares[i], out);
    many_release(&many);
    return many.first;
}

/* ---- set ------------------------------------------------------------------------------------------------------- */

struct burst {
    const struct many *many;
    const struct share *share;
    const cache_bytes *values;
    time_t expiration;
    size_t limit;                      /* an item that may be larger needs a reply */
    size_t too_large;                  /* bytes of one that was; 0: none */
};

static memcached_return_t send_one(struct mc_handle *handle, const struct burst *burst, const struct wanted *wanted)
{
    const struct mc_store *store = burst->many->store;
    const struct mc_key *wire = &wanted->place.wire;
    cache_bytes value;
    uint32_t flags = 0;
    void *block = NULL;
    if (cache_mc_encode(store, wire, burst->many->keys[wanted->index], burst->values[wanted->index], &value, &flags,
                        &block) != CACHE_OK)
        return MEMCACHED_MEMORY_ALLOCATION_FAILURE;
    const memcached_return_t rc = memcached_set(handle->memc, wire->text, wire->size, value.data, value.size,
                                                burst->expiration, flags);
    cache_env_free(store->env, block);
    return rc;
}

/* With its key and memcached's header, or a little more. */
static size_t item_size(const struct burst *burst, const struct wanted *wanted)
{
    return burst->values[wanted->index].size + burst->many->keys[wanted->index].size + ITEM_OVERHEAD;
}

/* All but the last without a reply: STORED for the last one tells that the host took them all. Without a reply memcached
 * says nothing of an item that is too large either, so that one which may be is asked about. */
static memcached_return_t send_burst(struct mc_handle *handle, void *ctx)
{
    struct burst *burst = ctx;
    const struct share *share = burst->share;
    memcached_return_t rc = MEMCACHED_SUCCESS;
    burst->too_large = 0;
    for (size_t i = 0; i < share->n && rc == MEMCACHED_SUCCESS; i++) {
        const struct wanted *wanted = &share->wanted[i];
        const bool reply = i + 1 == share->n || item_size(burst, wanted) > burst->limit;
        (void)memcached_behavior_set(handle->memc, MEMCACHED_BEHAVIOR_NOREPLY, !reply);
        rc = send_one(handle, burst, wanted);
        (void)memcached_behavior_set(handle->memc, MEMCACHED_BEHAVIOR_NOREPLY, 0);
        if (rc == MEMCACHED_E2BIG) {
            burst->too_large = burst->values[wanted->index].size;
            rc = MEMCACHED_SUCCESS;
        }
    }
    return rc;
}

static cache_status set_share(struct burst *burst)
{
    const struct share *share = burst->share;
    burst->limit = SMALLEST_LIMIT;
    for (size_t i = 0; i < share->n; i++)
        if (item_size(burst, &share->wanted[i]) > SMALLEST_LIMIT) {
            burst->limit = cache_mc_item_size_max(share->server);
            break;
        }
    const cache_status status = cache_mc_call(share->server, send_burst, burst, true);
    return status == CACHE_OK && burst->too_large > 0 ? cache_mc_too_large(share->server, burst->too_large) : status;
}

cache_status cache_mc_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n, int64_t ttl_ms)
{
    struct many many;
    const cache_status status = many_init(&many, self, keys, n);
    if (status != CACHE_OK)
        return status;
    for (size_t i = 0; i < many.n_shares; i++) {
        struct burst burst = { &many, &many.shares[i], values, cache_mc_expiration(ttl_ms), 0, 0 };
        keep_first(&many.first, set_share(&burst));
    }
    many_release(&many);
    return many.first;
}
