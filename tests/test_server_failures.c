/* test_server_failures.c - servers that refuse, hang, talk nonsense or too much, for each store that has one: every
 * failure has its status, none reaches another request, and on_error=miss looks over them all. The servers are fakes,
 * so that each failure happens at a certain byte. */
#include "test.h"

#include "fake_server.h"
#include "server.h"
#include "times.h"

#include <time.h>

enum mode {
    ANSWER,                            /* a value that is its key */
    HALF,                              /* of the answer, and then nothing */
    TRICKLE,                           /* a byte of a long value at a time */
    TWICE,                             /* the answer, and then another one that nobody asked for */
    GREET_TWICE,                       /* the same, while the connection is made */
    GARBAGE,
    NO_LOGIN,
    SLOW,                              /* to answer a set */
    HANG_UP,                           /* on a request */
    HANG_UP_AT_ONCE                    /* on a connection */
};

enum { TRICKLED = 400, MAX_REQUEST = 4096 };

struct protocol {
    const char *scheme, *options;
    const char *no_login;
    const char *(*greeting)(const char *request);    /* the answer to a request that is no get; NULL: it is one */
    const char *(*key)(char *request);
    int (*answer)(char *out, size_t size, const char *value);
};

static struct fake_server fake;
static const struct protocol *protocol;
static _Atomic enum mode mode;
static atomic_int trickled;

/* ---- two protocols ----------------------------------------------------------------------------------------------- */

static const char *redis_greeting(const char *request)
{
    if (strstr(request, "CLIENT") != NULL || strstr(request, "SET") != NULL)
        return "+OK\r\n";
    return strstr(request, "GET") != NULL ? NULL : "-ERR unknown\r\n";
}

/* The last line of the request. */
static const char *redis_key(char *request)
{
    request[strlen(request) - 2] = '\0';
    return strrchr(request, '\n') + 1;
}

static int redis_answer(char *out, size_t size, const char *value)
{
    return snprintf(out, size, "$%zu\r\n%s\r\n", strlen(value), value);
}

/* The generation is read for a sign of life, and is not there. */
static const char *memcached_greeting(const char *request)
{
    if (strncmp(request, "set ", 4) == 0)
        return "STORED\r\n";
    if (strncmp(request, "get ", 4) != 0)
        return "ERROR\r\n";
    return strstr(request, "generation") != NULL ? "END\r\n" : NULL;
}

static const char *memcached_key(char *request)
{
    request[strcspn(request, "\r")] = '\0';
    while (request[strlen(request) - 1] == ' ')
        request[strlen(request) - 1] = '\0';
    return request + 4;
}

static int memcached_answer(char *out, size_t size, const char *value)
{
    return snprintf(out, size, "VALUE %.200s 0 %zu\r\n%s\r\nEND\r\n", value, strlen(value), value);
}

static const struct protocol redis = { "redis", "&gather=off&client_name=off", "-NOAUTH Authentication required.\r\n",
                                        redis_greeting, redis_key,
                                       redis_answer };
static const struct protocol memcached = { "memcached", "&generation=off", "CLIENT_ERROR unauthenticated\r\n",
                                           memcached_greeting, memcached_key, memcached_answer };

static bool trickle(int fd)
{
    char value[TRICKLED + 1], text[TRICKLED + 64];
    memset(value, 'x', TRICKLED);
    value[TRICKLED] = '\0';
    const int size = protocol->answer(text, sizeof text, value);
    for (int i = 0; i < size; i++) {
        if (!fake_server_send(fd, text + i, 1))
            return false;
        atomic_fetch_add(&trickled, 1);
        test_pause_ms(10);
    }
    return true;
}

static bool answer_get(int fd, char *request, enum mode how)
{
    char text[1024];
    const char *key = protocol->key(request);
    const int size = protocol->answer(text, sizeof text / 2, key);
    switch (how) {
    case HALF:
        return fake_server_send(fd, text, (size_t)size / 2);
    case TRICKLE:
        return trickle(fd);
    case TWICE:
        (void)protocol->answer(text + size, sizeof text / 2, "stray");
        return fake_server_puts(fd, text);
    case GARBAGE:
        return fake_server_puts(fd, "?!nonsense\r\n");
    case NO_LOGIN:
        return fake_server_puts(fd, protocol->no_login);
    case HANG_UP:
        return false;
    default:
        return fake_server_send(fd, text, (size_t)size);
    }
}

