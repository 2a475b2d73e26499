/* test_nomem_rest.c - lets each call of malloc and similar functions fail once, in the functions that test_nomem does
 * not call, and in the default allocator. There is never a crash, a leak or a wrong value, and every failure is
 * CACHE_ERR_NOMEM. test_nomem does so with the allocator of a handle. */
#include "test.h"

#include "server.h"
#include "site.h"

#include <errno.h>

/* ---- calls that fail -------------------------------------------------------------------------------------------- *
 *
 * The linker gives this program's calls, and so those of the library in it, to the functions below (--wrap). */

static long until_failure = -1;        /* calls that still succeed; below 0: all do */
static bool failed_once;

static bool fails(void)
{
    const bool now = until_failure-- == 0;
    failed_once |= now;
    return now;
}

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void *__real_ZSTD_createCCtx(void);
void *__real_ZSTD_createDCtx(void);

void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);
void *__wrap_ZSTD_createCCtx(void);
void *__wrap_ZSTD_createDCtx(void);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails() ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return fails() ? ENOMEM : __real_posix_memalign(block, alignment, size);
}

void *__wrap_ZSTD_createCCtx(void)
{
    return fails() ? NULL : __real_ZSTD_createCCtx();
}

void *__wrap_ZSTD_createDCtx(void)
{
    return fails() ? NULL : __real_ZSTD_createDCtx();
}

/* ---- the scenario ------------------------------------------------------------------------------------------------ */

static _Atomic int64_t now_ms;
static char long_text[3000];           /* longer than what stays on a stack, and worth compressing */

static bool good(cache_status status)
{
    if (status < 0 && (status != CACHE_ERR_NOMEM || !failed_once))
        fail_msg("%s (%s), not out of memory", cache_strerror(status), cache_last_error());
    return status == CACHE_OK;
}

/* What the key holds now, if it can be had. */
static void expect_text(cache_t *cache, const char *key, const char *text)
{
    cache_value value;
    const cache_status status = cache_get(cache, key, &value);
    if (good(status))
        assert_string_equal(value.data, text);
    cache_value_release(&value);
}

static void set_many_timed(cache_t *cache)
{
    const cache_timed_item items[] = { { .key = "short", .data = "1", .size = 1, .ttl = 10 },
                                       { .key = "long", .data = long_text, .size = strlen(long_text), .ttl = 100 } };
    double left = 0;
    if (!good(cache_set_many_timed(cache, items, 2)))
        return;
    expect_text(cache, "short", "1");
    expect_text(cache, "long", long_text);
    good(cache_ttl_left(cache, "long", &left));
    good(cache_ping(cache));
}

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    cache_status status = cache_writer_set_ttl(out, 10);
    if (status == CACHE_OK)
        status = cache_writer_set_stale(out, 1000, 1000);
    if (status == CACHE_OK)
        status = cache_writer_printf(out, "%s", long_text);
    return status == CACHE_OK ? cache_writer_append(out, "!", 1) : status;
}

static bool is_long(void *ctx, const cache_value *value)
{
    (void)ctx;
    return value->size == strlen(long_text) + 1;
}

/* Fresh, then stale with a successor in the background. */
static void fetch(cache_t *cache)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.validate = is_long;
    options.name = "the rest";
    for (int i = 0; i < 3; i++) {
        cache_value value;
        if (good(cache_fetch(cache, "fetched", &options, compute, NULL, &value)))
            assert_int_equal(value.size, strlen(long_text) + 1);
        cache_value_release(&value);
        now_ms += i == 0 ? 11000 : 0;
    }
}

static void show(void *ctx, const cache_entry *entry)
{
    (void)ctx;
    assert_int_equal(entry->size, strlen(long_text));
    assert_memory_equal(entry->data, long_text, entry->size);
}

static void count_key(void *ctx, const char *key)
{
    assert_true(key[0] != '\0');
    ++*(int *)ctx;
}

static void look(cache_t *cache)
{
    cache_hot_key hot[CACHE_HOT_KEYS];
    cache_cursor cursor = { 0 };
    cache_status status = CACHE_OK;
    size_t n = 0;
    int keys = 0;
    good(cache_inspect(cache, "long", show, NULL));
    while (!cursor.done && status == CACHE_OK)
        status = cache_keys(cache, "", &cursor, count_key, &keys);
    if (status != CACHE_ERR_UNSUPPORTED)
        good(status);
    good(cache_stats_hot(cache, hot, &n));
    cache_writer *out = cache_writer_new();
    if (out != NULL)
        good(cache_stats_hot_json(cache, out));
    cache_writer_free(out);
}

/* ---- memoized functions ------------------------------------------------------------------------------------------ */

static cache_status load_text(const char *of, char **out)
{
    const size_t size = strlen(of) + 2;
    *out = __real_malloc(size);
    assert_non_null(*out);
    (void)snprintf(*out, size, "%s!", of);
    return CACHE_OK;
}

static const cache_fetch_options text_options = { .size = sizeof text_options, .ttl = 60, .stale = 1000 };
CACHE_MEMOIZE_STRING_WITH(get_text, load_text, &text_options, (const char *, of))

