/* ketama.h - which of several servers keeps a key: weighted ketama, as libmemcached and its many bindings place keys.
 *
 * Each server has points on a circle of 32-bit numbers, some 160 if the weights are equal. A key belongs to the server
 * of the first point at or behind the key's own hash, so that a server which is added takes keys from all others and
 * moves no other key. */
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
    struct mc_ketama_point *points;    /* in their order; NULL if there is one host */
    size_t n;
};

/* CACHE_ERR_NOMEM. */
cache_status cache_mc_ketama_init(struct mc_ketama *ketama, const cache_env *env, const struct mc_ketama_host hosts[],
                                  size_t n);
void cache_mc_ketama_release(struct mc_ketama *ketama, const cache_env *env);

/* The index of the host that keeps `key`. */
size_t cache_mc_ketama_host(const struct mc_ketama *ketama, const char *key, size_t size);

#endif
