/* epoch.h - when is nobody reading any more? Readers announce themselves by a plain store into a record of their own
 * thread; a writer that wants to free memory asks the kernel, once for hundreds of blocks, to put a memory barrier
 * into every running thread (membarrier(2)), and looks at all records.
 *
 * What was unlinked before cache_mem_epoch_advance() returned `epoch` is unreachable for each reader that enters
 * afterwards; once cache_mem_epoch_passed(epoch), for all of them. Where the kernel refuses membarrier, and under
 * ThreadSanitizer, which does not know it, readers put in the barrier themselves. */
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

/* A thread's announcement and its pins, alone on its cache lines. */
struct reader {
    _Alignas(128) _Atomic uint64_t epoch;    /* 0: not reading */
    struct reader *next, **at;
    struct pins pins;
};

/* Of the whole process: the present epoch, from 1, and whether readers need a barrier. */
struct epoch {
    _Alignas(128) _Atomic uint64_t now;
    atomic_bool fence;
};

extern struct epoch cache_mem_epoch;
extern CACHE_HOT_THREAD_LOCAL struct reader *cache_mem_reader;

/* Prepare the process. Called by each open. */
void cache_mem_epoch_init(void);

/* Give this thread a record. Returns NULL for lack of memory: then it reads with the writers' lock held. */
struct reader *cache_mem_reader_join(void);

/* Begin to read: what is found in the index stays valid until epoch_leave. No user code in between. */
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

/* Begin a new epoch: see above. */
uint64_t cache_mem_epoch_advance(void);

/* Returns true if no reader is left that entered before `epoch` began. Then the views that they took count as
 * references of their items. */
bool cache_mem_epoch_passed(uint64_t epoch);

/* Make references of all views, of a store that is about to close. */
void cache_mem_epoch_count_pins(void);

/* Wait until then. Not while reading. */
void cache_mem_epoch_wait(uint64_t epoch);

/* Around a fork: no thread joins or leaves, and a child has its own thread alone. */
void cache_mem_epoch_before_fork(void);
void cache_mem_epoch_after_fork(bool in_child);

#endif
