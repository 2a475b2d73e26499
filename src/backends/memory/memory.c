/* memory.c - SimpleCache: the store in this process.
 *
 * Keys are spread over shards by their hash, so that threads on different keys do not wait for each other. A hit takes its
 * shard's lock shared, and pins the item. Nothing is allocated, freed or copied under a lock but the index's own growth.
 * The limits hold over all shards: who brings the store over one evicts, in its own shard first, then in the others.
 * _GNU_SOURCE is for getentropy. */
#define _GNU_SOURCE
#include "../../number.h"
#include "../backends.h"
#include "shard.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SHARDS_PER_CORE = 16, MAX_SHARDS = 1024, ITEMS_PER_SHARD = 1024, BYTES_PER_SHARD = 4 << 20, SWEEP = 4,
       MAX_FREQUENCY = 3, CACHE_LINE = 64 };

struct memory {
    const cache_env *env;
    struct shard *shards;
    size_t n_shards;                   /* a power of two */
    uint64_t seed;
    size_t max_items, max_bytes;       /* SIZE_MAX: no limit */
    atomic_size_t items, bytes;        /* of all shards; a writer adds its own before it puts them in */
    void *block;                       /* of the shards, which begin on a cache line */
    struct memory *next, **at;         /* among all stores of the process, for fork */
};

static const cache_option memory_options[] = {
    { "max_items", CACHE_OPTION_INT, .def = "0", .min = 0, .max = 1e12, .help = "most items held; 0: no limit" },
    { "max_bytes", CACHE_OPTION_BYTES, .def = "0", .min = 0, .max = 1e15,
      .help = "most bytes held, of keys, values and some 200 bytes of overhead each; 0: no limit" },
    { 0 },
};

/* ---- fork -------------------------------------------------------------------------------------------------------- *
 *
 * A child has a copy of each store, and may use it at once: so no lock may be held, and no list half changed, when the
 * process forks. */

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct memory *stores;

static void before_fork(void)
{
    pthread_mutex_lock(&stores_lock);
    for (struct memory *memory = stores; memory != NULL; memory = memory->next)
        for (size_t i = 0; i < memory->n_shards; i++)
            rwlock_write_lock(&memory->shards[i].lock);
}

static void after_fork_in_parent(void)
{
    for (struct memory *memory = stores; memory != NULL; memory = memory->next)
        for (size_t i = 0; i < memory->n_shards; i++)
            rwlock_write_unlock(&memory->shards[i].lock);
    pthread_mutex_unlock(&stores_lock);
}

static void after_fork_in_child(void)
{
    for (struct memory *memory = stores; memory != NULL; memory = memory->next)
        for (size_t i = 0; i < memory->n_shards; i++)
            rwlock_reset(&memory->shards[i].lock);
    pthread_mutex_unlock(&stores_lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void enlist(struct memory *memory)
{
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&stores_lock);
    memory->next = stores;
    memory->at = &stores;
    if (stores != NULL)
        stores->at = &memory->next;
    stores = memory;
    pthread_mutex_unlock(&stores_lock);
}

static void delist(struct memory *memory)
{
    pthread_mutex_lock(&stores_lock);
    *memory->at = memory->next;
    if (memory->next != NULL)
        memory->next->at = memory->at;
    pthread_mutex_unlock(&stores_lock);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Keys that a stranger chooses must not all fall into one chain. */
static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getentropy(&seed, sizeof seed) != 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_nsec * 2654435761u ^ (uint64_t)(uintptr_t)&seed ^ (uint64_t)getpid();
    }
    return seed;
}

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
    *memory = (struct memory){ .env = config->env, .seed = random_seed(), .max_items = limit(config, "max_items"),
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
    enlist(memory);
    *self = memory;
    return CACHE_OK;
}

static void memory_close(void *self)
{
    struct memory *memory = self;
    delist(memory);
    for (size_t i = 0; i < memory->n_shards; i++)
        shard_release(&memory->shards[i]);
    cache_env_free(memory->env, memory->block);
    cache_env_free(memory->env, memory);
}

