/* many.c - many keys by host, and read in one round trip each.
 *
 * The requests to all hosts are sent before the first reply is read, so that hosts work at the same time. One request
 * has at most 64 KiB of keys: what a host that stopped reading still takes, so that sending never waits long. */
#include "many.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_REQUEST_BYTES = 64 * 1024 };

void cache_mc_keep_first(cache_status *first, cache_status status)
{
    if (*first == CACHE_OK && status < 0)
        *first = status;
}

/* ---- keys by host ---------------------------------------------------------------------------------------------- */

static int by_server(const void *a, const void *b)
{
    const struct mc_wanted *left = a, *right = b;
    if (left->place.server != right->place.server)
        return left->place.server < right->place.server ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static int by_name(const void *a, const void *b)
{
    const struct mc_wanted *left = a, *right = b;
    if (left->place.server != right->place.server)
        return left->place.server < right->place.server ? -1 : 1;
    return strcmp(left->place.wire.text, right->place.wire.text);
}

static void drop_repeats(struct mc_many *many)
{
    size_t kept = 0;
    for (size_t i = 0; i < many->n; i++)
        if (kept == 0 || by_name(&many->wanted[kept - 1], &many->wanted[i]) != 0)
            many->wanted[kept++] = many->wanted[i];
    many->n = kept;
}

/* Neighbours are mostly of one host, and its generation is theirs. */
static cache_status place(struct mc_many *many, cache_bytes key, struct mc_server **last, int64_t *generation,
                          struct mc_place *out)
{
    out->server = cache_mc_route(many->store, key);
    if (out->server != *last) {
        const cache_status status = cache_mc_generation(out->server, many->deadline, generation);
        *last = status == CACHE_OK ? out->server : NULL;
        if (status != CACHE_OK)
            return status;
    }
    cache_mc_key(many->store, key, *generation, &out->wire);
    return CACHE_OK;
}

static void share_out(struct mc_many *many)
{
    for (size_t i = 0; i < many->n; i++) {
        many->texts[i] = many->wanted[i].place.wire.text;
        many->sizes[i] = many->wanted[i].place.wire.size;
        if (i == 0 || many->wanted[i].place.server != many->wanted[i - 1].place.server)
            many->shares[many->n_shares++] = (struct mc_share){ .server = many->wanted[i].place.server,
                                                                .wanted = &many->wanted[i] };
        many->shares[many->n_shares - 1].n++;
    }
}

cache_status cache_mc_many_init(struct mc_many *many, struct mc_store *store, const cache_bytes keys[], size_t n,
                                enum mc_repeats repeats)
{
    cache_mc_check_fork(store);
    *many = (struct mc_many){ .store = store, .keys = keys, .deadline = cache_mc_deadline(store), .first = CACHE_OK };
    const size_t bytes = n * (sizeof *many->wanted + sizeof *many->texts + sizeof *many->sizes)
        + store->n_servers * sizeof *many->shares;
    many->memory = cache_env_alloc(store->env, bytes);
    if (many->memory == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory for %zu keys", n);
    many->wanted = many->memory;
    many->shares = (struct mc_share *)(void *)(many->wanted + n);
    many->texts = (const char **)(void *)(many->shares + store->n_servers);
    many->sizes = (size_t *)(void *)(many->texts + n);
    struct mc_server *last = NULL;
    int64_t generation = -1;
    for (size_t i = 0; i < n; i++) {
        struct mc_wanted *wanted = &many->wanted[many->n];
        wanted->index = i;
        wanted->found = false;
        const cache_status status = place(many, keys[i], &last, &generation, &wanted->place);
        cache_mc_keep_first(&many->first, status);
        many->n += status == CACHE_OK;
    }
    if (repeats == MC_REPEATS_DROPPED) {
        qsort(many->wanted, many->n, sizeof *many->wanted, by_name);
        drop_repeats(many);
    } else if (store->n_servers > 1)
        qsort(many->wanted, many->n, sizeof *many->wanted, by_server);
    share_out(many);
    return CACHE_OK;
}

void cache_mc_many_release(struct mc_many *many)
{
    cache_env_free(many->store->env, many->memory);
}

/* ---- get ------------------------------------------------------------------------------------------------------- */

/* Ask the share's handle for its next batch, from `from` on. */
static memcached_return_t ask(const struct mc_many *many, struct mc_share *share, size_t from)
{
    const size_t offset = (size_t)(share->wanted - many->wanted) + from;
    size_t n = 0, bytes = 0;
    while (from + n < share->n && (n == 0 || bytes < MAX_REQUEST_BYTES))
        bytes += many->sizes[offset + n++] + 1;
    share->sent = from + n;
    return memcached_mget(share->handle->memc, &many->texts[offset], &many->sizes[offset], n);
}

/* Send the share's next batch. An idle connection that turns out to be dead is replaced once. */
static void send_batch(const struct mc_many *many, struct mc_share *share, size_t from)
{
    for (bool again = true; again;) {
        share->status = cache_mc_acquire(share->server, many->deadline, true, &share->handle);
        if (share->status != CACHE_OK)
            return;
        again = !share->handle->fresh;
        const memcached_return_t rc = ask(many, share, from);
        if (rc == MEMCACHED_SUCCESS)
            return;
        share->status = cache_mc_release(share->server, share->handle, rc);
        share->handle = NULL;
        again = again && share->status == CACHE_ERR_CONNECT;
    }
}

/* The key that came, among those of the batch: replies keep the order of the request, so that it is the next or soon
 * behind it. A proxy that mixes them costs a longer look. */
static struct mc_wanted *find(const struct mc_share *share, const struct mc_handle *handle, size_t from, size_t *next)
{
    const size_t size = memcached_result_key_length(&handle->result), n = share->sent - from;
    for (size_t i = 0; i < n; i++) {
        const size_t at = from + (*next - from + i) % n;
        const struct mc_key *wire = &share->wanted[at].place.wire;
        if (!share->wanted[at].found && wire->size == size && memcmp(wire->text, handle->result.item_key, size) == 0) {
            *next = at + 1;
            return &share->wanted[at];
        }
    }
    return NULL;
}

static memcached_return_t receive_batch(struct mc_many *many, struct mc_share *share, size_t from, cache_results *out,
                                        bool *received)
{
    struct mc_handle *handle = share->handle;
    memcached_return_t rc = MEMCACHED_SUCCESS;
    size_t next = from;
    *received = false;
    while (memcached_fetch_result(handle->memc, &handle->result, &rc) != NULL) {
        struct mc_wanted *wanted = find(share, handle, from, &next);
        if (wanted == NULL)
            return MEMCACHED_PROTOCOL_ERROR;
        char number[MC_NUMBER_SIZE];
        cache_bytes value = { "", 0 };
        const bool ours = cache_mc_decode(&handle->result, &wanted->place.wire, many->keys[wanted->index], number,
                                          &value) == CACHE_OK;
        if (ours && out != NULL)
            cache_mc_keep_first(&many->first, cache_results_put(out, wanted->index, value.data, value.size));
        wanted->found = ours;
        *received = true;
    }
    return memcached_last_error(handle->memc);
}

static void receive(struct mc_many *many, struct mc_share *share, cache_results *out)
{
    size_t from = 0;
    bool repeatable = true, received = false;
    while (share->handle != NULL) {
        const bool was_idle = !share->handle->fresh;
        memcached_return_t rc = receive_batch(many, share, from, out, &received);
        if (rc == MEMCACHED_SUCCESS && share->sent < share->n) {
            /* On the same connection: who gave it back, and waited for it again with another host's in hand, could wait
             * for one who does the same the other way round. */
            from = share->sent;
            received = false;
            (void)cache_mc_handle_limit(share->handle, many->deadline);
            rc = ask(many, share, from);
            if (rc == MEMCACHED_SUCCESS)
                continue;
        }
        share->status = cache_mc_release(share->server, share->handle, rc);
        share->handle = NULL;
        if (share->status == CACHE_ERR_CONNECT && was_idle && repeatable && !received) {
            repeatable = false;
            send_batch(many, share, from);
        }
    }
    cache_mc_keep_first(&many->first, share->status);
}

void cache_mc_many_read(struct mc_many *many, cache_results *out)
{
    for (size_t i = 0; i < many->n_shares; i++)
        send_batch(many, &many->shares[i], 0);
    for (size_t i = 0; i < many->n_shares; i++)
        receive(many, &many->shares[i], out);
}

cache_status cache_mc_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct mc_many many;
    const cache_status status = cache_mc_many_init(&many, self, keys, n, MC_REPEATS_KEPT);
    if (status != CACHE_OK)
        return status;
    cache_mc_many_read(&many, out);
    cache_mc_many_release(&many);
    return many.first;
}
