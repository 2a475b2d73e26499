/* test_environment.c - checks that cache_open_env takes the settings that a Flask application has. Where no server need
 * be asked, a store that records the parts of its URL replaces Redis and Memcached. setenv and unsetenv change the
 * process, so there is only one thread. */
#include "test.h"

#include "cache_internal.h"

#include <unistd.h>

static const char *const names[] = {
    "CACHE_URL", "CACHE_TYPE", "CACHE_DEFAULT_TIMEOUT", "CACHE_KEY_PREFIX", "CACHE_THRESHOLD", "CACHE_DIR",
    "CACHE_REDIS_HOST", "CACHE_REDIS_PORT", "CACHE_REDIS_PASSWORD", "CACHE_REDIS_DB", "CACHE_REDIS_URL",
    "CACHE_MEMCACHED_SERVERS", "CACHE_IGNORE_ERRORS", "CACHE_OPTIONS", "CACHE_ARGS", "CACHE_SOURCE_CHECK",
    "CACHE_NO_NULL_WARNING", "CACHE_MEMCACHED_USERNAME", "CACHE_MEMCACHED_PASSWORD", "CACHE_REDIS_SENTINELS",
    "CACHE_REDIS_SENTINEL_MASTER", "CACHE_REDIS_SENTINEL_PASSWORD", "CACHE_REDIS_CLUSTER",
};

static int clear_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    return 0;
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static cache_t *open_env(void)
{
    cache_t *cache = NULL;
    assert_status(CACHE_OK, cache_open_env(&cache));
    return cache;
}

static void assert_scheme(const cache_t *cache, const char *scheme)
{
    assert_string_equal(cache->store->ops.scheme, scheme);
}

/* The error names the variable. */
static void assert_refused(const char *variable)
{
    cache_t *cache = (cache_t *)&cache;
    assert_int_equal(cache_open_env(&cache), CACHE_ERR_CONFIG);
    assert_null(cache);
    if (strstr(cache_last_error(), variable) == NULL)
        fail_msg("'%s' does not name %s", cache_last_error(), variable);
}

static void an_empty_environment_opens_the_memory_store(void **state)
{
    (void)state;
    cache_t *cache = open_env();
    assert_scheme(cache, "memory");
    assert_int_equal(cache->default_ttl_ms, 300000);
    cache_close(cache);
}

static void cache_url_wins_over_all_others(void **state)
{
    (void)state;
    set("CACHE_URL", "null://?prefix=v1:");
    set("CACHE_TYPE", "FileSystemCache");
    set("CACHE_KEY_PREFIX", "other");
    cache_t *cache = open_env();
    assert_scheme(cache, "null");
    assert_string_equal(cache->prefix, "v1:");
    cache_close(cache);
}

static int n_events;

static void count_event(void *ctx, const cache_event *event)
{
    (void)event;
    ++*(int *)ctx;
}

static void the_environment_may_be_joined_by_hooks(void **state)
{
    (void)state;
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    set("CACHE_TYPE", "SimpleCache");
    config.event = count_event;
    config.event_ctx = &n_events;
    assert_status(CACHE_OK, cache_open_env_config(&config, &cache));
    assert_scheme(cache, "memory");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    assert_int_equal(n_events, 1);
    cache_close(cache);
    config.url = "memory://";
    assert_status(CACHE_ERR_INVALID, cache_open_env_config(&config, &cache));
    assert_null(cache);
    assert_status(CACHE_ERR_INVALID, cache_open_env_config(NULL, &cache));
}

static void a_variable_set_to_nothing_counts_as_unset(void **state)
{
    (void)state;
    set("CACHE_URL", "");
    set("CACHE_TYPE", "");
    set("CACHE_DEFAULT_TIMEOUT", "");
    cache_close(open_env());
}

static void every_type_of_flask_caching_opens_its_store(void **state)
{
    (void)state;
    static const char *const types[][2] = {
        { "SimpleCache", "memory" }, { "simple", "memory" }, { "flask_caching.backends.SimpleCache", "memory" },
        { "NullCache", "null" }, { "null", "null" },
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        set("CACHE_TYPE", types[i][0]);
        cache_t *cache = open_env();
        assert_scheme(cache, types[i][1]);
        cache_close(cache);
    }
}

