/* backends.h - the tables of the stores in the library. Only the registry uses them. */
#ifndef BACKENDS_H
#define BACKENDS_H

#include "../api.h"

extern const cache_backend_ops cache_null_ops;
extern const cache_backend_ops cache_memory_ops;
extern const cache_backend_ops cache_filesystem_ops;
extern const cache_backend_ops cache_redis_ops;
extern const cache_backend_ops cache_memcached_ops;

#endif
