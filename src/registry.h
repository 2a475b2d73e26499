/* registry.h - finds the store for a URL's scheme. */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "api.h"

/* Finds the store for `scheme`. Returns CACHE_ERR_CONFIG if there is none, or if this build has switched it off. */
cache_status cache_registry_find(const char *scheme, const cache_backend_ops **out);

/* Returns the store in which a front keeps its values. */
const cache_backend_ops *cache_registry_front(void);

#endif
