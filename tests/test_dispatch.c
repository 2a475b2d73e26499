/* test_dispatch.c - checks which operation of a store the core calls, what it does if a store lacks one, and what a
 * store's failures become. The store of this test counts its calls, and answers as it is told. */
#include "test.h"

enum op { GET, SET, REMOVE, INC, CLEAR, GET_MANY, SET_MANY, REMOVE_MANY, TOUCH, HAS, OPS };

static struct {
    int calls[OPS];
    cache_status answer;
    char key[64];              /* the last one, as the store saw it */
    int64_t ttl_ms;
    unsigned flags;
} seen;

static cache_status called(enum op op, cache_bytes key)
{
    seen.calls[op]++;
    (void)snprintf(seen.key, sizeof seen.key, "%.*s", (int)key.size, key.data);
    return seen.answer < 0 ? cache_fail(seen.answer, "fake: told to fail") : seen.answer;
}

static cache_status fake_open(const cache_backend_config *config, void **self)
{
    (void)config;
    *self = &seen;
    return CACHE_OK;
}

static void fake_close(void *self)
{
    (void)self;
}

static cache_status fake_get(void *self, cache_bytes key, cache_writer *out)
{
    (void)self;
    const cache_status status = called(GET, key);
    return status == CACHE_OK ? cache_writer_append(out, "value", 5) : status;
}

static cache_status fake_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    (void)self, (void)value;
    seen.ttl_ms = ttl_ms;
    seen.flags = flags;
    return called(SET, key);
}

static cache_status fake_remove(void *self, cache_bytes key)
{
    (void)self;
    return called(REMOVE, key);
}

static cache_status fake_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    (void)self;
    seen.ttl_ms = ttl_ms;
    *result = delta;
    return called(INC, key);
}

static cache_status fake_clear(void *self, cache_bytes prefix)
{
    (void)self;
    return called(CLEAR, prefix);
}

static cache_status fake_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    (void)self;
    const cache_status status = called(GET_MANY, keys[n - 1]);
    for (size_t i = 0; i < n && status == CACHE_OK; i += 2)
        (void)cache_results_put(out, i, "value", 5);
    return status;
}

static cache_status fake_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                  int64_t ttl_ms)
{
    (void)self, (void)values;
    seen.ttl_ms = ttl_ms;
    return called(SET_MANY, keys[n - 1]);
}

static cache_status fake_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    (void)self;
    *removed = n;
    return called(REMOVE_MANY, keys[n - 1]);
}

static cache_status fake_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    (void)self;
    seen.ttl_ms = ttl_ms;
    return called(TOUCH, key);
}

static cache_status fake_has(void *self, cache_bytes key)
{
    (void)self;
    return called(HAS, key);
}

#define REQUIRED .open = fake_open, .close = fake_close, .get = fake_get, .set = fake_set, .remove = fake_remove, \
                 .inc = fake_inc, .clear = fake_clear, .max_value = 1000

static const cache_backend_ops bare_ops = { .size = sizeof(cache_backend_ops), .scheme = "bare", REQUIRED };
static const cache_backend_ops full_ops = {
    .size = sizeof(cache_backend_ops), .scheme = "full", REQUIRED,
    .get_many = fake_get_many, .set_many = fake_set_many, .remove_many = fake_remove_many, .touch = fake_touch,
    .has = fake_has,
};
static const cache_backend_ops old_ops = {    /* a table from before `has` and `touch` were thought of */
    .size = offsetof(cache_backend_ops, touch), .scheme = "old", REQUIRED, .has = fake_has, .touch = fake_touch,
};

static cache_t *open_fake(const char *url)
{
    cache_t *cache = test_open(url);
    memset(&seen, 0, sizeof seen);
    return cache;
}

static void assert_calls(enum op op, int expected)
{
    for (int i = 0; i < OPS; i++)
        assert_int_equal(seen.calls[i], i == (int)op ? expected : 0);
    memset(seen.calls, 0, sizeof seen.calls);
}

