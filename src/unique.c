/* unique.c - makes ids that are never repeated, and random numbers that need not be secret. */
#define _DEFAULT_SOURCE    /* getentropy */
#include "unique.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* splitmix64: distributes any difference over all 64 bits. Steele, Lea and Flood, 2014. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t wall_ns(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t cache_unique_bits(void)
{
    static atomic_uint_fast64_t calls;
    uint64_t bits = 0;
    if (getentropy(&bits, sizeof bits) != 0)    /* without it, use values that differ between processes and calls */
        bits = mix((uint64_t)getpid()) ^ mix(wall_ns() + atomic_fetch_add(&calls, 1));
    return bits;
}

static void put_hex(char *out, uint64_t number)
{
    for (int i = 15; i >= 0; i--, number >>= 4)
        out[i] = "0123456789abcdef"[number & 15];
}

void cache_unique_make(char out[UNIQUE_SIZE])
{
    put_hex(out, wall_ns());
    put_hex(out + 16, cache_unique_bits());
}

uint64_t cache_unique_quick(void)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        state = cache_unique_bits();
    state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(state) | 1;
}

double cache_unique_fraction(void)
{
    return (double)((cache_unique_quick() >> 11) + 1) / 9007199254740992.0;    /* 2^53 */
}
