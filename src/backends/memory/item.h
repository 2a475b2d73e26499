/* item.h - one entry of the memory store: a header, the value and the key in one block.
 *
 *      0        8       16      20            24     28      31     32
 *     | owner  | life  | size  | references  | hash | place | hits | value | NUL | key | NUL |          small value
 *     |                                                            | key | NUL | padding | value | NUL | large value
 *
 * An item never changes once it is in the index, so readers need no lock: a set replaces it by another item. The
 * exceptions are single atomic words: the deadline, the number of hits, the references and a counter's number. The
 * value has the alignment of malloc. The key follows a small value, so that it needs no padding, and precedes a large
 * one, so that comparing it does not read memory far away. */
#ifndef MEMORY_ITEM_H
#define MEMORY_ITEM_H

#include "../../api.h"
#include "account.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

/* The data that all items of a store share. It outlives the store while values are pinned. The owner of an item points
 * to `ops`, so an item needs no pointer to the allocator. */
struct pool {
    cache_owner_ops ops;
    const cache_allocator *allocator;
    atomic_size_t users;               /* the store, and each item that it dropped while views existed */
};

struct item {
    cache_owner owner;                 /* of a pinned value; owner.ops is the pool's */
    _Atomic uint64_t life;             /* deadline, key size and flags: see below */
    uint32_t size;                     /* bytes of the value, without its NUL */
    atomic_uint references;            /* the store's, and one for each view */
    uint32_t hash;                     /* this and the rest need the writer's lock */
    uint8_t place[3];                  /* its position in its queue (queue.h) */
    atomic_uchar frequency;            /* hits since it was queued, up to ITEM_MAX_FREQUENCY */
    _Alignas(max_align_t) char bytes[];
};

/* `life`: 48 bits of deadline in milliseconds of the monotonic clock (0: for ever), 13 of key size, 3 of flags. */
enum { LIFE_DEADLINE_SHIFT = 16, LIFE_KEY_SHIFT = 3, LIFE_KEY_MASK = 0x1fff, LIFE_COUNTER = 1, ITEM_MAX_FREQUENCY = 3 };
#define ITEM_MAX_DEADLINE ((INT64_C(1) << 47) - 1)
#define ITEM_MAX_VALUE ((size_t)UINT32_MAX - 8192)

_Static_assert(CACHE_MAX_INTERNAL_KEY + CACHE_MAX_STORED_PREFIX <= LIFE_KEY_MASK, "a key's size fits into its bits");

static inline uint64_t item_life(const struct item *item)
{
    return atomic_load_explicit(&item->life, memory_order_relaxed);
}

static inline size_t life_key_size(uint64_t life)
{
    return (life >> LIFE_KEY_SHIFT) & LIFE_KEY_MASK;
}

static inline int64_t life_deadline(uint64_t life)
{
    return (int64_t)life >> LIFE_DEADLINE_SHIFT;    /* keeps the sign: the clock of a test may be negative */
}

static inline size_t item_key_size(const struct item *item)
{
    return life_key_size(item_life(item));
}

static inline int64_t item_deadline(const struct item *item)
{
    return life_deadline(item_life(item));
}

/* Called with the writer's lock held. */
static inline void item_set_deadline(struct item *item, int64_t deadline_ms)
{
    const uint64_t kept = item_life(item) & ((UINT64_C(1) << LIFE_DEADLINE_SHIFT) - 1);
    const int64_t deadline = deadline_ms > ITEM_MAX_DEADLINE ? ITEM_MAX_DEADLINE : deadline_ms;
    atomic_store_explicit(&item->life, (uint64_t)deadline << LIFE_DEADLINE_SHIFT | kept, memory_order_relaxed);
}

enum { ITEM_SMALL = 128, ITEM_ALIGNMENT = _Alignof(max_align_t) };

/* Return the offsets of key and value in `bytes`. */
static inline size_t item_key_offset(size_t value_size)
{
    return value_size <= ITEM_SMALL ? value_size + 1 : 0;
}

