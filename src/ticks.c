/* ticks.c - how far the processor's counter can be relied on. */
#include "ticks.h"

#include "hooks.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SPAN_NS = 10000000, AT_ONCE_TICKS = 10000 };

bool cache_ticks_are_steady(void)
{
#ifdef __x86_64__
    /* The kernel compares the counters of all processors, and takes another source if they differ. */
    char source[8] = "";
    const int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t n = read(fd, source, sizeof source - 1);
    (void)close(fd);
    return n == 4 && strcmp(source, "tsc\n") == 0;
#else
    return false;
#endif
}

bool cache_tick_rate_measure(struct cache_tick_rate *rate, double *per_ns)
{
    const uint64_t ticks = cache_ticks(), now = cache_now_ns();
    if (now - rate->ns < SPAN_NS || cache_ticks() - ticks > AT_ONCE_TICKS)    /* the thread was interrupted */
        return false;
    const double last = rate->per_ns;
    *rate = (struct cache_tick_rate){ ticks, now, (double)(int64_t)(ticks - rate->ticks) / (double)(now - rate->ns) };
    const bool is_same = rate->per_ns > 0 && rate->per_ns > last * 0.99 && rate->per_ns < last * 1.01;
    *per_ns = is_same ? rate->per_ns : 0;
    return true;
}
