/* times.h - reads seconds of the monotonic clock, and pauses between two checks of a condition. */
#ifndef TEST_TIMES_H
#define TEST_TIMES_H

#include <time.h>

static inline double test_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void test_pause_ms(long ms)
{
    (void)nanosleep(&(const struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

#endif
