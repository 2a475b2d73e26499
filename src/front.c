/* front.c - the layer that serves hits from this process's memory.
 *
 * If `front_check` has passed since the last check, a read first handles the changes that the store reports. If the
 * store was heard recently enough, the memory answers. Otherwise the read asks the store and keeps the answer. A write
 * goes to the store and then drops the key here, whatever its outcome: after a timeout nobody knows what the store
 * holds. Leases bypass the front, since they decide who may store. There is no background thread.
 *
 * A store of one machine that has versions (the file store) need not report changes. There each read compares the
 * version of its value, which is one load from shared memory. */
#include "front.h"

#include "backends/fork_guard.h"
#include "envelope.h"
#include "front_hearing.h"
#include "results.h"
#include "writer.h"

#include <string.h>

struct front {
    struct cache_layer layer;
    struct front_memory memory;
    struct cache_live_counters *counters;
    struct cache_fork_guard fork_guard;
    bool hears;                        /* the store reports changes */
    bool compares;                     /* the store has versions, which each read compares */
    int64_t ttl_ms;
    struct front_hearing hearing;      /* used only if `hears` */
};

/* Returns true if the memory may answer. */
static bool is_open(struct front *front)
{
    return !front->hears || cache_front_is_open(&front->hearing);
}

/* Returns true if a value that is read now may be kept. */
static bool may_keep(const struct front *front)
{
    return !front->hears || cache_front_may_keep(&front->hearing);
}

static void restart(void *ctx)
{
    struct front *front = ctx;
    cache_front_hearing_restart(&front->hearing);
    cache_front_memory_restart(&front->memory);
}

