/* test_store_model.c - runs random sequences of operations on a store, and compares each result with a model that is an
 * array.
 *
 *     test_store_model [SEED [OPERATIONS]]    on each store; 1 and 3000, if not said
 *
 * The clock is the test's. A failure names the seed and the operation's number: the same two bring it again. */
#include "test.h"

#include "server.h"

#include <stdlib.h>

enum { N_KEYS = 6, MAX_VALUE = 20000, DEFAULT_SECONDS = 50 };

static unsigned long seed = 1;
static long operations = 3000;

struct model_value {
    bool set;
    int64_t expires_ms;                /* 0: never */
    size_t size;
    char data[MAX_VALUE];
};

struct run {
    cache_t *cache;
    uint64_t random;
    long number;                       /* of the operation under way */
    const char *name;
    _Atomic int64_t now_ms;
    struct model_value values[N_KEYS];
};

static const char *const keys[N_KEYS] = { "a", "b", "a longer key", "k\xc3\xa4se", "n/1", "n/2" };

/* Below `n`. */
static size_t draw(struct run *run, size_t n)
{
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (size_t)(run->random >> 11) % n;
}

#define CHECK(run, condition)                                                                                \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail_msg("seed %lu, operation %ld, %s: not true: %s (%s)", seed, (run)->number, (run)->name, #condition, \
                     cache_last_error());                                                                    \
    } while (0)

/* ---- the model --------------------------------------------------------------------------------------------------- */

static struct model_value *live(struct run *run, size_t key)
{
    struct model_value *value = &run->values[key];
    if (value->set && value->expires_ms != 0 && run->now_ms >= value->expires_ms)
        value->set = false;
    return value;
}

static void model_set(struct run *run, size_t key, const void *data, size_t size, double ttl)
{
    struct model_value *value = &run->values[key];
    value->set = true;
    value->size = size;
    value->expires_ms = ttl > 0 ? run->now_ms + (int64_t)(ttl * 1000) : 0;
    if (size > 0)
        memcpy(value->data, data, size);
}

/* The number that the value is, as cache_inc takes it: few are numbers here, and all of them are small. */
static bool model_number(const struct model_value *value, int64_t *out)
{
    char text[24] = "", again[24];
    if (value->size == 0 || value->size >= sizeof text)
        return false;
    memcpy(text, value->data, value->size);
    *out = strtoll(text, NULL, 10);
    (void)snprintf(again, sizeof again, "%lld", (long long)*out);
    return strlen(text) == value->size && strcmp(again, text) == 0;
}

static double draw_ttl(struct run *run)
{
    return draw(run, 3) == 0 ? CACHE_TTL_FOREVER : (double)(1 + draw(run, 40)) / 4;
}

/* A text, often empty or a number. */
static size_t draw_value(struct run *run, char out[MAX_VALUE])
{
    static const char *const some[] = { "", "7", "-3", "007", "12x", "9223372036854775807", "-0" };
    if (draw(run, 3) == 0) {
        const char *text = some[draw(run, sizeof some / sizeof some[0])];
        memcpy(out, text, strlen(text) + 1);
        return strlen(text);
    }
    const size_t size = draw(run, draw(run, 8) == 0 ? MAX_VALUE : 300);
    for (size_t i = 0; i < size; i++)
        out[i] = (char)draw(run, 256);
    return size;
}

/* ---- the operations ---------------------------------------------------------------------------------------------- */

static void compare_value(struct run *run, size_t key, const cache_value *value)
{
    const struct model_value *model = live(run, key);
    CHECK(run, model->set == (value->data != NULL));
    if (model->set) {
        CHECK(run, value->size == model->size);
        CHECK(run, model->size == 0 || memcmp(value->data, model->data, model->size) == 0);
    }
}

static void do_get(struct run *run, size_t key)
{
    cache_value value;
    const cache_status status = cache_get(run->cache, keys[key], &value);
    CHECK(run, status == (live(run, key)->set ? CACHE_OK : CACHE_MISS));
    compare_value(run, key, &value);
    cache_value_release(&value);
}

static void do_get_copy(struct run *run, size_t key)
{
    char buffer[100];
    size_t size = 0;
    const struct model_value *model = live(run, key);
    const cache_status status = cache_get_copy(run->cache, keys[key], buffer, sizeof buffer, &size);
    CHECK(run, status == (!model->set ? CACHE_MISS : model->size > sizeof buffer ? CACHE_ERR_TOO_LARGE : CACHE_OK));
    CHECK(run, status == CACHE_MISS || size == model->size);
    CHECK(run, status != CACHE_OK || size == 0 || memcmp(buffer, model->data, size) == 0);
}

static void do_set(struct run *run, size_t key)
{
    static char data[MAX_VALUE];
    const size_t size = draw_value(run, data);
    const double ttl = draw_ttl(run);
    const bool adds = draw(run, 3) == 0, is_there = live(run, key)->set;
    const cache_status status = adds ? cache_add(run->cache, keys[key], data, size, ttl)
                                     : cache_set(run->cache, keys[key], data, size, ttl);
    CHECK(run, status == (adds && is_there ? CACHE_NOT_STORED : CACHE_OK));
    if (status == CACHE_OK)
        model_set(run, key, data, size, ttl);
}

