/* test_open.c - checks that messages name every part of a URL that can be wrong, that nothing leaks, and that no
 * password is shown. */
#include "test.h"

#include "hooks.h"

/* An allocator that counts what is out, so that a refused URL is seen to leave nothing behind. */
static atomic_long blocks_out;

static void *count_alloc(void *ctx, size_t size)
{
    void *block = malloc(size);
    (void)ctx;
    if (block != NULL)
        atomic_fetch_add(&blocks_out, 1);
    return block;
}

static void *count_resize(void *ctx, void *block, size_t size)
{
    (void)ctx;
    if (block == NULL)
        atomic_fetch_add(&blocks_out, 1);
    return realloc(block, size);
}

static void count_free(void *ctx, void *block)
{
    (void)ctx;
    if (block != NULL)
        atomic_fetch_sub(&blocks_out, 1);
    free(block);
}

static const cache_allocator counting = { count_alloc, count_resize, count_free, NULL };

static void assert_refused(const char *url, const char *culprit)
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = (cache_t *)&config;
    config.url = url;
    config.allocator = &counting;
    const cache_status status = cache_open_config(&config, &cache);
    if (status != CACHE_ERR_CONFIG || strstr(cache_last_error(), culprit) == NULL)
        fail_msg("%s: %s (%s), expected a word on '%s'", url, cache_strerror(status), cache_last_error(), culprit);
    assert_null(cache);
    assert_int_equal(atomic_load(&blocks_out), 0);
}

static void what_is_wrong_with_a_url_is_named(void **state)
{
    (void)state;
    assert_refused("", "scheme");
    assert_refused("memory", "scheme");
    assert_refused("nosuch://", "nosuch");
    assert_refused("mem ory://", "scheme");
    assert_refused("memory://?nosuch=1", "nosuch");
    assert_refused("memory://?default_ttl", "default_ttl");
    assert_refused("memory://?default_ttl=1&default_ttl=2", "twice");
    assert_refused("memory://?prefix=%4", "prefix");
    assert_refused("memory://?prefix=%", "prefix");
    assert_refused("memory://?prefix=a%zzb", "prefix");
    assert_refused("memory://?prefix=a%00b", "%00");
    assert_refused("memory://?pre%4=1", "name");
}

static void an_option_out_of_range_is_named_with_its_range(void **state)
{
    (void)state;
    assert_refused("memory://?default_ttl=-1", "default_ttl");
    assert_refused("memory://?default_ttl=nan", "default_ttl");
    assert_refused("memory://?default_ttl=ever", "forever");
    assert_refused("memory://?timeout=forever", "seconds such as 60");
    assert_refused("memory://?default_ttl=inf", "default_ttl");
    assert_refused("memory://?default_ttl=1.2.3", "default_ttl");
    assert_refused("memory://?default_ttl=", "default_ttl");
    assert_refused("memory://?default_ttl=99999999999", "0..10000000000");
    assert_refused("memory://?timeout=0", "0.001..3600");
    assert_refused("memory://?timeout=5s", "timeout");
    assert_refused("memory://?on_error=maybe", "fail|miss");
    assert_refused("memory://?max_items=12x", "max_items");
    assert_refused("memory://?max_items=-1", "max_items");
    assert_refused("memory://?max_items=99999999999999999999", "max_items");
    assert_refused("memory://?max_bytes=1tb", "max_bytes");
    assert_refused("memory://?max_bytes=9999999999999gb", "max_bytes");
}

static void a_prefix_over_200_bytes_is_refused(void **state)
{
    char url[300] = "null://?prefix=";
    (void)state;
    const size_t begin = strlen(url);
    memset(url + begin, 'p', 201);
    url[begin + 201] = '\0';
    assert_refused(url, "prefix");
    url[begin + 200] = '\0';
    cache_close(test_open(url));
}

static void hosts_and_ports_are_checked(void **state)
{
    (void)state;
    assert_refused("null://host:0", "1..65535");
    assert_refused("null://host:65536", "1..65535");
    assert_refused("null://host:12a", "1..65535");
    assert_refused("null://a,,b", "empty");
    assert_refused("null://[::1", "IPv6");
    assert_refused("null://[::1]x", "IPv6");
    assert_refused("null://h%4st", "host");
}

