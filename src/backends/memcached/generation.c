/* generation.c - clear without a list of keys: every key carries its prefix's generation, and clear begins a new one.
 *
 * Each host keeps a record of its own, so that one that is gone takes nobody else's keys with it. A generation is a
 * time in microseconds: one that memcached has evicted is followed by a later one, and what was stored under it never
 * comes back. */
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READ_AGAIN_MS = 1000, MAX_ATTEMPTS = 4 };

#define LATEST (INT64_MAX / 2)         /* far in the future; what is beyond is no generation */

struct record {
    const struct mc_key *key;
    int64_t id;
};

static int64_t clock_id(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);    /* never the tests' clock: ids of all processes come from one */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static memcached_return_t read_record(struct mc_handle *handle, void *ctx)
{
    struct record *record = ctx;
    const memcached_return_t rc = cache_mc_read(handle, record->key);
    if (rc != MEMCACHED_SUCCESS)
        return rc;
    char text[MC_NUMBER_SIZE] = "";
    const size_t size = memcached_result_length(&handle->result);
    if (size < sizeof text)
        memcpy(text, memcached_result_value(&handle->result), size);
    record->id = strtoll(text, NULL, 10);
    return cache_mc_read_end(handle);
}

static memcached_return_t add_record(struct mc_handle *handle, void *ctx)
{
    const struct record *record = ctx;
    char text[MC_NUMBER_SIZE];
    const int size = snprintf(text, sizeof text, "%" PRId64, record->id);
    return memcached_add(handle->memc, record->key->text, record->key->size, text, (size_t)size, 0, 0);
}

static memcached_return_t set_record(struct mc_handle *handle, void *ctx)
{
    const struct record *record = ctx;
    char text[MC_NUMBER_SIZE];
    const int size = snprintf(text, sizeof text, "%" PRId64, record->id);
    return memcached_set(handle->memc, record->key->text, record->key->size, text, (size_t)size, 0, 0);
}

/* Read the record, or make it. */
static cache_status load(struct mc_server *server, uint64_t deadline, int64_t *id)
{
    struct mc_key key;
    cache_mc_generation_key(server->store, &key);
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        struct record record = { &key, 0 };
        cache_status status = cache_mc_call(server, deadline, read_record, &record, true);
        if (status == CACHE_OK && (record.id <= 0 || record.id > LATEST)) {
            record.id = clock_id();    /* somebody wrote over it */
            status = cache_mc_call(server, deadline, set_record, &record, true);
        } else if (status == CACHE_MISS) {
            record.id = clock_id();
            status = cache_mc_call(server, deadline, add_record, &record, false);
        }
        *id = record.id;
        if (status != CACHE_NOT_STORED)    /* else another process was quicker: its id counts */
            return status;
    }
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: the generation of '%s' comes and goes", server->where,
                      server->store->prefix);
}

static cache_status begin_new(struct mc_server *server, uint64_t deadline, int64_t *id)
{
    struct mc_key key;
    struct mc_generation *generation = &server->generation;
    cache_mc_generation_key(server->store, &key);
    pthread_mutex_lock(&generation->lock);
    const int64_t old = generation->known ? generation->id : 0;
    pthread_mutex_unlock(&generation->lock);
    const int64_t now = clock_id();
    struct record record = { &key, now > old ? now : old + 1 };
    *id = record.id;
    return cache_mc_call(server, deadline, set_record, &record, true);
}

/* With what a read or a clear gave. A read that began before a clear of this process counts for nothing. */
static cache_status take_over(struct mc_server *server, cache_status status, int64_t fresh, unsigned version,
                              int64_t *id)
{
    struct mc_generation *generation = &server->generation;
    const int64_t now = cache_env_monotonic_ms(server->store->env);
    pthread_mutex_lock(&generation->lock);
    generation->refreshing = false;
    generation->read_again_at = now + READ_AGAIN_MS;
    if (status == CACHE_OK && generation->version == version) {
        generation->id = fresh;
        generation->known = true;
        generation->bump = false;
    } else if (generation->known && !generation->bump)
        status = CACHE_OK;    /* the host's own operations tell how it is; the last known id will do */
    *id = generation->id;
    pthread_mutex_unlock(&generation->lock);
    return status;
}

cache_status cache_mc_generation(struct mc_server *server, uint64_t deadline, int64_t *id)
{
    struct mc_generation *generation = &server->generation;
    const struct mc_store *store = server->store;
    *id = -1;
    if (!store->generations)
        return CACHE_OK;
    pthread_mutex_lock(&generation->lock);
    const bool bump = generation->bump, version_known = generation->known && !bump;
    const unsigned version = generation->version;
    if (version_known
        && (generation->refreshing || !cache_env_monotonic_reached(store->env, generation->read_again_at))) {
        *id = generation->id;
        pthread_mutex_unlock(&generation->lock);
        return CACHE_OK;
    }
    generation->refreshing = true;
    pthread_mutex_unlock(&generation->lock);

    int64_t fresh = 0;
    const cache_status status = bump ? begin_new(server, deadline, &fresh) : load(server, deadline, &fresh);
    return take_over(server, status, fresh, version, id);
}

static cache_status clear_one(struct mc_server *server)
{
    struct mc_generation *generation = &server->generation;
    int64_t id = 0, now = 0;
    const cache_status status = begin_new(server, cache_mc_deadline(server->store), &id);
    now = cache_env_monotonic_ms(server->store->env);
    pthread_mutex_lock(&generation->lock);
    generation->version++;
    generation->bump = status != CACHE_OK;
    if (status == CACHE_OK) {
        generation->id = id;
        generation->known = true;
        generation->read_again_at = now + READ_AGAIN_MS;
    }
    pthread_mutex_unlock(&generation->lock);
    return status;
}

cache_status cache_mc_clear(struct mc_store *store)
{
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < store->n_servers; i++) {
        const cache_status status = clear_one(&store->servers[i]);
        if (first == CACHE_OK)
            first = status;
    }
    return first;
}
