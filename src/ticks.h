/* ticks.h - the processor's own counter of time, where it is as steady as a clock and costs half of one. */
#ifndef TICKS_H
#define TICKS_H

#include <stdbool.h>
#include <stdint.h>

/* Returns true if the kernel itself tells the time by this counter, so that it advances evenly and agrees on all
 * processors. Reads a file. */
bool cache_ticks_are_steady(void);

/* Returns the counter. It has no unit, and may start again when a machine wakes up. */
static inline uint64_t cache_ticks(void)
{
#ifdef __x86_64__
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

/* How long a tick is. Zero it before the first use. */
struct cache_tick_rate {
    uint64_t ticks, ns;                /* the last moment that was measured */
    double per_ns;                     /* in the span that ended then */
};

/* Measures how long a tick is. Returns false if too little time has passed since the last measurement. Sets `*per_ns`
 * to the ticks in a nanosecond, or to 0 if this span and the last one differ: the length of a tick may change when a
 * machine wakes up or is moved to another host. */
bool cache_tick_rate_measure(struct cache_tick_rate *rate, double *per_ns);

#endif
