/* queue.c - S3-FIFO over rings of hashes. */
#include "queue.h"

#include "../../invariant.h"

/* The small queue has a thirtieth of the items, but at least six. With a tenth, as in the paper, nearly all traces of
 * bench/miss_ratio.c miss more often, since here one hit is enough to pass on, and the ghost remembers the items that
 * leave either queue. With a hundredth, items that are read a few times within a short while are missed. PATIENCE
 * limits how many items one eviction gives another chance, so that it does not take long. */
enum { SMALLEST = 8, SMALL_SHARE = 32, SMALL_LEAST = 6, PATIENCE = 256 };

static uint32_t place_of(enum queue_name name, uint32_t position)
{
    return (position & PLACE_POSITION_MASK) | (uint32_t)name << PLACE_QUEUE_SHIFT;
}

static void set_place(struct item *item, uint32_t place)
{
    item->place[0] = (uint8_t)place;
    item->place[1] = (uint8_t)(place >> 8);
    item->place[2] = (uint8_t)(place >> 16);
}

static uint32_t length(const struct queue *queue)
{
    return queue->tail - queue->head;
}

/* ---- one ring ------------------------------------------------------------------------------------------------ */

static bool resize(struct queue *queue, uint32_t capacity, const cache_allocator *allocator)
{
    uint32_t *hashes = allocator->alloc(allocator->ctx, capacity * sizeof *hashes);
    if (hashes == NULL)
        return false;
    for (uint32_t at = queue->head; at != queue->tail; at++)
        hashes[at & (capacity - 1)] = queue->hashes[at & (queue->capacity - 1)];
    if (queue->hashes != NULL)
        allocator->free(allocator->ctx, queue->hashes);
    queue->hashes = hashes;
    queue->capacity = capacity;
    return true;
}

static void push(struct order *order, enum queue_name name, struct item *item)
{
    struct queue *queue = &order->queues[name];
    ASSERT(length(queue) < queue->capacity);
    queue->hashes[queue->tail & (queue->capacity - 1)] = item->hash;
    set_place(item, place_of(name, queue->tail));
    queue->tail++;
    queue->items++;
}

/* Takes the oldest entry. Returns its item, or NULL if the item is gone. */
static struct item *pop(struct order *order, enum queue_name name, table_word table)
{
    struct queue *queue = &order->queues[name];
    ASSERT(length(queue) > 0);
    const uint32_t position = queue->head++, hash = queue->hashes[position & (queue->capacity - 1)];
    struct item *item = cache_mem_index_find_place(table, hash, place_of(name, position));
    if (item != NULL) {
        ASSERT(queue->items > 0);
        queue->items--;
    }
    return item;
}

/* If many entries of a ring have no item any more, each addition checks two of the oldest. An entry whose item still
 * exists becomes the newest. */
static void clean(struct order *order, enum queue_name name, table_word table)
{
    const struct queue *queue = &order->queues[name];
    for (int i = 0; i < 2 && length(queue) > 2 * queue->items + 4 * SMALLEST; i++) {
        struct item *item = pop(order, name, table);
        if (item != NULL)
            push(order, name, item);
    }
}

static bool reserve(struct queue *queue, uint32_t room, const cache_allocator *allocator)
{
    uint32_t capacity = queue->capacity > SMALLEST ? queue->capacity : SMALLEST;
    while (capacity < length(queue) + room)
        capacity *= 2;
    return capacity == queue->capacity || resize(queue, capacity, allocator);
}

/* ---- the order ----------------------------------------------------------------------------------------------- */

bool cache_mem_order_reserve(struct order *order, table_word table, const cache_allocator *allocator)
{
    clean(order, QUEUE_SMALL, table);
    clean(order, QUEUE_MAIN, table);
    return reserve(&order->queues[QUEUE_SMALL], 1, allocator) && reserve(&order->queues[QUEUE_MAIN], 1, allocator);
}

/* Returns how many evictions the ghost remembers. */
static uint32_t remembered(const struct order *order)
{
    const uint32_t items = order->queues[QUEUE_SMALL].items + order->queues[QUEUE_MAIN].items;
    return items - items / 4;
}

