/* test_ketama.c - keys are kept by the servers that libmemcached, and all that is built on it, would choose. */
#include "test.h"

#include "backends/memcached/ketama.h"
#include "backends/memcached/md5.h"
#include "hooks.h"

#include <libmemcached/memcached.h>

enum { MAX_HOSTS = 10, KEYS = 10000 };

static const struct mc_ketama_host plain[MAX_HOSTS] = {
    { "10.0.0.1", 11211, 1 }, { "10.0.0.2", 11211, 1 }, { "10.0.0.3", 11212, 1 }, { "cache.example.org", 11211, 1 },
    { "2001:db8::7", 11211, 1 }, { "localhost", 21211, 1 }, { "localhost", 21212, 1 }, { "10.0.0.8", 11211, 1 },
    { "10.0.0.9", 65535, 1 }, { "10.0.0.10", 1, 1 },
};
static const struct mc_ketama_host weighted[MAX_HOSTS] = {
    { "10.0.0.1", 11211, 3 }, { "10.0.0.2", 11211, 1 }, { "10.0.0.3", 11212, 7 }, { "cache.example.org", 11211, 2 },
    { "2001:db8::7", 11211, 1 }, { "localhost", 21211, 100 }, { "localhost", 21212, 11 }, { "10.0.0.8", 11211, 5 },
    { "10.0.0.9", 65535, 13 }, { "10.0.0.10", 1, 1 },
};

static cache_env env;

static memcached_st *their_router(const struct mc_ketama_host hosts[], size_t n)
{
    memcached_st *memc = memcached_create(NULL);
    assert_non_null(memc);
    assert_true(memcached_success(memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1)));
    for (size_t i = 0; i < n; i++)
        assert_true(memcached_success(memcached_server_add_with_weight(memc, hosts[i].name, (in_port_t)hosts[i].port,
                                                                       hosts[i].weight)));
    return memc;
}

static void assert_placed_alike(const struct mc_ketama_host hosts[], size_t n)
{
    struct mc_ketama ours;
    size_t kept[MAX_HOSTS] = { 0 };
    memcached_st *theirs = their_router(hosts, n);
    assert_status(CACHE_OK, cache_mc_ketama_init(&ours, &env, hosts, n));
    for (int i = 0; i < KEYS; i++) {
        char key[64];
        const size_t size = (size_t)snprintf(key, sizeof key, "libcache:%s/%d", i % 2 ? "user" : "page", i * 7919);
        const size_t host = cache_mc_ketama_host(&ours, key, size);
        assert_int_equal(host, memcached_generate_hash(theirs, key, size));
        kept[host]++;
    }
    for (size_t i = 0; i < n; i++)
        assert_true(n > 3 || kept[i] > KEYS / 20);
    memcached_free(theirs);
    cache_mc_ketama_release(&ours, &env);
}

static void keys_are_where_libmemcached_puts_them(void **state)
{
    (void)state;
    assert_placed_alike(plain, 1);
    assert_placed_alike(plain, 3);
    assert_placed_alike(plain, 10);
}

static void weights_count_as_they_do_for_libmemcached(void **state)
{
    (void)state;
    assert_placed_alike(weighted, 1);
    assert_placed_alike(weighted, 3);
    assert_placed_alike(weighted, 10);
}

static void a_server_that_is_added_moves_keys_to_itself_alone(void **state)
{
    struct mc_ketama before, after;
    int moved = 0;
    (void)state;
    assert_status(CACHE_OK, cache_mc_ketama_init(&before, &env, plain, 9));
    assert_status(CACHE_OK, cache_mc_ketama_init(&after, &env, plain, 10));
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        const size_t size = (size_t)snprintf(key, sizeof key, "k%d", i);
        const size_t was = cache_mc_ketama_host(&before, key, size), is = cache_mc_ketama_host(&after, key, size);
        assert_true(is == was || is == 9);
        moved += is != was;
    }
    assert_in_range(moved, KEYS / 20, KEYS / 5);
    cache_mc_ketama_release(&before, &env);
    cache_mc_ketama_release(&after, &env);
}

static void md5_of_the_texts_of_its_rfc(void **state)
{
    static const struct { const char *text; uint32_t first; } wanted[] = {
        { "", 0xd98c1dd4 }, { "a", 0xb975c10c }, { "abc", 0x98500190 }, { "message digest", 0x7d696bf9 },
        { "abcdefghijklmnopqrstuvwxyz", 0xd7d3fcc3 },
        { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 0x98ab74d1 },
        { "12345678901234567890123456789012345678901234567890123456789012345678901234567890", 0xa2f4ed57 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        uint32_t digest[4];
        cache_md5(wanted[i].text, strlen(wanted[i].text), digest);
        assert_int_equal(digest[0], wanted[i].first);
    }
}

int main(void)
{
    const cache_config config = CACHE_CONFIG_INIT;
    cache_env_init(&env, &config);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(md5_of_the_texts_of_its_rfc),
        cmocka_unit_test(keys_are_where_libmemcached_puts_them),
        cmocka_unit_test(weights_count_as_they_do_for_libmemcached),
        cmocka_unit_test(a_server_that_is_added_moves_keys_to_itself_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
