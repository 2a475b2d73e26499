/* write.c - the memory store's set, delete, touch and clear.
 *
 * The block of an item is allocated before the lock is taken, and freed after it is released. Under the lock only the
 * index and the queues grow. */
#include "memory.h"

#include "../../hooks.h"

/* LEAST_TABLES is the most that the tables of a store with one item need, so that an accepted item fits. */
enum { LEAST_TABLES = 512, COARSE_FROM_MS = 10000 };

struct setting {
    cache_bytes key, value;
    int64_t now_ms, ttl_ms;
    bool if_absent;
    const cache_bytes *expected;       /* NULL, or what the old value must begin with */
};

/* Returns false for a counter, since its value is not stored as text. */
static bool begins_as(struct item *item, cache_bytes expected)
{
    return !item_is_counter(item) && item->size >= expected.size
        && memcmp(item_value(item), expected.data, expected.size) == 0;
}

static bool refuses(const struct memory *memory, const struct setting *set, struct item *old)
{
    if (!set->if_absent && set->expected == NULL)
        return false;
    const bool live = old != NULL && !memory_expired(memory, old);
    return set->if_absent ? live : !(live && begins_as(old, *set->expected));
}

static cache_status set(struct memory *memory, const struct setting *set)
{
    const struct place place = memory_place(memory, set->key);
    memory_fetch_for_write(memory, &place);    /* it arrives while the item is made */
    struct item *item = cache_mem_item_new(memory->pool, place.hash, place.key, set->value);
    if (item == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory for a value of %zu bytes", set->value.size);
    item_set_deadline(item, memory_deadline(set->now_ms, set->ttl_ms));
    struct shard *shard = &memory->shards[place.shard];
    lock_take(&shard->lock);
    struct item *old = memory_find_any(memory, &place);
    const cache_status status = refuses(memory, set, old) ? CACHE_NOT_STORED
                                                          : cache_mem_put(memory, place.shard, item, old);
    lock_give(&shard->lock);
    if (status != CACHE_OK)
        cache_mem_item_free(item);
    cache_mem_finish_write(memory, status == CACHE_OK ? item : NULL, set->now_ms);
    return status;
}

static cache_status check_and_set(struct memory *memory, cache_bytes key, cache_bytes value, int64_t ttl_ms,
                                  bool if_absent, const cache_bytes *expected)
{
    if (value.size > memory->max_bytes || item_cost_of(key.size, value.size) + LEAST_TABLES > memory->max_bytes)
        return cache_fail(CACHE_ERR_TOO_LARGE, "memory: key, value and overhead of %zu bytes: max_bytes is %zu",
                          item_cost_of(key.size, value.size) + LEAST_TABLES, memory->max_bytes);
    /* For long times the coarse clock is exact enough, and costs a quarter. */
    const int64_t now_ms = ttl_ms >= COARSE_FROM_MS ? cache_env_recent_monotonic_ms(memory->env)
                                                    : cache_env_monotonic_ms(memory->env);
    const struct setting setting = { key, value, now_ms, ttl_ms, if_absent, expected };
    return set(memory, &setting);
}

cache_status cache_mem_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    return check_and_set(self, key, value, ttl_ms, (flags & CACHE_SET_IF_ABSENT) != 0, NULL);
}

static cache_status remove_if(struct memory *memory, cache_bytes key, cache_bytes expected)
{
    const struct place place = memory_place(memory, key);
    struct shard *shard = &memory->shards[place.shard];
    lock_take(&shard->lock);
    struct item *item = memory_find(memory, &place);
    const bool is_it = item != NULL && begins_as(item, expected);
    if (is_it) {
        cache_mem_take_out(memory, place.shard, item);
        cache_mem_trim(memory, place.shard);
    }
    lock_give(&shard->lock);
    limbo_reclaim(memory_limbo(memory));
    memory_tick(memory);
    return is_it ? CACHE_OK : CACHE_NOT_STORED;
}

cache_status cache_mem_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                       int64_t ttl_ms)
{
    return value.data != NULL ? check_and_set(self, key, value, ttl_ms, false, &expected)
                              : remove_if(self, key, expected);
}

cache_status cache_mem_remove(void *self, cache_bytes key)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    struct shard *shard = &memory->shards[place.shard];
    lock_take(&shard->lock);
    struct item *item = memory_find_any(memory, &place);
    const bool live = item != NULL && !memory_expired(memory, item);
    if (item != NULL) {
        cache_mem_take_out(memory, place.shard, item);
        cache_mem_trim(memory, place.shard);
    }
    lock_give(&shard->lock);
    limbo_reclaim(memory_limbo(memory));
    memory_tick(memory);
    return live ? CACHE_OK : CACHE_MISS;
}

cache_status cache_mem_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    const int64_t deadline_ms = memory_deadline(cache_env_monotonic_ms(memory->env), ttl_ms);
    struct shard *shard = &memory->shards[place.shard];
    lock_take(&shard->lock);
    struct item *item = memory_find(memory, &place);
    if (item != NULL)
        cache_mem_reschedule(memory, place.shard, item, deadline_ms);
    lock_give(&shard->lock);
    memory_tick(memory);
    return item != NULL ? CACHE_OK : CACHE_MISS;
}

/* ---- clear ------------------------------------------------------------------------------------------------------- */

#define HASHES (UINT64_C(1) << 32)

/* Removes the items that begin with `prefix` and have one of the next hashes, from `*hash` on. Returns false if no hash
 * is left. Hashes are counted and not buckets, since the table may be replaced between two calls: an item is then in
 * another bucket, but keeps its hash. If its bucket was full, an item is in a later one, at the latest in the first
 * bucket that no item passed. */
static bool clear_some(struct memory *memory, size_t shard, cache_bytes prefix, uint64_t *hash)
{
    enum { BUCKETS = 32 };             /* so few that other writers only wait for some microseconds */
    const table_word table = memory_table(memory, shard);
    const uint32_t n = table_n(table);
    if (n == 0)
        return false;
    const uint32_t first = table_home((uint32_t)*hash, n), end = n - first > BUCKETS ? first + BUCKETS : n;
    const uint64_t next = end < n ? (end * HASHES + n - 1) / n : HASHES;    /* the first hash of bucket `end` */
    bool passed = true;
    for (uint32_t i = 0; i < n && (first + i < end || passed); i++) {
        const uint32_t bucket = (uint32_t)(((uint64_t)first + i) % n);
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
            struct item *item = table_item(table, bucket, slot);
            if (item != NULL && item->hash >= *hash && item->hash < next && item_begins(item, prefix))
                cache_mem_take_out(memory, shard, item);
        }
        passed = bucket_passed(atomic_load_explicit(&table_buckets(table)[bucket].tags, memory_order_relaxed)) > 0;
    }
    *hash = next;
    return next < HASHES;
}

static void clear_shard(struct memory *memory, size_t at, cache_bytes prefix)
{
    struct shard *shard = &memory->shards[at];
    uint64_t hash = 0;
    for (bool more = true; more;) {
        lock_take(&shard->lock);
        more = clear_some(memory, at, prefix, &hash);
        if (!more)
            cache_mem_trim(memory, at);
        lock_give(&shard->lock);
        limbo_reclaim(memory_limbo(memory));
    }
}

cache_status cache_mem_clear(void *self, cache_bytes prefix)
{
    struct memory *memory = self;
    for (size_t i = 0; i < memory->n_shards; i++)
        clear_shard(memory, i, prefix);
    return CACHE_OK;
}
