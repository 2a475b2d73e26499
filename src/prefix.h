/* prefix.h - how a prefix is stored, so that no two share a key. */
#ifndef PREFIX_H
#define PREFIX_H

#include "hooks.h"

/* Append a prefix as it is stored to `stored`, which has room for CACHE_MAX_STORED_PREFIX bytes and a NUL, and holds
 * `*stored_size` bytes already. CACHE_ERR_INVALID: it has no room; nothing was appended. */
cache_status cache_prefix_append(char *stored, size_t *stored_size, const char *prefix);

#endif
