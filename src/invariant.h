/* invariant.h - ASSERT: checks of the library's own invariants, in debug builds and under the sanitizers. A release
 * build has none. Assert only what this library alone decides: never what a caller, a store from outside, a server or a
 * file may do, since that is an error to report. */
#ifndef INVARIANT_H
#define INVARIANT_H

#ifdef LIBCACHE_ASSERT
#include <stdio.h>
#include <stdlib.h>

static inline void cache_invariant_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "libcache: %s:%d: broken invariant: %s\n", file, line, condition);
    abort();
}
#define ASSERT(condition) ((condition) ? (void)0 : cache_invariant_broken(#condition, __FILE__, __LINE__))
#else
#define ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
