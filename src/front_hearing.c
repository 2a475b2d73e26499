/* front_hearing.c - asks the store for changes, in the threads that read. */
#include "front_hearing.h"

#include "hooks.h"

#include <time.h>

enum {
    INTERRUPTED_MS = 100               /* how long a thread may be interrupted between readings of two clocks */
};

/* Returns nanoseconds of a clock that also runs while the machine is suspended. So the first read after that finds that
 * it is time for a check. */
static uint64_t boot_ns(void)
{
#ifdef CLOCK_BOOTTIME
    struct timespec now = { 0 };
    if (clock_gettime(CLOCK_BOOTTIME, &now) == 0)
        return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
#endif
    return cache_now_ns();
}

void cache_front_hearing_init(struct front_hearing *hearing, const struct cache_layer *layer,
                              struct front_memory *memory, uint64_t lag_ns, uint64_t check_ns)
{
    *hearing = (struct front_hearing){ .layer = layer, .memory = memory, .lag_ns = lag_ns, .check_ns = check_ns,
                                       .counts_ticks = check_ns > 0 && cache_ticks_are_steady() };
    (void)pthread_mutex_init(&hearing->check_lock, NULL);
}

void cache_front_hearing_release(struct front_hearing *hearing)
{
    (void)pthread_mutex_destroy(&hearing->check_lock);
}

void cache_front_hearing_restart(struct front_hearing *hearing)
{
    (void)pthread_mutex_init(&hearing->check_lock, NULL);
    atomic_store(&hearing->heard, 0);
    atomic_store(&hearing->checked, 0);
    atomic_store(&hearing->check_ticks, 0);
    hearing->rate = (struct cache_tick_rate){ 0 };
}

/* Called with check_lock held. While the machine is suspended, no change is heard. */
static void forget_after_sleep(struct front_hearing *hearing, uint64_t now, int64_t now_ms)
{
    const int64_t asleep_ms = now_ms - (int64_t)(now / 1000000);
    if (asleep_ms > hearing->asleep_ms + INTERRUPTED_MS)
        cache_front_memory_drop_all(hearing->memory);
    hearing->asleep_ms = asleep_ms;
}

static void on_change(void *ctx, cache_bytes key)
{
    cache_front_memory_drop(ctx, key);
}

static void on_loss(void *ctx)
{
    cache_front_memory_drop_all(ctx);
}

/* Called with check_lock held, after a check that began at `began` ticks and ended at `now`. Reads need no clock from
 * then on, if what was heard is recent enough until the next check. */
static void open_for_ticks(struct front_hearing *hearing, uint64_t began, uint64_t heard, uint64_t now)
{
    const bool recent = heard != 0 && (int64_t)(now + hearing->check_ns - heard) <= (int64_t)hearing->lag_ns;
    double per_ns = 0;
    atomic_store_explicit(&hearing->open_from, recent ? began : began - UINT64_MAX / 2, memory_order_release);
    if (cache_tick_rate_measure(&hearing->rate, &per_ns))
        atomic_store_explicit(&hearing->check_ticks, (uint64_t)(per_ns * (double)hearing->check_ns),
                              memory_order_relaxed);
}

/* Called with check_lock held. */
static void look_for_changes(struct front_hearing *hearing)
{
    static const cache_changes to = { .one = on_change, .all = on_loss };
    const struct cache_layer *layer = hearing->layer;
    const uint64_t began = cache_ticks();
    uint64_t heard = 0;
    int cancel = 0;
    /* The store reads from a socket, which is a cancellation point: a cancelled thread would not release the lock. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    layer->inner.changes(layer->inner_self, &to, hearing->memory, &heard);
    (void)pthread_setcancelstate(cancel, NULL);
    const uint64_t awake = cache_now_ns(), now = boot_ns();
    const int64_t now_ms = cache_env_monotonic_ms(layer->env);
    if (layer->env->clock.now_ms == NULL)    /* an application's clock may jump */
        forget_after_sleep(hearing, awake, now_ms);
    if (heard != 0)
        heard = heard < awake ? now - (awake - heard) : now;
    atomic_store_explicit(&hearing->heard, heard, memory_order_release);
    atomic_store_explicit(&hearing->checked, now, memory_order_release);
    if (hearing->counts_ticks)
        open_for_ticks(hearing, began, heard, now);
}

/* Handles changes if it is time. If another thread is doing so, this one does not wait, unless that takes ten times too
 * long. */
static void check(struct front_hearing *hearing, uint64_t now)
{
    const int64_t age = (int64_t)(now - atomic_load_explicit(&hearing->checked, memory_order_acquire));
    const bool always = hearing->check_ns == 0;
    if (!always && age < (int64_t)hearing->check_ns)
        return;
    if (pthread_mutex_trylock(&hearing->check_lock) != 0) {
        if (!always && age < 10 * (int64_t)hearing->check_ns)
            return;
        pthread_mutex_lock(&hearing->check_lock);
    }
    if (always || atomic_load_explicit(&hearing->checked, memory_order_relaxed) <= now)
        look_for_changes(hearing);    /* else another thread checked while this one waited */
    pthread_mutex_unlock(&hearing->check_lock);
}

uint64_t cache_front_heard_ago_ms(struct front_hearing *hearing)
{
    const uint64_t heard = atomic_load(&hearing->heard), now = boot_ns();
    return heard != 0 && heard < now ? (now - heard) / 1000000 : 0;
}

bool cache_front_is_open_by_clock(struct front_hearing *hearing)
{
    const uint64_t now = boot_ns();
    check(hearing, now);
    const uint64_t heard = atomic_load_explicit(&hearing->heard, memory_order_acquire);
    return heard != 0 && (int64_t)(now - heard) <= (int64_t)hearing->lag_ns;
}
