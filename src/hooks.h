/* hooks.h - the hooks of a handle: clock, allocator, log, events, spawn. */
#ifndef HOOKS_H
#define HOOKS_H

#include "api.h"
#include "thread_slot.h"

#include <time.h>

struct cache_env {
    cache_clock clock;                 /* if now_ms is NULL, the system's clocks are used */
    const cache_allocator *allocator;
    cache_log_fn *log;
    void *log_ctx;
    cache_event_fn *event;
    void *event_ctx;
    cache_spawn_fn *spawn;
    void *spawn_ctx;
    const char *prefix;                /* of the first handle, as it is stored; events contain it */
    size_t prefix_size;                /* bytes of it that are part of a key: all, or none (CACHE_BACKEND_NO_PREFIX) */
};

/* This one calls malloc, realloc and free. */
extern const cache_allocator cache_allocator_default;

void cache_env_init(cache_env *env, const cache_config *config);

void *cache_env_resize(const cache_env *env, void *block, size_t size);

/* Returns a copy of `text`, which the caller frees with cache_env_free; or NULL if there is no memory. */
char *cache_env_strdup(const cache_env *env, const char *text);

/* Return the time of the same clocks at their last tick, up to 10 ms ago. This costs a quarter. In the first second
 * after a suspended machine wakes up, the monotonic one may not count the time of the suspension yet. */
int64_t cache_env_recent_monotonic_ms(const cache_env *env);
int64_t cache_env_recent_wall_ms(const cache_env *env);

/* When this thread last looked at the clocks: the second of the wall clock, and then the recent monotonic time. */
struct cache_last_look {
    time_t second;
    int64_t recent_ms;
};
extern CACHE_HOT_THREAD_LOCAL struct cache_last_look cache_env_last_look;

/* A deadline that was further away at the last look is not reached within the same second. */
#define CACHE_FAR_MS 3000

/* The same as cache_env_monotonic_reached, for the deadlines of many reads. With glibc, time() is a load from a page of
 * the kernel, and costs a fifth of a look at a clock. If the wall clock is set back to the second of the last look, a
 * deadline that has passed meanwhile is seen up to a second late. */
static inline bool cache_env_deadline_reached(const cache_env *env, int64_t deadline_ms)
{
#ifdef __GLIBC__
    if (__builtin_expect(deadline_ms - cache_env_last_look.recent_ms > CACHE_FAR_MS
                         && time(NULL) == cache_env_last_look.second, 1) && env->clock.now_ms == NULL)
        return false;
#endif
    return cache_env_monotonic_reached(env, deadline_ms);
}

/* Returns nanoseconds of the system's monotonic clock, for latencies. Tests do not replace this clock. */
uint64_t cache_now_ns(void);

/* Every internal key begins with this, after the prefix of the first handle. If a user's key begins with it, another
 * one is put before it, so no user's key equals an internal key. */
#define CACHE_INTERNAL_MARK "\001"

/* The key of a lease begins with this, after the prefix. */
#define CACHE_LEASE_KIND CACHE_INTERNAL_MARK "lease/"

/* Takes a stored key without the prefix of the first handle, and returns the user's key; or NULL if it is an internal
 * key. A further prefix of the handle stays part of it. */
static inline const char *cache_key_of_user(const char *key)
{
    if (key[0] != CACHE_INTERNAL_MARK[0])
        return key;
    return key[1] == key[0] ? key + 1 : NULL;
}

/* The pointer of cache_set_event_context. */
extern _Thread_local void *cache_event_context;

/* Adds prefix and context to an event, and passes it to the event hook, if there is one. */
static inline void cache_env_emit(const cache_env *env, cache_event event)
{
    if (env->event != NULL) {
        event.prefix = env->prefix;
        event.context = cache_event_context;
        env->event(env->event_ctx, &event);
    }
}

#endif
