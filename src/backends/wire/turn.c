/* turn.c - uses a futex if the system has one. A thread that a condition variable wakes would first wait for its lock,
 * which the other thread still holds. syscall needs _GNU_SOURCE. */
#define _GNU_SOURCE
#include "turn.h"

#include "../../hooks.h"

#include <time.h>

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

#ifdef __linux__

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void cache_turn_init(struct cache_turn *turn)
{
    atomic_init(&turn->value, 0);
}

void cache_turn_destroy(struct cache_turn *turn)
{
    (void)turn;
}

unsigned cache_turn_wait(struct cache_turn *turn, uint64_t until)
{
    const struct timespec at = timespec_of(until);
    unsigned value;
    while ((value = atomic_load(&turn->value)) == 0 && cache_now_ns() < until)
        (void)syscall(SYS_futex, &turn->value, FUTEX_WAIT_BITSET_PRIVATE, 0, &at, NULL, FUTEX_BITSET_MATCH_ANY);
    return value;
}

/* The memory may not be a turn any more when it is woken. A thread that waits there now wakes once too often, which
 * does no harm. */
void cache_turn_say(struct cache_turn *turn, unsigned value)
{
    atomic_store(&turn->value, value);
    (void)syscall(SYS_futex, &turn->value, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#else

void cache_turn_init(struct cache_turn *turn)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&turn->lock, NULL);
    pthread_cond_init(&turn->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&turn->value, 0);
}

void cache_turn_destroy(struct cache_turn *turn)
{
    pthread_cond_destroy(&turn->changed);
    pthread_mutex_destroy(&turn->lock);
}

unsigned cache_turn_wait(struct cache_turn *turn, uint64_t until)
{
    const struct timespec at = timespec_of(until);
    pthread_mutex_lock(&turn->lock);
    while (atomic_load(&turn->value) == 0 && cache_now_ns() < until)
        (void)pthread_cond_timedwait(&turn->changed, &turn->lock, &at);
    const unsigned value = atomic_load(&turn->value);
    pthread_mutex_unlock(&turn->lock);
    return value;
}

/* The lock is held, so the turn exists until the lock is released. */
void cache_turn_say(struct cache_turn *turn, unsigned value)
{
    pthread_mutex_lock(&turn->lock);
    atomic_store(&turn->value, value);
    pthread_cond_signal(&turn->changed);
    pthread_mutex_unlock(&turn->lock);
}

#endif
