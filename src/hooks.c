/* hooks.c - the hooks of a handle, with their defaults. */
#include "hooks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *default_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *default_resize(void *ctx, void *block, size_t size)
{
    (void)ctx;
    return realloc(block, size);
}

static void default_free(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

const cache_allocator cache_allocator_default = { default_alloc, default_resize, default_free, NULL };

void cache_env_init(cache_env *env, const cache_config *config)
{
    *env = (cache_env){
        .clock = config->clock,
        .allocator = config->allocator != NULL ? config->allocator : &cache_allocator_default,
        .log = config->log, .log_ctx = config->log_ctx,
        .event = config->event, .event_ctx = config->event_ctx,
        .prefix = "", .spawn = config->spawn, .spawn_ctx = config->spawn_ctx,
    };
}

/* ---- clocks -------------------------------------------------------------------------------------------------- */

static int64_t system_ms(clockid_t clock)
{
    struct timespec now = { 0 };
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t cache_env_monotonic_ms(const cache_env *env)
{
    return env->clock.now_ms != NULL ? env->clock.now_ms(env->clock.ctx) : system_ms(CLOCK_MONOTONIC);
}

int64_t cache_env_wall_ms(const cache_env *env)
{
    return env->clock.now_ms != NULL ? env->clock.now_ms(env->clock.ctx) : system_ms(CLOCK_REALTIME);
}

int64_t cache_env_recent_monotonic_ms(const cache_env *env)
{
#ifdef CLOCK_MONOTONIC_COARSE
    if (env->clock.now_ms == NULL)
        return system_ms(CLOCK_MONOTONIC_COARSE);
#endif
    return cache_env_monotonic_ms(env);
}

int64_t cache_env_recent_wall_ms(const cache_env *env)
{
#ifdef CLOCK_REALTIME_COARSE
    if (env->clock.now_ms == NULL)
        return system_ms(CLOCK_REALTIME_COARSE);
#endif
    return cache_env_wall_ms(env);
}

bool cache_env_monotonic_reached(const cache_env *env, int64_t deadline_ms)
{
#ifdef CLOCK_MONOTONIC_COARSE
    /* The coarse clock lags by a tick of at most 10 ms and costs a quarter; within that lag the exact one decides. */
    if (env->clock.now_ms == NULL) {
        const int64_t coarse = system_ms(CLOCK_MONOTONIC_COARSE);
        if (coarse >= deadline_ms)
            return true;
        if (coarse + 20 < deadline_ms)
            return false;
    }
#endif
    return cache_env_monotonic_ms(env) >= deadline_ms;
}

uint64_t cache_now_ns(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

const cache_allocator *cache_env_allocator(const cache_env *env)
{
    return env->allocator;
}

void *cache_env_alloc(const cache_env *env, size_t size)
{
    return env->allocator->alloc(env->allocator->ctx, size);
}

void *cache_env_resize(const cache_env *env, void *block, size_t size)
{
    return env->allocator->resize(env->allocator->ctx, block, size);
}

void cache_env_free(const cache_env *env, void *block)
{
    if (block != NULL)
        env->allocator->free(env->allocator->ctx, block);
}

char *cache_env_strdup(const cache_env *env, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = cache_env_alloc(env, size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

/* ---- log and events ------------------------------------------------------------------------------------------ */

void cache_env_log(const cache_env *env, cache_log_level level, const char *format, ...)
{
    if (env->log == NULL)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    env->log(env->log_ctx, level, text);
}

bool cache_env_wants_events(const cache_env *env)
{
    return env->event != NULL;
}

void cache_env_evicted(const cache_env *env, cache_bytes key)
{
    const size_t skip = key.size < env->prefix_size ? key.size : env->prefix_size;
    const char *user = cache_key_of_user(key.data + skip);
    if (user != NULL)
        cache_env_emit(env, CACHE_EVENT_EVICT, CACHE_OK, user, 0);
}
