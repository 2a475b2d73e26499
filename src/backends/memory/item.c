/* item.c - one entry of the memory store. */
#include "item.h"

#include <string.h>

void item_retain(struct item *item)
{
    atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
}

void item_release(struct item *item)
{
    if (atomic_fetch_sub_explicit(&item->references, 1, memory_order_acq_rel) == 1)
        item->allocator->free(item->allocator->ctx, item);
}

static struct item *item_of(cache_owner *owner)
{
    return (struct item *)(void *)((char *)owner - offsetof(struct item, owner));
}

static void owner_retain(cache_owner *owner)
{
    item_retain(item_of(owner));
}

static void owner_release(cache_owner *owner)
{
    item_release(item_of(owner));
}

static const cache_owner_ops item_owner_ops = { owner_retain, owner_release };

struct item *item_new(const cache_allocator *allocator, cache_bytes key, cache_bytes value, unsigned char slack)
{
    if (value.size > SIZE_MAX / 2)
        return NULL;
    struct item *item = allocator->alloc(allocator->ctx, item_block_size(key.size, value.size + slack));
    if (item == NULL)
        return NULL;
    memset(item, 0, offsetof(struct item, bytes));
    item->owner.ops = &item_owner_ops;
    item->allocator = allocator;
    atomic_init(&item->references, 1);
    item->hh.key = item->bytes;
    item->hh.keylen = (unsigned)key.size;
    item->size = value.size;
    item->slack = slack;
    memcpy(item->bytes, key.data, key.size);
    item->bytes[key.size] = '\0';
    memcpy(item_value(item), value.data, value.size);
    item_value(item)[value.size] = '\0';
    return item;
}

bool item_overwrite(struct item *item, cache_bytes value)
{
    const size_t room = item->size + item->slack;
    if (value.size > room || room - value.size > ITEM_MAX_SLACK)
        return false;
    memcpy(item_value(item), value.data, value.size);
    item_value(item)[value.size] = '\0';
    item->size = value.size;
    item->slack = (unsigned char)(room - value.size);
    return true;
}

void item_release_all(struct item *first)
{
    while (first != NULL) {
        struct item *next = item_next(first);
        item_release(first);
        first = next;
    }
}
