/* pin.c - ends views, and turns pins into references. */
#include "pin.h"

static void pin_retain(cache_owner *owner)
{
    struct pin *pin = (struct pin *)(void *)owner;
    atomic_fetch_add_explicit(&pin->views, 1, memory_order_relaxed);
}

/* Any thread may call this. Once `item` is 0, the pin may be taken again, or its record freed. */
static void pin_release(cache_owner *owner)
{
    struct pin *pin = (struct pin *)(void *)owner;
    /* Only the holder of the last view could share it, and it ends the view here. */
    if (atomic_load_explicit(&pin->views, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&pin->views, 1, memory_order_acq_rel) != 1)
        return;
    const uintptr_t item = atomic_exchange_explicit(&pin->item, 0, memory_order_acq_rel);
    if (item & PIN_COUNTED) {
        cache_owner *counted = &((struct item *)(item - PIN_COUNTED))->owner;
        counted->ops->release(counted);
    }
}

const cache_owner_ops cache_mem_pin_ops = { pin_retain, pin_release };

bool cache_mem_pins_count(struct pins *pins)
{
    bool any = false;
    for (int i = 0; i < PINS; i++) {
        struct pin *pin = &pins->pins[i];
        uintptr_t word = atomic_load_explicit(&pin->item, memory_order_acquire);
        if (word != 0 && !(word & PIN_COUNTED)) {
            /* A thread that frees this item first counts all pins, and so waits for the lock that is held here. */
            struct item *item = (struct item *)word;
            item_retain(item);
            if (!atomic_compare_exchange_strong_explicit(&pin->item, &word, word | PIN_COUNTED, memory_order_acq_rel,
                                                         memory_order_acquire))
                atomic_fetch_sub_explicit(&item->references, 1, memory_order_release);    /* the view ended meanwhile */
        }
        any = any || word != 0;
    }
    return any;
}
