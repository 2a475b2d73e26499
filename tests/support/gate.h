/* gate.h - what the tests of the single flight share: a computation that stops in its middle until the test lets it go
 * on, and callers on threads of their own. */
#ifndef GATE_H
#define GATE_H

#include "fake_store.h"

#include <pthread.h>
#include <time.h>

#define KEY "libcache:k"

static _Atomic int64_t now_ms;

static inline cache_t *open_fake(void)
{
    fake_store_reset();
    now_ms = 1000000;
    return test_open_with_clock("fake://", &now_ms);
}

static inline void nap(void)
{
    const struct timespec ms = { 0, 1000000 };
    nanosleep(&ms, NULL);
}

/* A computation that stops in the middle until the test lets it go on. */
struct gate {
    atomic_int runs, inside;
    atomic_bool open;
    cache_status status;
};

static inline cache_status through_gate(void *ctx, cache_writer *out)
{
    struct gate *gate = ctx;
    const int run = atomic_fetch_add(&gate->runs, 1) + 1;
    atomic_fetch_add(&gate->inside, 1);
    while (!atomic_load(&gate->open))
        nap();
    atomic_fetch_sub(&gate->inside, 1);
    return gate->status != CACHE_OK ? gate->status : cache_writer_printf(out, "v%d", run);
}

struct caller {
    pthread_t thread;
    cache_t *cache;
    const char *key;
    cache_fetch_options options;
    cache_compute_fn *compute;
    void *ctx;
    cache_status status;
    cache_value value;
    cache_fetch_info info;
};

static inline void *call(void *arg)
{
    struct caller *caller = arg;
    caller->options.info = &caller->info;
    caller->status = cache_fetch(caller->cache, caller->key, &caller->options, caller->compute, caller->ctx,
                                 &caller->value);
    return NULL;
}

static inline void start(struct caller *caller, cache_t *cache, const char *key, cache_compute_fn *compute, void *ctx)
{
    *caller = (struct caller){ .cache = cache, .key = key, .compute = compute, .ctx = ctx,
                               .options = CACHE_FETCH_OPTIONS_INIT };
    assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static inline void start_inside(struct caller *caller, cache_t *cache, struct gate *gate)
{
    start(caller, cache, "k", through_gate, gate);
    while (atomic_load(&gate->inside) == 0)
        nap();
}

static inline void finish(struct caller *caller, cache_status status, const char *text)
{
    pthread_join(caller->thread, NULL);
    assert_int_equal(caller->status, status);
    if (text != NULL)
        assert_string_equal(caller->value.data, text);
    else
        assert_null(caller->value.data);
    cache_value_release(&caller->value);
}

static inline cache_status quick(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "quick");
}

static inline cache_status fetch_text(cache_t *cache, const cache_fetch_options *options, char text[16])
{
    cache_value value;
    const cache_status status = cache_fetch(cache, "k", options, quick, NULL, &value);
    (void)snprintf(text, 16, "%s", value.data != NULL ? (const char *)value.data : "");
    cache_value_release(&value);
    return status;
}

/* A hook that deletes the key at the moment between the last check of it and the store. */
static inline void delete_before_set(void *ctx, enum fake_op op, cache_bytes key)
{
    if (op == FAKE_SET && key.size == strlen(KEY) && memcmp(key.data, KEY, key.size) == 0)
        (void)cache_delete(ctx, "k");
}

#endif
