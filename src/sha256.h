/* sha256.h - a collision-resistant hash, for texts that a client chooses and that cannot be compared later. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>

enum { SHA256_HEX_SIZE = 64 };

/* Compute the hash (FIPS 180-4) as hexadecimal digits and a NUL. `data` may be NULL if `size` is 0. */
void cache_sha256_hex(const void *data, size_t size, char out[SHA256_HEX_SIZE + 1]);

#endif
