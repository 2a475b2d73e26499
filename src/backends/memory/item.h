/* item.h - one entry of the memory store: key and value in one counted block, which a reader may hold on to. */
#ifndef ITEM_H
#define ITEM_H

#include "../../api.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <stdatomic.h>

enum item_queue { QUEUE_SMALL, QUEUE_MAIN };

struct item {
    cache_owner owner;                 /* first: a pinned value's owner is the item */
    const cache_allocator *allocator;
    atomic_uint references;            /* the shard's one, and one a reader */
    atomic_uchar frequency;            /* hits since it was queued, 0 to 3 */
    unsigned char queue;               /* enum item_queue */
    int64_t deadline_ms;               /* monotonic; 0: for ever */
    UT_hash_handle hh;
    struct item *newer, *older;        /* in its queue; `older` also chains the ones that leave */
    struct item *wheel_next, **wheel_at;    /* among those that expire about the same time; wheel_at NULL: in no slot */
    uint64_t hash;
    size_t key_size, size, room;       /* bytes of key and value; of the value's place, without its NUL */
    char bytes[];                      /* key, NUL, value, NUL */
};

/* A new item with one reference, whose value has room for at least `room` bytes. NULL: no memory. */
struct item *item_new(const cache_allocator *allocator, cache_bytes key, cache_bytes value, size_t room, uint64_t hash);

/* Let go of the items chained by `older`. */
void item_release_all(struct item *first);

static inline char *item_value(struct item *item)
{
    return item->bytes + item->key_size + 1;
}

/* What it counts against max_bytes: key, value and overhead. */
static inline size_t item_cost(const struct item *item)
{
    return sizeof *item + item->key_size + item->room + 2;
}

#endif
