/* unique.h - makes ids that are never repeated, and random numbers that need not be secret. */
#ifndef UNIQUE_H
#define UNIQUE_H

#include "api.h"

/* An id has 32 hexadecimal digits: 64 bits of the wall clock's nanoseconds, and 64 random bits. */
#define UNIQUE_SIZE 32

/* Makes an id that differs at each call, in every process, after a fork and after a reboot. No NUL is added. */
void cache_unique_make(char out[UNIQUE_SIZE]);

/* Returns 64 random bits. Any thread may call it. */
uint64_t cache_unique_bits(void);

/* Returns 64 bits that differ at each call, but not after a fork. It is cheap, and never returns 0. Any thread may call
 * it. */
uint64_t cache_unique_quick(void);

/* Returns a random number above 0 and at most 1, evenly distributed. Any thread may call it. */
double cache_unique_fraction(void);

#endif