static struct front *front_of(void *self)
{
    struct front *front = self;
    cache_fork_guard_check(&front->fork_guard, restart, front);
    return front;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Returns true for an internal key. It has its mark directly behind the first handle's prefix, where no user's key has
 * one: a mark there is doubled (cache_key_make), and one in a further prefix is encoded (prefix.c). */
static bool is_internal(const struct front *front, cache_bytes key)
{
    const size_t at = front->layer.env->prefix_size;
    return key.size > at && cache_key_of_user(key.data + at) == NULL;
}

/* Returns true for the key of a lease, which bypasses the front. */
static bool is_lease(const struct front *front, cache_bytes key)
{
    static const char kind[] = CACHE_LEASE_KIND;
    const size_t at = front->layer.env->prefix_size;
    return is_internal(front, key) && key.size - at >= sizeof kind - 1 &&
           memcmp(key.data + at, kind, sizeof kind - 1) == 0;
}

/* Returns how long the front may keep a value that the store keeps for `left_ms` (0: for ever, -1: not known). */
static int64_t keep_ms(const struct front *front, int64_t left_ms)
{
    return left_ms > 0 && left_ms < front->ttl_ms ? left_ms : front->ttl_ms;
}

/* If the store has versions, the memory holds the version of each value before the value. The version takes 16 bytes,
 * which keeps the value aligned. */
enum { VERSION_ROOM = 16 };

static uint64_t version_of(const struct front *front, cache_bytes key)
{
    return front->compares ? front->layer.inner.version(front->layer.inner_self, key) : 0;
}

static struct front_ticket take_ticket(struct front *front, cache_bytes key)
{
    struct front_ticket ticket = cache_front_memory_ticket(&front->memory, key);
    ticket.version = version_of(front, key);
    return ticket;
}

static void keep(struct front *front, const struct front_ticket *ticket, cache_bytes key, cache_bytes value,
                 int64_t ttl_ms)
{
    if (!front->compares) {
        cache_front_memory_keep(&front->memory, ticket, key, value, ttl_ms);
        return;
    }
    char version[VERSION_ROOM] = { 0 };
    cache_writer both;
    if (ticket->version == 0)
        return;
    memcpy(version, &ticket->version, sizeof ticket->version);
    cache_writer_init(&both, front->layer.env->allocator);
    if (cache_writer_reserve(&both, VERSION_ROOM + value.size) != NULL) {
        cache_writer_undo(&both, VERSION_ROOM + value.size);
        (void)cache_writer_append(&both, version, VERSION_ROOM);
        (void)cache_writer_append(&both, value.size > 0 ? value.data : "", value.size);
        cache_front_memory_keep(&front->memory, ticket, key,
                                (cache_bytes){ cache_writer_data(&both, NULL), VERSION_ROOM + value.size }, ttl_ms);
    }
    cache_writer_release(&both);
}

/* Returns the value in the memory if its version is still that of the store. */
__attribute__((noinline)) static cache_status get_same_version(struct front *front, cache_bytes key, cache_writer *out)
{
    cache_writer writer;
    cache_value value;
    uint64_t version = 0;
    cache_writer_init(&writer, front->layer.env->allocator);
    cache_status status = cache_front_memory_get(&front->memory, key, &writer);
    if (status == CACHE_OK)
        status = cache_writer_take(&writer, &value);
    cache_writer_release(&writer);
    if (status != CACHE_OK)
        return status;
    memcpy(&version, value.data, sizeof version);
    if (version != version_of(front, key)) {
        cache_value_release(&value);
        return CACHE_MISS;
    }
    return cache_writer_pin(out, (const char *)value.data + VERSION_ROOM, value.size - VERSION_ROOM, value.owner);
}

/* It is a function of its own, so that a hit does not pay for its stack. */
__attribute__((noinline)) static cache_status ask_store(struct front *front, cache_bytes key, cache_writer *out)
{
    const struct cache_layer *layer = &front->layer;
    const struct front_ticket ticket = take_ticket(front, key);
    int64_t left_ms = -1;
    const bool keeps_it = may_keep(front);
    const cache_status status = layer->inner.get_left != NULL
                                    ? layer->inner.get_left(layer->inner_self, key, out, &left_ms)
                                    : layer->inner.get(layer->inner_self, key, out);
    if (status == CACHE_OK && keeps_it) {
        cache_bytes value;
        value.data = cache_writer_data(out, &value.size);
        keep(front, &ticket, key, value, keep_ms(front, left_ms));
    }
    return status;
}

static inline cache_status look_up(struct front *front, cache_bytes key, cache_writer *out)
{
    const cache_status status = front->compares ? get_same_version(front, key, out)
                                                : cache_front_memory_get(&front->memory, key, out);
    if (status == CACHE_OK)
        cache_counters_add(front->counters, COUNT_FRONT_HIT, 1);
    return status;
}

static cache_status front_get(void *self, cache_bytes key, cache_writer *out)
{
    struct front *front = front_of(self);
    if (__builtin_expect(is_lease(front, key), 0))
        return front->layer.inner.get(front->layer.inner_self, key, out);
    if (__builtin_expect(is_open(front), 1)) {
        const cache_status status = look_up(front, key, out);
        if (status != CACHE_MISS)
            return status;
    }
    return ask_store(front, key, out);
}

/* ---- reading many ---------------------------------------------------------------------------------------------- */

/* The keys that the memory does not hold: their indices, their tickets, and the answers of the store. */
struct missing {
    size_t n;
    size_t *indices;
    cache_bytes *keys;
    struct front_ticket *tickets;
    cache_value *values;
};

/* Space on the stack, for as many keys as most fetches with tags read. */
enum { FEW = 8 };
struct few {
    struct front_ticket tickets[FEW];
    cache_value values[FEW];
    cache_bytes keys[FEW];
    size_t indices[FEW];
};

/* Returns false for lack of memory. */
static bool missing_init(const cache_env *env, size_t n, struct few *few, struct missing *out)
{
    if (n <= FEW) {
        *out = (struct missing){ 0, few->indices, few->keys, few->tickets, few->values };
        return true;
    }
    const size_t each = sizeof *out->tickets + sizeof *out->values + sizeof *out->keys + sizeof *out->indices;
    char *block = cache_env_alloc(env, n * each);
    if (block == NULL)
        return false;
    *out = (struct missing){ .tickets = (struct front_ticket *)(void *)block };
    out->values = (cache_value *)(void *)(out->tickets + n);
    out->keys = (cache_bytes *)(void *)(out->values + n);
    out->indices = (size_t *)(void *)(out->keys + n);
    return true;
}

static void missing_release(const cache_env *env, const struct few *few, struct missing *missing)
{
    if (missing->tickets != few->tickets)
        cache_env_free(env, missing->tickets);
}

/* A batch from the store comes without times to live, so only values that contain their own time are kept. */
static bool has_own_time(const struct front *front, cache_bytes key, const cache_value *value)
{
    return cache_envelope_is(value->data, value->size) || is_internal(front, key);
}

static cache_status ask_for_missing(struct front *front, const struct missing *missing, cache_results *out)
{
    const struct cache_layer *layer = &front->layer;
    const bool keeps_any = may_keep(front);
    cache_results results = { out->allocator, missing->values, missing->n };
    memset(missing->values, 0, missing->n * sizeof *missing->values);
    const cache_status status = layer->inner.get_many(layer->inner_self, missing->keys, missing->n, &results);
    for (size_t i = 0; i < missing->n; i++) {
        cache_value *value = &missing->values[i];
        if (value->data == NULL)
            continue;
        const cache_bytes key = missing->keys[i];
        if (keeps_any && !is_lease(front, key) && has_own_time(front, key, value))
            keep(front, &missing->tickets[i], key, (cache_bytes){ value->data, value->size }, front->ttl_ms);
        out->out[missing->indices[i]] = *value;
    }
    return status;
}

static cache_status front_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct front *front = front_of(self);
    const bool open = is_open(front);
    struct few few;
    struct missing missing;
    if (!missing_init(front->layer.env, n, &few, &missing))
        return cache_fail(CACHE_ERR_NOMEM, "front: out of memory for %zu keys", n);
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < n && i < out->n; i++) {
        cache_writer writer;
        cache_writer_init(&writer, out->allocator);
        cache_status status = CACHE_MISS;
        if (open && !is_lease(front, keys[i]))
            status = look_up(front, keys[i], &writer);
        if (status == CACHE_OK)
            status = cache_writer_take(&writer, &out->out[i]);
        else if (status == CACHE_MISS) {
            missing.indices[missing.n] = i;
            missing.keys[missing.n] = keys[i];
            missing.tickets[missing.n++] = take_ticket(front, keys[i]);
        }
        if (first == CACHE_OK && status < 0)
            first = status;
        cache_writer_release(&writer);
    }
    if (missing.n > 0) {
        const cache_status status = ask_for_missing(front, &missing, out);
        first = first == CACHE_OK ? status : first;
    }
    missing_release(front->layer.env, &few, &missing);
    return first;
}