/* ---- one call, one operation ------------------------------------------------------------------------------------- */

static void each_call_is_one_operation_of_a_full_store(void **state)
{
    (void)state;
    cache_t *cache = open_fake("full://?prefix=p:");
    const char *const keys[] = { "a", "b", "c" };
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 } };
    cache_value values[3];
    size_t deleted = 0;
    assert_text(cache, "k", "value");
    assert_calls(GET, 1);
    assert_string_equal(seen.key, "p:k");
    assert_status(CACHE_OK, cache_has(cache, "k"));
    assert_calls(GET, 1);    /* only the value tells whether cache_get would show it */
    assert_status(CACHE_OK, cache_touch(cache, "k", 2.5));
    assert_int_equal(seen.calls[GET], 1);
    seen.calls[GET] = 0;
    assert_calls(TOUCH, 1);
    assert_int_equal(seen.ttl_ms, 2500);
    assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
    assert_calls(GET_MANY, 1);
    assert_non_null(values[0].data);
    assert_null(values[1].data);
    for (int i = 0; i < 3; i++)
        cache_value_release(&values[i]);
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    assert_calls(SET_MANY, 1);
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 3, &deleted));
    assert_calls(REMOVE_MANY, 2);    /* the leases of other processes, then the values */
    assert_int_equal(deleted, 3);
    assert_status(CACHE_OK, cache_clear(cache));
    assert_calls(CLEAR, 1);
    assert_string_equal(seen.key, "p:");
    cache_close(cache);
}

static void ttls_and_flags_reach_the_store(void **state)
{
    (void)state;
    cache_t *cache = open_fake("bare://?default_ttl=7");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", CACHE_TTL_DEFAULT));
    assert_int_equal(seen.ttl_ms, 7000);
    assert_int_equal(seen.flags, 0);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", CACHE_TTL_FOREVER));
    assert_int_equal(seen.ttl_ms, 0);
    assert_status(CACHE_OK, cache_add(cache, "k", "x", 1, 0.0001));
    assert_int_equal(seen.ttl_ms, 1);    /* rounded up: never to "for ever" */
    assert_int_equal(seen.flags, CACHE_SET_IF_ABSENT);
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, NULL));
    assert_int_equal(seen.ttl_ms, 7000);
    cache_close(cache);
    static const char *const for_ever[] = { "bare://?default_ttl=0", "bare://?default_ttl=forever" };
    for (size_t i = 0; i < 2; i++) {
        cache = open_fake(for_ever[i]);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", CACHE_TTL_DEFAULT));
        assert_int_equal(seen.ttl_ms, 0);
        cache_close(cache);
    }
}

static void a_store_without_optional_operations_is_helped_by_the_core(void **state)
{
    (void)state;
    cache_t *cache = open_fake("bare://");
    const char *const keys[] = { "a", "b", "c" };
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 } };
    cache_value values[3];
    size_t deleted = 0;
    assert_status(CACHE_OK, cache_has(cache, "k"));
    assert_calls(GET, 1);
    assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
    assert_calls(GET, 3);
    for (int i = 0; i < 3; i++)
        cache_value_release(&values[i]);
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    assert_calls(SET, 2);
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 3, &deleted));
    assert_calls(REMOVE, 6);
    assert_int_equal(deleted, 3);
    assert_status(CACHE_ERR_UNSUPPORTED, cache_touch(cache, "k", 60));    /* get and set would not be atomic */
    assert_calls(GET, 0);
    cache_close(cache);
}

static void an_older_shorter_table_hides_what_lies_behind_its_end(void **state)
{
    (void)state;
    cache_t *cache = open_fake("old://");
    assert_status(CACHE_OK, cache_has(cache, "k"));
    assert_calls(GET, 1);
    assert_status(CACHE_ERR_UNSUPPORTED, cache_touch(cache, "k", 60));
    cache_close(cache);
}

