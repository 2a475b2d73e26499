/* front_hearing.h - what a front has heard of its store's changes, and whether it may serve a value by that.
 *
 * A read must know the time: how long ago the last check was, and how long ago the store was heard. The clock would be
 * a third of the cost of a hit. Where the processor has a counter that the kernel trusts, a read looks at that: for
 * `check_ns` after a check that heard the store, the memory may serve. */
#ifndef FRONT_HEARING_H
#define FRONT_HEARING_H

#include "front_memory.h"
#include "layer.h"
#include "ticks.h"

struct front_hearing {
    const struct cache_layer *layer;
    struct front_memory *memory;       /* from which changed keys are dropped */
    uint64_t lag_ns, check_ns;
    /* The next two are nanoseconds of a clock that also runs while the machine is suspended. */
    atomic_uint_fast64_t heard;        /* all changes before this time are handled; 0: nothing is known */
    atomic_uint_fast64_t checked;      /* time of the last check */
    /* From `open_from` on the memory may serve for `check_ticks`. Both are ticks of the processor. If check_ticks is 0,
     * it is not known how long a tick is. */
    atomic_uint_fast64_t open_from, check_ticks;
    pthread_mutex_t check_lock;        /* held by the thread that checks; guards the rest */
    int64_t asleep_ms;                 /* how long the machine was suspended, as far as the last check knew */
    bool counts_ticks;
    struct cache_tick_rate rate;
};

/* `layer` and `memory` must stay. The store must have `changes`. */
void cache_front_hearing_init(struct front_hearing *hearing, const struct cache_layer *layer,
                              struct front_memory *memory, uint64_t lag_ns, uint64_t check_ns);
void cache_front_hearing_release(struct front_hearing *hearing);

/* Call this in the child of a fork before anything else: nothing is known there. */
void cache_front_hearing_restart(struct front_hearing *hearing);

/* Returns how many milliseconds ago the store was heard last, or 0 if nothing is known. */
uint64_t cache_front_heard_ago_ms(struct front_hearing *hearing);

/* Handles changes if it is time. Returns true if the memory may serve. */
bool cache_front_is_open_by_clock(struct front_hearing *hearing);

/* The same. Most calls do not look at the clock. */
static inline bool cache_front_is_open(struct front_hearing *hearing)
{
    const uint64_t span = atomic_load_explicit(&hearing->check_ticks, memory_order_relaxed);
    if (span != 0 && cache_ticks() - atomic_load_explicit(&hearing->open_from, memory_order_acquire) < span)
        return true;
    return cache_front_is_open_by_clock(hearing);
}

/* Returns true if a value that is read now may be kept, since later changes will be reported. */
static inline bool cache_front_may_keep(const struct front_hearing *hearing)
{
    return atomic_load_explicit(&hearing->heard, memory_order_acquire) != 0;
}

#endif