static void a_store_of_this_process_takes_no_address(void **state)
{
    (void)state;
    assert_refused("memory://localhost", "host");
    assert_refused("memory:///var/cache", "path");
    assert_refused("memory://user:word@", "user");
    assert_refused("null://x:1", "host");
}

static void no_message_shows_a_password(void **state)
{
    static const char *const urls[] = {
        "nosuch://user:sesame@host", "null://user:sesame%@host", "null://user:sesame@host:0", "null://:sesame@a,,b",
        "null://user:sesame@host?nosuch=1", "null://us%er:sesame@host/path",
        "null://user:sesame/1@host", "null://user:1/sesame@host", "null://user:1?sesame@host", "null://user:sesame",
        "redis://host?password=open&sesame", "redis://host?password=open&sesame=1",
        "redis://host?password=open&db=1&sesame%",
        "redis://host?password=open&sesame=1&sesame=2", "redis://host?password=open&sesame=%",
    };
    cache_t *cache = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_status(CACHE_ERR_CONFIG, cache_open(urls[i], &cache));
        assert_null(strstr(cache_last_error(), "sesame"));
    }
}

static void an_unknown_scheme_or_option_lists_the_known_ones(void **state)
{
    (void)state;
    assert_refused("nosuch://", "this build has null, memory");
    assert_refused("memory://?max_item=5", "max_items");
    assert_refused("null://?ttl=5", "default_ttl, prefix, timeout");
}

static void the_url_is_shown_without_its_secrets(void **state)
{
    static const struct { const char *url, *shown; } cases[] = {
        { "memory://?max_bytes=64mb&prefix=a%20b:", "memory://?max_bytes=64mb&prefix=a%20b:" },
        { "NULL://", "null://" },
#ifdef LIBCACHE_HAVE_REDIS
        { "redis://me:sesame@a.example:6380,[::1]/2?timeout=3", "redis://me@a.example:6380,[::1]/2?timeout=3" },
        { "redis://localhost?password=open%26sesame&db=1", "redis://localhost" },
#endif
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cache_t *cache = NULL, *part = NULL;
        if (cache_open(cases[i].url, &cache) != CACHE_OK)
            continue;
        assert_string_equal(cache_url(cache), cases[i].shown);
        assert_status(CACHE_OK, cache_with_prefix(cache, "p:", &part));
        cache_close(cache);
        assert_string_equal(cache_url(part), cases[i].shown);
        cache_close(part);
    }
}

static void any_text_can_be_put_into_a_url(void **state)
{
    (void)state;
    char buf[64] = "old", url[128];
    assert_status(CACHE_OK, cache_url_escape("/tmp/a%20b y?z", "/", buf, sizeof buf));
    assert_string_equal(buf, "/tmp/a%2520b%20y%3Fz");
    assert_status(CACHE_OK, cache_url_escape("p/a@s:s", NULL, buf, sizeof buf));
    assert_string_equal(buf, "p%2Fa%40s%3As");
    assert_status(CACHE_ERR_TOO_LARGE, cache_url_escape("abc?", "", buf, 6));
    assert_non_null(strstr(cache_last_error(), "7 bytes"));
    assert_string_equal(buf, "p%2Fa%40s%3As");
    assert_status(CACHE_ERR_INVALID, cache_url_escape(NULL, "", buf, 6));
    assert_status(CACHE_OK, cache_url_escape("a&b=c", "", buf, sizeof buf));
    (void)snprintf(url, sizeof url, "null://?prefix=%s", buf);
    cache_t *cache = test_open(url);
    assert_string_equal(cache_url(cache), url);
    cache_close(cache);
}

static void units_and_percent_encoding_are_read(void **state)
{
    (void)state;
    cache_t *cache = test_open("MEMORY://?max_bytes=64MB&prefix=a%20b%3A:/+&default_ttl=0.5&on_error=miss");
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.max_bytes, 64 << 20);
    cache_close(cache);
}

