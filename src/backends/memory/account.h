/* account.h - computes how much memory a block really takes, for max_bytes.
 *
 * It follows glibc's malloc on 64 bits: a size field before each block, steps of 16, and whole pages for large blocks.
 * Other allocators differ by some bytes per block.
 *
 * Where large blocks of many sizes come and go, malloc puts small ones into the gaps and cannot join the rest again: the
 * process grows by 12 to 20 % more than the blocks have. If all large blocks have nearly one size, it is at most 8 %. So
 * a large block counts an eighth more, and the process grows by no more than max_bytes and a tenth in both cases. */
#ifndef MEMORY_ACCOUNT_H
#define MEMORY_ACCOUNT_H

#include <stddef.h>

enum { ACCOUNT_STEP = 16, ACCOUNT_SMALLEST = 32, ACCOUNT_PAGE = 4096, ACCOUNT_MAPPED = 128 * 1024,
       ACCOUNT_LARGE = 16 * 1024, ACCOUNT_GAPS = 8 };

static inline size_t account_round(size_t size, size_t step)
{
    return (size + step - 1) / step * step;
}

static inline size_t account_block(size_t size)
{
    if (size == 0)
        return 0;
    if (size >= ACCOUNT_MAPPED)
        return account_round(size + 2 * sizeof(size_t), ACCOUNT_PAGE);
    const size_t chunk = account_round(size + sizeof(size_t), ACCOUNT_STEP);
    return chunk < ACCOUNT_SMALLEST ? ACCOUNT_SMALLEST : chunk;
}

/* The same for a block that others of any size replace. A large one has its share of the gaps between them. */
static inline size_t account_changing_block(size_t size)
{
    const size_t block = account_block(size);
    return block < ACCOUNT_LARGE ? block : block + block / ACCOUNT_GAPS;
}

#endif