static void timeout_prefix_and_ignore_errors_reach_the_handle(void **state)
{
    (void)state;
    set("CACHE_TYPE", "NullCache");
    set("CACHE_DEFAULT_TIMEOUT", "90");
    set("CACHE_KEY_PREFIX", "my app/50%&x=1:");
    set("CACHE_IGNORE_ERRORS", "True");
    cache_t *cache = open_env();
    assert_int_equal(cache->default_ttl_ms, 90000);
    assert_string_equal(cache->store->env.prefix, "my app/50%&x=1:");
    assert_true(cache->miss_on_error);
    cache_close(cache);
    set("CACHE_DEFAULT_TIMEOUT", "forever");
    set("CACHE_IGNORE_ERRORS", "False");
    cache = open_env();
    assert_int_equal(cache->default_ttl_ms, 0);
    assert_false(cache->miss_on_error);
    cache_close(cache);
}

static void settings_of_a_store_that_is_not_used_do_no_harm(void **state)
{
    (void)state;
    set("CACHE_TYPE", "NullCache");
    set("CACHE_THRESHOLD", "500");
    set("CACHE_DIR", "/nowhere");
    set("CACHE_REDIS_PORT", "none");
    set("CACHE_REDIS_SENTINELS", "host:26379");
    set("CACHE_MEMCACHED_USERNAME", "user");
    set("CACHE_SOURCE_CHECK", "False");
    set("CACHE_NO_NULL_WARNING", "True");
    cache_close(open_env());
}

static void a_wrong_value_is_refused_with_the_variables_name(void **state)
{
    static const char *const wrong[][3] = {
        { "CACHE_TYPE", "SimpleCash", "" }, { "CACHE_TYPE", "RedisSentinelCache", "" },
        { "CACHE_TYPE", "UWSGICache", "" },
        { "CACHE_DEFAULT_TIMEOUT", "soon", "" }, { "CACHE_DEFAULT_TIMEOUT", "-5", "" },
        { "CACHE_DEFAULT_TIMEOUT", "1.2.3", "" }, { "CACHE_DEFAULT_TIMEOUT", "99999999999999", "" },
        { "CACHE_THRESHOLD", "many", "" }, { "CACHE_THRESHOLD", "-1", "" }, { "CACHE_THRESHOLD", "5x", "" },
        { "CACHE_IGNORE_ERRORS", "perhaps", "" },
        { "CACHE_REDIS_PORT", "70000", "RedisCache" },
        { "CACHE_REDIS_PORT", "x", "RedisCache" },
        { "CACHE_REDIS_PORT", "0", "RedisCache" },
        { "CACHE_REDIS_DB", "first", "RedisCache" },
        { "CACHE_REDIS_URL", "http://localhost", "RedisCache" },
        { "CACHE_MEMCACHED_SERVERS", " , ", "MemcachedCache" },
        { "CACHE_TYPE", "SASLMemcachedCache", "" }, { "CACHE_TYPE", "RedisClusterCache", "" },
        { "CACHE_OPTIONS", "{'socket_timeout': 1}", "" }, { "CACHE_ARGS", "[1]", "NullCache" },
        { "CACHE_SOURCE_CHECK", "True", "SimpleCache" }, { "CACHE_SOURCE_CHECK", "perhaps", "" },
        { "CACHE_MEMCACHED_USERNAME", "user", "MemcachedCache" }, { "CACHE_MEMCACHED_PASSWORD", "x", "memcached" },
        { "CACHE_REDIS_SENTINELS", "host:26379", "RedisCache" }, { "CACHE_REDIS_SENTINEL_MASTER", "m", "RedisCache" },
        { "CACHE_REDIS_SENTINEL_PASSWORD", "x", "redis" }, { "CACHE_REDIS_CLUSTER", "host:7000", "RedisCache" },
        { "CACHE_URL", "nosuch://", "" }, { "CACHE_URL", "memory://?nosuch=1", "" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        clear_environment(state);
        if (wrong[i][2][0] != '\0')
            set("CACHE_TYPE", wrong[i][2]);
        set(wrong[i][0], wrong[i][1]);
        assert_refused(wrong[i][0]);
    }
}

/* The store is not asked: what its URL says shows in what is refused. */
static void redis_db_counts_where_the_redis_url_names_none(void **state)
{
    static const char *const without[] = {
        "redis://localhost", "redis://localhost/", "redis://localhost:6379?timeout=1", "unix:///run/redis.sock",
    };
    static const char *const with[] = { "redis://localhost/3", "redis://localhost?db=3",
                                        "unix:///run/redis.sock?timeout=1&db=3" };
    (void)state;
    set("CACHE_TYPE", "RedisCache");
    set("CACHE_REDIS_DB", "first");
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        set("CACHE_REDIS_URL", without[i]);
        assert_refused("CACHE_REDIS_DB");
    }
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++) {
        cache_t *cache = NULL;
        set("CACHE_REDIS_URL", with[i]);
        if (cache_open_env(&cache) < 0)    /* a build without Redis */
            assert_null(strstr(cache_last_error(), "CACHE_REDIS_DB"));
        cache_close(cache);
    }
}

