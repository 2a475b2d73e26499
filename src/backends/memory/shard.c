/* shard.c - puts items into a shard and takes them out, with its lock held. Index, order, deadlines and counts change
 * together. */
#include "memory.h"

#include "../../invariant.h"

/* A bucket has seven slots. A table grows at six items per bucket, and shrinks below two. */
enum { GROW_AT = 6, SHRINK_AT = 2, SHRINK_TO = 4, SHRINK_FROM = 4 };

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

static void account_bytes(struct memory *memory, size_t shard, size_t more, size_t less)
{
    atomic_size_t *bytes = &memory->shards[shard].bytes;
    if (more == less)
        return;
    const size_t before = atomic_load_explicit(bytes, memory_order_relaxed);
    ASSERT(before + more >= less);
    atomic_store_explicit(bytes, before + more - less, memory_order_relaxed);
    if (memory->limited)
        atomic_fetch_add_explicit(&memory->bytes, more - less, memory_order_relaxed);
}

static void account_items(struct memory *memory, size_t shard, uint32_t more, uint32_t less)
{
    _Atomic uint32_t *items = &memory->shards[shard].items;
    const uint32_t before = atomic_load_explicit(items, memory_order_relaxed);
    ASSERT(before + more >= less);
    atomic_store_explicit(items, before + more - less, memory_order_relaxed);
    if (memory->limited)
        atomic_fetch_add_explicit(&memory->items, (size_t)more - less, memory_order_relaxed);
}

static uint32_t items_of(const struct memory *memory, size_t shard)
{
    return atomic_load_explicit(&memory->shards[shard].items, memory_order_relaxed);
}

/* Counts the memory of queues and ghost, which grow and shrink by themselves. */
static void account_order(struct memory *memory, size_t shard)
{
    struct order *order = &memory->orders[shard];
    const size_t cost = cache_mem_order_cost(order);
    account_bytes(memory, shard, cost, order->accounted);
    order->accounted = cost;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* Gives the shard a table of `class` with the same items. Returns false if there is no memory. */
static bool change_table(struct memory *memory, size_t shard, uint32_t class)
{
    const table_word old = memory_table(memory, shard);
    const table_word table = class > 0 ? cache_mem_index_copy(old, class, memory->allocator) : 0;
    if (class > 0 && table == 0)
        return false;
    atomic_store_explicit(&memory->tables[shard], table, memory_order_release);
    account_bytes(memory, shard, cache_mem_index_cost(table), cache_mem_index_cost(old));
    cache_mem_limbo_table(memory_limbo(memory), old);
    return true;
}

/* Makes room for one more item. If there is no memory for a larger table, a free slot in the old one is used. */
static void make_room(struct memory *memory, size_t shard)
{
    const table_word table = memory_table(memory, shard);
    const uint64_t items = (uint64_t)items_of(memory, shard) + 1;
    uint32_t class = table_class(table);
    while ((uint64_t)table_class_buckets(class) * GROW_AT < items && class + 1 < TABLE_CLASSES)
        class = cache_mem_index_next_class(class);
    if (class != table_class(table))
        (void)change_table(memory, shard, class);
}

void cache_mem_trim(struct memory *memory, size_t shard)
{
    const uint32_t items = items_of(memory, shard), n = table_n(memory_table(memory, shard));
    if (items == 0) {
        (void)change_table(memory, shard, 0);
    } else if (n >= SHRINK_FROM && items < (uint64_t)n * SHRINK_AT) {
        uint32_t class = 1;
        while ((uint64_t)table_class_buckets(class) * SHRINK_TO < items)
            class = cache_mem_index_next_class(class);
        (void)change_table(memory, shard, class);
    }
    if (memory->limited) {
        cache_mem_order_trim(&memory->orders[shard], memory->allocator);
        account_order(memory, shard);
    }
    cache_mem_note_expiry(memory, shard);
}

/* ---- deadlines --------------------------------------------------------------------------------------------------- */

void cache_mem_note_expiry(struct memory *memory, size_t shard)
{
    const int64_t next = cache_mem_expiry_next(memory_table(memory, shard));
    if (atomic_load_explicit(&memory->next_expiry[shard], memory_order_relaxed) == next)
        return;
    atomic_store(&memory->next_expiry[shard], next);
    /* A sweep resets next_due before it reads the shards. So either it sees this deadline, or this sees the reset. */
    int64_t due = atomic_load(&memory->next_due);
    while (next < due && !atomic_compare_exchange_weak(&memory->next_due, &due, next))
        ;
}

void cache_mem_reschedule(struct memory *memory, size_t shard, struct item *item, int64_t deadline_ms)
{
    const table_word table = memory_table(memory, shard);
    item_set_deadline(item, deadline_ms);
    cache_mem_expiry_lower(table, cache_mem_index_slot(table, item).bucket, deadline_ms);
    cache_mem_note_expiry(memory, shard);
}

/* ---- in and out -------------------------------------------------------------------------------------------------- */

static void replace_item(struct memory *memory, size_t shard, struct item *item, struct item *old)
{
    const table_word table = memory_table(memory, shard);
    const struct slot slot = cache_mem_index_slot(table, old);
    cache_mem_order_replace(item, old);
    table_replace(table, slot, item);
    cache_mem_expiry_lower(table, slot.bucket, item_deadline(item));
    account_bytes(memory, shard, item_cost(item), item_cost(old));
    cache_mem_limbo_item(memory_limbo(memory), old);
}

static bool add_item(struct memory *memory, size_t shard, struct item *item)
{
    struct slot slot;
    struct order *order = memory->limited ? &memory->orders[shard] : NULL;
    make_room(memory, shard);
    const table_word table = memory_table(memory, shard);
    if (order != NULL) {
        const bool reserved = cache_mem_order_reserve(order, table, memory->allocator);
        account_order(memory, shard);
        if (!reserved)
            return false;
        /* This comes before readers can count hits, and before another thread may evict the item. */
        cache_mem_order_add(order, item);
    }
    if (!cache_mem_index_add(table, item, &slot)) {
        if (order != NULL)
            cache_mem_order_remove(order, item);
        return false;
    }
    cache_mem_expiry_lower(table, slot.bucket, item_deadline(item));
    account_items(memory, shard, 1, 0);
    account_bytes(memory, shard, item_cost(item), 0);
    return true;
}

cache_status cache_mem_put(struct memory *memory, size_t shard, struct item *item, struct item *old)
{
    if (old != NULL)
        replace_item(memory, shard, item, old);
    else if (!add_item(memory, shard, item))
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory for the index");
    /* Only a deadline that is earlier than all others changes the next expiry. */
    const int64_t deadline = item_deadline(item);
    if (deadline != 0 && deadline < atomic_load_explicit(&memory->next_expiry[shard], memory_order_relaxed))
        cache_mem_note_expiry(memory, shard);
    return CACHE_OK;
}

void cache_mem_take_out(struct memory *memory, size_t shard, struct item *item)
{
    const table_word table = memory_table(memory, shard);
    cache_mem_index_remove(table, cache_mem_index_slot(table, item));
    if (memory->limited)
        cache_mem_order_remove(&memory->orders[shard], item);
    account_items(memory, shard, 0, 1);
    account_bytes(memory, shard, 0, item_cost(item));
    ASSERT(!memory->limited || memory->orders[shard].queues[QUEUE_SMALL].items +
                                   memory->orders[shard].queues[QUEUE_MAIN].items == items_of(memory, shard));
    cache_mem_limbo_item(memory_limbo(memory), item);
}
