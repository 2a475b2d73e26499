/* item.h - one entry of the memory store: key and value in one counted block, which a reader may hold on to. */
#ifndef ITEM_H
#define ITEM_H

#include "../../api.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>

enum item_queue { QUEUE_SMALL, QUEUE_MAIN };

/* A million items lie in no cache of the processor, so a hit costs what it waits for memory. Hence one block, and its
 * fields in the order of who needs them: first what only inserting and removing touch, which ends within uthash's
 * handle; from there (hh_next, key, keylen, hashv) what a hit reads, in 64 bytes; then key and value without a gap. The
 * value's lines are known with the item's address, so that the processor fetches them together with the rest. */
struct item {
    struct item *wheel_next, **wheel_at;    /* among those that expire about the same time; wheel_at NULL: in no slot */
    UT_hash_handle hh;                 /* key and keylen are the item's; prev and next its place in a queue (shard.c) */
    cache_owner owner;                 /* of a pinned value */
    const cache_allocator *allocator;
    int64_t deadline_ms;               /* monotonic; 0: for ever */
    size_t size;                       /* bytes of the value, without its NUL */
    atomic_uint references;            /* the shard's one, and one a reader */
    atomic_uchar frequency;            /* hits since it was queued, 0 to 3 */
    unsigned char queue;               /* enum item_queue */
    unsigned char slack;               /* bytes of room behind the value */
    char bytes[];                      /* key, NUL, value, NUL, slack */
};

enum { ITEM_MAX_SLACK = UCHAR_MAX };

/* A new item with one reference and `slack` bytes of room behind its value. NULL: no memory. */
struct item *item_new(const cache_allocator *allocator, cache_bytes key, cache_bytes value, unsigned char slack);

/* Another reference; let go of one. */
void item_retain(struct item *item);
void item_release(struct item *item);

/* Items that left their shard are chained by uthash's `next`, of which they have no more use. */
static inline struct item *item_next(const struct item *item)
{
    return item->hh.next;
}

static inline void item_chain(struct item **chain, struct item *item)
{
    item->hh.next = *chain;
    *chain = item;
}

void item_release_all(struct item *first);

static inline cache_bytes item_key(const struct item *item)
{
    return (cache_bytes){ item->bytes, item->hh.keylen };
}

static inline char *item_value(struct item *item)
{
    return item->bytes + item->hh.keylen + 1;
}

/* Write another value in the place of the old one, if it fits there and leaves no great hole. Nobody else may be
 * reading. */
bool item_overwrite(struct item *item, cache_bytes value);

/* The block of an item: two NULs, and what stands before key and value. */
static inline size_t item_block_size(size_t key_size, size_t room)
{
    return offsetof(struct item, bytes) + key_size + room + 2;
}

/* An item's part of the index, two or three buckets of 16 bytes, and of what malloc needs for itself. */
enum { ITEM_SHARE = 48 };

/* What an item counts against max_bytes: key, value and overhead, as much as the process grows by it. */
static inline size_t item_cost_of(size_t key_size, size_t room)
{
    return item_block_size(key_size, room) + ITEM_SHARE;
}

static inline size_t item_cost(const struct item *item)
{
    return item_cost_of(item->hh.keylen, item->size + item->slack);
}

#endif
