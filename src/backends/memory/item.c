/* item.c - allocates items, and frees them after their last view has ended. */
#include "item.h"

static struct pool *pool_of(const struct item *item)
{
    return (struct pool *)(uintptr_t)item->owner.ops;    /* ops is the first of a pool */
}

void cache_mem_item_free(struct item *item)
{
    const cache_allocator *allocator = pool_of(item)->allocator;
    allocator->free(allocator->ctx, item);
}

/* ---- references ---------------------------------------------------------------------------------------------- */

static void owner_retain(cache_owner *owner)
{
    item_retain((struct item *)(void *)owner);
}

/* The last view of an item that its store dropped frees it. */
static void owner_release(cache_owner *owner)
{
    struct item *item = (struct item *)(void *)owner;
    if (atomic_fetch_sub_explicit(&item->references, 1, memory_order_acq_rel) == 1) {
        struct pool *pool = pool_of(item);
        cache_mem_item_free(item);
        cache_mem_pool_release(pool);
    }
}

void cache_mem_item_drop(struct item *item)
{
    struct pool *pool = pool_of(item);
    if (atomic_load_explicit(&item->references, memory_order_acquire) == 1) {
        cache_mem_item_free(item);     /* no reader can find it, so nobody takes another reference */
        return;
    }
    /* The pool is retained before the reference is dropped, since the last view may end at once. */
    atomic_fetch_add_explicit(&pool->users, 1, memory_order_relaxed);
    owner_release(&item->owner);
}

struct pool *cache_mem_pool_new(const cache_allocator *allocator)
{
    struct pool *pool = allocator->alloc(allocator->ctx, sizeof *pool);
    if (pool != NULL) {
        pool->ops = (cache_owner_ops){ owner_retain, owner_release };
        pool->allocator = allocator;
        atomic_init(&pool->users, 1);
    }
    return pool;
}

void cache_mem_pool_release(struct pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->users, 1, memory_order_acq_rel) == 1)
        pool->allocator->free(pool->allocator->ctx, pool);
}

/* ---- making one ---------------------------------------------------------------------------------------------- */

static struct item *make(struct pool *pool, uint32_t hash, cache_bytes key, size_t value_size, unsigned flags)
{
    struct item *item = pool->allocator->alloc(pool->allocator->ctx, item_block_size(key.size, value_size));
    if (item == NULL)
        return NULL;
    item->owner.ops = &pool->ops;
    atomic_init(&item->life, (uint64_t)key.size << LIFE_KEY_SHIFT | flags);
    item->size = (uint32_t)value_size;
    atomic_init(&item->references, 1);
    item->hash = hash;
    memset(item->place, 0, sizeof item->place);
    atomic_init(&item->frequency, 0);
    char *own_key = item->bytes + item_key_offset(value_size);
    memcpy(own_key, key.data, key.size);
    own_key[key.size] = '\0';
    item_value(item)[value_size] = '\0';
    return item;
}

struct item *cache_mem_item_new(struct pool *pool, uint32_t hash, cache_bytes key, cache_bytes value)
{
    struct item *item = make(pool, hash, key, value.size, 0);
    if (item != NULL && value.size > 0)
        memcpy(item_value(item), value.data, value.size);
    return item;
}

struct item *cache_mem_counter_new(struct pool *pool, uint32_t hash, cache_bytes key, int64_t number)
{
    struct item *item = make(pool, hash, key, sizeof number, LIFE_COUNTER);
    if (item != NULL)
        atomic_init((_Atomic int64_t *)(void *)item->bytes, number);
    return item;
}
