/* clock.c - the clocks of the process, which a disturbance moves. */
#define _GNU_SOURCE                    /* syscall */
#include "disturb.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long slept, forward;     /* seconds */

/* In place of the C library's, for the library under test, too. CLOCK_MONOTONIC stands still while a machine sleeps. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    const long status = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += atomic_load(&slept);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += atomic_load(&forward);
    return (int)status;
}

void soak_clock_sleep(long seconds)
{
    atomic_fetch_add(&slept, seconds);
}

void soak_clock_set_forward(long seconds)
{
    atomic_fetch_add(&forward, seconds);
}

void soak_pause_ms(long ms)
{
    nanosleep(&(const struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}
