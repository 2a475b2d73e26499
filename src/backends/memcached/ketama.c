/* ketama.c - chooses the server of a key. */
#include "ketama.h"

#include "md5.h"

#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 160, POINTS_A_HASH = 4, DEFAULT_PORT = 11211, MAX_LABEL = 300 };

/* Returns a server's share of the points on the circle, a multiple of four. It must be computed in single precision, as
 * in libmemcached: one point more or less would move keys. */
static unsigned points_of(const struct mc_ketama_host *host, uint64_t total_weight, size_t n)
{
    const float share = (float)host->weight / (float)total_weight;
    const float hashes = share * POINTS / POINTS_A_HASH * (float)n + 0.0000000001F;
    return (unsigned)hashes * POINTS_A_HASH;
}

/* Compare by value. If the values are equal, the earlier host is first. */
static int compare_points(const void *a, const void *b)
{
    const struct mc_ketama_point *left = a, *right = b;
    if (left->value != right->value)
        return left->value < right->value ? -1 : 1;
    return (left->host > right->host) - (left->host < right->host);
}

static struct mc_ketama_point *add_points(struct mc_ketama_point *to, const struct mc_ketama_host *host,
                                          uint32_t index, unsigned points)
{
    for (unsigned i = 0; i < points / POINTS_A_HASH; i++) {
        char label[MAX_LABEL];
        uint32_t hash[POINTS_A_HASH];
        const int size = host->port == DEFAULT_PORT
                             ? snprintf(label, sizeof label, "%.255s-%u", host->name, i)
                             : snprintf(label, sizeof label, "%.255s:%d-%u", host->name, host->port, i);
        cache_md5(label, (size_t)size, hash);
        for (int j = 0; j < POINTS_A_HASH; j++)
            *to++ = (struct mc_ketama_point){ hash[j], index };
    }
    return to;
}

cache_status cache_mc_ketama_init(struct mc_ketama *ketama, const cache_env *env, const struct mc_ketama_host hosts[],
                                  size_t n)
{
    uint64_t total_weight = 0;
    size_t points = 0;
    *ketama = (struct mc_ketama){ 0 };
    if (n <= 1)
        return CACHE_OK;
    for (size_t i = 0; i < n; i++)
        total_weight += hosts[i].weight;
    for (size_t i = 0; i < n; i++)
        points += points_of(&hosts[i], total_weight, n);
    ketama->points = cache_env_alloc(env, points * sizeof *ketama->points);
    if (ketama->points == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory for %zu hosts", n);
    ketama->n = points;
    struct mc_ketama_point *end = ketama->points;
    for (size_t i = 0; i < n; i++)
        end = add_points(end, &hosts[i], (uint32_t)i, points_of(&hosts[i], total_weight, n));
    qsort(ketama->points, points, sizeof *ketama->points, compare_points);
    return CACHE_OK;
}

void cache_mc_ketama_release(struct mc_ketama *ketama, const cache_env *env)
{
    cache_env_free(env, ketama->points);
    *ketama = (struct mc_ketama){ 0 };
}

size_t cache_mc_ketama_host(const struct mc_ketama *ketama, const char *key, size_t size)
{
    if (ketama->points == NULL)
        return 0;
    uint32_t hash[POINTS_A_HASH];
    cache_md5(key, size, hash);
    size_t low = 0, high = ketama->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (ketama->points[middle].value < hash[0])
            low = middle + 1;
        else
            high = middle;
    }
    return ketama->points[low < ketama->n ? low : 0].host;
}
