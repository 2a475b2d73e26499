/* test_fetch_many.c - checks what cache_fetch_many asks of the store, of the computation, and of other threads. */
#include "fake_store.h"

#include <pthread.h>

enum { MAX = 200 };

static _Atomic int64_t now_ms;

/* A table to load from: key "k7" has the value "v7", key "none" has none, key "bad" cannot be had. */
struct table {
    atomic_int calls, loaded;
    cache_status status;               /* of the whole, unless it is CACHE_OK */
    double ttl;                        /* above 0: what the odd keys say of themselves */
    void (*during)(void *ctx);         /* NULL, or called in the middle */
    void *during_ctx;
};

static cache_status load(void *ctx, cache_missing missing[], size_t n)
{
    struct table *table = ctx;
    atomic_fetch_add(&table->calls, 1);
    atomic_fetch_add(&table->loaded, (int)n);
    if (table->during != NULL)
        table->during(table->during_ctx);
    for (size_t i = 0; i < n; i++) {
        const int number = atoi(missing[i].key + 1);
        if (strcmp(missing[i].key, "bad") == 0)
            missing[i].status = CACHE_ERR_IO;
        else if (strcmp(missing[i].key, "empty") == 0)
            (void)cache_writer_puts(missing[i].out, "");
        else if (strcmp(missing[i].key, "none") != 0)
            (void)cache_writer_printf(missing[i].out, "v%s", missing[i].key + 1);
        if (table->ttl > 0 && number % 2 == 1)
            (void)cache_writer_set_ttl(missing[i].out, table->ttl);
    }
    return table->status;
}

static cache_t *open_fake(void)
{
    fake_store_reset();
    now_ms = 1000000;
    return test_open_with_clock("fakemany://", &now_ms);
}

static void assert_value(const cache_value *value, const char *text)
{
    if (text == NULL)
        assert_null(value->data);
    else {
        assert_non_null(value->data);
        assert_string_equal(value->data, text);
        assert_int_equal(value->size, strlen(text));
    }
}

static cache_status fetch(cache_t *cache, const char *const keys[], size_t n, const cache_fetch_options *options,
                          struct table *table, const char *const texts[])
{
    cache_value out[MAX];
    const cache_status status = cache_fetch_many(cache, keys, n, options, load, table, out);
    for (size_t i = 0; i < n; i++) {
        assert_value(&out[i], texts[i]);
        cache_value_release(&out[i]);
    }
    return status;
}

static const char *const three[] = { "k1", "k2", "k3" };
static const char *const three_texts[] = { "v1", "v2", "v3" };

/* ---- round trips ------------------------------------------------------------------------------------------------- */

static void what_is_missing_costs_one_read_one_computation_and_one_write(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, three_texts));
    assert_int_equal(fake_store_calls(FAKE_GET_MANY), 1);
    assert_int_equal(fake_store_calls(FAKE_SET_MANY), 1);
    assert_int_equal(table.calls, 1);
    assert_int_equal(table.loaded, 3);
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, three_texts));
    assert_int_equal(fake_store_calls(FAKE_GET_MANY), 2);
    assert_int_equal(table.calls, 1);
    assert_int_equal(fake_store_calls(FAKE_SET_MANY), 1);
    for (int op = 0; op < FAKE_OPS; op++)
        assert_true(op == FAKE_GET_MANY || op == FAKE_SET_MANY || fake_store_calls((enum fake_op)op) == 0);
    cache_close(cache);
}

static void only_what_is_missing_is_computed(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    static const char *const texts[] = { "v1", "set by hand", "v3" };
    assert_status(CACHE_OK, cache_set_string(cache, "k2", "set by hand", 60));
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, texts));
    assert_int_equal(table.loaded, 2);
    assert_text(cache, "k3", "v3");
    cache_close(cache);
}

