/* pin.h - views that need no shared count: a thread notes the item of a view in its own record.
 *
 * All threads may hold views of one item, and each writes only to its own cache line. The owner of a view is its pin.
 * Before a writer frees items that are not in the index any more, it turns each used pin into a reference, with the
 * lock of all records held (cache_mem_pins_count). So an item with pins has references when its store drops it, and the
 * last view frees it. */
#ifndef MEMORY_PIN_H
#define MEMORY_PIN_H

#include "item.h"

enum { PINS = 8, PIN_COUNTED = 1 };

struct pin {
    cache_owner owner;
    _Atomic uintptr_t item;            /* 0: free; with PIN_COUNTED, the item has a reference for this pin */
    atomic_uint views;                 /* how many views share it */
};

struct pins {
    struct pin pins[PINS];
    unsigned next;                     /* the first pin to try for a new view */
};

extern const cache_owner_ops cache_mem_pin_ops;

static inline void pins_init(struct pins *pins)
{
    memset(pins, 0, sizeof *pins);
    for (int i = 0; i < PINS; i++)
        pins->pins[i].owner.ops = &cache_mem_pin_ops;
}

/* Called by the thread of the record, while it reads. Returns the owner of a new view of `item`. */
static inline cache_owner *pins_take(struct pins *pins, struct item *item)
{
    for (unsigned tried = 0; tried < PINS; tried++) {
        struct pin *pin = &pins->pins[pins->next];
        if (__builtin_expect(atomic_load_explicit(&pin->item, memory_order_acquire) == 0, 1)) {
            atomic_store_explicit(&pin->views, 1, memory_order_relaxed);
            atomic_store_explicit(&pin->item, (uintptr_t)item, memory_order_release);
            return &pin->owner;
        }
        pins->next = (pins->next + 1) % PINS;
    }
    item_retain(item);                 /* no pin is free, so this view is a reference from the start */
    return &item->owner;
}

/* Called with the lock of all records held. Turns the used pins into references. Returns true if there are any. */
bool cache_mem_pins_count(struct pins *pins);

#endif