/* ---- writing: the store first, then the key is dropped here, whatever the outcome ------------------------------- */

static cache_status front_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct front *front = front_of(self);
    const cache_status status = front->layer.inner.set(front->layer.inner_self, key, value, ttl_ms, flags);
    cache_front_memory_drop(&front->memory, key);
    return status;
}

static cache_status front_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                          int64_t ttl_ms)
{
    struct front *front = front_of(self);
    const struct cache_layer *layer = &front->layer;
    const cache_status status = layer->inner.compare_and_set(layer->inner_self, key, expected, value, ttl_ms);
    cache_front_memory_drop(&front->memory, key);
    return status;
}

static cache_status front_remove(void *self, cache_bytes key)
{
    struct front *front = front_of(self);
    const cache_status status = front->layer.inner.remove(front->layer.inner_self, key);
    cache_front_memory_drop(&front->memory, key);
    return status;
}

static cache_status front_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct front *front = front_of(self);
    const cache_status status = front->layer.inner.inc(front->layer.inner_self, key, delta, ttl_ms, result);
    cache_front_memory_drop(&front->memory, key);
    return status;
}

/* A store without this operation has to be read, and the value is dropped. */
static cache_status front_has(void *self, cache_bytes key)
{
    struct front *front = front_of(self);
    const struct cache_layer *layer = &front->layer;
    if (layer->inner.has != NULL)
        return layer->inner.has(layer->inner_self, key);
    cache_writer writer;
    cache_writer_init(&writer, layer->env->allocator);
    const cache_status status = layer->inner.get(layer->inner_self, key, &writer);
    cache_writer_release(&writer);
    return status;
}