static bool greet(int fd, const char *request, const char *greeting)
{
    const enum mode how = atomic_load(&mode);
    const bool is_set = strstr(request, "\r\nSET\r\n") != NULL || strncmp(request, "set ", 4) == 0;
    char twice[64];
    if (how == SLOW && is_set)
        test_pause_ms(700);
    (void)snprintf(twice, sizeof twice, "%s%s", greeting, greeting);
    return fake_server_puts(fd, how == (is_set ? TWICE : GREET_TWICE) ? twice : greeting);
}

/* How many bytes the first of the requests has; 0: it has not come to its end. */
static size_t first_request(const char *text)
{
    const char *end = text;
    int lines = text[0] == '*' ? 1 + 2 * (int)strtol(text + 1, NULL, 10) : strncmp(text, "set ", 4) == 0 ? 2 : 1;
    while (lines-- > 0) {
        end = strstr(end, "\r\n");
        if (end == NULL)
            return 0;
        end += 2;
    }
    return (size_t)(end - text);
}

/* One request after the other, though several may come in one piece. False: the client is gone. */
static bool next_request(int fd, char *came, char *request)
{
    size_t size;
    while ((size = first_request(came)) == 0) {
        const size_t has = strlen(came);
        if (!fake_server_read(fd, came + has, MAX_REQUEST - has))
            return false;
    }
    memcpy(request, came, size);
    request[size] = '\0';
    memmove(came, came + size, strlen(came + size) + 1);
    return true;
}

static void serve(struct fake_server *server, int fd, int number)
{
    char came[MAX_REQUEST] = "", request[MAX_REQUEST];
    (void)server, (void)number;
    while (atomic_load(&mode) != HANG_UP_AT_ONCE && next_request(fd, came, request)) {
        char mark[32];
        fake_redis_cut_mark(request, mark);
        if (mark[0] != '\0') {
            if (atomic_load(&mode) != HALF && !fake_server_puts(fd, mark))
                return;
            continue;
        }
        const char *greeting = protocol->greeting(request);
        if (greeting != NULL ? !greet(fd, request, greeting) : !answer_get(fd, request, atomic_load(&mode)))
            return;
    }
}

static int start(void **state)
{
    protocol = *state;
    mode = ANSWER;
    fake_server_start(&fake, serve, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_server_stop(&fake);
    return 0;
}

static const char *url(int port, const char *options)
{
    static char text[256];
    /* To connect may take long where the machine is busy: only the waits that a test is about are short. */
    (void)snprintf(text, sizeof text, "%s://127.0.0.1:%d?prefix=&connect_timeout=20%s&%s", protocol->scheme, port,
                   protocol->options, options);
    return text;
}

/* ---- a change beside a request that failed ----------------------------------------------------------------------- */

static atomic_bool may_go_on;
static atomic_int sets;

static bool is_set(const char *request)
{
    return strstr(request, "\r\nSET\r\n") != NULL || strncmp(request, "set ", 4) == 0;
}

/* The first connection holds its first get back, and then answers nonsense once it has been sent a set, too. */
static void serve_nonsense(struct fake_server *server, int fd, int number)
{
    char came[MAX_REQUEST] = "", request[MAX_REQUEST], mark[32];
    (void)server;
    for (int gets = 0; next_request(fd, came, request);) {
        fake_redis_cut_mark(request, mark);
        const char *greeting = mark[0] != '\0' ? mark : protocol->greeting(request);
        sets += is_set(request);
        gets += greeting == NULL;
        while (number == 0 && gets == 1 && !may_go_on)
            test_pause_ms(5);
        if (number == 0 && gets > 1 && is_set(request) && !fake_server_puts(fd, "?!nonsense\r\n"))
            return;
        if ((number > 0 || gets <= 1) &&
            !(greeting != NULL ? fake_server_puts(fd, greeting) : answer_get(fd, request, ANSWER)))
            return;
    }
}

static int start_nonsense(void **state)
{
    protocol = *state;
    may_go_on = false;
    sets = 0;
    fake_server_start(&fake, serve_nonsense, NULL);
    return 0;
}

struct change {
    cache_t *cache;
    const char *key, *value;           /* value: NULL reads the key */
    cache_status status;
};

static void *change_or_read(void *arg)
{
    struct change *change = arg;
    cache_value value = { 0 };
    change->status = change->value != NULL ? cache_set_string(change->cache, change->key, change->value, 60)
                                           : cache_get(change->cache, change->key, &value);
    cache_value_release(&value);
    return NULL;
}

/* Returns false if the set was not sent together with the second get: the machine was too busy. */
static bool set_beside_a_failure(void)
{
    struct change changes[3] = { { .key = "hold" }, { .key = "read" }, { .key = "set", .value = "v" } };
    pthread_t threads[3];
    char text[160];
    (void)snprintf(text, sizeof text, "%s://127.0.0.1:%d?prefix=&pool=1&timeout=4&connect_timeout=20&%s",
                   protocol->scheme, fake.port, protocol == &redis ? "client_name=off" : "generation=off");
    cache_t *cache = test_open(text);
    for (int i = 0; i < 3; i++) {
        changes[i].cache = cache;
        assert_int_equal(pthread_create(&threads[i], NULL, change_or_read, &changes[i]), 0);
        test_pause_ms(200);                 /* until it waits for the connection, which nothing shows */
    }
    may_go_on = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cache_close(cache);
    if (changes[1].status != CACHE_ERR_PROTOCOL)
        return false;
    assert_int_equal(changes[2].status, CACHE_ERR_CONNECT);
    assert_int_equal(sets, 1);
    return true;
}

/* The server has received it, and may do it after a second copy, and after newer changes. */
static void a_set_beside_a_request_that_failed_is_not_sent_twice(void **state)
{
    bool done = set_beside_a_failure();
    for (int i = 0; i < 5 && !done; i++) {
        (void)stop(state);
        (void)start_nonsense(state);
        done = set_beside_a_failure();
    }
    assert_true(done);
}

/* ---- one connection ---------------------------------------------------------------------------------------------- */

static void half_a_reply_ends_with_the_timeout_and_the_connection(void **state)
{
    (void)state;
    cache_t *cache = test_open(url(fake.port, "timeout=3&pool=1"));
    cache_value value;
    assert_text(cache, "first", "first");
    mode = HALF;
    assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "second", &value));
    assert_non_null(strstr(cache_last_error(), "3000 ms"));
    mode = ANSWER;
    assert_text(cache, "third", "third");
    assert_int_equal(fake.accepted, 2);
    const cache_counters counters = test_counters(cache);
    assert_int_equal(counters.errors, 1);
    assert_int_equal(counters.timeouts, 1);
    assert_int_equal(counters.reconnects, 1);
    cache_close(cache);
}