void cache_mem_order_add(struct order *order, struct item *item)
{
    push(order, cache_mem_ghost_take(&order->ghost, item->hash, remembered(order)) ? QUEUE_MAIN : QUEUE_SMALL, item);
}

void cache_mem_order_remove(struct order *order, const struct item *item)
{
    struct queue *queue = &order->queues[item_queue(item)];
    ASSERT(queue->items > 0);
    queue->items--;
    ASSERT(queue->items <= length(queue));
}

void cache_mem_order_replace(struct item *item, struct item *old)
{
    memcpy(item->place, old->place, sizeof item->place);
    atomic_store_explicit(&item->frequency, atomic_load_explicit(&old->frequency, memory_order_relaxed),
                          memory_order_relaxed);
}

/* Puts the item into the main queue; or back into its own queue, if there is no memory. */
static void promote(struct order *order, enum queue_name from, struct item *item, const cache_allocator *allocator)
{
    push(order, reserve(&order->queues[QUEUE_MAIN], 1, allocator) ? QUEUE_MAIN : from, item);
}

/* Goes through the queues once, oldest first. An item that was hit gets another chance. The first one that was not is
 * the victim. */
struct item *cache_mem_order_victim(struct order *order, table_word table, const struct item *keep,
                                    const cache_allocator *allocator)
{
    const struct queue *small = &order->queues[QUEUE_SMALL], *main = &order->queues[QUEUE_MAIN];
    uint32_t kept[2] = { 0, 0 };       /* 1 in the queue where `keep` was found */
    for (int chances = 0;;) {
        const bool any_small = small->items > kept[QUEUE_SMALL], any_main = main->items > kept[QUEUE_MAIN];
        if (!any_small && !any_main)
            return NULL;
        const bool enough = small->items >= SMALL_LEAST
                         && (uint64_t)small->items * SMALL_SHARE >= (uint64_t)small->items + main->items;
        const enum queue_name name = any_small && (enough || !any_main) ? QUEUE_SMALL : QUEUE_MAIN;
        struct item *item = pop(order, name, table);
        if (item == NULL)
            continue;
        const unsigned char frequency = atomic_load_explicit(&item->frequency, memory_order_relaxed);
        if (item == keep) {
            kept[name] = 1;
            push(order, name, item);
        } else if (frequency == 0 || chances++ >= PATIENCE) {
            order->queues[name].items++;    /* until the caller removes it */
            return item;
        } else {
            atomic_store_explicit(&item->frequency, name == QUEUE_SMALL ? 0 : (unsigned char)(frequency - 1),
                                  memory_order_relaxed);
            promote(order, name, item, allocator);
        }
    }
}

void cache_mem_order_evicted(struct order *order, const struct item *item, const cache_allocator *allocator)
{
    cache_mem_ghost_add(&order->ghost, allocator, item->hash, remembered(order));
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static void release_queue(struct queue *queue, const cache_allocator *allocator)
{
    if (queue->hashes != NULL)
        allocator->free(allocator->ctx, queue->hashes);
    *queue = (struct queue){ NULL, 0, 0, 0, 0 };
}

void cache_mem_order_trim(struct order *order, const cache_allocator *allocator)
{
    for (int i = 0; i < 2; i++) {
        struct queue *queue = &order->queues[i];
        if (queue->items == 0)
            release_queue(queue, allocator);
        else if (queue->capacity > 2 * SMALLEST && length(queue) < queue->capacity / 4)
            (void)resize(queue, queue->capacity / 2, allocator);
    }
    if (order->queues[QUEUE_SMALL].items + order->queues[QUEUE_MAIN].items == 0)
        cache_mem_ghost_release(&order->ghost, allocator);
}

void cache_mem_order_release(struct order *order, const cache_allocator *allocator)
{
    release_queue(&order->queues[QUEUE_SMALL], allocator);
    release_queue(&order->queues[QUEUE_MAIN], allocator);
    cache_mem_ghost_release(&order->ghost, allocator);
}

size_t cache_mem_order_cost(const struct order *order)
{
    return account_block(order->queues[QUEUE_SMALL].capacity * sizeof(uint32_t))
         + account_block(order->queues[QUEUE_MAIN].capacity * sizeof(uint32_t)) + cache_mem_ghost_cost(&order->ghost);
}