static void a_bad_argument_never_reaches_the_store(void **state)
{
    (void)state;
    cache_t *cache = open_fake("full://");
    cache_value value;
    assert_status(CACHE_ERR_INVALID, cache_get(cache, "", &value));
    assert_status(CACHE_ERR_INVALID, cache_get(cache, NULL, &value));
    assert_status(CACHE_ERR_INVALID, cache_get(cache, "k", NULL));
    assert_status(CACHE_ERR_INVALID, cache_get_copy(cache, "k", NULL, 5, NULL));
    assert_status(CACHE_ERR_INVALID, cache_set(cache, "k", NULL, 5, 60));
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "k", NULL, 60));
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "k", "x", -3));
    assert_status(CACHE_ERR_INVALID, cache_delete(cache, NULL));
    assert_status(CACHE_ERR_INVALID, cache_stats(cache, NULL));
    assert_calls(GET, 0);
    assert_status(CACHE_ERR_TOO_LARGE, cache_set(cache, "k", &seen.key, 1001, 60));
    assert_non_null(strstr(cache_last_error(), "1000"));
    assert_calls(GET, 0);
    cache_close(cache);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void a_failure_is_handed_back_and_counted(void **state)
{
    (void)state;
    cache_t *cache = open_fake("full://?on_error=fail");
    cache_counters counters;
    cache_value value;
    seen.answer = CACHE_ERR_TIMEOUT;
    assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "k", &value));
    assert_null(value.data);
    assert_string_equal(cache_last_error(), "fake: told to fail");
    assert_status(CACHE_ERR_TIMEOUT, cache_set_string(cache, "k", "x", 60));
    assert_status(CACHE_ERR_TIMEOUT, cache_delete(cache, "k"));
    assert_status(CACHE_ERR_TIMEOUT, cache_inc(cache, "n", 1, NULL));
    assert_status(CACHE_ERR_TIMEOUT, cache_clear(cache));
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.errors, 5);
    assert_int_equal(counters.hits + counters.misses + counters.sets, 0);
    cache_close(cache);
}

static void on_error_miss_makes_a_failing_store_look_empty(void **state)
{
    static const cache_status failures[] = { CACHE_ERR_IO, CACHE_ERR_CONNECT, CACHE_ERR_TIMEOUT, CACHE_ERR_PROTOCOL,
                                             CACHE_ERR_AUTH };
    (void)state;
    cache_t *cache = open_fake("full://?on_error=miss");
    const char *const keys[] = { "a", "b" };
    const cache_item item = { "a", "1", 1 };
    cache_counters counters;
    cache_value values[2];
    int64_t number = 0;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        seen.answer = failures[i];
        assert_text(cache, "k", NULL);
        assert_status(CACHE_MISS, cache_get_copy(cache, "k", NULL, 0, NULL));
        assert_status(CACHE_MISS, cache_has(cache, "k"));
        assert_status(CACHE_MISS, cache_touch(cache, "k", 60));
        assert_status(CACHE_MISS, cache_delete(cache, "k"));
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
        assert_status(CACHE_OK, cache_add(cache, "k", "x", 1, 60));
        assert_status(CACHE_OK, cache_inc(cache, "n", 4, &number));
        assert_int_equal(number, 4);
        assert_status(CACHE_OK, cache_get_many(cache, keys, 2, values));
        assert_null(values[0].data);
        assert_status(CACHE_OK, cache_set_many(cache, &item, 1, 60));
        assert_status(CACHE_OK, cache_delete_many(cache, keys, 2, NULL));
        assert_status(CACHE_OK, cache_clear(cache));
    }
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.errors, 12 * 5);
    cache_close(cache);
}