static void tags_are_read_with_the_keys(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    static const char *const tags[] = { "all" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.tags = tags;
    options.n_tags = 1;
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_int_equal(fake_store_calls(FAKE_GET_MANY), 1);
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_int_equal(fake_store_calls(FAKE_GET_MANY), 2);
    assert_int_equal(table.loaded, 3);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "all"));
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_int_equal(table.loaded, 6);
    cache_close(cache);
}

/* Jitter moves the times in the envelopes: the store still gets them in one call. */
static void each_ttl_is_one_write(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { .ttl = 7 };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = 60;
    options.jitter = 0.5;
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_int_equal(fake_store_calls(FAKE_SET_MANY), 2);
    int64_t ttl_ms = 0;
    assert_true(fake_store_peek("libcache:k1", NULL, 0, &ttl_ms) > 0);
    assert_int_equal(ttl_ms, 7000);
    assert_true(fake_store_peek("libcache:k2", NULL, 0, &ttl_ms) > 0);
    assert_int_equal(ttl_ms, 60000);
    now_ms += 60000 - 1;    /* past any jitter, within the store's time */
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_int_equal(table.loaded, 6);
    cache_close(cache);
}

/* ---- what comes of a key ----------------------------------------------------------------------------------------- */

static void a_key_may_have_nothing_or_fail_while_the_others_are_there(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_fetch_info info[4];
    static const char *const keys[] = { "none", "k2", "bad", "empty" };
    static const char *const texts[] = { NULL, "v2", NULL, "" };
    options.info = info;
    options.negative_ttl = 30;
    assert_status(CACHE_ERR_IO, fetch(cache, keys, 4, &options, &table, texts));
    assert_true(info[0].negative && info[0].stored);
    assert_int_equal(info[1].source, CACHE_SOURCE_COMPUTED);
    assert_int_equal(info[2].source, CACHE_SOURCE_NONE);
    assert_false(info[2].stored);
    assert_true(info[3].stored);
    assert_status(CACHE_ERR_IO, fetch(cache, keys, 4, &options, &table, texts));
    assert_int_equal(table.loaded, 5);    /* the failed one alone, again */
    assert_int_equal(info[0].source, CACHE_SOURCE_HIT);
    assert_true(info[0].negative);
    cache_close(cache);
}

static void a_failure_of_the_computation_is_every_missing_keys(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { .status = CACHE_ERR_CONNECT };
    static const char *const texts[] = { NULL, "there", NULL };
    assert_status(CACHE_OK, cache_set_string(cache, "k2", "there", 60));
    assert_status(CACHE_ERR_CONNECT, fetch(cache, three, 3, NULL, &table, texts));
    assert_int_equal(fake_store_calls(FAKE_SET_MANY), 0);
    table.status = CACHE_MISS;
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, texts));
    cache_close(cache);
}

static void repeats_are_computed_once(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    static const char *const keys[] = { "k1", "k2", "k1", "bad", "k1", "bad", "none", "none" };
    static const char *const texts[] = { "v1", "v2", "v1", NULL, "v1", NULL, NULL, NULL };
    assert_status(CACHE_ERR_IO, fetch(cache, keys, 8, NULL, &table, texts));
    assert_int_equal(table.loaded, 4);
    cache_close(cache);
}

static void stale_values_are_recomputed_with_the_missing_ones_and_stand_in_if_that_fails(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_fetch_info info[3];
    options.ttl = 10;
    options.stale_if_error = 100;
    options.info = info;
    assert_status(CACHE_OK, fetch(cache, three, 2, &options, &table, three_texts));
    now_ms += 11000;
    table.status = CACHE_ERR_IO;
    static const char *const texts[] = { "v1", "v2", NULL };
    assert_status(CACHE_ERR_IO, fetch(cache, three, 3, &options, &table, texts));
    assert_int_equal(info[0].source, CACHE_SOURCE_STALE);
    assert_int_equal(info[2].source, CACHE_SOURCE_NONE);
    options.stale = 100;
    table.status = CACHE_OK;
    now_ms += 1000;    /* error_ttl */
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_int_equal(info[0].source, CACHE_SOURCE_COMPUTED);
    assert_int_equal(table.calls, 3);
    cache_close(cache);
}

