/* queue.h - a shard's order of eviction: S3-FIFO's two queues, as rings of hashes.
 *
 * The order is that of Yang, Zhang, Qiu, Yue and Rashmi, "FIFO Queues Are All You Need for Cache Eviction" (SOSP
 * 2023). New items enter a small queue. Items that are hit there pass on to the main queue. The others leave early, and
 * a ghost remembers them. A hit moves nothing and is only counted.
 *
 * A ring costs four bytes per item. The item knows its position, so an entry whose item was removed or moved is
 * recognized when its turn comes. A replaced item passes its position on. Only stores with a limit have queues. */
#ifndef MEMORY_QUEUE_H
#define MEMORY_QUEUE_H

#include "ghost.h"
#include "index.h"

enum queue_name { QUEUE_SMALL, QUEUE_MAIN };

struct queue {
    uint32_t *hashes;
    uint32_t capacity;                 /* a power of two, or 0 */
    uint32_t head, tail;               /* positions of the oldest entry and after the newest; they only grow */
    uint32_t items;                    /* entries that have an item */
};

struct order {
    struct queue queues[2];            /* by enum queue_name */
    struct ghost ghost;
    size_t accounted;                  /* their part of the store's sum of bytes */
};

/* An item's place: 23 bits of its position, and the queue. */
enum { PLACE_QUEUE_SHIFT = 23, PLACE_POSITION_MASK = (1 << PLACE_QUEUE_SHIFT) - 1 };

static inline uint32_t item_place(const struct item *item)
{
    return item->place[0] | (uint32_t)item->place[1] << 8 | (uint32_t)item->place[2] << 16;
}

static inline enum queue_name item_queue(const struct item *item)
{
    return (enum queue_name)(item->place[2] >> 7);
}

/* All functions below need the shard's lock. */

/* Reserves one more entry in both queues. Returns false and changes nothing if there is no memory. */
bool cache_mem_order_reserve(struct order *order, table_word table, const cache_allocator *allocator);

/* Adds a new item. An entry must have been reserved. */
void cache_mem_order_add(struct order *order, struct item *item);

/* Call this before `item` leaves the index. */
void cache_mem_order_remove(struct order *order, const struct item *item);

/* Gives the position and the hits of `old` to `item`. */
void cache_mem_order_replace(struct item *item, struct item *old);

/* Returns the item to evict next, which the caller removes. Returns NULL if there is none except `keep`. */
struct item *cache_mem_order_victim(struct order *order, table_word table, const struct item *keep,
                                    const cache_allocator *allocator);

/* Remembers that `item` is evicted. */
void cache_mem_order_evicted(struct order *order, const struct item *item, const cache_allocator *allocator);

/* Frees memory if there are few items. */
void cache_mem_order_trim(struct order *order, const cache_allocator *allocator);

size_t cache_mem_order_cost(const struct order *order);
void cache_mem_order_release(struct order *order, const cache_allocator *allocator);

#endif
