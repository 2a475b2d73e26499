/* registry.h - finds the store for a URL's scheme. */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "api.h"

/* The store for `scheme`. CACHE_ERR_CONFIG: there is none, or this build has it switched off. */
cache_status cache_registry_find(const char *scheme, const cache_backend_ops **out);

/* The store that a front keeps its values in. */
const cache_backend_ops *cache_registry_front(void);

#endif