/* ---- what all operations share ----------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct memory *memory, cache_bytes key)
{
    return XXH3_64bits_withSeed(key.data, key.size, memory->seed);
}

/* By the upper bits: the lower ones choose the bucket. */
static struct shard *shard_of(struct memory *memory, uint64_t hash)
{
    return &memory->shards[(hash >> 48) & (memory->n_shards - 1)];
}

static int64_t deadline(const struct memory *memory, int64_t ttl_ms)
{
    return ttl_ms > 0 ? cache_env_monotonic_ms(memory->env) + ttl_ms : 0;
}

/* Take items that left off the sums. With their shard's lock held, so that a sum never lags behind a return. */
static void uncount(struct memory *memory, const struct item *gone)
{
    for (; gone != NULL; gone = gone->older) {
        atomic_fetch_sub_explicit(&memory->items, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&memory->bytes, item_cost(gone), memory_order_relaxed);
    }
}

static bool over_a_limit(struct memory *memory)
{
    return atomic_load_explicit(&memory->items, memory_order_relaxed) > memory->max_items
        || atomic_load_explicit(&memory->bytes, memory_order_relaxed) > memory->max_bytes;
}

/* Report and release what was evicted. Not under a lock. */
static void report_evicted(const struct memory *memory, struct item *evicted)
{
    if (cache_env_wants_events(memory->env))
        for (const struct item *item = evicted; item != NULL; item = item->older)
            cache_env_evicted(memory->env, (cache_bytes){ item->bytes, item->key_size });
    item_release_all(evicted);
}

/* In the shard whose lock is held. */
static void evict_here(struct memory *memory, struct shard *shard, const struct item *keep, struct item **evicted)
{
    while (over_a_limit(memory)) {
        struct item *gone = NULL;
        if (!shard_evict(shard, keep, &gone))
            return;
        uncount(memory, gone);
        gone->older = *evicted;
        *evicted = gone;
    }
}

/* In the other shards, one lock at a time. */
static void evict_elsewhere(struct memory *memory, const struct shard *here, struct item **evicted)
{
    const size_t first = (size_t)(here - memory->shards);
    for (size_t i = 1; i < memory->n_shards && over_a_limit(memory); i++) {
        struct shard *shard = &memory->shards[(first + i) & (memory->n_shards - 1)];
        rwlock_write_lock(&shard->lock);
        evict_here(memory, shard, NULL, evicted);
        rwlock_write_unlock(&shard->lock);
    }
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static struct item *pin(struct memory *memory, cache_bytes key)
{
    const uint64_t hash = hash_of(memory, key);
    struct shard *shard = shard_of(memory, hash);
    rwlock_read_lock(&shard->lock);
    struct item *item = shard_find(shard, key, hash);
    if (item != NULL) {
        atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
        /* Not written at its limit: what is hit most stays shared between the cores' caches. */
        const unsigned char frequency = atomic_load_explicit(&item->frequency, memory_order_relaxed);
        if (frequency < MAX_FREQUENCY)
            atomic_store_explicit(&item->frequency, (unsigned char)(frequency + 1), memory_order_relaxed);
    }
    rwlock_read_unlock(&shard->lock);
    return item;
}

static cache_status memory_get(void *self, cache_bytes key, cache_writer *out)
{
    struct item *item = pin(self, key);
    return item != NULL ? cache_writer_pin(out, item_value(item), item->size, &item->owner) : CACHE_MISS;
}

static cache_status memory_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < n; i++) {
        struct item *item = pin(self, keys[i]);
        if (item == NULL)
            continue;
        const cache_status status = cache_results_pin(out, i, item_value(item), item->size, &item->owner);
        if (first == CACHE_OK)
            first = status;
    }
    return first;
}

