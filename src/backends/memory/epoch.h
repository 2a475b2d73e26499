/* epoch.h - finds out when no thread reads a block any more (epoch-based reclamation). A reader announces itself by a
 * plain store into a record of its thread. A writer that wants to free memory asks the kernel to put a memory barrier
 * into every running thread (membarrier(2)), once for hundreds of blocks, and then checks all records.
 *
 * If a block was unlinked before cache_mem_epoch_advance() returned `epoch`, no reader that enters later can reach it.
 * Once cache_mem_epoch_passed(epoch) returns true, no reader at all can. If the kernel refuses membarrier, readers put
 * in the barrier themselves; so they do under ThreadSanitizer, which does not know membarrier. */
#ifndef MEMORY_EPOCH_H
#define MEMORY_EPOCH_H

#include "../../thread_slot.h"
#include "pin.h"

#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
#define EPOCH_ALWAYS_FENCE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EPOCH_ALWAYS_FENCE 1
#endif
#endif
#ifndef EPOCH_ALWAYS_FENCE
#define EPOCH_ALWAYS_FENCE 0
#endif

/* The announcement and the pins of a thread. They share no cache line with other data. */
struct reader {
    _Alignas(128) _Atomic uint64_t epoch;    /* 0: not reading */
    struct reader *next, **at;
    struct pins pins;
};

/* The current epoch of the process, which starts at 1, and whether readers need a barrier. */
struct epoch {
    _Alignas(128) _Atomic uint64_t now;
    atomic_bool fence;
};

extern struct epoch cache_mem_epoch;
extern CACHE_HOT_THREAD_LOCAL struct reader *cache_mem_reader;

/* Prepares the process. Each open calls this. */
void cache_mem_epoch_init(void);

/* Returns a new record for this thread; or NULL if there is no memory, and the thread must read with the writers' lock
 * held. */
struct reader *cache_mem_reader_join(void);

/* Begins to read: items of the index stay valid until epoch_leave. User code must not run in between. */
static inline struct reader *epoch_enter(void)
{
    struct reader *reader = cache_mem_reader;
    if (__builtin_expect(reader == NULL, 0) && (reader = cache_mem_reader_join()) == NULL)
        return NULL;
    const uint64_t now = atomic_load_explicit(&cache_mem_epoch.now, memory_order_acquire);
    if (EPOCH_ALWAYS_FENCE || __builtin_expect(atomic_load_explicit(&cache_mem_epoch.fence, memory_order_relaxed), 0))
        (void)atomic_exchange_explicit(&reader->epoch, now, memory_order_seq_cst);
    else {
        atomic_store_explicit(&reader->epoch, now, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    }
    return reader;
}

static inline void epoch_leave(struct reader *reader)
{
    atomic_store_explicit(&reader->epoch, 0, memory_order_release);
}

/* Begins a new epoch and returns it. */
uint64_t cache_mem_epoch_advance(void);

/* Returns true if no reader is left that entered before `epoch` began. Then the views that they took count as
 * references of their items. */
bool cache_mem_epoch_passed(uint64_t epoch);

/* Turns all views into references, before a store is closed. */
void cache_mem_epoch_count_pins(void);

/* Waits until the epoch has passed. Must not be called while reading. */
void cache_mem_epoch_wait(uint64_t epoch);

/* Called around a fork, so that no thread joins or leaves during it. The child keeps only its own thread. */
void cache_mem_epoch_before_fork(void);
void cache_mem_epoch_after_fork(bool in_child);

#endif
