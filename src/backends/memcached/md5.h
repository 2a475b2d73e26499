/* md5.h - the hash by which all clients of Memcached spread keys over servers. It protects nothing. */
#ifndef MD5_H
#define MD5_H

#include <stddef.h>
#include <stdint.h>

/* The digest's four words, as the machine counts them. `data` may be NULL if `size` is 0. */
void cache_md5(const void *data, size_t size, uint32_t out[4]);

#endif
