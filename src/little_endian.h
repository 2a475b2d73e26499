/* little_endian.h - reads numbers in stored formats. Compilers turn each of these expressions into one load. */
#ifndef LITTLE_ENDIAN_H
#define LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint16_t little_16(const void *from)
{
    const unsigned char *at = from;
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t little_32(const void *from)
{
    const unsigned char *at = from;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t little_64(const void *from)
{
    const unsigned char *at = from;
    return little_32(at) | (uint64_t)little_32(at + 4) << 32;
}

#endif
