/* front_memory.h - the front's own memory, and the tickets that keep an old value from getting into it.
 *
 * A value is read from the store before it is kept here, and a change of the key can be heard in between. So each fill
 * takes a ticket before it reads, and each change makes the tickets of its key's stripe invalid. A fill whose ticket is
 * invalid keeps nothing. (Facebook's leases do the same: Nishtala and others, "Scaling Memcache at Facebook", 2013.) */
#ifndef FRONT_MEMORY_H
#define FRONT_MEMORY_H

#include "hooks.h"

#include <pthread.h>
#include <stdatomic.h>

enum { FRONT_STRIPES = 256 };

struct front_stripe {
    pthread_mutex_t lock;              /* held while a value is kept or dropped, never while the store is asked */
    uint64_t changes;
};

struct front_memory {
    const cache_backend_ops *ops;      /* of the memory store */
    void *self;
    cache_env env;                     /* without the event hook: what leaves the front has not left the cache */
    atomic_uint_fast64_t epoch;        /* counts what changed all keys at once */
    atomic_uint_fast64_t refused;      /* fills whose ticket was invalid */
    struct front_stripe stripes[FRONT_STRIPES];
};

struct front_ticket {
    struct front_stripe *stripe;
    uint64_t epoch, changes;
    uint64_t version;                  /* what the store's `version` said; of no meaning here */
};

/* Open a memory of `max_bytes`. On an error nothing is left behind. */
cache_status cache_front_memory_open(struct front_memory *memory, const cache_env *env, int64_t max_bytes);
void cache_front_memory_close(struct front_memory *memory);

/* In the child of a fork, before any other call: what was locked or half done is made new, and nothing is kept. */
void cache_front_memory_restart(struct front_memory *memory);

/* Append the value if it is there. CACHE_MISS. */
static inline cache_status cache_front_memory_get(struct front_memory *memory, cache_bytes key, cache_writer *out)
{
    return memory->ops->get(memory->self, key, out);
}

/* Take a ticket before the store is asked; then keep what it answered, if no change was heard since. */
struct front_ticket cache_front_memory_ticket(struct front_memory *memory, cache_bytes key);
void cache_front_memory_keep(struct front_memory *memory, const struct front_ticket *ticket, cache_bytes key,
                             cache_bytes value, int64_t ttl_ms);

/* The key has changed, or all keys may have. */
void cache_front_memory_drop(struct front_memory *memory, cache_bytes key);
void cache_front_memory_drop_all(struct front_memory *memory);

#endif
