/* memory.c - SimpleCache, the store in this process: open, close, read, and statistics.
 *
 * Keys are spread over shards by their hash. Readers take no lock: a get announces itself (epoch.h), finds the item in
 * the shard's table (index.h), and copies a small value or takes a reference. Changes are in write.c and counter.c. */
#include "memory.h"

#include "../../number.h"
#include "../../unique.h"
#include "../../writer.h"
#include "../backends.h"
#include "epoch.h"

enum { MAX_SHARDS = 4096, ITEMS_PER_SHARD = 1024, BYTES_PER_SHARD = 1 << 20, CACHE_LINE = 64, COPY_AT_MOST = 4096,
       LIMBO_BYTES = 256 * 1024 };

static const cache_option memory_options[] = {
    { "max_items", CACHE_OPTION_INT, .def = "0", .min = 0, .max = 1e12, .help = "most items held; 0: no limit" },
    { "max_bytes", CACHE_OPTION_BYTES, .def = "0", .min = 0, .max = 1e15,
      .help = "most bytes held: keys, values, some 64 bytes of overhead each, tables; 0: no limit" },
    { 0 },
};

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* There are so many shards that copying the table of one takes a fraction of a millisecond. A small store has fewer,
 * since the numbers of items of small shards differ much. */
static size_t choose_shards(size_t max_items, size_t max_bytes)
{
    size_t wanted = MAX_SHARDS;
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

/* Allocates one block for the store and the arrays of its shards. Each array has its own cache lines. */
static struct memory *allocate(const cache_backend_config *config, size_t n_shards, bool limited)
{
    const size_t tables = account_round(n_shards * sizeof(table_word), CACHE_LINE);
    const size_t expiries = account_round(n_shards * sizeof(int64_t), CACHE_LINE);
    const size_t orders = limited ? n_shards * sizeof(struct order) : 0;
    const size_t shards = n_shards * sizeof(struct shard);
    const size_t size = sizeof(struct memory) + shards + tables + expiries + orders;
    void *block = cache_env_alloc(config->env, size + CACHE_LINE);
    if (block == NULL)
        return NULL;
    char *at = (char *)block + (CACHE_LINE - (uintptr_t)block % CACHE_LINE);
    memset(at, 0, size);
    struct memory *memory = (struct memory *)(void *)at;
    memory->block = block;
    memory->shards = (struct shard *)(void *)(at += sizeof *memory);
    memory->tables = (_Atomic table_word *)(void *)(at += shards);
    memory->next_expiry = (_Atomic int64_t *)(void *)(at += tables);
    at += expiries;
    memory->orders = limited ? (struct order *)(void *)at : NULL;
    return memory;
}

static cache_status memory_open(const cache_backend_config *config, void **self)
{
    const size_t max_items = limit(config, "max_items"), max_bytes = limit(config, "max_bytes");
    const size_t n_shards = choose_shards(max_items, max_bytes);
    const bool limited = max_items != SIZE_MAX || max_bytes != SIZE_MAX;
    struct memory *memory = allocate(config, n_shards, limited);
    struct pool *pool = memory != NULL ? cache_mem_pool_new(cache_env_allocator(config->env)) : NULL;
    if (pool == NULL) {
        if (memory != NULL)
            cache_env_free(config->env, memory->block);
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory");
    }
    memory->env = config->env;
    memory->allocator = cache_env_allocator(config->env);
    memory->pool = pool;
    memory->seed = cache_unique_bits();    /* else an attacker could choose keys that share a bucket */
    memory->n_shards = n_shards;
    memory->max_items = max_items;
    memory->max_bytes = max_bytes;
    memory->limited = limited;
    atomic_init(&memory->next_due, EXPIRY_NEVER);
    for (size_t i = 0; i < n_shards; i++)
        atomic_init(&memory->next_expiry[i], EXPIRY_NEVER);
    for (int i = 0; i < LIMBOS; i++)
        cache_mem_limbo_init(&memory->limbos[i], memory->allocator,
                             (max_bytes / 64 < LIMBO_BYTES ? max_bytes / 64 : LIMBO_BYTES) / LIMBOS);
    cache_mem_epoch_init();
    cache_mem_enlist(memory);
    *self = memory;
    return CACHE_OK;
}

static void release_shard(struct memory *memory, size_t at)
{
    const table_word table = memory_table(memory, at);
    for (uint32_t bucket = 0; bucket < table_n(table); bucket++)
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            if (table_item(table, bucket, i) != NULL)
                cache_mem_item_drop(table_item(table, bucket, i));
    if (table_n(table) > 0)
        cache_env_free(memory->env, cache_mem_index_block(table));
    if (memory->limited)
        cache_mem_order_release(&memory->orders[at], memory->allocator);
}

static void memory_close(void *self)
{
    struct memory *memory = self;
    cache_mem_delist(memory);
    cache_mem_epoch_count_pins();
    for (size_t i = 0; i < memory->n_shards; i++)
        release_shard(memory, i);
    for (int i = 0; i < LIMBOS; i++)
        cache_mem_limbo_release(&memory->limbos[i]);
    cache_mem_pool_release(memory->pool);
    cache_env_free(memory->env, memory->block);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Begin and end reading a shard. A thread without a record holds the lock instead. */
static struct reader *begin(struct memory *memory, size_t shard)
{
    struct reader *reader = epoch_enter();
    if (__builtin_expect(reader == NULL, 0))
        lock_take(&memory->shards[shard].lock);
    return reader;
}

static void end(struct memory *memory, size_t shard, struct reader *reader)
{
    if (__builtin_expect(reader == NULL, 0))
        lock_give(&memory->shards[shard].lock);
    else
        epoch_leave(reader);
}

/* The result of a read: nothing, the number of a counter, or an item that stays as long as `owner` holds it. */
struct found {
    struct item *item;
    cache_owner *owner;
    bool counter;
    int64_t number, deadline_ms;
};

static cache_owner *keep(struct reader *reader, struct item *item)
{
    if (reader != NULL)
        return pins_take(&reader->pins, item);
    item_retain(item);
    return &item->owner;
}

/* Ends a read that found `item`, whose value was not copied. */
static struct found found_item(struct memory *memory, size_t shard, struct reader *reader, struct item *item)
{
    struct found found = { item, NULL, item_is_counter(item), 0, item_deadline(item) };
    if (found.counter)
        found.number = item_number(item);
    else
        found.owner = keep(reader, item);
    end(memory, shard, reader);
    return found;
}

static struct found find(struct memory *memory, const struct place *place)
{
    struct reader *reader = begin(memory, place->shard);
    struct item *item = memory_find(memory, place);
    if (item == NULL) {
        end(memory, place->shard, reader);
        return (struct found){ NULL, NULL, false, 0, 0 };
    }
    memory_count_hit(memory, item);
    return found_item(memory, place->shard, reader, item);
}

static cache_status write_found(cache_writer *out, const struct found *found)
{
    if (found->counter) {
        char text[NUMBER_MAX_SIZE + 1];
        return cache_writer_append(out, text, cache_number_format(found->number, text));
    }
    return cache_writer_pin(out, item_value(found->item), found->item->size, found->owner);
}

/* Ends a read with a view of the value, or with the number of a counter. */
__attribute__((noinline)) static cache_status write_item(struct memory *memory, size_t shard, struct reader *reader,
                                                         struct item *item, cache_writer *out)
{
    const struct found found = found_item(memory, shard, reader, item);
    return write_found(out, &found);
}

/* Copies a small value if the caller has a buffer for it, which costs less than a view. */
static bool copy_value(cache_writer *out, const struct item *item, uint64_t life)
{
    const size_t size = item->size;
    return size <= COPY_AT_MOST && !life_is_counter(life)
        && cache_writer_append_in_place(out, item->bytes + item_value_offset(life_key_size(life), size), size);
}

static cache_status memory_get(void *self, cache_bytes key, cache_writer *out)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    memory_tick(memory);
    struct reader *reader = begin(memory, place.shard);
    struct item *item = memory_find_any(memory, &place);
    const uint64_t life = item != NULL ? item_life(item) : 0;
    if (item == NULL || memory_life_ended(memory, life)) {
        end(memory, place.shard, reader);
        return CACHE_MISS;
    }
    memory_count_hit(memory, item);
    if (!copy_value(out, item, life)) {
        if (item_is_counter(item) || !cache_writer_is_fresh(out))
            return write_item(memory, place.shard, reader, item, out);
        cache_writer_pin_first(out, item_value(item), item->size, keep(reader, item));
    }
    end(memory, place.shard, reader);
    return CACHE_OK;
}

static cache_status memory_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    const struct found found = find(memory, &place);
    memory_tick(memory);
    if (found.item == NULL)
        return CACHE_MISS;
    const int64_t left = found.deadline_ms - cache_env_monotonic_ms(memory->env);
    *left_ms = found.deadline_ms == 0 ? 0 : left > 0 ? left : 1;
    return write_found(out, &found);
}

