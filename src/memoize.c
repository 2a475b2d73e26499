/* memoize.c - the keys of memoized functions. */
#include "handle.h"
