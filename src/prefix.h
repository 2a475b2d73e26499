/* prefix.h - defines how a prefix is stored, so that no two prefixes share a key. */
#ifndef PREFIX_H
#define PREFIX_H

#include "hooks.h"

/* Append the stored form of a prefix to `stored`. That has room for CACHE_MAX_STORED_PREFIX bytes and a NUL, and
 * already holds `*stored_size` bytes. CACHE_ERR_INVALID: there is no room, and nothing was appended. */
cache_status cache_prefix_append(char *stored, size_t *stored_size, const char *prefix);

#endif