static void a_reply_too_many_never_reaches_another_request(void **state)
{
    (void)state;
    cache_t *cache = test_open(url(fake.port, "timeout=20&pool=1"));
    assert_text(cache, "first", "first");
    mode = TWICE;
    for (int i = 0; i < 5; i++) {
        char key[16];
        cache_value value;
        (void)snprintf(key, sizeof key, "key%d", i);
        const cache_status set = cache_set_string(cache, key, key, 60);
        assert_true(set == CACHE_OK || set == CACHE_ERR_PROTOCOL);
        if (cache_get(cache, key, &value) == CACHE_OK)
            assert_string_equal(value.data, key);
        cache_value_release(&value);
    }
    mode = ANSWER;
    assert_text(cache, "last", "last");
    cache_close(cache);
}

static void a_connection_that_begins_with_too_much_is_not_used(void **state)
{
    (void)state;
    cache_t *cache = test_open(url(fake.port, "timeout=20"));
    mode = GREET_TWICE;
    assert_status(CACHE_ERR_PROTOCOL, cache_set_string(cache, "k", "v", 60));
    cache_close(cache);
}

/* Each byte comes in time, and all of them do not. */
static void a_server_that_sends_a_byte_at_a_time_is_bounded_by_the_timeout_too(void **state)
{
    (void)state;
    cache_t *cache = test_open(url(fake.port, "timeout=1"));
    cache_value value;
    assert_text(cache, "k", "k");
    mode = TRICKLE;
    trickled = 0;
    assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "k", &value));
    assert_in_range(trickled, 2, TRICKLED / 2);
    cache_close(cache);
}

/* Each reply comes in time, and all of them do not. */
static void replies_to_many_sets_are_bounded_by_the_timeout_together(void **state)
{
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 }, { "c", "3", 1 } };
    (void)state;
    cache_t *cache = test_open(url(fake.port, "timeout=1"));
    mode = SLOW;
    assert_status(CACHE_ERR_TIMEOUT, cache_set_many(cache, items, 3, 60));
    cache_close(cache);
}

/* ---- on_error ---------------------------------------------------------------------------------------------------- */

