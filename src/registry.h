/* registry.h - finds the store for a URL's scheme. */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "api.h"

/* Find the store for `scheme`. CACHE_ERR_CONFIG: there is none, or this build has switched it off. */
cache_status cache_registry_find(const char *scheme, const cache_backend_ops **out);

/* Returns the store in which a front keeps its values. */
const cache_backend_ops *cache_registry_front(void);

#endif
