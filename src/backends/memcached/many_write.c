/* many_write.c - many keys set or removed: what goes to a host is sent at once, and the answer to the last tells of
 * all. */
#include "many.h"

enum {
    ITEM_OVERHEAD = 128,
    SMALLEST_LIMIT = 1024              /* of an item: no server has a lower -I */
};

static void reply_wanted(struct mc_handle *handle, bool wanted)
{
    (void)memcached_behavior_set(handle->memc, MEMCACHED_BEHAVIOR_NOREPLY, !wanted);
}

/* ---- set ------------------------------------------------------------------------------------------------------- */

struct burst {
    const struct mc_many *many;
    const struct mc_share *share;
    const cache_bytes *values;
    time_t expiration;
    size_t limit;                      /* an item that may be larger needs a reply */
    size_t too_large;                  /* bytes of one that was; 0: none */
};

static memcached_return_t send_one(struct mc_handle *handle, const struct burst *burst, const struct mc_wanted *wanted)
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
static size_t item_size(const struct burst *burst, const struct mc_wanted *wanted)
{
    return burst->values[wanted->index].size + burst->many->keys[wanted->index].size + ITEM_OVERHEAD;
}

/* All but the last without a reply: STORED for the last one tells that the host took them all. Without a reply
 * memcached says nothing of an item that is too large either, so that one which may be is asked about. */
static memcached_return_t send_burst(struct mc_handle *handle, void *ctx)
{
    struct burst *burst = ctx;
    const struct mc_share *share = burst->share;
    memcached_return_t rc = MEMCACHED_SUCCESS;
    burst->too_large = 0;
    for (size_t i = 0; i < share->n && rc == MEMCACHED_SUCCESS; i++) {
        const struct mc_wanted *wanted = &share->wanted[i];
        const bool reply = i + 1 == share->n || item_size(burst, wanted) > burst->limit;
        reply_wanted(handle, reply);
        if (reply)
            (void)cache_mc_handle_limit(handle, burst->many->deadline);    /* for all the replies together */
        rc = send_one(handle, burst, wanted);
        reply_wanted(handle, true);
        if (rc == MEMCACHED_E2BIG) {
            burst->too_large = burst->values[wanted->index].size;
            rc = MEMCACHED_SUCCESS;
        }
    }
    return rc;
}

static cache_status set_share(struct burst *burst)
{
    const struct mc_share *share = burst->share;
    burst->limit = SMALLEST_LIMIT;
    for (size_t i = 0; i < share->n; i++)
        if (item_size(burst, &share->wanted[i]) > SMALLEST_LIMIT) {
            burst->limit = cache_mc_item_size_max(share->server, burst->many->deadline);
            break;
        }
    const cache_status status = cache_mc_call(share->server, burst->many->deadline, send_burst, burst, true);
    return status == CACHE_OK && burst->too_large > 0
               ? cache_mc_too_large(share->server, burst->many->deadline, burst->too_large)
               : status;
}

cache_status cache_mc_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                               int64_t ttl_ms)
{
    struct mc_many many;
    const cache_status status = cache_mc_many_init(&many, self, keys, n, MC_REPEATS_KEPT);
    if (status != CACHE_OK)
        return status;
    for (size_t i = 0; i < many.n_shares; i++) {
        struct burst burst = { &many, &many.shares[i], values, cache_mc_expiration(ttl_ms), 0, 0 };
        cache_mc_keep_first(&many.first, set_share(&burst));
    }
    cache_mc_many_release(&many);
    return many.first;
}

/* ---- remove ------------------------------------------------------------------------------------------------------ *
 * libmemcached keeps of many answers the last alone. So that the caller learns how many keys were there, they are read
 * first: two round trips, however many they are. */

static memcached_return_t remove_burst(struct mc_handle *handle, void *ctx)
{
    const struct mc_share *share = ctx;
    memcached_return_t rc = MEMCACHED_SUCCESS;
    for (size_t i = 0; i < share->n && memcached_success(rc); i++) {
        const struct mc_key *wire = &share->wanted[i].place.wire;
        reply_wanted(handle, i + 1 == share->n);
        rc = memcached_delete(handle->memc, wire->text, wire->size, 0);
    }
    reply_wanted(handle, true);
    return rc;
}

cache_status cache_mc_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    struct mc_many many;
    const cache_status status = cache_mc_many_init(&many, self, keys, n, MC_REPEATS_DROPPED);
    if (status != CACHE_OK)
        return status;
    cache_mc_many_read(&many, NULL);
    for (size_t i = 0; i < many.n_shares; i++) {
        struct mc_share *share = &many.shares[i];
        const cache_status gone = cache_mc_call(share->server, many.deadline, remove_burst, share, true);
        cache_mc_keep_first(&many.first, gone);
        for (size_t j = 0; j < share->n && gone >= 0; j++)
            *removed += share->wanted[j].found;
    }
    cache_mc_many_release(&many);
    return many.first;
}
