/* test_server_calls.c - lets system calls fail below the stores that have a server. Each call of one scenario fails
 * once with each errno that matters, or does only half of its work. No value is ever wrong, a failure is reported and
 * names the server, no call takes longer than its time, nothing stays open, and the next calls work. */
#include "test.h"

#include "faults.h"
#include "files.h"
#include "server.h"

#include <time.h>

enum { EACH = 40, LARGE = 40000, TIMEOUT_MS = 5000, SPARE_MS = 100 };

static const char *scheme, *options;
static char url[256], large[LARGE + 1];
static const char *run_with = "no fault";
static unsigned n_runs;

/* What a key may hold: one of these texts, or nothing. A change that failed may have reached the server or not. */
enum { TEXTS = 4 };
static const char *const texts[TEXTS] = { "first", "second", "added", large };
enum { ABSENT = 1 << TEXTS, ANYTHING = (ABSENT << 1) - 1 };

struct key {
    const char *name;
    unsigned may_be;                   /* bits: of `texts`, and ABSENT */
};

#define must(condition)                                                                                               \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            faults_off();                                                                                             \
            fail_msg("%s, %s: line %d: %s (%s)", scheme, run_with, __LINE__, #condition, cache_last_error());        \
        }                                                                                                             \
    } while (0)

/* ---- one call ---------------------------------------------------------------------------------------------------- */

static struct timespec begun;
static bool is_failing;                /* in the scenario, and not in what looks at the store afterwards */

static void resume(void)
{
    if (is_failing)
        faults_on();
}

static void begin(void)
{
    faults_off();
    clock_gettime(CLOCK_MONOTONIC, &begun);
    resume();
}

/* Returns true for a failure, which is only one after the fault, and within the time. */
static bool has_failed(cache_status status)
{
    struct timespec now;
    faults_off();
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double ms = (double)(now.tv_sec - begun.tv_sec) * 1e3 + (double)(now.tv_nsec - begun.tv_nsec) / 1e6;
    must(ms <= TIMEOUT_MS + SPARE_MS);
    must(status >= 0 || (is_failing && faults_happened() && strstr(cache_last_error(), scheme) != NULL));
    resume();
    return status < 0;
}

static unsigned text_of(const char *data, size_t size)
{
    for (unsigned i = 0; i < TEXTS; i++)
        if (size == strlen(texts[i]) && memcmp(data, texts[i], size) == 0)
            return 1U << i;
    return 0;
}

/* A Memcached that was not reached may have missed a clear: what it holds is forgotten once it is back. */
static bool may_be_lost(void)
{
    return faults_happened() && strcmp(scheme, "memcached") == 0;
}

/* What a read found, bits as in `may_be`, is what the key may hold, and is known from now on. */
static void judge(struct key *key, unsigned found)
{
    must((key->may_be & found) != 0 || (found == ABSENT && may_be_lost()));
    key->may_be = (key->may_be & found) != 0 ? key->may_be & found : found;
}

static void get(cache_t *cache, struct key *key)
{
    cache_value value;
    begin();
    const cache_status status = cache_get(cache, key->name, &value);
    if (has_failed(status))
        return;
    judge(key, status == CACHE_OK ? text_of(value.data, value.size) : ABSENT);
    cache_value_release(&value);
}

static void set(cache_t *cache, struct key *key, unsigned text)
{
    begin();
    const bool failed = has_failed(cache_set_string(cache, key->name, texts[text], 60));
    key->may_be = 1U << text | (failed ? key->may_be | ABSENT : 0);
}

static void add(cache_t *cache, struct key *key, unsigned text)
{
    begin();
    const cache_status status = cache_add(cache, key->name, texts[text], strlen(texts[text]), 60);
    if (has_failed(status))
        key->may_be |= 1U << text;
    else if (status == CACHE_OK) {
        judge(key, ABSENT);
        key->may_be = 1U << text;
    } else
        judge(key, ANYTHING & ~ABSENT);
}

static void delete(cache_t *cache, struct key *key)
{
    begin();
    const cache_status status = cache_delete(cache, key->name);
    if (has_failed(status))
        key->may_be |= ABSENT;
    else
        key->may_be = ABSENT;
}

static void touch(cache_t *cache, struct key *key)
{
    begin();
    const cache_status status = cache_touch(cache, key->name, 90);
    if (has_failed(status))
        return;
    judge(key, status == CACHE_OK ? ANYTHING & ~ABSENT : ABSENT);
}

/* A counter is between what was confirmed and what was sent. */
struct counter {
    int64_t least, most;
};

static void inc(cache_t *cache, struct counter *counter)
{
    int64_t result = 0;
    begin();
    const cache_status status = cache_inc(cache, "n", 1, &result);
    counter->most++;
    if (has_failed(status))
        return;
    must((result > counter->least || may_be_lost()) && result >= 1 && result <= counter->most);
    counter->least = counter->most = result;
}

static void many(cache_t *cache, struct key keys[2])
{
    const cache_item items[] = { { keys[0].name, texts[0], strlen(texts[0]) },
                                 { keys[1].name, texts[1], strlen(texts[1]) } };
    const char *names[] = { keys[0].name, keys[1].name };
    cache_value values[2];
    size_t deleted = 0;
    begin();
    const bool failed = has_failed(cache_set_many(cache, items, 2, 60));
    for (unsigned i = 0; i < 2; i++)
        keys[i].may_be = 1U << i | (failed ? keys[i].may_be | ABSENT : 0);
    begin();
    if (!has_failed(cache_get_many(cache, names, 2, values)))
        for (int i = 0; i < 2; i++) {
            judge(&keys[i], values[i].data != NULL ? text_of(values[i].data, values[i].size) : ABSENT);
            cache_value_release(&values[i]);
        }
    begin();
    const bool kept = has_failed(cache_delete_many(cache, names, 1, &deleted));
    keys[0].may_be = ABSENT | (kept ? keys[0].may_be : 0);
}

