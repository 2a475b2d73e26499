/* ketama.h - chooses one of several servers for a key: weighted ketama, as libmemcached and its many bindings place
 * keys.
 *
 * Each server has points on a circle of 32-bit numbers, about 160 if the weights are equal. A key belongs to the server
 * of the first point at or after the key's own hash. So an added server takes keys from all others, and no other key
 * moves. */
#ifndef KETAMA_H
#define KETAMA_H

#include "api.h"

#include <stddef.h>
#include <stdint.h>

struct mc_ketama_host {
    const char *name;
    int port;
    unsigned weight;
};

struct mc_ketama_point {
    uint32_t value, host;
};

struct mc_ketama {
    struct mc_ketama_point *points;    /* sorted; NULL if there is only one host */
    size_t n;
};

/* Build the circle. Returns CACHE_OK or CACHE_ERR_NOMEM. */
cache_status cache_mc_ketama_init(struct mc_ketama *ketama, const cache_env *env, const struct mc_ketama_host hosts[],
                                  size_t n);
void cache_mc_ketama_release(struct mc_ketama *ketama, const cache_env *env);

/* Returns the index of the host that keeps `key`. */
size_t cache_mc_ketama_host(const struct mc_ketama *ketama, const char *key, size_t size);

#endif
