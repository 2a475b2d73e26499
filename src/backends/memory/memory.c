/* memory.c - SimpleCache: the store in this process.
 *
 * Keys are spread over shards by their hash, so that threads on different keys do not wait for each other. A hit takes
 * its shard's lock shared, and copies a small value or pins the item. What changes something is in write.c and
 * counter.c. */
#include "memory.h"

#include "../../unique.h"
#include "../../writer.h"
#include "../backends.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>
#include <unistd.h>

enum { SHARDS_PER_CORE = 64, MAX_SHARDS = 1024, ITEMS_PER_SHARD = 1024, BYTES_PER_SHARD = 4 << 20, MAX_FREQUENCY = 3,
       CACHE_LINE = 64, COPY_AT_MOST = 4096, SWEEP_BY_THE_WAY = 16,
       SWEEP_EVERY = 61 };                 /* a prime: each of two stores that are used in turns is met */

static const cache_option memory_options[] = {
    { "max_items", CACHE_OPTION_INT, .def = "0", .min = 0, .max = 1e12, .help = "most items held; 0: no limit" },
    { "max_bytes", CACHE_OPTION_BYTES, .def = "0", .min = 0, .max = 1e15,
      .help = "most bytes held, of keys, values and some 160 bytes of overhead each; 0: no limit" },
    { 0 },
};

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static size_t choose_shards(size_t max_items, size_t max_bytes)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = (size_t)(cores > 0 ? cores : 1) * SHARDS_PER_CORE;
    if (wanted > MAX_SHARDS)
        wanted = MAX_SHARDS;
    /* A small cache in many shards would fill them unevenly, and evict while there is room elsewhere. */
    if (wanted > max_items / ITEMS_PER_SHARD)
        wanted = max_items / ITEMS_PER_SHARD;
    if (wanted > max_bytes / BYTES_PER_SHARD)
        wanted = max_bytes / BYTES_PER_SHARD;
    size_t n = 1;
    while (n * 2 <= wanted)
        n *= 2;
    return n;
}

static size_t limit(const cache_backend_config *config, const char *name)
{
    const int64_t value = cache_option_int(config, name);
    return value > 0 ? (size_t)value : SIZE_MAX;
}

static cache_status memory_open(const cache_backend_config *config, void **self)
{
    struct memory *memory = cache_env_alloc(config->env, sizeof *memory);
    if (memory == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory");
    /* A seed, so that keys that a stranger chooses do not all fall into one chain. */
    *memory = (struct memory){ .env = config->env, .seed = cache_unique_bits(), .max_items = limit(config, "max_items"),
                               .max_bytes = limit(config, "max_bytes") };
    memory->n_shards = choose_shards(memory->max_items, memory->max_bytes);
    memory->block = cache_env_alloc(config->env, memory->n_shards * sizeof(struct shard) + CACHE_LINE);
    if (memory->block == NULL) {
        cache_env_free(config->env, memory);
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory");
    }
    const uintptr_t aligned = ((uintptr_t)memory->block + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    memory->shards = (struct shard *)aligned;
    for (size_t i = 0; i < memory->n_shards; i++)
        shard_init(&memory->shards[i], config->env);
    memory_enlist(memory);
    *self = memory;
    return CACHE_OK;
}

static void memory_close(void *self)
{
    struct memory *memory = self;
    memory_delist(memory);
    for (size_t i = 0; i < memory->n_shards; i++)
        shard_release(&memory->shards[i]);
    cache_env_free(memory->env, memory->block);
    cache_env_free(memory->env, memory);
}

/* ---- what all operations share ----------------------------------------------------------------------------------- */

struct place memory_place(struct memory *memory, cache_bytes key)
{
    const uint64_t hash = XXH3_64bits_withSeed(key.data, key.size, memory->seed);
    return (struct place){ &memory->shards[(hash >> 48) & (memory->n_shards - 1)], (uint32_t)hash };
}

void memory_tick(struct memory *memory)
{
    static _Thread_local unsigned left = SWEEP_EVERY;
    if (--left > 0)
        return;
    left = SWEEP_EVERY;
    const size_t turn = atomic_fetch_add_explicit(&memory->next_swept, 1, memory_order_relaxed);
    struct shard *shard = &memory->shards[turn & (memory->n_shards - 1)];
    struct item *gone = NULL;
    const int64_t now_ms = cache_env_monotonic_ms(memory->env);
    if (!rwlock_try_write_lock(&shard->lock))    /* who uses the shard is not to wait for this */
        return;
    shard_sweep(shard, SWEEP_BY_THE_WAY, now_ms, &gone);
    memory_uncount(memory, gone);
    rwlock_write_unlock(&shard->lock);
    item_release_all(gone);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Count a hit. Not written at its limit: what is hit most stays shared between the cores' caches. */
static void count_hit(struct item *item)
{
    const unsigned char frequency = atomic_load_explicit(&item->frequency, memory_order_relaxed);
    if (frequency < MAX_FREQUENCY)
        atomic_store_explicit(&item->frequency, (unsigned char)(frequency + 1), memory_order_relaxed);
}

/* A small value is copied under the shared lock, if the caller has a place for it: that costs less than a reference. */
static cache_status memory_get(void *self, cache_bytes key, cache_writer *out)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    bool copied = false;
    rwlock_read_lock(&place.shard->lock);
    struct item *item = shard_find(place.shard, key, place.hash);
    if (item != NULL) {
        count_hit(item);
        copied = item->size <= COPY_AT_MOST && cache_writer_append_in_place(out, item_value(item), item->size);
        if (!copied)
            item_retain(item);
    }
    rwlock_read_unlock(&place.shard->lock);
    memory_tick(memory);
    if (item == NULL)
        return CACHE_MISS;
    return copied ? CACHE_OK : cache_writer_pin(out, item_value(item), item->size, &item->owner);
}

static cache_status memory_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct memory *memory = self;
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < n; i++) {
        const struct place place = memory_place(memory, keys[i]);
        rwlock_read_lock(&place.shard->lock);
        struct item *item = shard_find(place.shard, keys[i], place.hash);
        if (item != NULL) {
            count_hit(item);
            item_retain(item);
        }
        rwlock_read_unlock(&place.shard->lock);
        if (item != NULL) {
            const cache_status status = cache_results_pin(out, i, item_value(item), item->size, &item->owner);
            if (first == CACHE_OK)
                first = status;
        }
    }
    memory_tick(memory);
    return first;
}