static void on_error_miss_does_not_hide_what_the_caller_did_wrong(void **state)
{
    (void)state;
    cache_t *cache = open_fake("full://?on_error=miss");
    seen.answer = CACHE_ERR_TYPE;
    assert_status(CACHE_ERR_TYPE, cache_inc(cache, "n", 1, NULL));
    seen.answer = CACHE_ERR_NOMEM;
    assert_status(CACHE_ERR_NOMEM, cache_set_string(cache, "k", "x", 60));
    seen.answer = CACHE_OK;
    assert_status(CACHE_ERR_INVALID, cache_set_string(cache, "k", "x", -7));
    cache_close(cache);
}

static void after_a_failure_the_rest_of_many_is_still_tried(void **state)
{
    (void)state;
    cache_t *cache = open_fake("bare://");
    const char *const keys[] = { "a", "b", "c" };
    seen.answer = CACHE_ERR_IO;
    assert_status(CACHE_ERR_IO, cache_delete_many(cache, keys, 3, NULL));
    assert_calls(REMOVE, 6);
    cache_close(cache);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

struct heard {
    char text[256];
};

static void hear(void *ctx, const cache_event *event)
{
    struct heard *heard = ctx;
    const size_t at = strlen(heard->text);
    (void)snprintf(heard->text + at, sizeof heard->text - at, "%d:%s:%d ", (int)event->type, event->key,
                   (int)event->status);
}

static void each_operation_is_one_event_with_the_users_key(void **state)
{
    struct heard heard = { "" };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)state;
    memset(&seen, 0, sizeof seen);
    config.url = "full://?prefix=hidden:";
    config.event = hear;
    config.event_ctx = &heard;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    assert_text(cache, "a", "value");
    assert_status(CACHE_OK, cache_set_string(cache, "b", "x", 60));
    assert_status(CACHE_OK, cache_delete(cache, "c"));
    assert_status(CACHE_OK, cache_has(cache, "there"));
    seen.answer = CACHE_MISS;
    assert_text(cache, "d", NULL);
    assert_status(CACHE_MISS, cache_has(cache, "gone"));
    seen.answer = CACHE_ERR_IO;
    assert_status(CACHE_ERR_IO, cache_set_string(cache, "e", "x", 60));
    char expected[256];
    (void)snprintf(expected, sizeof expected, "%d:a:0 %d:b:0 %d:c:0 %d:there:0 %d:d:1 %d:gone:1 %d:e:-4 ",
                   CACHE_EVENT_HIT, CACHE_EVENT_SET, CACHE_EVENT_DELETE, CACHE_EVENT_HIT, CACHE_EVENT_MISS,
                   CACHE_EVENT_MISS, CACHE_EVENT_ERROR);
    assert_string_equal(heard.text, expected);
    cache_close(cache);
}

struct events {
    cache_event of[16];
    int n;
};

static void keep_event(void *ctx, const cache_event *event)
{
    struct events *events = ctx;
    if (events->n < 16)
        events->of[events->n++] = *event;
}

static cache_status five_bytes(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "12345");
}

static void expect_event(const cache_event *event, cache_event_type type, size_t size, cache_source source)
{
    assert_int_equal(event->type, type);
    assert_int_equal(event->size, size);
    assert_int_equal(event->source, source);
}

