/* generation.c - clears a prefix without a list of its keys. Every key on the wire contains the generation of its
 * prefix, and clear begins a new generation. Clearing only a further prefix begins a new generation for the keys of
 * that part.
 *
 * Each host keeps a record of its own, so losing one host loses no keys of the others. A generation is a time in
 * microseconds. If memcached evicts the record, the next generation is later than the lost one, so values that were
 * stored under it never come back. */
#include "store.h"

#include "hooks.h"
#include "invariant.h"

#include <time.h>

enum { READ_AGAIN_MS = 1000, MAX_ATTEMPTS = 4, MAX_CHANGES = 1000 };

static int64_t clock_id(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);    /* never the injected clock of tests: all processes must take their ids from
                                             * one clock */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the record on the host -------------------------------------------------------------------------------------- */

struct reading {
    struct mc_record *record;
    bool is_record;                    /* the item is a valid record */
    uint64_t cas;
};

static cache_status take_record(void *ctx, const struct mc_reply *reply)
{
    struct reading *reading = ctx;
    reading->is_record = cache_mc_record_read(reply->value, reading->record);
    reading->cas = reply->number;
    return CACHE_OK;
}

/* Read the record. `verb` is MC_GET, or MC_GETS to fill in reading->cas. */
static cache_status read_record(const struct mc_place *place, uint64_t deadline, enum mc_verb verb,
                                struct reading *reading)
{
    struct mc_call call = { .verb = verb, .place = place, .deadline = deadline, .take = take_record, .ctx = reading };
    reading->is_record = false;
    return cache_mc_call(&call);
}

static cache_status write_record(const struct mc_place *place, uint64_t deadline, enum mc_verb verb,
                                 const struct reading *reading)
{
    const cache_env *env = place->server->store->env;
    char *text = cache_env_alloc(env, MC_MAX_RECORD);
    if (text == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", place->server->where);
    struct mc_item item = { .value = { text, cache_mc_record_write(reading->record, text) }, .cas = reading->cas };
    struct mc_call call = { .verb = verb, .place = place, .deadline = deadline, .item = &item };
    const cache_status status = cache_mc_call(&call);
    cache_env_free(env, text);
    return status;
}

static void place_of(struct mc_server *server, struct mc_place *out)
{
    out->server = server;
    cache_mc_generation_key(server->store, &out->wire);
}

/* Read the record, or create it. */
static cache_status load(struct mc_server *server, uint64_t deadline, struct mc_record *record)
{
    struct mc_place place;
    struct reading reading = { .record = record };
    place_of(server, &place);
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        cache_status status = read_record(&place, deadline, MC_GET, &reading);
        if (status < 0 || reading.is_record)
            return status;
        const enum mc_verb verb = status == CACHE_MISS ? MC_ADD : MC_SET;    /* set: another program has overwritten
                                                                              * it */
        record->id = clock_id();
        record->n = 0;
        status = write_record(&place, deadline, verb, &reading);
        if (status != CACHE_NOT_STORED)    /* otherwise another process was faster, and its id is used */
            return status;
    }
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: the record of generations for '%s' is lost again and again",
                      server->where, server->store->prefix);
}

/* Returns an id that is later than all ids that this process or the record knows. */
static int64_t next_id(struct mc_server *server, const struct reading *reading)
{
    struct mc_generation *generation = &server->generation;
    int64_t next = clock_id();
    if (reading->is_record && cache_mc_record_latest(reading->record) >= next)
        next = cache_mc_record_latest(reading->record) + 1;
    pthread_mutex_lock(&generation->lock);
    if (generation->known && cache_mc_record_latest(&generation->record) >= next)
        next = cache_mc_record_latest(&generation->record) + 1;
    pthread_mutex_unlock(&generation->lock);
    return next;
}

/* A clear of a part of the keys, or of all keys if `part` is NULL. */
struct change {
    const uint64_t *part;
    int64_t id;                        /* the new generation of these keys */
    bool full;                         /* the record has no room for the part, so all keys get the new generation */
    bool whole;                        /* all keys get the new generation, for whatever reason */
};

/* Begin a generation in the record on the host. `record` is then equal to it. */
static cache_status begin_new(struct mc_server *server, uint64_t deadline, struct change *change,
                              struct mc_record *record)
{
    struct mc_place place;
    struct reading reading = { .record = record };
    place_of(server, &place);
    for (int i = 0; i < MAX_CHANGES; i++) {
        cache_status status = read_record(&place, deadline, MC_GETS, &reading);
        if (status < 0)
            return status;
        const enum mc_verb verb = status == CACHE_MISS ? MC_ADD : MC_CAS;
        change->id = next_id(server, &reading);
        change->whole = change->part == NULL || !reading.is_record;
        change->full = !change->whole && !cache_mc_record_put(record, *change->part, change->id);
        change->whole = change->whole || change->full;
        if (change->whole) {
            record->id = change->id;
            record->n = 0;
        }
        status = write_record(&place, deadline, verb, &reading);
        if (status != CACHE_NOT_STORED && status != CACHE_MISS)
            return status;
    }
    return cache_fail(CACHE_ERR_PROTOCOL,
                      "%s: other clients changed the record of generations for '%s' %d times in a row", server->where,
                      server->store->prefix, MAX_CHANGES);
}

/* ---- what this process knows of it ------------------------------------------------------------------------------- */

/* Call with the lock held. Note the record that was read. */
static void note_record(struct mc_server *server, const struct mc_record *record, int64_t now)
{
    struct mc_generation *generation = &server->generation;
    generation->record.id = record->id;
    generation->record.n = record->n;
    memcpy(generation->record.parts, record->parts, record->n * sizeof record->parts[0]);
    generation->known = true;
    generation->read_again_at = now + READ_AGAIN_MS;
}