static cache_status memory_has(void *self, cache_bytes key)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    rwlock_read_lock(&place.shard->lock);
    const bool there = shard_find(place.shard, key, place.hash) != NULL;
    rwlock_read_unlock(&place.shard->lock);
    memory_tick(memory);
    return there ? CACHE_OK : CACHE_MISS;
}

/* ---- clear and stats --------------------------------------------------------------------------------------------- */

static bool begins(const struct item *item, cache_bytes prefix)
{
    return item->hh.keylen >= prefix.size && memcmp(item->bytes, prefix.data, prefix.size) == 0;
}

static cache_status memory_clear(void *self, cache_bytes prefix)
{
    struct memory *memory = self;
    for (size_t i = 0; i < memory->n_shards; i++) {
        struct shard *shard = &memory->shards[i];
        struct item *gone = NULL;
        rwlock_write_lock(&shard->lock);
        for (struct item *item = shard->index, *next; item != NULL; item = next) {
            next = item_next(item);
            if (begins(item, prefix))
                shard_remove(shard, item, &gone);
        }
        memory_uncount(memory, gone);
        rwlock_write_unlock(&shard->lock);
        item_release_all(gone);
    }
    return CACHE_OK;
}

static cache_status memory_stats(void *self, cache_counters *out)
{
    struct memory *memory = self;
    for (size_t i = 0; i < memory->n_shards; i++) {
        struct shard *shard = &memory->shards[i];
        rwlock_read_lock(&shard->lock);
        out->items += shard_items(shard);
        out->bytes += shard->bytes;
        out->evictions += shard->evictions;
        out->expirations += shard->expirations;
        rwlock_read_unlock(&shard->lock);
    }
    out->max_items = memory->max_items != SIZE_MAX ? memory->max_items : 0;
    out->max_bytes = memory->max_bytes != SIZE_MAX ? memory->max_bytes : 0;
    return CACHE_OK;
}

const cache_backend_ops cache_memory_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "memory",
    .flags = CACHE_BACKEND_LOCAL,
    .options = memory_options,
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .set = memory_set,
    .remove = memory_remove,
    .inc = memory_inc,
    .clear = memory_clear,
    .get_many = memory_get_many,
    .touch = memory_touch,
    .has = memory_has,
    .stats = memory_stats,
};
