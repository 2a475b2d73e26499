/* lock.h - a mutex of one word, for sections of some tens of nanoseconds.
 *
 * Each of a thousand shards has one, so it is small. Waiting for it is not a cancellation point, and a child resets it
 * after a fork. A waiter spins a little and then sleeps in futex(2). If the system has no futex, it yields. */
#ifndef MEMORY_LOCK_H
#define MEMORY_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_state { LOCK_FREE, LOCK_HELD, LOCK_CONTENDED };

struct lock {
    _Atomic uint32_t state;
};

/* Wait until the lock was taken. Defined in lock.c. */
void cache_mem_lock_wait(struct lock *lock);
void cache_mem_lock_wake(struct lock *lock);

static inline bool lock_try(struct lock *lock)
{
    uint32_t expected = LOCK_FREE;
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, LOCK_HELD, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void lock_take(struct lock *lock)
{
    if (!lock_try(lock))
        cache_mem_lock_wait(lock);
}

static inline void lock_give(struct lock *lock)
{
    if (atomic_exchange_explicit(&lock->state, LOCK_FREE, memory_order_release) == LOCK_CONTENDED)
        cache_mem_lock_wake(lock);
}

/* In the child of a fork, where no waiter is left. */
static inline void lock_reset(struct lock *lock)
{
    atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_relaxed);
}

#endif
