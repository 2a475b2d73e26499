/* test.h - includes what every test needs: cmocka, the inside of the library, and a clock that tests move. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A clock that stands still until a test moves it: config.clock = test_clock(&ms). */
static inline int64_t test_clock_now(void *ctx)
{
    return atomic_load((_Atomic int64_t *)ctx);
}

static inline cache_clock test_clock(_Atomic int64_t *ms)
{
    return (cache_clock){ test_clock_now, (void *)ms };
}

/* Opens a cache. If that fails, the test fails with the library's message. */
static inline cache_t *test_open(const char *url)
{
    cache_t *cache = NULL;
    if (cache_open(url, &cache) != CACHE_OK)
        fail_msg("%s: %s", url, cache_last_error());
    return cache;
}

static inline cache_t *test_open_with_clock(const char *url, _Atomic int64_t *ms)
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    config.url = url;
    config.clock = test_clock(ms);
    if (cache_open_config(&config, &cache) != CACHE_OK)
        fail_msg("%s: %s", url, cache_last_error());
    return cache;
}

#define assert_status(expected, call)                                                                             \
    do {                                                                                                          \
        const cache_status assert_status_ = (call);                                                               \
        if (assert_status_ != (expected))                                                                         \
            fail_msg("%s: %s (%s), not %s", #call, cache_strerror(assert_status_), cache_last_error(), #expected); \
    } while (0)

static inline cache_counters test_counters(cache_t *cache)
{
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    return counters;
}

/* Sets the key `kind` + `i`; its value is the key. */
static inline void test_set_numbered(cache_t *cache, const char *kind, int i, double ttl)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s%d", kind, i);
    assert_status(CACHE_OK, cache_set_string(cache, key, key, ttl));
}

/* Checks that the key has this text, or that it is a miss if `text` is NULL. */
static inline void assert_text(cache_t *cache, const char *key, const char *text)
{
    cache_value value;
    const cache_status status = cache_get(cache, key, &value);
    if (text == NULL)
        assert_int_equal(status, CACHE_MISS);
    else {
        if (status != CACHE_OK)
            fail_msg("%s: %s (%s)", key, cache_strerror(status), cache_last_error());
        assert_string_equal(value.data, text);
        assert_int_equal(value.size, strlen(text));
    }
    cache_value_release(&value);
}

#endif