static void events_say_how_large_a_value_is_where_it_came_from_and_whose_it_is(void **state)
{
    struct events events = { .n = 0 };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    cache_value value;
    int request = 0;
    (void)state;
    config.url = "memory://";
    config.event = keep_event;
    config.event_ctx = &events;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    cache_set_event_context(&request);
    assert_status(CACHE_OK, cache_fetch(cache, "a", NULL, five_bytes, NULL, &value));    /* miss, compute, set, fetch */
    cache_value_release(&value);
    assert_status(CACHE_OK, cache_fetch(cache, "a", NULL, five_bytes, NULL, &value));    /* hit, fetch */
    cache_value_release(&value);
    cache_set_event_context(NULL);
    assert_status(CACHE_OK, cache_set_string(cache, "b", "xy", 60));
    assert_status(CACHE_OK, cache_get(cache, "b", &value));
    cache_value_release(&value);
    assert_int_equal(events.n, 8);
    expect_event(&events.of[0], CACHE_EVENT_MISS, 0, CACHE_SOURCE_NONE);
    expect_event(&events.of[1], CACHE_EVENT_COMPUTE, 5, CACHE_SOURCE_NONE);
    expect_event(&events.of[3], CACHE_EVENT_FETCH, 5, CACHE_SOURCE_COMPUTED);
    expect_event(&events.of[5], CACHE_EVENT_FETCH, 5, CACHE_SOURCE_HIT);
    expect_event(&events.of[6], CACHE_EVENT_SET, 2, CACHE_SOURCE_NONE);
    expect_event(&events.of[7], CACHE_EVENT_HIT, 2, CACHE_SOURCE_NONE);
    for (int i = 0; i < events.n; i++)
        assert_ptr_equal(events.of[i].context, i < 6 ? &request : NULL);
    cache_close(cache);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int closed;

static cache_status open_in_part(const cache_backend_config *config, void **self)
{
    (void)config;
    *self = &closed;
    return cache_fail(CACHE_ERR_IO, "broken: no disk");
}

static void count_close(void *self)
{
    (void)self;
    closed++;
}

static void a_store_that_could_not_open_is_not_closed(void **state)
{
    static cache_backend_ops ops;
    cache_t *cache = NULL;
    (void)state;
    ops = bare_ops;
    ops.scheme = "broken";
    ops.open = open_in_part;
    ops.close = count_close;
    assert_status(CACHE_OK, cache_register_backend(&ops));
    assert_status(CACHE_ERR_IO, cache_open("broken://", &cache));
    assert_null(cache);
    assert_int_equal(closed, 0);
}

/* ---- registering ------------------------------------------------------------------------------------------------- */

static void a_table_that_lacks_something_is_refused_and_it_is_named(void **state)
{
    cache_backend_ops ops = bare_ops;
    (void)state;
    ops.scheme = "lacking";
    ops.inc = NULL;
    assert_status(CACHE_ERR_INVALID, cache_register_backend(&ops));
    assert_non_null(strstr(cache_last_error(), "'inc'"));
    ops.inc = fake_inc;
    ops.size = 8;
    assert_status(CACHE_ERR_INVALID, cache_register_backend(&ops));
    ops.size = sizeof ops;
    ops.scheme = NULL;
    assert_status(CACHE_ERR_INVALID, cache_register_backend(&ops));
    ops.scheme = "memory";
    assert_status(CACHE_ERR_INVALID, cache_register_backend(&ops));
    assert_non_null(strstr(cache_last_error(), "in use"));
    assert_status(CACHE_ERR_INVALID, cache_register_backend(&bare_ops));
    assert_status(CACHE_ERR_INVALID, cache_register_backend(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_is_one_operation_of_a_full_store),
        cmocka_unit_test(ttls_and_flags_reach_the_store),
        cmocka_unit_test(a_store_without_optional_operations_is_helped_by_the_core),
        cmocka_unit_test(an_older_shorter_table_hides_what_lies_behind_its_end),
        cmocka_unit_test(a_bad_argument_never_reaches_the_store),
        cmocka_unit_test(a_failure_is_handed_back_and_counted),
        cmocka_unit_test(on_error_miss_makes_a_failing_store_look_empty),
        cmocka_unit_test(on_error_miss_does_not_hide_what_the_caller_did_wrong),
        cmocka_unit_test(after_a_failure_the_rest_of_many_is_still_tried),
        cmocka_unit_test(each_operation_is_one_event_with_the_users_key),
        cmocka_unit_test(events_say_how_large_a_value_is_where_it_came_from_and_whose_it_is),
        cmocka_unit_test(a_store_that_could_not_open_is_not_closed),
        cmocka_unit_test(a_table_that_lacks_something_is_refused_and_it_is_named),
    };
    if (cache_register_backend(&bare_ops) != CACHE_OK || cache_register_backend(&full_ops) != CACHE_OK
        || cache_register_backend(&old_ops) != CACHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