static void a_prefix_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char prefix[CACHE_MAX_PREFIX + 2];
    memset(prefix, 'p', sizeof prefix - 1);
    prefix[sizeof prefix - 1] = '\0';
    set("CACHE_KEY_PREFIX", prefix);
    assert_refused("CACHE_KEY_PREFIX");
}

static void the_file_store_needs_its_directory(void **state)
{
    (void)state;
    set("CACHE_TYPE", "FileSystemCache");
    assert_refused("CACHE_DIR");
}

static void no_message_shows_a_password(void **state)
{
    static const char *const variables[][2] = {
        { "CACHE_URL", "redis://user:s3cret@host:notaport/0" }, { "CACHE_URL", "redis://:s3cret%zz@host" },
        { "CACHE_URL", "redis://:s3cret@host/0?nosuch=1" },
        { "CACHE_REDIS_URL", "http://user:s3cret@host" }, { "CACHE_REDIS_URL", "redis://:s3cret@host:0/1" },
        { "CACHE_REDIS_URL", "redis://:s3cret@host/0?nosuch=1" },
    };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        clear_environment(state);
        set("CACHE_TYPE", "RedisCache");
        set(variables[i][0], variables[i][1]);
        assert_refused(variables[i][0]);
        assert_null(strstr(cache_last_error(), "s3cret"));
    }
    clear_environment(state);
    set("CACHE_TYPE", "RedisCache");
    set("CACHE_REDIS_PASSWORD", "s3cret@/:");
    set("CACHE_REDIS_PORT", "x");
    assert_refused("CACHE_REDIS_PORT");
    assert_null(strstr(cache_last_error(), "s3cret"));
    clear_environment(state);
    set("CACHE_TYPE", "MemcachedCache");
    set("CACHE_MEMCACHED_PASSWORD", "s3cret");
    assert_refused("CACHE_MEMCACHED_PASSWORD");
    assert_null(strstr(cache_last_error(), "s3cret"));
    set("CACHE_MEMCACHED_USERNAME", "us3cret");
    set("CACHE_MEMCACHED_SERVERS", "host:notaport");
    assert_refused("CACHE_MEMCACHED_PASSWORD");    /* among those that went into the URL */
    assert_null(strstr(cache_last_error(), "s3cret"));
}

static void a_null_out_is_refused(void **state)
{
    (void)state;
    assert_status(CACHE_ERR_INVALID, cache_open_env(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_environment_opens_the_memory_store, clear_environment),
        cmocka_unit_test_setup(cache_url_wins_over_all_others, clear_environment),
        cmocka_unit_test_setup(the_environment_may_be_joined_by_hooks, clear_environment),
        cmocka_unit_test_setup(a_variable_set_to_nothing_counts_as_unset, clear_environment),
        cmocka_unit_test_setup(every_type_of_flask_caching_opens_its_store, clear_environment),
        cmocka_unit_test_setup(timeout_prefix_and_ignore_errors_reach_the_handle, clear_environment),
        cmocka_unit_test_setup(settings_of_a_store_that_is_not_used_do_no_harm, clear_environment),
        cmocka_unit_test_setup(a_wrong_value_is_refused_with_the_variables_name, clear_environment),
        cmocka_unit_test_setup(redis_db_counts_where_the_redis_url_names_none, clear_environment),
        cmocka_unit_test_setup(a_prefix_that_is_too_long_is_refused, clear_environment),
        cmocka_unit_test_setup(the_file_store_needs_its_directory, clear_environment),
        cmocka_unit_test_setup(no_message_shows_a_password, clear_environment),
        cmocka_unit_test_setup(a_null_out_is_refused, clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, clear_environment);
}
