/* hooks.c - the hooks of a handle, with their defaults. */
#include "hooks.h"

#include <stdarg.h>
#include <stdatomic.h>
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

/* Values also age while the machine is suspended. Of Linux' clocks only CLOCK_BOOTTIME counts that time. */
static int64_t exact_ms(void)
{
#ifdef CLOCK_BOOTTIME
    return system_ms(CLOCK_BOOTTIME);
#else
    return system_ms(CLOCK_MONOTONIC);
#endif
}

#if defined(CLOCK_BOOTTIME) && defined(CLOCK_MONOTONIC_COARSE)
/* CLOCK_BOOTTIME has no coarse variant. So we add the time that the machine was suspended to the coarse monotonic
 * clock. That time is measured once a second. */
enum { LOOK_EACH_MS = 1000, LOOKS = 3 };

static _Atomic int64_t suspended_ms, looked_at_ms = -LOOK_EACH_MS;

/* Reads both clocks. If the thread was interrupted in between, their difference is wrong, and they are read again. */
static void look_at_suspension(int64_t awake_ms)
{
    for (int i = 0; i < LOOKS; i++) {
        const int64_t before = system_ms(CLOCK_MONOTONIC), boot = exact_ms(), after = system_ms(CLOCK_MONOTONIC);
        if (after - before <= 1 || i + 1 == LOOKS) {
            atomic_store_explicit(&suspended_ms, boot - before, memory_order_relaxed);
            break;
        }
    }
    atomic_store_explicit(&looked_at_ms, awake_ms, memory_order_relaxed);
}

static int64_t recent_ms(void)
{
    const int64_t awake_ms = system_ms(CLOCK_MONOTONIC_COARSE);
    if (awake_ms - atomic_load_explicit(&looked_at_ms, memory_order_relaxed) >= LOOK_EACH_MS)
        look_at_suspension(awake_ms);
    return awake_ms + atomic_load_explicit(&suspended_ms, memory_order_relaxed);
}
#else
static int64_t recent_ms(void)
{
    return exact_ms();
}
#endif

int64_t cache_env_monotonic_ms(const cache_env *env)
{
    return env->clock.now_ms != NULL ? env->clock.now_ms(env->clock.ctx) : exact_ms();
}

int64_t cache_env_wall_ms(const cache_env *env)
{
    return env->clock.now_ms != NULL ? env->clock.now_ms(env->clock.ctx) : system_ms(CLOCK_REALTIME);
}

int64_t cache_env_recent_monotonic_ms(const cache_env *env)
{
    return env->clock.now_ms != NULL ? env->clock.now_ms(env->clock.ctx) : recent_ms();
}

int64_t cache_env_recent_wall_ms(const cache_env *env)
{
#ifdef CLOCK_REALTIME_COARSE
    if (env->clock.now_ms == NULL)
        return system_ms(CLOCK_REALTIME_COARSE);
#endif
    return cache_env_wall_ms(env);
}

CACHE_HOT_THREAD_LOCAL struct cache_last_look cache_env_last_look;

bool cache_env_monotonic_reached(const cache_env *env, int64_t deadline_ms)
{
    /* The recent time costs a quarter, and lags by at most 10 ms. If the deadline is that near, the exact time
     * decides. */
    if (env->clock.now_ms == NULL) {
        const time_t second = time(NULL);
        const int64_t recent = recent_ms();
        cache_env_last_look = (struct cache_last_look){ second, recent };
        if (recent >= deadline_ms + 2)    /* the two clocks are rounded separately */
            return true;
        if (recent + 20 < deadline_ms)
            return false;
    }
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

_Thread_local void *cache_event_context;

void cache_set_event_context(void *context)
{
    cache_event_context = context;
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
        cache_env_emit(env, (cache_event){ .type = CACHE_EVENT_EVICT, .status = CACHE_OK, .key = user });
}
