/* generation.c - clear without a list of keys: every key carries its prefix's generation, and clear begins a new one.
 *
 * Each host keeps a record of its own, so that one that is gone takes nobody else's keys with it. A generation is a
 * time in microseconds: one that memcached has evicted is followed by a later one, and what was stored under it never
 * comes back. */
#include "store.h"

#include <time.h>

enum { READ_AGAIN_MS = 1000, MAX_ATTEMPTS = 4 };

#define LATEST (INT64_MAX / 2)         /* far in the future; what is beyond is no generation */

static int64_t clock_id(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);    /* never the tests' clock: ids of all processes come from one */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the record on the host -------------------------------------------------------------------------------------- */

/* 0: what is there is no generation. */
static cache_status take_id(void *ctx, const struct mc_reply *reply)
{
    uint64_t id = 0;
    if (!cache_mc_read_number(reply->value.data, reply->value.size, LATEST, &id))
        id = 0;
    *(int64_t *)ctx = (int64_t)id;
    return CACHE_OK;
}

static cache_status read_id(const struct mc_place *place, uint64_t deadline, int64_t *id)
{
    struct mc_call call = { .verb = MC_GET, .place = place, .deadline = deadline, .take = take_id, .ctx = id };
    return cache_mc_call(&call);
}

static cache_status write_id(const struct mc_place *place, uint64_t deadline, enum mc_verb verb, int64_t id)
{
    char text[MC_MAX_DIGITS];
    struct mc_item item = { .value = { text, cache_mc_write_number(text, (uint64_t)id) } };
    struct mc_call call = { .verb = verb, .place = place, .deadline = deadline, .item = &item };
    return cache_mc_call(&call);
}

static void place_of(struct mc_server *server, struct mc_place *out)
{
    out->server = server;
    cache_mc_generation_key(server->store, &out->wire);
}

/* Read the record, or make it. */
static cache_status load(struct mc_server *server, uint64_t deadline, int64_t *id)
{
    struct mc_place place;
    place_of(server, &place);
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        cache_status status = read_id(&place, deadline, id);
        if (status == CACHE_OK && *id == 0) {
            *id = clock_id();    /* somebody wrote over it */
            status = write_id(&place, deadline, MC_SET, *id);
        } else if (status == CACHE_MISS) {
            *id = clock_id();
            status = write_id(&place, deadline, MC_ADD, *id);
        }
        if (status != CACHE_NOT_STORED)    /* else another process was quicker: its id counts */
            return status;
    }
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: the generation under '%s' appears and disappears", server->where,
                      server->store->prefix);
}

static cache_status begin_new(struct mc_server *server, uint64_t deadline, int64_t *id)
{
    struct mc_place place;
    struct mc_generation *generation = &server->generation;
    place_of(server, &place);
    pthread_mutex_lock(&generation->lock);
    const int64_t old = generation->known ? generation->id : 0;
    pthread_mutex_unlock(&generation->lock);
    const int64_t now = clock_id();
    *id = now > old ? now : old + 1;
    return write_id(&place, deadline, MC_SET, *id);
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
