/* hooks.h - the hooks of a handle: clock, memory, log, events, spawn. */
#ifndef HOOKS_H
#define HOOKS_H

#include "api.h"

struct cache_env {
    cache_clock clock;                 /* now_ms NULL: the system's clocks */
    const cache_allocator *allocator;
    cache_log_fn *log;
    void *log_ctx;
    cache_event_fn *event;
    void *event_ctx;
    cache_spawn_fn *spawn;
    void *spawn_ctx;
    const char *prefix;                /* of the first handle, as it is stored: events show it beside the key */
    size_t prefix_size;                /* how many bytes of it stand in a key: all, or none (CACHE_BACKEND_NO_PREFIX) */
};

/* malloc, realloc and free. */
extern const cache_allocator cache_allocator_default;

void cache_env_init(cache_env *env, const cache_config *config);

void *cache_env_resize(const cache_env *env, void *block, size_t size);

/* A copy of `text`, or NULL for lack of memory; to be freed with cache_env_free. */
char *cache_env_strdup(const cache_env *env, const char *text);

/* The same clocks as of their last tick, up to 10 ms ago, at a quarter of the cost. In the second after a suspended
 * machine wakes up, the monotonic one may not count that time yet. */
int64_t cache_env_recent_monotonic_ms(const cache_env *env);
int64_t cache_env_recent_wall_ms(const cache_env *env);

/* Nanoseconds of the system's monotonic clock, for latencies: never the tests' clock. */
uint64_t cache_now_ns(void);

/* What every key of the core's own begins with, behind the first handle's prefix. A user's key that begins with it gets
 * a second one, so that no user's key is ever one of the core's. */
#define CACHE_INTERNAL_MARK "\001"

/* What a lease's key begins with, behind the prefix. */
#define CACHE_LEASE_KIND CACHE_INTERNAL_MARK "lease/"

/* The user's key, of what stands behind the first handle's prefix in a whole one; NULL: it is one of the core's own. A
 * key of a handle with a further prefix is shown with that. */
static inline const char *cache_key_of_user(const char *key)
{
    if (key[0] != CACHE_INTERNAL_MARK[0])
        return key;
    return key[1] == key[0] ? key + 1 : NULL;
}

/* What cache_set_event_context was given. */
extern _Thread_local void *cache_event_context;

/* Send an event, if somebody wants it; prefix and context are added. */
static inline void cache_env_emit(const cache_env *env, cache_event event)
{
    if (env->event != NULL) {
        event.prefix = env->prefix;
        event.context = cache_event_context;
        env->event(env->event_ctx, &event);
    }
}

#endif