static const struct failure {
    enum mode mode;
    cache_status status;
    const char *options;
} failures[] = {
    { HALF, CACHE_ERR_TIMEOUT, "timeout=0.1" },
    { GARBAGE, CACHE_ERR_PROTOCOL, "timeout=20" },
    { NO_LOGIN, CACHE_ERR_AUTH, "timeout=20" },
    { HANG_UP, CACHE_ERR_CONNECT, "timeout=20" },
    { HANG_UP_AT_ONCE, CACHE_ERR_CONNECT, "timeout=20" },
};

enum { FAILURES = sizeof failures / sizeof failures[0] };

static void each_failure_has_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAILURES; i++) {
        mode = failures[i].mode;
        cache_t *cache = test_open(url(fake.port, failures[i].options));
        const char *const keys[] = { "a", "b" };
        cache_value value, values[2];
        assert_status(failures[i].status, cache_get(cache, "k", &value));
        assert_null(value.data);
        assert_non_null(strstr(cache_last_error(), protocol->scheme));
        assert_status(failures[i].status, cache_get_many(cache, keys, 2, values));
        assert_true(values[0].data == NULL && values[1].data == NULL);
        assert_int_equal(test_counters(cache).errors, 2);
        cache_close(cache);
    }
    cache_t *cache = test_open(url(test_free_port(), "timeout=20"));
    cache_value value;
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));
    assert_status(CACHE_ERR_CONNECT, cache_set_string(cache, "k", "v", 60));
    assert_status(CACHE_ERR_CONNECT, cache_inc(cache, "n", 1, NULL));
    assert_status(CACHE_ERR_CONNECT, cache_delete(cache, "k"));
    assert_status(CACHE_ERR_CONNECT, cache_has(cache, "k"));
    assert_status(CACHE_ERR_CONNECT, cache_touch(cache, "k", 60));
    cache_close(cache);
}

static void assert_looks_empty(cache_t *cache)
{
    const char *const keys[] = { "a", "b" };
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 } };
    cache_value value, values[2];
    int64_t number = 0;
    size_t deleted = 9;
    assert_status(CACHE_MISS, cache_get(cache, "k", &value));
    assert_null(value.data);
    assert_status(CACHE_OK, cache_get_many(cache, keys, 2, values));
    assert_true(values[0].data == NULL && values[1].data == NULL);
    assert_status(CACHE_MISS, cache_has(cache, "k"));
    assert_true(cache_get_copy(cache, "k", NULL, 0, NULL) == CACHE_MISS);
    if (mode != ANSWER)
        return;    /* nobody is there: writes fail too */
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_status(CACHE_OK, cache_add(cache, "k", "v", 1, 60));
    assert_status(CACHE_OK, cache_set_many(cache, items, 2, 60));
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 2, &deleted));
    assert_int_equal(deleted, 0);
    assert_status(CACHE_MISS, cache_touch(cache, "k", 60));
    assert_status(CACHE_OK, cache_inc(cache, "n", 3, &number));
    assert_int_equal(number, 3);
}

static void on_error_miss_looks_over_every_failure_and_counts_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAILURES; i++) {
        mode = failures[i].mode;
        char options[64];
        (void)snprintf(options, sizeof options, "%s&on_error=miss", failures[i].options);
        cache_t *cache = test_open(url(fake.port, options));
        assert_looks_empty(cache);
        assert_true(test_counters(cache).errors >= 4);
        cache_close(cache);
    }
    mode = ANSWER;
    cache_t *cache = test_open(url(test_free_port(), "timeout=20&on_error=miss"));
    assert_looks_empty(cache);
    assert_true(test_counters(cache).errors >= 11);
    cache_close(cache);
}

/* ---- the circuit breaker ----------------------------------------------------------------------------------------- */

static void *get_often(void *ctx)
{
    for (int i = 0; i < 200; i++) {
        cache_value value;
        (void)cache_get(ctx, "k", &value);
        cache_value_release(&value);
    }
    return NULL;
}

static void get_in_threads(cache_t *cache)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_often, cache), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

static void wait_for_connections(int n)
{
    while (atomic_load(&fake.accepted) < n)
        test_pause_ms(1);
}