static inline size_t item_value_offset(size_t key_size, size_t value_size)
{
    return value_size <= ITEM_SMALL ? 0 : account_round(key_size + 1, ITEM_ALIGNMENT);
}

static inline cache_bytes item_key(const struct item *item)
{
    return (cache_bytes){ item->bytes + item_key_offset(item->size), item_key_size(item) };
}

static inline char *item_value(struct item *item)
{
    return item->bytes + item_value_offset(item_key_size(item), item->size);
}

/* The same as memcmp() == 0, but inline for usual keys: compares words of eight bytes, of which the last may
 * overlap. */
static inline bool same_bytes(const char *a, const char *b, size_t size)
{
    uint64_t x, y;
    if (size < sizeof x)
        return memcmp(a, b, size) == 0;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (x != y)
        return false;
    for (size_t i = sizeof x; __builtin_expect(i + sizeof x < size, 0); i += sizeof x) {
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        if (x != y)
            return false;
    }
    memcpy(&x, a + size - sizeof x, sizeof x);
    memcpy(&y, b + size - sizeof y, sizeof y);
    return x == y;
}

static inline bool item_has_key(const struct item *item, uint32_t hash, cache_bytes key)
{
    return item->hash == hash && item_key_size(item) == key.size
        && same_bytes(item->bytes + item_key_offset(item->size), key.data, key.size);
}

static inline bool item_begins(const struct item *item, cache_bytes prefix)
{
    const cache_bytes key = item_key(item);
    return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

/* Returns true for a counter. Its value is an int64_t at the start of `bytes`, which changes in place. */
static inline bool life_is_counter(uint64_t life)
{
    return (life & LIFE_COUNTER) != 0;
}

static inline bool item_is_counter(const struct item *item)
{
    return life_is_counter(item_life(item));
}

static inline int64_t item_number(struct item *item)
{
    return atomic_load_explicit((_Atomic int64_t *)(void *)item->bytes, memory_order_relaxed);
}

static inline void item_set_number(struct item *item, int64_t number)
{
    atomic_store_explicit((_Atomic int64_t *)(void *)item->bytes, number, memory_order_relaxed);
}

/* Counts a hit. At the limit nothing is written, so that the cache line of a hot item stays shared between cores. */
static inline void item_count_hit(struct item *item)
{
    const unsigned char frequency = atomic_load_explicit(&item->frequency, memory_order_relaxed);
    if (frequency < ITEM_MAX_FREQUENCY)
        atomic_store_explicit(&item->frequency, (unsigned char)(frequency + 1), memory_order_relaxed);
}

static inline size_t item_block_size(size_t key_size, size_t value_size)
{
    const size_t padded = value_size <= ITEM_SMALL ? key_size + 1 : item_value_offset(key_size, value_size);
    return offsetof(struct item, bytes) + padded + value_size + 1;
}

/* Return the bytes that an item counts for max_bytes. */
static inline size_t item_cost_of(size_t key_size, size_t value_size)
{
    return account_changing_block(item_block_size(key_size, value_size));
}

static inline size_t item_cost(const struct item *item)
{
    return item_cost_of(item_key_size(item), item->size);
}

/* Returns a new item with one reference for the store, or NULL if there is no memory. */
struct item *cache_mem_item_new(struct pool *pool, uint32_t hash, cache_bytes key, cache_bytes value);

/* The same, for a counter with the value `number`. */
struct item *cache_mem_counter_new(struct pool *pool, uint32_t hash, cache_bytes key, int64_t number);

static inline void item_retain(struct item *item)
{
    atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
}

/* Drops the store's reference. No reader must be able to find the item any more. */
void cache_mem_item_drop(struct item *item);

/* Frees an item that was never in the index. */
void cache_mem_item_free(struct item *item);

/* Returns a pool with the store as its user, or NULL. */
struct pool *cache_mem_pool_new(const cache_allocator *allocator);
void cache_mem_pool_release(struct pool *pool);

#endif
