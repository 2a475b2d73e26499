/* unique.h - makes ids that are never repeated, and random numbers that need not be secret. */
#ifndef UNIQUE_H
#define UNIQUE_H

#include "api.h"

/* An id's hexadecimal digits: 64 bits of the wall clock's nanoseconds, 64 random ones. */
#define UNIQUE_SIZE 32

/* Another id at each call, in every process, after a fork and after a reboot. No NUL is added. */
void cache_unique_make(char out[UNIQUE_SIZE]);

/* 64 random bits. Any thread. */
uint64_t cache_unique_bits(void);

/* 64 bits that differ from those of other calls, though not after a fork; cheap. Never 0. Any thread. */
uint64_t cache_unique_quick(void);

/* Above 0, at most 1, evenly. Any thread. */
double cache_unique_fraction(void);

#endif
