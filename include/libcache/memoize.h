/* libcache/memoize.h - wrap an expensive function with a macro. */
#ifndef LIBCACHE_MEMOIZE_H
#define LIBCACHE_MEMOIZE_H

#include <libcache/cache.h>

#endif