static void force_and_unless_hold_for_every_key(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    static const char *const twice[] = { "k1", "k1" };
    assert_status(CACHE_OK, cache_set_string(cache, "k1", "old", 60));
    options.unless = true;
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_int_equal(fake_store_calls(FAKE_GET_MANY) + fake_store_calls(FAKE_SET_MANY), 0);
    assert_text(cache, "k1", "old");
    options.unless = false;
    options.force = true;
    static const char *const twice_texts[] = { "v1", "v1" };
    assert_status(CACHE_OK, fetch(cache, twice, 2, &options, &table, twice_texts));
    assert_int_equal(table.loaded, 4);
    assert_text(cache, "k1", "v1");
    cache_close(cache);
}

static void a_store_that_fails_costs_a_computation(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    cache_counters counters;
    fake_store_fail(FAKE_GET_MANY, CACHE_ERR_CONNECT);
    fake_store_fail(FAKE_SET_MANY, CACHE_ERR_TIMEOUT);
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, three_texts));
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.errors, 2);
    cache_close(cache);
}

static void counts_are_of_keys_in_total_and_by_name(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_counters counters;
    options.name = "load";
    assert_status(CACHE_OK, fetch(cache, three, 2, &options, &table, three_texts));
    assert_status(CACHE_OK, fetch(cache, three, 3, &options, &table, three_texts));
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.misses, 3);
    assert_int_equal(counters.hits, 2);
    assert_int_equal(counters.computations, 3);
    assert_int_equal(counters.sets, 3);
    cache_writer *text = cache_writer_new();
    assert_status(CACHE_OK, cache_stats_json(cache, text));
    assert_non_null(strstr(cache_writer_data(text, NULL), "\"load\":{\"hit_rate\":\"40.0%\",\"hit_ratio\":0.400,"
                                                            "\"hits\":2,\"misses\":3,"
                                                          "\"stale_hits\":0,\"sets\":3,\"computations\":3,"));
    cache_writer_free(text);
    cache_close(cache);
}

/* ---- invalidation and other threads ------------------------------------------------------------------------------ */

static void delete_second(void *ctx)
{
    static const char *const keys[] = { "k2" };
    assert_status(CACHE_OK, cache_delete_many(ctx, keys, 1, NULL));
}

static void a_delete_beats_the_computation_that_began_before(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { .during = delete_second, .during_ctx = cache };
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, three_texts));
    assert_text(cache, "k1", "v1");
    assert_text(cache, "k2", NULL);
    assert_text(cache, "k3", "v3");
    cache_close(cache);
}

static void delete_at_store(void *ctx, enum fake_op op, cache_bytes key)
{
    (void)key;
    if (op == FAKE_SET_MANY)
        delete_second(ctx);
}

static void a_delete_between_the_computation_and_the_store_takes_the_value_with_it(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { 0 };
    fake_store_hook(delete_at_store, cache);
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, three_texts));
    fake_store_hook(NULL, NULL);
    assert_text(cache, "k2", NULL);
    assert_text(cache, "k3", "v3");
    cache_close(cache);
}

static void fetch_own_key(void *ctx)
{
    static const char *const keys[] = { "k9", "k1" };
    struct table inner = { 0 };
    cache_value out[2];
    assert_status(CACHE_ERR_INVALID, cache_fetch_many(ctx, keys, 2, NULL, load, &inner, out));
    assert_non_null(strstr(cache_last_error(), "'k1'"));
    assert_value(&out[0], "v9");
    assert_value(&out[1], NULL);
    cache_value_release(&out[0]);
}

static void a_computation_that_asks_for_its_own_key_is_told_so(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct table table = { .during = fetch_own_key, .during_ctx = cache };
    assert_status(CACHE_OK, fetch(cache, three, 3, NULL, &table, three_texts));
    assert_text(cache, "k9", "v9");
    cache_close(cache);
}

