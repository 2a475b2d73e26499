/* stores.c - one table of tests, run on a store in the process and on one that processes share. */
#include "stores.h"

#include "server.h"

struct store {
    const char *name;
    bool shared;
};

static const struct store memory = { "memory", false };
static char url[128];                  /* of the last that was opened */
static unsigned opened;

#ifdef TEST_HAVE_REDIS
static const struct store redis = { "redis", true };
static struct test_server server;
#endif

static const struct store *store_of(void **state)
{
    return *state;
}

bool test_store_is_shared(void **state)
{
    return store_of(state)->shared;
}

static cache_t *open_url(const cache_config *config)
{
    cache_config known = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    if (config != NULL)
        known = *config;
    known.url = url;
    if (cache_open_config(&known, &cache) != CACHE_OK)
        fail_msg("%s: %s", url, cache_last_error());
    return cache;
}

cache_t *test_store_open(void **state, const cache_config *config)
{
    const char *at = "memory://";
#ifdef TEST_HAVE_REDIS
    char address[64];
    (void)snprintf(address, sizeof address, "redis://127.0.0.1:%d/0", server.port);
    if (store_of(state) == &redis)
        at = address;
#endif
    (void)store_of(state);
    /* Patient with a busy machine: with a clock that stands still, a server that was given up would stay so. */
    (void)snprintf(url, sizeof url, "%s?timeout=20&connect_timeout=20&prefix=t%u:", at, ++opened);
    return open_url(config);
}

cache_t *test_store_open_again(void **state, const cache_config *config)
{
    assert_true(test_store_is_shared(state));
    return open_url(config);
}

/* The tests of `from`, named after the store. */
static void name_tests(const struct CMUnitTest from[], size_t n, const struct store *store, struct CMUnitTest to[])
{
    for (size_t i = 0; i < n; i++) {
        const size_t size = strlen(from[i].name) + strlen(store->name) + 4;
        char *name = malloc(size);
        if (name == NULL)
            abort();
        (void)snprintf(name, size, "%s [%s]", from[i].name, store->name);
        to[i] = from[i];
        to[i].name = name;
        to[i].initial_state = (void *)(uintptr_t)store;
    }
}

static int start(void **state)
{
    (void)state;
#ifdef TEST_HAVE_REDIS
    test_server_start_redis(&server, NULL);
#endif
    return 0;
}

static int stop(void **state)
{
    (void)state;
#ifdef TEST_HAVE_REDIS
    test_server_stop(&server);
#endif
    return 0;
}

int test_on_stores(const struct CMUnitTest tests[], size_t n)
{
    size_t all = n;
    struct CMUnitTest *named = calloc(2 * n, sizeof *named);
    if (named == NULL)
        return 1;
    name_tests(tests, n, &memory, named);
#ifdef TEST_HAVE_REDIS
    name_tests(tests, n, &redis, named + n);
    all = 2 * n;
#endif
    const int failed = _cmocka_run_group_tests("stores", named, all, start, stop);
    for (size_t i = 0; i < all; i++)
        free((void *)(uintptr_t)named[i].name);
    free(named);
    return failed;
}