static void a_server_that_is_away_is_tried_by_one_caller_each_retry_after(void **state)
{
    _Atomic int64_t now = 1000;
    (void)state;
    mode = HANG_UP_AT_ONCE;
    cache_t *cache = test_open_with_clock(url(fake.port, "timeout=20&retry_after=5"), &now);
    cache_value value;
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));
    for (int i = 1; i <= 3; i++) {
        get_in_threads(cache);
        wait_for_connections(i);
        assert_int_equal(fake.accepted, i);
        now += 4999;
        get_in_threads(cache);
        assert_int_equal(fake.accepted, i);
        now += 1;
    }
    assert_true(test_counters(cache).rejections >= 3 * 2 * 8 * 200 - 3);
    mode = ANSWER;
    assert_text(cache, "k", "k");
    assert_int_equal(fake.accepted, 4);
    get_in_threads(cache);
    assert_text(cache, "k", "k");
    cache_close(cache);
}

static void *get_once(void *ctx)
{
    cache_value value;
    (void)cache_get(ctx, "k", &value);
    cache_value_release(&value);
    return NULL;
}

static void while_one_caller_tries_no_other_does_however_long_it_takes(void **state)
{
    _Atomic int64_t now = 1000;
    (void)state;
    mode = HANG_UP_AT_ONCE;
    cache_t *cache = test_open_with_clock(url(fake.port, "timeout=3&retry_after=1"), &now);
    cache_value value;
    pthread_t thread;
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));
    wait_for_connections(1);
    mode = HALF;
    now += 1000;
    assert_int_equal(pthread_create(&thread, NULL, get_once, cache), 0);
    wait_for_connections(2);
    now += 1000;    /* time for the next one, if that one were not at it */
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));
    assert_int_equal(test_counters(cache).rejections, 1);
    pthread_join(thread, NULL);
    assert_int_equal(fake.accepted, 2);
    mode = ANSWER;
    now += 3000;
    assert_text(cache, "k", "k");
    cache_close(cache);
}

/* ---- the pool ---------------------------------------------------------------------------------------------------- */

static atomic_int failed;

static void *get_in_turn(void *ctx)
{
    for (int i = 0; i < 2000; i++) {
        cache_value value;
        if (cache_get(ctx, "k", &value) != CACHE_OK)
            atomic_fetch_add(&failed, 1);
        cache_value_release(&value);
    }
    return NULL;
}

static void threads_that_share_a_connection_take_turns(void **state)
{
    (void)state;
    cache_t *cache = test_open(url(fake.port, "pool=1&timeout=20"));
    pthread_t threads[6];
    atomic_store(&failed, 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_in_turn, cache), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failed, 0);
    assert_int_equal(fake.accepted, 1);
    cache_close(cache);
}

#define of(store, test) { #store ": " #test, test, start, stop, (void *)(uintptr_t)&store }
#define with_nonsense(store, test) \
    { #store ": " #test, test, start_nonsense, stop, (void *)(uintptr_t)&store }

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef HAVE_REDIS
        of(redis, half_a_reply_ends_with_the_timeout_and_the_connection),
        of(redis, a_reply_too_many_never_reaches_another_request),
        of(redis, a_connection_that_begins_with_too_much_is_not_used),
        of(redis, a_server_that_sends_a_byte_at_a_time_is_bounded_by_the_timeout_too),
        of(redis, each_failure_has_its_status),
        of(redis, on_error_miss_looks_over_every_failure_and_counts_it),
        of(redis, a_server_that_is_away_is_tried_by_one_caller_each_retry_after),
        of(redis, while_one_caller_tries_no_other_does_however_long_it_takes),
        of(redis, threads_that_share_a_connection_take_turns),
        with_nonsense(redis, a_set_beside_a_request_that_failed_is_not_sent_twice),
#endif
#ifdef HAVE_MEMCACHED
        of(memcached, half_a_reply_ends_with_the_timeout_and_the_connection),
        of(memcached, a_reply_too_many_never_reaches_another_request),
        of(memcached, a_connection_that_begins_with_too_much_is_not_used),
        of(memcached, a_server_that_sends_a_byte_at_a_time_is_bounded_by_the_timeout_too),
        of(memcached, replies_to_many_sets_are_bounded_by_the_timeout_together),
        of(memcached, each_failure_has_its_status),
        of(memcached, on_error_miss_looks_over_every_failure_and_counts_it),
        of(memcached, a_server_that_is_away_is_tried_by_one_caller_each_retry_after),
        of(memcached, while_one_caller_tries_no_other_does_however_long_it_takes),
        of(memcached, threads_that_share_a_connection_take_turns),
        with_nonsense(memcached, a_set_beside_a_request_that_failed_is_not_sent_twice),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
