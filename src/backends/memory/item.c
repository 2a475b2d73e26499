/* item.c - one entry of the memory store. */
#include "item.h"

#include <string.h>

static void item_retain(cache_owner *owner)
{
    struct item *item = (struct item *)(void *)owner;
    atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
}

static void item_release(cache_owner *owner)
{
    struct item *item = (struct item *)(void *)owner;
    if (atomic_fetch_sub_explicit(&item->references, 1, memory_order_acq_rel) == 1)
        item->allocator->free(item->allocator->ctx, item);
}

static const cache_owner_ops item_owner_ops = { item_retain, item_release };

struct item *item_new(const cache_allocator *allocator, cache_bytes key, cache_bytes value, size_t room, uint64_t hash)
{
    if (room < value.size)
        room = value.size;
    if (room > SIZE_MAX / 2)
        return NULL;
    struct item *item = allocator->alloc(allocator->ctx, sizeof *item + key.size + room + 2);
    if (item == NULL)
        return NULL;
    memset(item, 0, sizeof *item);
    item->owner.ops = &item_owner_ops;
    item->allocator = allocator;
    atomic_init(&item->references, 1);
    item->hash = hash;
    item->key_size = key.size;
    item->size = value.size;
    item->room = room;
    memcpy(item->bytes, key.data, key.size);
    item->bytes[key.size] = '\0';
    if (value.size > 0)
        memcpy(item_value(item), value.data, value.size);
    item_value(item)[value.size] = '\0';
    return item;
}

void item_release_all(struct item *first)
{
    while (first != NULL) {
        struct item *next = first->older;
        item_release(&first->owner);
        first = next;
    }
}
