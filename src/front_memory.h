/* front_memory.h - the memory of a front, and the tickets that keep old values out of it.
 *
 * A value is read from the store before it is kept here, and the key may change in between. So each fill takes a ticket
 * before it reads, and each change makes the tickets of its key's stripe invalid. A fill whose ticket is invalid keeps
 * nothing. (Facebook's leases do the same: Nishtala and others, "Scaling Memcache at Facebook", 2013.) */
#ifndef FRONT_MEMORY_H
#define FRONT_MEMORY_H

#include "hooks.h"

#include <pthread.h>
#include <stdatomic.h>

enum { FRONT_STRIPES = 256 };

struct front_stripe {
    pthread_mutex_t lock;              /* held while a value is kept or dropped, not during a read */
    uint64_t changes;
};

struct front_memory {
    const cache_backend_ops *ops;      /* of the memory store */
    void *self;
    cache_env env;                     /* without the event hook, since a value that leaves the front
                                        * is still in the store */
    size_t prefix_size;                /* of the store; all keys have it, and it is left out here */
    atomic_uint_fast64_t epoch;        /* incremented when all keys may have changed */
    atomic_uint_fast64_t refused;      /* fills whose ticket was invalid */
    struct front_stripe stripes[FRONT_STRIPES];
};

struct front_ticket {
    struct front_stripe *stripe;
    uint64_t epoch, changes;
    uint64_t version;                  /* the result of the store's `version`; only stored here */
};

/* All keys below are those of the store, with its prefix.
 *
 * Opens a memory of `max_bytes`. After an error nothing is left behind. */
cache_status cache_front_memory_open(struct front_memory *memory, const cache_env *env, int64_t max_bytes);
void cache_front_memory_close(struct front_memory *memory);

/* Call this in the child of a fork before anything else. It makes locks and the memory new, and drops all values. */
void cache_front_memory_restart(struct front_memory *memory);

/* Returns the key without the prefix, which costs a hit less. */
static inline cache_bytes cache_front_memory_key(const struct front_memory *memory, cache_bytes key)
{
    return (cache_bytes){ key.data + memory->prefix_size, key.size - memory->prefix_size };
}

/* Appends the value, or returns CACHE_MISS. */
static inline cache_status cache_front_memory_get(struct front_memory *memory, cache_bytes key, cache_writer *out)
{
    return memory->ops->get(memory->self, cache_front_memory_key(memory, key), out);
}

/* Take a ticket before reading the store. cache_front_memory_keep then keeps the answer if no change came since. */
struct front_ticket cache_front_memory_ticket(struct front_memory *memory, cache_bytes key);
void cache_front_memory_keep(struct front_memory *memory, const struct front_ticket *ticket, cache_bytes key,
                             cache_bytes value, int64_t ttl_ms);

/* Call these when the key has changed, or when all keys may have. */
void cache_front_memory_drop(struct front_memory *memory, cache_bytes key);
void cache_front_memory_drop_all(struct front_memory *memory);

#endif