static void do_inc(struct run *run, size_t key)
{
    struct model_value *model = live(run, key);
    const int64_t delta = (int64_t)draw(run, 100) - 50;
    int64_t number = 0, result = 0;
    char text[24];
    const bool is_number = !model->set || model_number(model, &number);
    const cache_status status = cache_inc(run->cache, keys[key], delta, &result);
    const bool fits = delta <= 0 ? number >= INT64_MIN - delta : number <= INT64_MAX - delta;
    CHECK(run, status == (!is_number ? CACHE_ERR_TYPE : fits ? CACHE_OK : CACHE_ERR_RANGE));
    if (status != CACHE_OK)
        return;
    CHECK(run, result == number + delta);
    const int size = snprintf(text, sizeof text, "%lld", (long long)result);
    const int64_t expires_ms = model->expires_ms;
    const bool was_set = model->set;
    model_set(run, key, text, (size_t)size, DEFAULT_SECONDS);
    if (was_set)
        model->expires_ms = expires_ms;
}

static void do_delete(struct run *run, size_t key)
{
    const cache_status status = cache_delete(run->cache, keys[key]);
    CHECK(run, status == (live(run, key)->set ? CACHE_OK : CACHE_MISS));
    run->values[key].set = false;
}

static void do_touch(struct run *run, size_t key)
{
    struct model_value *model = live(run, key);
    const double ttl = draw_ttl(run);
    const cache_status status = cache_touch(run->cache, keys[key], ttl);
    CHECK(run, status == (model->set ? CACHE_OK : CACHE_MISS));
    if (model->set)
        model->expires_ms = ttl > 0 ? run->now_ms + (int64_t)(ttl * 1000) : 0;
}

static void do_look(struct run *run, size_t key)
{
    double left = 0;
    const struct model_value *model = live(run, key);
    CHECK(run, cache_has(run->cache, keys[key]) == (model->set ? CACHE_OK : CACHE_MISS));
    CHECK(run, cache_ttl_left(run->cache, keys[key], &left) == (model->set ? CACHE_OK : CACHE_MISS));
    if (!model->set)
        return;
    const double expected = (double)(model->expires_ms - run->now_ms) / 1000;
    if (model->expires_ms == 0)
        CHECK(run, left < 0);
    else
        CHECK(run, left > expected - 0.002 && left < expected + 0.002);
}

static void do_many(struct run *run, size_t key)
{
    const size_t n = 1 + draw(run, N_KEYS);
    const char *names[N_KEYS];
    cache_value found[N_KEYS];
    size_t deleted = 0, there = 0;
    for (size_t i = 0; i < n; i++)
        names[i] = keys[(key + i) % N_KEYS];
    CHECK(run, cache_get_many(run->cache, names, n, found) == CACHE_OK);
    for (size_t i = 0; i < n; i++) {
        compare_value(run, (key + i) % N_KEYS, &found[i]);
        there += found[i].data != NULL;
        cache_value_release(&found[i]);
    }
    if (draw(run, 2) == 0)
        return;
    CHECK(run, cache_delete_many(run->cache, names, n, &deleted) == CACHE_OK);
    CHECK(run, deleted == there);
    for (size_t i = 0; i < n; i++)
        run->values[(key + i) % N_KEYS].set = false;
}

static void do_clear(struct run *run, size_t key)
{
    (void)key;
    CHECK(run, cache_clear(run->cache) == CACHE_OK);
    for (size_t i = 0; i < N_KEYS; i++)
        run->values[i].set = false;
}

static void do_wait(struct run *run, size_t key)
{
    (void)key;
    run->now_ms += (int64_t)draw(run, 3000);
}

static const struct {
    const char *name;
    unsigned weight;
    void (*run)(struct run *run, size_t key);
} kinds[] = {
    { "set or add", 30, do_set }, { "get", 20, do_get },     { "get_copy", 6, do_get_copy }, { "inc", 14, do_inc },
    { "delete", 8, do_delete },   { "touch", 8, do_touch },  { "has, ttl_left", 8, do_look }, { "many", 4, do_many },
    { "clear", 1, do_clear },     { "wait", 12, do_wait },
};

static void one_operation(struct run *run)
{
    size_t total = 0, kind = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        total += kinds[i].weight;
    for (size_t at = draw(run, total); at >= kinds[kind].weight; kind++)
        at -= kinds[kind].weight;
    run->name = kinds[kind].name;
    kinds[kind].run(run, draw(run, N_KEYS));
}

static void compare_with_model(const char *url)
{
    struct run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->random = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1);
    run->now_ms = INT64_C(1800000000000);
    run->cache = test_open_with_clock(url, &run->now_ms);
    for (run->number = 1; run->number <= operations; run->number++)
        one_operation(run);
    run->name = "the end";
    for (size_t i = 0; i < N_KEYS; i++)
        do_get(run, i);
    cache_close(run->cache);
    free(run);
}

static void the_memory_store_does_what_an_array_does(void **state)
{
    (void)state;
    compare_with_model("memory://?default_ttl=50");
}

static void the_file_store_does_what_an_array_does(void **state)
{
    (void)state;
    char directory[64], url[128];
    test_directory_make(directory, sizeof directory);
    (void)snprintf(url, sizeof url, "file://%s/cache?default_ttl=50", directory);
    compare_with_model(url);
    test_directory_remove(directory);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_store_does_what_an_array_does),
        cmocka_unit_test(the_file_store_does_what_an_array_does),
    };
    if (argc > 1)
        seed = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        operations = strtol(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