struct rivals {
    cache_t *cache;
    struct table table;
    pthread_barrier_t barrier;
    atomic_int turn;
};

/* Each thread wants all keys, in another order: whoever leads one waits for those of the others. */
static void *want_all(void *arg)
{
    struct rivals *rivals = arg;
    const int turn = atomic_fetch_add(&rivals->turn, 1);
    char keys[MAX][8];
    const char *wanted[MAX];
    cache_value out[MAX];
    for (int i = 0; i < MAX; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", turn % 2 == 0 ? i : MAX - 1 - i);
        wanted[i] = keys[i];
    }
    pthread_barrier_wait(&rivals->barrier);
    assert_status(CACHE_OK, cache_fetch_many(rivals->cache, wanted, MAX, NULL, load, &rivals->table, out));
    for (int i = 0; i < MAX; i++) {
        assert_int_equal(atoi((const char *)out[i].data + 1), atoi(keys[i] + 1));
        cache_value_release(&out[i]);
    }
    return NULL;
}

static void threads_that_want_the_same_keys_compute_each_once(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct rivals rivals = { .cache = test_open("memory://") };
    pthread_t threads[THREADS];
    pthread_barrier_init(&rivals.barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, want_all, &rivals), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rivals.table.loaded, MAX);
    pthread_barrier_destroy(&rivals.barrier);
    cache_close(rivals.cache);
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static void bad_arguments_are_named(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    static const char *const bad[] = { "k1", "" };
    cache_value out[2] = { { "x", 1, NULL }, { "x", 1, NULL } };
    struct table table = { 0 };
    assert_status(CACHE_OK, cache_fetch_many(cache, NULL, 0, NULL, load, &table, NULL));
    assert_status(CACHE_ERR_INVALID, cache_fetch_many(cache, NULL, 2, NULL, load, &table, out));
    assert_status(CACHE_ERR_INVALID, cache_fetch_many(cache, three, 2, NULL, NULL, &table, out));
    assert_status(CACHE_ERR_INVALID, cache_fetch_many(cache, three, 2, NULL, load, &table, NULL));
    assert_status(CACHE_ERR_INVALID, cache_fetch_many(cache, bad, 2, NULL, load, &table, out));
    assert_non_null(strstr(cache_last_error(), "key 1: the key is empty"));
    options.lock = true;
    assert_status(CACHE_ERR_INVALID, cache_fetch_many(cache, three, 2, &options, load, &table, out));
    assert_non_null(strstr(cache_last_error(), "lock"));
    options.lock = false;
    options.jitter = 2;
    assert_status(CACHE_ERR_INVALID, cache_fetch_many(cache, three, 2, &options, load, &table, out));
    assert_int_equal(table.calls, 0);
    assert_int_equal(fake_store_calls(FAKE_GET_MANY), 0);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_costs_one_read_one_computation_and_one_write),
        cmocka_unit_test(only_what_is_missing_is_computed),
        cmocka_unit_test(tags_are_read_with_the_keys),
        cmocka_unit_test(each_ttl_is_one_write),
        cmocka_unit_test(a_key_may_have_nothing_or_fail_while_the_others_are_there),
        cmocka_unit_test(a_failure_of_the_computation_is_every_missing_keys),
        cmocka_unit_test(repeats_are_computed_once),
        cmocka_unit_test(stale_values_are_recomputed_with_the_missing_ones_and_stand_in_if_that_fails),
        cmocka_unit_test(force_and_unless_hold_for_every_key),
        cmocka_unit_test(a_store_that_fails_costs_a_computation),
        cmocka_unit_test(counts_are_of_keys_in_total_and_by_name),
        cmocka_unit_test(a_delete_beats_the_computation_that_began_before),
        cmocka_unit_test(a_delete_between_the_computation_and_the_store_takes_the_value_with_it),
        cmocka_unit_test(a_computation_that_asks_for_its_own_key_is_told_so),
        cmocka_unit_test(threads_that_want_the_same_keys_compute_each_once),
        cmocka_unit_test(bad_arguments_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
