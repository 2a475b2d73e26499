/* thread_slot.c - numbers for threads: a bit each in one word, so that a fork finds no lock held. */
#include "thread_slot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

CACHE_HOT_THREAD_LOCAL unsigned cache_thread_slot_mine = THREAD_SLOTS;

static _Atomic uint32_t taken = 1;         /* 0 is everybody's */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static atomic_bool exit_key_made;

/* What the thread wrote under its number is seen by the next one that takes it. */
static void give_back(void *slot)
{
    cache_thread_slot_mine = THREAD_SLOTS;
    atomic_fetch_and_explicit(&taken, ~(UINT32_C(1) << (uintptr_t)slot), memory_order_release);
}

static void keep_own_in_child(void)
{
    const unsigned mine = cache_thread_slot_mine;
    atomic_store(&taken, mine > 0 && mine < THREAD_SLOTS ? UINT32_C(1) | UINT32_C(1) << mine : UINT32_C(1));
}

static void prepare(void)
{
    (void)pthread_atfork(NULL, NULL, keep_own_in_child);
    atomic_store(&exit_key_made, pthread_key_create(&exit_key, give_back) == 0);
}

/* A library that is unloaded leaves no destructor behind. */
__attribute__((destructor)) static void unload(void)
{
    if (atomic_exchange(&exit_key_made, false))
        (void)pthread_key_delete(exit_key);
}

unsigned cache_thread_slot_take(void)
{
    (void)pthread_once(&once, prepare);
    uint32_t were = atomic_load_explicit(&taken, memory_order_relaxed);
    while (atomic_load(&exit_key_made) && were != UINT32_MAX) {
        const unsigned slot = (unsigned)__builtin_ctz(~were);
        if (!atomic_compare_exchange_weak_explicit(&taken, &were, were | UINT32_C(1) << slot, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        if (pthread_setspecific(exit_key, (void *)(uintptr_t)slot) == 0)
            return cache_thread_slot_mine = slot;
        atomic_fetch_and(&taken, ~(UINT32_C(1) << slot));
        break;
    }
    return cache_thread_slot_mine = 0;
}
