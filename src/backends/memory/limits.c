/* limits.c - expiry and eviction over the whole store: chooses the shard whose turn it is.
 *
 * It holds the lock of at most one shard at a time. */
#include "memory.h"

#include "probes.h"

enum { SWEEP_AT_A_WRITE = 4, SWEEP_BY_THE_WAY = 16, LOOKS = 64,
       SWEEP_EVERY = 61 };                 /* a prime, so that two stores used in turns are both swept */

/* ---- expiry ------------------------------------------------------------------------------------------------------ */

static void lower(_Atomic int64_t *least, int64_t value)
{
    int64_t was = atomic_load(least);
    while (value < was && !atomic_compare_exchange_weak(least, &was, value))
        ;
}

/* Called with the shard's lock held. If the noted deadline of a bucket was too early, examining it gains nothing, so
 * the number of examined buckets is limited too. */
static size_t sweep_shard(struct memory *memory, size_t shard, size_t n, int64_t now_ms)
{
    size_t swept = 0;
    const table_word table = memory_table(memory, shard);
    for (int looks = 0; swept < n && looks < LOOKS && cache_mem_expiry_next(table) <= now_ms; looks++) {
        const uint32_t bucket = cache_mem_expiry_bucket(table);
        for (unsigned i = 0; i < BUCKET_SLOTS && swept < n; i++) {
            struct item *item = table_item(table, bucket, i);
            if (item != NULL && item_deadline(item) != 0 && item_deadline(item) <= now_ms) {
                cache_mem_take_out(memory, shard, item);
                swept++;
            }
        }
        cache_mem_expiry_renew(table, bucket);
    }
    if (swept > 0) {
        atomic_fetch_add_explicit(&memory->shards[shard].expirations, swept, memory_order_relaxed);
        cache_mem_trim(memory, shard);
    }
    cache_mem_note_expiry(memory, shard);
    return swept;
}

size_t cache_mem_sweep(struct memory *memory, size_t n, int64_t now_ms, bool wait)
{
    if (atomic_load_explicit(&memory->next_due, memory_order_relaxed) > now_ms)
        return 0;
    size_t swept = 0;
    int64_t least = EXPIRY_NEVER;
    const size_t first = atomic_load_explicit(&memory->next_swept, memory_order_relaxed);
    atomic_store(&memory->next_due, EXPIRY_NEVER);    /* deadlines that others note from now on lower it again */
    for (size_t i = 0; i < memory->n_shards; i++) {
        const size_t at = (first + i) & (memory->n_shards - 1);
        if (atomic_load(&memory->next_expiry[at]) <= now_ms) {
            struct shard *shard = &memory->shards[at];
            if (!wait && !lock_try(&shard->lock)) {
                least = now_ms;
                continue;
            }
            if (wait)
                lock_take(&shard->lock);
            swept += sweep_shard(memory, at, n - swept, now_ms);
            lock_give(&shard->lock);
        }
        const int64_t next = atomic_load(&memory->next_expiry[at]);
        least = next < least ? next : least;
        if (swept >= n) {
            /* The other shards were not examined, so the next sweep is due soon, and begins here. */
            atomic_store_explicit(&memory->next_swept, at, memory_order_relaxed);
            least = now_ms;
            break;
        }
    }
    lower(&memory->next_due, least);
    return swept;
}

/* ---- eviction ---------------------------------------------------------------------------------------------------- */

static bool over_a_limit(struct memory *memory)
{
    return atomic_load_explicit(&memory->items, memory_order_relaxed) > memory->max_items
        || atomic_load_explicit(&memory->bytes, memory_order_relaxed) > memory->max_bytes;
}

/* Evicts one item of this shard. Returns false if it has none except `keep`. */
static bool evict_from(struct memory *memory, size_t at, const struct item *keep)
{
    struct shard *shard = &memory->shards[at];
    struct order *order = &memory->orders[at];
    const bool told = cache_env_wants_events(memory->env);
    lock_take(&shard->lock);
    struct item *victim = cache_mem_order_victim(order, memory_table(memory, at), keep, memory->allocator);
    if (victim != NULL) {
        const cache_bytes key = item_key(victim);
        CACHE_PROBE_KEY(evict, key);
        cache_mem_order_evicted(order, victim, memory->allocator);
        if (told)
            item_retain(victim);
        cache_mem_take_out(memory, at, victim);
        atomic_fetch_add_explicit(&shard->evictions, 1, memory_order_relaxed);
    }
    cache_mem_trim(memory, at);
    lock_give(&shard->lock);
    if (victim != NULL && told) {
        cache_env_evicted(memory->env, item_key(victim));
        victim->owner.ops->release(&victim->owner);
    }
    return victim != NULL;
}

/* Evicts one item of the store. The shards take turns, but a shard with fewer items than the mean is skipped, so that
 * all have about the same number. Returns false if there is none except `keep`. */
static bool evict(struct memory *memory, const struct item *keep)
{
    const size_t items = atomic_load_explicit(&memory->items, memory_order_relaxed);
    for (int choosy = 1; choosy >= 0; choosy--)
        for (size_t i = 0; i < memory->n_shards; i++) {
            const size_t at = atomic_fetch_add_explicit(&memory->next_victim, 1, memory_order_relaxed)
                              & (memory->n_shards - 1);
            const size_t here = atomic_load_explicit(&memory->shards[at].items, memory_order_relaxed);
            if (here > 0 && (!choosy || here * memory->n_shards >= items) && evict_from(memory, at, keep))
                return true;
        }
    return false;
}

void cache_mem_finish_write(struct memory *memory, const struct item *keep, int64_t now_ms)
{
    (void)cache_mem_sweep(memory, SWEEP_AT_A_WRITE, now_ms, true);
    if (memory->limited)
        while (over_a_limit(memory)) {
            if (cache_mem_sweep(memory, 1, now_ms, true) == 0 && !evict(memory, keep))
                break;
            limbo_reclaim(memory_limbo(memory));
        }
    limbo_reclaim(memory_limbo(memory));
}

/* Each thread has its own count and begins with a sweep, so that short-lived threads sweep too. */
CACHE_HOT_THREAD_LOCAL unsigned cache_mem_reads_before_sweep = 1;

void cache_mem_sweep_by_the_way(struct memory *memory)
{
    cache_mem_reads_before_sweep = SWEEP_EVERY;
    if (atomic_load_explicit(&memory->next_due, memory_order_relaxed) == EXPIRY_NEVER)
        return;
    if (cache_mem_sweep(memory, SWEEP_BY_THE_WAY, cache_env_monotonic_ms(memory->env), false) > 0)
        limbo_reclaim(memory_limbo(memory));
}