/* By a long key; then stale, so that the arguments are copied for the background. */
static void memoized(cache_t *cache)
{
    for (int i = 0; i < 3; i++) {
        char *text = NULL;
        if (good(get_text(cache, long_text, &text)))
            assert_int_equal(strlen(text), strlen(long_text) + 1);
        free(text);
        now_ms += i == 0 ? 61000 : 0;
    }
    good(get_text_forget(cache, long_text));
}

/* ---- templates and pages ---------------------------------------------------------------------------------------- */

static cache_status resolve(void *ctx, const char *name, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, strcmp(name, "long") == 0 ? long_text : "<7>");
}

static void render(cache_t *cache)
{
    cache_template *page = NULL;
    if (!good(cache_template_compile("{{ user.id }}{# no #}{% cache 60, 'outer', user.id %}a{{ long|safe }}"
                                     "{% cache none, 'inner' %}b{% endcache %}{% endcache %}",
                                     &page)))
        return;
    for (int i = 0; i < 2; i++) {
        size_t size = 0;
        cache_writer *out = cache_writer_new();
        if (out != NULL && good(cache_template_render(page, cache, resolve, NULL, out))) {
            const char *text = cache_writer_data(out, &size);
            assert_int_equal(size, strlen("&lt;7&gt;ab") + strlen(long_text));
            assert_memory_equal(text, "&lt;7&gt;a", 10);
        }
        cache_writer_free(out);
    }
    cache_template_free(page);
}

static cache_status handle(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    cache_response_set_status(response, 200);
    cache_status status = cache_response_set_header(response, "Content-Type", "text/plain");
    if (status == CACHE_OK)
        status = cache_response_add_header(response, "X-Long", long_text);
    if (status == CACHE_OK)
        status = cache_response_set_ttl(response, 30);
    return status == CACHE_OK ? cache_writer_puts(cache_response_body(response), long_text) : status;
}

static void serve(cache_t *cache)
{
    const cache_view view = CACHE_VIEW("rest", 60, .query_string = true);
    const cache_rule rules[] = { { "/none/*", NULL, NULL }, { "/pages/**", NULL, &view } };
    const cache_request request = { .method = "GET", .path = "/pages/a/b", .query = "b=2&a=1" };
    for (int i = 0; i < 2; i++) {
        cache_page page;
        if (good(cache_middleware(cache, rules, 2, &request, handle, NULL, &page))) {
            assert_int_equal(page.body_size, strlen(long_text));
            assert_memory_equal(page.body, long_text, page.body_size);
            assert_string_equal(page_header(&page, "X-Long"), long_text);
        }
        cache_page_release(&page);
    }
    good(cache_view_forget_path(cache, "/pages/a/b"));
}

/* ---- the runs --------------------------------------------------------------------------------------------------- */

static bool run_at_once(void *ctx, void (*task)(void *arg), void *arg)
{
    (void)ctx;
    task(arg);
    return true;
}

static void note_event(void *ctx, const cache_event *event)
{
    (void)event;
    ++*(int *)ctx;
}

/* Returns true if no call failed. The URL is in the environment. */
static bool run(long n)
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    int events = 0;
    now_ms = 1000000;
    config.clock = test_clock(&now_ms);
    config.spawn = run_at_once;
    config.event = note_event;
    config.event_ctx = &events;
    failed_once = false;
    until_failure = n;
    if (good(cache_open_env_config(&config, &cache))) {
        set_many_timed(cache);
        fetch(cache);
        look(cache);
        memoized(cache);
        render(cache);
        serve(cache);
    }
    until_failure = -1;
    if (cache != NULL) {
        assert_true(cache_url(cache)[0] != '\0');
        assert_status(CACHE_OK, cache_set_string(cache, "k", "works", 60));
        assert_text(cache, "k", "works");
    }
    cache_close(cache);
    return !failed_once;
}

static void survives(const char *url)
{
    long n = 0;
    memset(long_text, 't', sizeof long_text - 1);
    assert_int_equal(setenv("CACHE_URL", url, 1), 0);
    while (!run(n))
        n++;
    assert_true(n > 50);
    assert_int_equal(unsetenv("CACHE_URL"), 0);
}

static void no_memory_at_any_call_does_no_harm_in_a_memory_store(void **state)
{
    (void)state;
    survives("memory://?max_items=5");    /* so that something is evicted, and told */
}

static void no_memory_at_any_call_does_no_harm_in_a_file_store(void **state)
{
    char directory[64], url[128];
    (void)state;
    test_directory_make(directory, sizeof directory);
    (void)snprintf(url, sizeof url, "file://%s?prefix=plain:", directory);
    survives(url);
    (void)snprintf(url, sizeof url, "file://%s?prefix=layers:&compress=zstd&front=1mb", directory);
    survives(url);
    test_directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_at_any_call_does_no_harm_in_a_memory_store),
        cmocka_unit_test(no_memory_at_any_call_does_no_harm_in_a_file_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