/* Call with the lock held. Look up the generation of `key`. */
static void find_generation(const struct mc_server *server, cache_bytes key, int64_t *id, bool *of_all)
{
    const struct mc_record *record = &server->generation.record;
    const size_t prefix = server->store->prefix_size;
    *id = cache_mc_record_find(record, (cache_bytes){ key.data + prefix, key.size - prefix });
    *of_all = record->n == 0;
}

/* Read the record again; or with `bump`, begin the generation that a failed clear could not begin. The result is
 * dropped if this process cleared after the read began. */
static cache_status refresh(struct mc_server *server, uint64_t deadline, bool bump, unsigned version)
{
    struct mc_generation *generation = &server->generation;
    struct mc_record fresh;
    struct change all = { .part = NULL };
    cache_status status = bump ? begin_new(server, deadline, &all, &fresh) : load(server, deadline, &fresh);
    const int64_t now = cache_env_monotonic_ms(server->store->env);
    pthread_mutex_lock(&generation->lock);
    generation->refreshing = false;
    if (status != CACHE_OK)
        generation->read_again_at = now + READ_AGAIN_MS;
    if (status == CACHE_OK && generation->version == version) {
        note_record(server, &fresh, now);
        generation->bump = false;
    } else if (generation->known && !generation->bump)
        status = CACHE_OK;    /* the caller's own request will show whether the host works; until then the last known
                               * record is used */
    else if (status == CACHE_OK && !generation->known)
        status = cache_fail(CACHE_ERR_CONNECT, "%s: a clear failed while the generation was read", server->where);
    pthread_mutex_unlock(&generation->lock);
    return status;
}

cache_status cache_mc_generation(struct mc_server *server, uint64_t deadline, cache_bytes key, int64_t *id,
                                 bool *of_all)
{
    struct mc_generation *generation = &server->generation;
    const struct mc_store *store = server->store;
    *id = -1;
    *of_all = true;
    if (!store->generations)
        return CACHE_OK;
    pthread_mutex_lock(&generation->lock);
    const bool bump = generation->bump, version_known = generation->known && !bump;
    const unsigned version = generation->version;
    if (version_known
        && (generation->refreshing || !cache_env_monotonic_reached(store->env, generation->read_again_at))) {
        find_generation(server, key, id, of_all);
        pthread_mutex_unlock(&generation->lock);
        return CACHE_OK;
    }
    generation->refreshing = true;
    pthread_mutex_unlock(&generation->lock);
    const cache_status status = refresh(server, deadline, bump, version);
    if (status == CACHE_OK) {
        pthread_mutex_lock(&generation->lock);
        find_generation(server, key, id, of_all);
        pthread_mutex_unlock(&generation->lock);
    }
    return status;
}

cache_status cache_mc_begin(struct mc_store *store, cache_bytes key, uint64_t *deadline, struct mc_place *place)
{
    cache_mc_check_fork(store);
    struct mc_key_head head;
    int64_t generation = -1;
    bool of_all = true;
    *deadline = cache_mc_deadline(store);
    place->server = cache_mc_route(store, key);
    const cache_status status = cache_mc_generation(place->server, *deadline, key, &generation, &of_all);
    if (status == CACHE_OK) {
        cache_mc_key_head(store, generation, &head);
        cache_mc_key(&head, key, &place->wire);
    }
    return status;
}

/* ---- clear ------------------------------------------------------------------------------------------------------- */

/* Take over only what this clear changed, so that nothing of another clear that has ended meanwhile is undone. */
static void take_over_clear(struct mc_server *server, const struct change *change, const struct mc_record *fresh)
{
    struct mc_generation *generation = &server->generation;
    if (change->whole)
        generation->bump = false;
    ASSERT(change->whole || change->part != NULL);
    if (change->whole || !generation->known || !cache_mc_record_put(&generation->record, *change->part, change->id))
        note_record(server, fresh, cache_env_monotonic_ms(server->store->env));
}

static cache_status clear_one(struct mc_server *server, const uint64_t *part, uint64_t deadline)
{
    struct mc_generation *generation = &server->generation;
    struct mc_record fresh;
    struct change change = { .part = part };
    const cache_status status = begin_new(server, deadline, &change, &fresh);
    pthread_mutex_lock(&generation->lock);
    generation->version++;
    if (status == CACHE_OK)
        take_over_clear(server, &change, &fresh);
    else
        generation->bump = true;
    pthread_mutex_unlock(&generation->lock);
    if (status == CACHE_OK && change.full)
        cache_env_log(server->store->env, CACHE_LOG_WARN,
                      "%s: all keys of '%s' were cleared, because at most %d further prefixes can be cleared alone",
                      server->where, server->store->prefix, MC_MAX_PARTS);
    return status;
}

cache_status cache_mc_clear(struct mc_store *store, cache_bytes further_prefix)
{
    const uint64_t part = further_prefix.size > 0 ? cache_mc_part_hash(further_prefix) : 0;
    const uint64_t deadline = cache_mc_deadline(store);
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < store->n_servers; i++) {
        /* Each server gets an equal share of the time left, so a silent one leaves time for the others. */
        const uint64_t now = cache_now_ns(), left = now < deadline ? deadline - now : 0;
        const cache_status status = clear_one(&store->servers[i], further_prefix.size > 0 ? &part : NULL,
                                              now + left / (store->n_servers - i));
        if (first == CACHE_OK)
            first = status;
    }
    return first;
}
