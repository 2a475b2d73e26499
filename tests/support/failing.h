/* failing.h - an allocator that fails at its n-th call, once or from then on, and counts the blocks that were not
 * freed. */
#ifndef FAILING_H
#define FAILING_H

#include "test.h"

struct failing {
    long until_failure;        /* how many more calls succeed */
    long out;                  /* blocks that were allocated and not freed */
    bool failed;
    bool for_good;             /* it also fails at every later call */
};

static inline bool fails(struct failing *failing)
{
    if (failing->until_failure-- == 0)
        failing->failed = true;
    return failing->failed && (failing->for_good || failing->until_failure == -1);
}

static inline void *failing_alloc(void *ctx, size_t size)
{
    struct failing *failing = ctx;
    void *block = fails(failing) ? NULL : malloc(size);
    failing->out += block != NULL;
    if (block != NULL)
        memset(block, 0xa5, size);     /* so that code that reads before it writes gets nonsense */
    return block;
}

static inline void *failing_resize(void *ctx, void *block, size_t size)
{
    struct failing *failing = ctx;
    void *resized = fails(failing) ? NULL : realloc(block, size);
    failing->out += block == NULL && resized != NULL;
    return resized;
}

static inline void failing_free(void *ctx, void *block)
{
    struct failing *failing = ctx;
    failing->out -= block != NULL;
    free(block);
}

#endif