static cache_status memory_has(void *self, cache_bytes key)
{
    struct memory *memory = self;
    const uint64_t hash = hash_of(memory, key);
    struct shard *shard = shard_of(memory, hash);
    rwlock_read_lock(&shard->lock);
    const bool there = shard_find(shard, key, hash) != NULL;
    rwlock_read_unlock(&shard->lock);
    return there ? CACHE_OK : CACHE_MISS;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* The item of `key`, live or expired: what a new one replaces. */
static struct item *find_any(struct shard *shard, cache_bytes key, uint64_t hash)
{
    struct item *item = NULL;
    HASH_FIND_BYHASHVALUE(hh, shard->index, key.data, (unsigned)key.size, (unsigned)hash, item);
    return item;
}

/* Put `item` in, with the shard's lock held, and keep the limits in it. CACHE_ERR_NOMEM: the old one stays. */
static cache_status put(struct memory *memory, struct shard *shard, struct item *item, struct item **gone,
                        struct item **evicted)
{
    const cache_bytes key = { item->bytes, item->key_size };
    if (!shard_insert(shard, item, find_any(shard, key, item->hash), gone))
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory");
    atomic_fetch_add_explicit(&memory->items, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&memory->bytes, item_cost(item), memory_order_relaxed);
    shard_sweep(shard, SWEEP, gone);
    uncount(memory, *gone);
    evict_here(memory, shard, item, evicted);
    return CACHE_OK;
}

static cache_status memory_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct memory *memory = self;
    const uint64_t hash = hash_of(memory, key);
    struct shard *shard = shard_of(memory, hash);
    struct item *item = item_new(cache_env_allocator(memory->env), key, value, 0, hash);
    if (item == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory for a value of %zu bytes", value.size);
    struct item *gone = NULL, *evicted = NULL;
    cache_status status = CACHE_OK;
    if (item_cost(item) > memory->max_bytes)
        status = cache_fail(CACHE_ERR_TOO_LARGE, "memory: key, value and overhead of %zu bytes: max_bytes is %zu",
                            item_cost(item), memory->max_bytes);
    else {
        item->deadline_ms = deadline(memory, ttl_ms);
        rwlock_write_lock(&shard->lock);
        if ((flags & CACHE_SET_IF_ABSENT) && shard_find(shard, key, hash) != NULL)
            status = CACHE_NOT_STORED;
        else
            status = put(memory, shard, item, &gone, &evicted);
        rwlock_write_unlock(&shard->lock);
    }
    if (status == CACHE_OK)
        evict_elsewhere(memory, shard, &evicted);
    else
        item_release_all(item);
    item_release_all(gone);
    report_evicted(memory, evicted);
    return status;
}

static cache_status memory_remove(void *self, cache_bytes key)
{
    struct memory *memory = self;
    const uint64_t hash = hash_of(memory, key);
    struct shard *shard = shard_of(memory, hash);
    struct item *gone = NULL;
    rwlock_write_lock(&shard->lock);
    const bool live = shard_find(shard, key, hash) != NULL;
    struct item *item = find_any(shard, key, hash);
    if (item != NULL)
        shard_remove(shard, item, &gone);
    uncount(memory, gone);
    rwlock_write_unlock(&shard->lock);
    item_release_all(gone);
    return live ? CACHE_OK : CACHE_MISS;
}

static cache_status memory_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct memory *memory = self;
    const uint64_t hash = hash_of(memory, key);
    struct shard *shard = shard_of(memory, hash);
    rwlock_write_lock(&shard->lock);
    struct item *item = shard_find(shard, key, hash);
    if (item != NULL)
        shard_reschedule(shard, item, deadline(memory, ttl_ms));
    rwlock_write_unlock(&shard->lock);
    return item != NULL ? CACHE_OK : CACHE_MISS;
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

/* Write the sum into the item, if nobody reads it and there is room: an inc then allocates nothing. */
static cache_status count_in_place(struct item *item, int64_t delta, int64_t *result, bool *done)
{
    int64_t number = 0, sum = 0;
    char text[NUMBER_MAX_SIZE + 1];
    if (!cache_number_parse(item_value(item), item->size, &number))
        return cache_fail(CACHE_ERR_TYPE, "memory: inc: the value is not a number");
    if (!cache_number_add(number, delta, &sum))
        return cache_fail(CACHE_ERR_RANGE, "memory: inc: the counter would leave int64");
    *result = sum;
    const size_t size = cache_number_format(sum, text);
    *done = size <= item->room && atomic_load_explicit(&item->references, memory_order_acquire) == 1;
    if (*done) {
        memcpy(item_value(item), text, size + 1);
        item->size = size;
    }
    return CACHE_OK;
}

static cache_status inc_in_place(struct memory *memory, cache_bytes key, uint64_t hash, int64_t delta, int64_t *result,
                                 bool *done)
{
    struct shard *shard = shard_of(memory, hash);
    rwlock_write_lock(&shard->lock);
    struct item *item = shard_find(shard, key, hash);
    const cache_status status = item != NULL ? count_in_place(item, delta, result, done) : CACHE_OK;
    rwlock_write_unlock(&shard->lock);
    return status;
}

/* Replace what is there, if anything, by `fresh`, which gets the sum and the old one's time. */
static cache_status inc_by_replacing(struct memory *memory, struct item *fresh, int64_t delta, int64_t *result,
                                     struct item **gone, struct item **evicted)
{
    struct shard *shard = shard_of(memory, fresh->hash);
    const cache_bytes key = { fresh->bytes, fresh->key_size };
    bool done = false;
    rwlock_write_lock(&shard->lock);
    struct item *old = shard_find(shard, key, fresh->hash);
    cache_status status = CACHE_OK;
    *result = delta;
    if (old != NULL) {
        status = count_in_place(old, delta, result, &done);
        fresh->deadline_ms = old->deadline_ms;
    }
    if (status == CACHE_OK && !done) {
        fresh->size = cache_number_format(*result, item_value(fresh));
        status = put(memory, shard, fresh, gone, evicted);
    }
    rwlock_write_unlock(&shard->lock);
    if (status != CACHE_OK || done)
        item_release_all(fresh);
    else
        evict_elsewhere(memory, shard, evicted);
    return status;
}

static cache_status memory_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct memory *memory = self;
    const uint64_t hash = hash_of(memory, key);
    bool done = false;
    int64_t number = 0;
    cache_status status = inc_in_place(memory, key, hash, delta, &number, &done);
    if (status == CACHE_OK && !done) {
        struct item *gone = NULL, *evicted = NULL;
        struct item *fresh =
            item_new(cache_env_allocator(memory->env), key, (cache_bytes){ "", 0 }, NUMBER_MAX_SIZE, hash);
        if (fresh == NULL)
            return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory for a counter");
        if (item_cost(fresh) > memory->max_bytes) {
            item_release_all(fresh);
            return cache_fail(CACHE_ERR_TOO_LARGE, "memory: a counter is larger than max_bytes, %zu", memory->max_bytes);
        }
        fresh->deadline_ms = deadline(memory, ttl_ms);
        status = inc_by_replacing(memory, fresh, delta, &number, &gone, &evicted);
        item_release_all(gone);
        report_evicted(memory, evicted);
    }
    if (status == CACHE_OK)
        *result = number;
    return status;
}

/* ---- clear and stats --------------------------------------------------------------------------------------------- */

static bool begins(const struct item *item, cache_bytes prefix)
{
    return item->key_size >= prefix.size && memcmp(item->bytes, prefix.data, prefix.size) == 0;
}

static cache_status memory_clear(void *self, cache_bytes prefix)
{
    struct memory *memory = self;
    for (size_t i = 0; i < memory->n_shards; i++) {
        struct shard *shard = &memory->shards[i];
        struct item *gone = NULL;
        rwlock_write_lock(&shard->lock);
        for (int queue = QUEUE_SMALL; queue <= QUEUE_MAIN; queue++)
            for (struct item *item = shard->queues[queue].oldest, *next; item != NULL; item = next) {
                next = item->newer;
                if (begins(item, prefix))
                    shard_remove(shard, item, &gone);
            }
        uncount(memory, gone);
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
