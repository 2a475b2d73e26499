/* front_memory.c - the memory of a front, and the tickets that keep old values out of it. */
#define XXH_INLINE_ALL
#include "front_memory.h"

#include "invariant.h"
#include "options.h"
#include "registry.h"

#include <stdio.h>
#include <xxhash.h>

static struct front_stripe *stripe_of(struct front_memory *memory, cache_bytes key)
{
    return &memory->stripes[XXH3_64bits(key.data, key.size) % FRONT_STRIPES];
}

static void stripes_init(struct front_memory *memory)
{
    for (size_t i = 0; i < FRONT_STRIPES; i++) {
        (void)pthread_mutex_init(&memory->stripes[i].lock, NULL);
        memory->stripes[i].changes = 0;
    }
}

/* ---- opening and closing --------------------------------------------------------------------------------------- */

static cache_status open_memory(struct front_memory *memory, const struct cache_url *url)
{
    struct cache_options options;
    cache_status status = cache_options_parse(url, memory->ops, &options);
    if (status != CACHE_OK)
        return status;
    const cache_backend_config config = {
        .scheme = url->scheme, .path = "", .prefix = "", .env = &memory->env, .options = &options,
    };
    status = memory->ops->open(&config, &memory->self);
    cache_options_release(&options);
    return status;
}

cache_status cache_front_memory_open(struct front_memory *memory, const cache_env *env, int64_t max_bytes)
{
    memory->env = *env;
    memory->env.event = NULL;
    memory->prefix_size = env->prefix_size;
    memory->ops = cache_registry_front();
    atomic_init(&memory->epoch, 0);
    atomic_init(&memory->refused, 0);
    char text[64];
    struct cache_url url;
    (void)snprintf(text, sizeof text, "%s://?max_bytes=%lld", memory->ops->scheme, (long long)max_bytes);
    cache_status status = cache_url_parse(&memory->env, text, &url);
    if (status != CACHE_OK)
        return status;
    status = open_memory(memory, &url);
    cache_url_release(&url);
    if (status == CACHE_OK)
        stripes_init(memory);
    return status;
}

void cache_front_memory_close(struct front_memory *memory)
{
    memory->ops->close(memory->self);
    for (size_t i = 0; i < FRONT_STRIPES; i++)
        (void)pthread_mutex_destroy(&memory->stripes[i].lock);
}

void cache_front_memory_restart(struct front_memory *memory)
{
    stripes_init(memory);
    cache_front_memory_drop_all(memory);
}

/* ---- filling and dropping -------------------------------------------------------------------------------------- */

struct front_ticket cache_front_memory_ticket(struct front_memory *memory, cache_bytes key)
{
    struct front_ticket ticket = { .stripe = stripe_of(memory, key), .epoch = atomic_load(&memory->epoch) };
    pthread_mutex_lock(&ticket.stripe->lock);
    ticket.changes = ticket.stripe->changes;
    pthread_mutex_unlock(&ticket.stripe->lock);
    return ticket;
}

void cache_front_memory_keep(struct front_memory *memory, const struct front_ticket *ticket, cache_bytes key,
                             cache_bytes value, int64_t ttl_ms)
{
    ASSERT(ticket->stripe == stripe_of(memory, key));
    pthread_mutex_lock(&ticket->stripe->lock);
    const bool valid = ticket->changes == ticket->stripe->changes && ticket->epoch == atomic_load(&memory->epoch);
    if (valid)
        (void)memory->ops->set(memory->self, cache_front_memory_key(memory, key), value, ttl_ms, 0);    /* if it fits */
    pthread_mutex_unlock(&ticket->stripe->lock);
    if (!valid)
        atomic_fetch_add_explicit(&memory->refused, 1, memory_order_relaxed);
}

void cache_front_memory_drop(struct front_memory *memory, cache_bytes key)
{
    if (key.size < memory->prefix_size)    /* a store that reports what is not ours */
        return;
    struct front_stripe *stripe = stripe_of(memory, key);
    pthread_mutex_lock(&stripe->lock);
    stripe->changes++;
    (void)memory->ops->remove(memory->self, cache_front_memory_key(memory, key));
    pthread_mutex_unlock(&stripe->lock);
}

void cache_front_memory_drop_all(struct front_memory *memory)
{
    /* A fill may have compared the epoch before it grew. It holds its stripe, so wait for that before clearing. */
    atomic_fetch_add(&memory->epoch, 1);
    for (size_t i = 0; i < FRONT_STRIPES; i++) {
        pthread_mutex_lock(&memory->stripes[i].lock);
        pthread_mutex_unlock(&memory->stripes[i].lock);
    }
    (void)memory->ops->clear(memory->self, (cache_bytes){ "", 0 });
}
