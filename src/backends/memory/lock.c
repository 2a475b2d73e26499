/* lock.c - waits for a lock of one word, and wakes the threads that wait. */
#define _GNU_SOURCE                    /* syscall */
#include "lock.h"

#include <errno.h>
#include <sched.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { SPINS = 40 };

/* Tells the processor that this is a spin loop. */
static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Sleep while the lock is contended. May return early. syscall(2) is no cancellation point. */
static void sleep_while_contended(struct lock *lock)
{
#ifdef SYS_futex
    const int saved = errno;
    (void)syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, LOCK_CONTENDED, NULL, NULL, 0);
    errno = saved;
#else
    (void)lock;
    sched_yield();
#endif
}

void cache_mem_lock_wait(struct lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == LOCK_FREE && lock_try(lock))
            return;
        pause_a_little();
    }
    /* A thread that slept takes the lock as contended, since others may be asleep too. */
    while (atomic_exchange_explicit(&lock->state, LOCK_CONTENDED, memory_order_acquire) != LOCK_FREE)
        sleep_while_contended(lock);
}

void cache_mem_lock_wake(struct lock *lock)
{
#ifdef SYS_futex
    const int saved = errno;
    (void)syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
#else
    (void)lock;
#endif
}
