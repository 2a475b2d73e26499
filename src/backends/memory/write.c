/* write.c - the memory store's set, delete and touch, and its limits.
 *
 * Nothing is allocated or freed under a lock but the index's own growth. The limits hold over all shards: who brings
 * the store over one evicts, in its own shard first, then in the others. */
#include "memory.h"

enum { SWEEP = 4 };

/* ---- limits ------------------------------------------------------------------------------------------------------ */

void memory_uncount(struct memory *memory, const struct item *gone)
{
    for (; gone != NULL; gone = item_next(gone)) {
        atomic_fetch_sub_explicit(&memory->items, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&memory->bytes, item_cost(gone), memory_order_relaxed);
    }
}

static bool over_a_limit(struct memory *memory)
{
    return atomic_load_explicit(&memory->items, memory_order_relaxed) > memory->max_items
        || atomic_load_explicit(&memory->bytes, memory_order_relaxed) > memory->max_bytes;
}

/* In the shard whose lock is held. */
static void evict_here(struct memory *memory, struct shard *shard, const struct item *keep, int64_t now_ms,
                       struct item **evicted)
{
    while (over_a_limit(memory)) {
        struct item *gone = NULL;
        if (!shard_evict(shard, keep, now_ms, &gone))
            return;
        memory_uncount(memory, gone);
        item_chain(evicted, gone);
    }
}

/* In the other shards, one lock at a time. */
static void evict_elsewhere(struct memory *memory, const struct shard *here, int64_t now_ms, struct item **evicted)
{
    const size_t first = (size_t)(here - memory->shards);
    for (size_t i = 1; i < memory->n_shards && over_a_limit(memory); i++) {
        struct shard *shard = &memory->shards[(first + i) & (memory->n_shards - 1)];
        rwlock_write_lock(&shard->lock);
        evict_here(memory, shard, NULL, now_ms, evicted);
        rwlock_write_unlock(&shard->lock);
    }
}

static void sweep_here(struct memory *memory, struct shard *shard, int64_t now_ms, struct item **gone)
{
    struct item *expired = NULL;
    shard_sweep(shard, SWEEP, now_ms, &expired);
    memory_uncount(memory, expired);
    for (struct item *next; expired != NULL; expired = next) {
        next = item_next(expired);
        item_chain(gone, expired);
    }
}

/* ---- putting in -------------------------------------------------------------------------------------------------- */

cache_status memory_put(struct memory *memory, struct place place, struct item *item, struct item *old, int64_t now_ms,
                        struct leaving *leaving)
{
    if (!shard_insert(place.shard, item, place.hash, old, &leaving->gone))
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory");
    atomic_fetch_add_explicit(&memory->items, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&memory->bytes, item_cost(item), memory_order_relaxed);
    memory_uncount(memory, leaving->gone);
    sweep_here(memory, place.shard, now_ms, &leaving->gone);
    evict_here(memory, place.shard, item, now_ms, &leaving->evicted);
    return CACHE_OK;
}

void memory_settle(struct memory *memory, const struct shard *here, int64_t now_ms, struct leaving *leaving)
{
    evict_elsewhere(memory, here, now_ms, &leaving->evicted);
    if (cache_env_wants_events(memory->env))
        for (const struct item *item = leaving->evicted; item != NULL; item = item_next(item))
            cache_env_evicted(memory->env, item_key(item));
    item_release_all(leaving->evicted);
    item_release_all(leaving->gone);
}

/* ---- set --------------------------------------------------------------------------------------------------------- */

struct setting {
    struct place place;
    cache_bytes key, value;
    int64_t now_ms, deadline_ms;
    bool if_absent;
};

/* The value of an item that nobody reads is written where the old one stood: the index, the queues and the allocator
 * have no part in it. */
static bool set_in_place(struct memory *memory, const struct setting *set, struct leaving *leaving,
                         cache_status *status)
{
    struct shard *shard = set->place.shard;
    bool done = false;
    rwlock_write_lock(&shard->lock);
    struct item *item = shard_find_any(shard, set->key, set->place.hash);
    if (item != NULL && set->if_absent && shard_find(shard, set->key, set->place.hash) != NULL) {
        *status = CACHE_NOT_STORED;
        done = true;
    } else if (item != NULL && atomic_load_explicit(&item->references, memory_order_acquire) == 1
               && item_overwrite(item, set->value)) {
        wheel_reschedule(&shard->wheel, item, set->deadline_ms);
        sweep_here(memory, shard, set->now_ms, &leaving->gone);
        done = true;
    }
    rwlock_write_unlock(&shard->lock);
    return done;
}

static cache_status set_by_replacing(struct memory *memory, const struct setting *set, struct leaving *leaving)
{
    struct shard *shard = set->place.shard;
    struct item *item = item_new(cache_env_allocator(memory->env), set->key, set->value, 0);
    if (item == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory for a value of %zu bytes", set->value.size);
    cache_status status = CACHE_NOT_STORED;
    item->deadline_ms = set->deadline_ms;
    rwlock_write_lock(&shard->lock);
    if (!set->if_absent || shard_find(shard, set->key, set->place.hash) == NULL)
        status = memory_put(memory, set->place, item, shard_find_any(shard, set->key, set->place.hash), set->now_ms,
                            leaving);
    rwlock_write_unlock(&shard->lock);
    if (status != CACHE_OK)
        item_release(item);
    return status;
}

cache_status memory_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct memory *memory = self;
    if (value.size > memory->max_bytes || item_cost_of(key.size, value.size) > memory->max_bytes)
        return cache_fail(CACHE_ERR_TOO_LARGE, "memory: key, value and overhead of %zu bytes: max_bytes is %zu",
                          item_cost_of(key.size, value.size), memory->max_bytes);
    const int64_t now_ms = cache_env_monotonic_ms(memory->env);
    const struct setting set = { memory_place(memory, key), key, value, now_ms, memory_deadline(now_ms, ttl_ms),
                                 (flags & CACHE_SET_IF_ABSENT) != 0 };
    struct leaving leaving = { NULL, NULL };
    cache_status status = CACHE_OK;
    if (!set_in_place(memory, &set, &leaving, &status))
        status = set_by_replacing(memory, &set, &leaving);
    memory_settle(memory, set.place.shard, now_ms, &leaving);
    memory_tick(memory);
    return status;
}

/* ---- delete and touch -------------------------------------------------------------------------------------------- */

cache_status memory_remove(void *self, cache_bytes key)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    struct item *gone = NULL;
    rwlock_write_lock(&place.shard->lock);
    const bool live = shard_find(place.shard, key, place.hash) != NULL;
    struct item *item = shard_find_any(place.shard, key, place.hash);
    if (item != NULL)
        shard_remove(place.shard, item, &gone);
    memory_uncount(memory, gone);
    rwlock_write_unlock(&place.shard->lock);
    item_release_all(gone);
    memory_tick(memory);
    return live ? CACHE_OK : CACHE_MISS;
}

cache_status memory_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    const int64_t deadline_ms = memory_deadline(cache_env_monotonic_ms(memory->env), ttl_ms);
    rwlock_write_lock(&place.shard->lock);
    struct item *item = shard_find(place.shard, key, place.hash);
    if (item != NULL)
        wheel_reschedule(&place.shard->wheel, item, deadline_ms);
    rwlock_write_unlock(&place.shard->lock);
    memory_tick(memory);
    return item != NULL ? CACHE_OK : CACHE_MISS;
}
