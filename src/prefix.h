/* prefix.h - defines how a prefix is stored, so that no two prefixes share a key. */
#ifndef PREFIX_H
#define PREFIX_H

#include "hooks.h"

/* Appends the stored form of a prefix to `stored`. That has room for CACHE_MAX_STORED_PREFIX bytes and a NUL, and
 * already holds `*stored_size` bytes. If there is no room, returns CACHE_ERR_INVALID and appends nothing. */
cache_status cache_prefix_append(char *stored, size_t *stored_size, const char *prefix);

#endif
