/* md5.h - MD5, with which all clients of Memcached distribute keys over servers. It is not used for security. */
#ifndef MD5_H
#define MD5_H

#include <stddef.h>
#include <stdint.h>

/* Compute the digest, as four words in the machine's byte order. `data` may be NULL if `size` is 0. */
void cache_md5(const void *data, size_t size, uint32_t out[4]);

#endif