static cache_status put_result(cache_results *out, size_t index, const struct found *found)
{
    if (found->item == NULL)
        return CACHE_OK;
    if (found->counter) {
        char text[NUMBER_MAX_SIZE + 1];
        return cache_results_put(out, index, text, cache_number_format(found->number, text));
    }
    return cache_results_pin(out, index, item_value(found->item), found->item->size, found->owner);
}

/* Finds out where some keys are, and fetches their buckets and items. In a large store each of them is far away, so the
 * processor waits for all of them at once instead of for one after the other. */
static void fetch_ahead(struct memory *memory, const cache_bytes keys[], size_t n, struct place places[])
{
    for (size_t i = 0; i < n; i++) {
        places[i] = memory_place(memory, keys[i]);
        table_fetch_bucket(memory_table(memory, places[i].shard), places[i].hash);
    }
    struct reader *reader = epoch_enter();
    if (reader == NULL)
        return;                        /* this thread must hold a lock to read */
    for (size_t i = 0; i < n; i++)
        table_fetch_item(memory_table(memory, places[i].shard), places[i].hash);
    epoch_leave(reader);
}

static cache_status memory_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    enum { AHEAD = 16 };
    struct memory *memory = self;
    cache_status first = CACHE_OK;
    for (size_t begun = 0; begun < n; begun += AHEAD) {
        struct place places[AHEAD];
        const size_t some = n - begun < AHEAD ? n - begun : AHEAD;
        fetch_ahead(memory, keys + begun, some, places);
        for (size_t i = 0; i < some; i++) {
            const struct found found = find(memory, &places[i]);
            const cache_status status = put_result(out, begun + i, &found);
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
    struct reader *reader = begin(memory, place.shard);
    const bool there = memory_find(memory, &place) != NULL;
    end(memory, place.shard, reader);
    memory_tick(memory);
    return there ? CACHE_OK : CACHE_MISS;
}

static cache_status memory_stats(void *self, cache_counters *out)
{
    struct memory *memory = self;
    out->knows_items = 1;
    for (size_t i = 0; i < memory->n_shards; i++) {
        struct shard *shard = &memory->shards[i];
        out->items += atomic_load_explicit(&shard->items, memory_order_relaxed);
        out->bytes += atomic_load_explicit(&shard->bytes, memory_order_relaxed);
        out->evictions += atomic_load_explicit(&shard->evictions, memory_order_relaxed);
        out->expirations += atomic_load_explicit(&shard->expirations, memory_order_relaxed);
    }
    if (memory->limited) {             /* one sum each, so that both counts are of one moment */
        out->items = atomic_load_explicit(&memory->items, memory_order_relaxed);
        out->bytes = atomic_load_explicit(&memory->bytes, memory_order_relaxed);
    }
    out->max_items = memory->max_items != SIZE_MAX ? memory->max_items : 0;
    out->max_bytes = memory->max_bytes != SIZE_MAX ? memory->max_bytes : 0;
    return CACHE_OK;
}

const cache_backend_ops cache_memory_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "memory",
    .flags = CACHE_BACKEND_LOCAL | CACHE_BACKEND_NO_PREFIX,
    .max_value = ITEM_MAX_VALUE,
    .options = memory_options,
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .set = cache_mem_set,
    .remove = cache_mem_remove,
    .inc = cache_mem_inc,
    .clear = cache_mem_clear,
    .get_many = memory_get_many,
    .touch = cache_mem_touch,
    .has = memory_has,
    .stats = memory_stats,
    .get_left = memory_get_left,
    .list = cache_mem_list,
    .compare_and_set = cache_mem_compare_and_set,
};