static cache_status make(void *ctx, cache_writer *writer)
{
    (void)ctx;
    return cache_writer_puts(writer, texts[2]);
}

/* A fetch gives its value whatever the store does. */
static void fetch(cache_t *cache, struct key *key)
{
    cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    how.ttl = 60;
    begin();
    const cache_status status = cache_fetch(cache, key->name, &how, make, NULL, &value);
    (void)has_failed(CACHE_OK);
    must(status == CACHE_OK);
    must((text_of(value.data, value.size) & (key->may_be | 1U << 2)) != 0);
    cache_value_release(&value);
    key->may_be |= 1U << 2;
    key->may_be &= ~(unsigned)ABSENT;
    if (faults_happened())
        key->may_be |= ABSENT;
}

/* ---- the scenario ------------------------------------------------------------------------------------------------ */

static void use(struct key keys[3], struct counter *counter)
{
    cache_t *cache = NULL;
    begin();
    if (has_failed(cache_open(url, &cache)))
        return;
    set(cache, &keys[0], 0);
    get(cache, &keys[0]);
    set(cache, &keys[0], 3);
    get(cache, &keys[0]);
    touch(cache, &keys[0]);
    add(cache, &keys[1], 2);
    add(cache, &keys[1], 1);
    inc(cache, counter);
    inc(cache, counter);
    delete(cache, &keys[1]);
    get(cache, &keys[1]);
    many(cache, keys);
    fetch(cache, &keys[2]);
    get(cache, &keys[2]);
    begin();
    (void)has_failed(cache_ping(cache));
    begin();
    cache_close(cache);
    faults_off();
}

/* With nothing that fails any more; the server may be left alone for a moment. */
static void assert_works(struct key keys[3], struct counter *counter)
{
    cache_t *cache = test_open(url);
    for (int i = 0; cache_ping(cache) != CACHE_OK; i++) {
        must(i < 1000);
        nanosleep(&(const struct timespec){ 0, 1000 * 1000 }, NULL);
    }
    for (int i = 0; i < 3; i++) {
        get(cache, &keys[i]);
        set(cache, &keys[i], 3);
        must(keys[i].may_be == 1 << 3);
        get(cache, &keys[i]);
    }
    inc(cache, counter);
    cache_close(cache);
}

static void one_run(void *ctx, const char *fault)
{
    struct key keys[] = { { "one", ABSENT }, { "two", ABSENT }, { "three", ABSENT } };
    struct counter counter = { 0, 0 };
    (void)ctx;
    run_with = fault != NULL ? fault : "no fault";
    (void)snprintf(url, sizeof url, "%s&prefix=run%u:&timeout=%g&connect_timeout=%g&retry_after=0.001", options,
                   n_runs++, TIMEOUT_MS / 1e3, TIMEOUT_MS / 1e3);
    const int descriptors = files_count_descriptors();
    is_failing = true;
    use(keys, &counter);
    is_failing = false;
    must(files_count_descriptors() == descriptors);
    assert_works(keys, &counter);
    must(files_count_descriptors() == descriptors);
}

static void try_all(const char *name, const char *base)
{
    scheme = name;
    options = base;
    memset(large, 'l', LARGE);
    one_run(NULL, NULL);    /* what a first use opens once for all stays open */
    print_message("%s: %u faults\n", name, faults_try_all(one_run, NULL, EACH));
}

static void whatever_call_fails_redis_gives_no_wrong_value_and_works_afterwards(void **state)
{
    struct test_server server = { .pid = 0 };
    char base[160];
    (void)state;
    test_server_start_redis(&server, NULL);
    (void)snprintf(base, sizeof base, "redis://127.0.0.1:%d/0?pool=2", server.port);
    try_all("redis", base);
    (void)snprintf(base, sizeof base, "redis+unix://%s?db=1", server.socket);
    try_all("redis", base);
    (void)snprintf(base, sizeof base, "redis://127.0.0.1:%d/2?front=1mb", server.port);
    try_all("redis", base);
    test_server_stop(&server);
}

/* What was given up may reach Memcached all the same. Several threads of it might do that after the next request. */
static const char *const one_thread[] = { "-t", "1", NULL };

static void whatever_call_fails_memcached_gives_no_wrong_value_and_works_afterwards(void **state)
{
    struct test_server server = { .pid = 0 };
    char base[160];
    (void)state;
    test_server_start_memcached(&server, one_thread);
    (void)snprintf(base, sizeof base, "memcached://127.0.0.1:%d?pool=2", server.port);
    try_all("memcached", base);
    test_server_stop(&server);
}

static void whatever_call_fails_tls_gives_no_wrong_value_and_works_afterwards(void **state)
{
    struct test_server server = { .pid = 0 };
    char base[160];
    (void)state;
    test_server_start_memcached_tls(&server, one_thread);
    (void)snprintf(base, sizeof base, "memcacheds://127.0.0.1:%d?ca=%s/ca.pem", server.port, server.directory);
    try_all("memcached", base);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_call_fails_redis_gives_no_wrong_value_and_works_afterwards),
        cmocka_unit_test(whatever_call_fails_memcached_gives_no_wrong_value_and_works_afterwards),
        cmocka_unit_test(whatever_call_fails_tls_gives_no_wrong_value_and_works_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
