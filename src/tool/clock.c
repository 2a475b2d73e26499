/* clock.c - times, random names and percentiles, for the commands that measure. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t tool_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void tool_random_name(char out[17])
{
    uint64_t bits = 0;
    FILE *random = fopen("/dev/urandom", "rb");
    if (random == NULL || fread(&bits, sizeof bits, 1, random) != 1)
        bits = tool_now_ns() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 32;
    if (random != NULL)
        (void)fclose(random);
    (void)snprintf(out, 17, "%016llx", (unsigned long long)bits);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void tool_sort(uint64_t values[], size_t n)
{
    qsort(values, n, sizeof values[0], compare);
}

uint64_t tool_percentile(const uint64_t sorted[], size_t n, double part)
{
    if (n == 0)
        return 0;
    const size_t at = (size_t)(part * (double)n);
    return sorted[at < n ? at : n - 1];
}
