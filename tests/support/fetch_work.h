/* fetch_work.h - what the tests of cache_fetch share: a computation that counts its runs, and a fetch of "k" from the
 * fake store, on a clock that the test moves. */
#ifndef FETCH_WORK_H
#define FETCH_WORK_H

#include "fake_store.h"

#define KEY "libcache:k"

static _Atomic int64_t now_ms;

/* A computation that a test sets, and that counts its runs. */
struct work {
    int runs;
    cache_status status;
    const char *text;
    double ttl;                    /* above 0: cache_writer_set_ttl */
    bool no_store;
};

static inline cache_status run(void *ctx, cache_writer *out)
{
    struct work *work = ctx;
    work->runs++;
    if (work->ttl > 0)
        (void)cache_writer_set_ttl(out, work->ttl);
    if (work->no_store)
        cache_writer_no_store(out);
    if (work->status != CACHE_OK)
        return work->status;
    return cache_writer_printf(out, "%s%d", work->text != NULL ? work->text : "v", work->runs);
}

static inline cache_t *open_fake(void)
{
    fake_store_reset();
    now_ms = 1000000;
    return test_open_with_clock("fake://", &now_ms);
}

static inline cache_fetch_options with_ttl(double ttl)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = ttl;
    return options;
}

/* Fetches "k", and expects `status` and this text; NULL means no value. */
static inline void expect(cache_t *cache, const cache_fetch_options *options, struct work *work, cache_status status,
                   const char *text)
{
    cache_value value;
    const cache_status got = cache_fetch(cache, "k", options, run, work, &value);
    if (got != status)
        fail_msg("%s (%s), not %s", cache_strerror(got), cache_last_error(), cache_strerror(status));
    if (text != NULL)
        assert_string_equal(value.data, text);
    else
        assert_null(value.data);
    cache_value_release(&value);
}

#endif