static cache_status front_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct front *front = front_of(self);
    const cache_status status = front->layer.inner.touch(front->layer.inner_self, key, ttl_ms);
    cache_front_memory_drop(&front->memory, key);
    return status;
}

static cache_status front_clear(void *self, cache_bytes prefix)
{
    struct front *front = front_of(self);
    const cache_status status = front->layer.inner.clear(front->layer.inner_self, prefix);
    cache_front_memory_drop_all(&front->memory);
    return status;
}

static void drop_many(struct front *front, const cache_bytes keys[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        cache_front_memory_drop(&front->memory, keys[i]);
}

static cache_status front_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                   int64_t ttl_ms)
{
    struct front *front = front_of(self);
    const cache_status status = front->layer.inner.set_many(front->layer.inner_self, keys, values, n, ttl_ms);
    drop_many(front, keys, n);
    return status;
}

static cache_status front_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    struct front *front = front_of(self);
    const cache_status status = front->layer.inner.remove_many(front->layer.inner_self, keys, n, removed);
    drop_many(front, keys, n);
    return status;
}

/* ---- the rest of the table ------------------------------------------------------------------------------------- */

static cache_status front_stats(void *self, cache_counters *out)
{
    struct front *front = front_of(self);
    const struct cache_layer *layer = &front->layer;
    out->front_refused += atomic_load_explicit(&front->memory.refused, memory_order_relaxed);
    out->front_heard_ms = cache_front_heard_ago_ms(&front->hearing);
    return layer->inner.stats != NULL ? layer->inner.stats(layer->inner_self, out) : CACHE_OK;
}

static void front_close(void *self)
{
    struct front *front = front_of(self);
    front->layer.inner.close(front->layer.inner_self);
    cache_front_memory_close(&front->memory);
    cache_front_hearing_release(&front->hearing);
    cache_env_free(front->layer.env, front);
}

static void put_operations(const struct front *front, cache_backend_ops *ops)
{
    cache_layer_ops(&front->layer, ops);
    ops->flags |= CACHE_LAYER_FRONT;
    ops->close = front_close;
    ops->get = front_get;
    ops->set = front_set;
    ops->remove = front_remove;
    ops->inc = front_inc;
    ops->clear = front_clear;
    ops->has = front_has;
    ops->get_many = ops->get_many != NULL ? front_get_many : NULL;
    ops->set_many = ops->set_many != NULL ? front_set_many : NULL;
    ops->remove_many = ops->remove_many != NULL ? front_remove_many : NULL;
    ops->touch = ops->touch != NULL ? front_touch : NULL;
    ops->compare_and_set = ops->compare_and_set != NULL ? front_compare_and_set : NULL;
    ops->stats = front_stats;
}

static uint64_t option_ns(const struct cache_options *options, const char *name)
{
    return (uint64_t)(cache_options_find(options, name)->seconds * 1e9);
}

static void read_options(struct front *front, const struct cache_options *options)
{
    const struct option_value *ttl = cache_options_find(options, "front_ttl");
    front->ttl_ms = ttl->set || front->hears || front->compares ? ttl->number : 1000;
    cache_front_hearing_init(&front->hearing, &front->layer, &front->memory, option_ns(options, "front_lag"),
                             option_ns(options, "front_check"));
}

cache_status cache_front_add(const struct cache_options *options, const cache_env *env,
                             struct cache_live_counters *counters, cache_backend_ops *ops, void **self)
{
    const int64_t max_bytes = cache_options_find(options, "front")->number;
    if (max_bytes == 0)
        return CACHE_OK;
    struct front *front = cache_env_alloc(env, sizeof *front);
    if (front == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "open: out of memory");
    memset(front, 0, sizeof *front);
    front->layer = (struct cache_layer){ .inner = *ops, .inner_self = *self, .env = env };
    front->counters = counters;
    front->hears = ops->changes != NULL;
    front->compares = !front->hears && ops->version != NULL;
    const cache_status status = cache_front_memory_open(&front->memory, env, max_bytes);
    if (status != CACHE_OK) {
        cache_env_free(env, front);
        return status;
    }
    read_options(front, options);
    cache_fork_guard_init(&front->fork_guard);
    put_operations(front, ops);
    *self = front;
    return CACHE_OK;
}