static void arguments_that_are_null_are_refused_by_name(void **state)
{
    cache_t *cache = NULL;
    cache_config config = CACHE_CONFIG_INIT;
    const cache_allocator half = { .alloc = count_alloc };
    (void)state;
    assert_status(CACHE_ERR_INVALID, cache_open("null://", NULL));
    assert_status(CACHE_ERR_INVALID, cache_open(NULL, &cache));
    assert_non_null(strstr(cache_last_error(), "url"));
    assert_status(CACHE_ERR_INVALID, cache_open_config(NULL, &cache));
    config.url = "null://";
    config.size = 0;
    assert_status(CACHE_ERR_INVALID, cache_open_config(&config, &cache));
    assert_non_null(strstr(cache_last_error(), "CACHE_CONFIG_INIT"));
    config.size = sizeof config;
    config.allocator = &half;
    assert_status(CACHE_ERR_INVALID, cache_open_config(&config, &cache));
    assert_non_null(strstr(cache_last_error(), "allocator"));
    cache_close(NULL);
}

static void a_config_of_an_older_program_is_taken(void **state)
{
    cache_t *cache = NULL;
    cache_config config = CACHE_CONFIG_INIT;
    (void)state;
    config.url = "null://";
    config.size = offsetof(cache_config, log);    /* all that its header had */
    config.allocator = (const cache_allocator *)(uintptr_t)1;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    cache_close(cache);
}

static void a_further_prefix_is_checked(void **state)
{
    char longest[202];
    cache_t *inner = NULL;
    (void)state;
    cache_t *cache = test_open("memory://?prefix=p:");
    memset(longest, 'x', 199);
    longest[199] = '\0';
    assert_status(CACHE_ERR_INVALID, cache_with_prefix(cache, "", &inner));
    assert_status(CACHE_ERR_INVALID, cache_with_prefix(cache, NULL, &inner));
    assert_status(CACHE_ERR_INVALID, cache_with_prefix(cache, longest, &inner));
    assert_null(inner);
    longest[198] = '\0';
    assert_status(CACHE_OK, cache_with_prefix(cache, longest, &inner));
    assert_status(CACHE_OK, cache_set_string(inner, "k", "x", 60));
    cache_close(cache);
    assert_text(inner, "k", "x");    /* the store lives as long as its last handle */
    cache_close(inner);
}

static void the_null_store_holds_nothing_and_refuses_nothing(void **state)
{
    (void)state;
    cache_t *cache = test_open("null://");
    int64_t number = 0;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_add(cache, "k", "x", 1, 60));
    assert_status(CACHE_MISS, cache_has(cache, "k"));
    assert_status(CACHE_MISS, cache_touch(cache, "k", 60));
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_inc(cache, "n", 5, &number));
    assert_int_equal(number, 5);
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

static void every_status_has_words(void **state)
{
    (void)state;
    for (int status = 2; status >= -13; status--)
        assert_string_not_equal(cache_strerror((cache_status)status), "unknown status");
    assert_string_equal(cache_strerror((cache_status)-14), "unknown status");
    assert_string_equal(cache_strerror((cache_status)3), "unknown status");
    assert_string_equal(cache_version(), CACHE_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_a_url_is_named),
        cmocka_unit_test(an_option_out_of_range_is_named_with_its_range),
        cmocka_unit_test(a_prefix_over_200_bytes_is_refused),
        cmocka_unit_test(hosts_and_ports_are_checked),
        cmocka_unit_test(a_store_of_this_process_takes_no_address),
        cmocka_unit_test(no_message_shows_a_password),
        cmocka_unit_test(an_unknown_scheme_or_option_lists_the_known_ones),
        cmocka_unit_test(the_url_is_shown_without_its_secrets),
        cmocka_unit_test(any_text_can_be_put_into_a_url),
        cmocka_unit_test(units_and_percent_encoding_are_read),
        cmocka_unit_test(arguments_that_are_null_are_refused_by_name),
        cmocka_unit_test(a_config_of_an_older_program_is_taken),
        cmocka_unit_test(a_further_prefix_is_checked),
        cmocka_unit_test(the_null_store_holds_nothing_and_refuses_nothing),
        cmocka_unit_test(every_status_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
