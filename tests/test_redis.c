/* test_redis.c - what only the Redis store has: logins, errors in Redis' words, servers that go away or hang, forks. */
#include "test.h"

#include "address.h"
#include "server.h"
#include "times.h"
#include "traffic.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct test_server server;

static cache_t *open_at(int port, const char *options)
{
    char url[256];
    /* The machine may be busy: only the waits that a test is about are short. */
    const char *patience = strstr(options, "timeout=") == NULL ? "timeout=20&connect_timeout=20&" : "";
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?%s%s", port, patience, options);
    return test_open(url);
}

static cache_t *open_here(const char *options)
{
    return open_at(server.port, options);
}

/* A command by the plain client; its reply as text. */
static const char *raw(const char *command)
{
    static char text[256];
    redisContext *context = redisConnect("127.0.0.1", server.port);
    redisReply *reply = context->err == 0 ? redisCommand(context, command) : NULL;
    if (reply == NULL)
        fail_msg("%s: %s", command, context->errstr);
    if (reply->type == REDIS_REPLY_INTEGER)
        (void)snprintf(text, sizeof text, "%lld", reply->integer);
    else
        (void)snprintf(text, sizeof text, "%s", reply->str != NULL ? reply->str : "");
    freeReplyObject(reply);
    redisFree(context);
    return text;
}

static int start(void **state)
{
    (void)state;
    test_server_start_redis(&server, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&server);
    return 0;
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static void settings_that_cannot_be_honoured_are_refused_by_name(void **state)
{
    (void)state;
    static const struct { const char *url, *word; } bad[] = {
        { "rediss://:secret@localhost?ca=/nowhere/ca.pem", "ca" },
        { "redis://localhost?ca=/etc/ssl/ca.pem", "rediss" },
        { "redis://localhost?sentinel_password=secret", "sentinel" },
        { "redis+sentinel://localhost/blog?sentinel_user=me", "sentinel_password" },
        { "redis://localhost?client_name=two%20words", "client_name" },
        { "redis://one,two", "sentinel" },
        { "redis://localhost/2?db=3", "database" },
        { "redis://localhost/two", "two" },
        { "redis://localhost?db=-1", "db" },
        { "redis://user@localhost", "password" },
        { "redis://:secret@localhost?password=secret", "twice" },
        { "redis+unix://", "path" },
        { "redis+sentinel://one,two", "service" },
        { "redis+unix:///run/a-path-so-long-that-no-address-of-a-socket-holds-it/which-the-system-would-cut-off-and-"
          "thereby-lead-to-another.sock", "107" },
        { "redis://localhost?pool=0", "pool" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cache_t *cache = NULL;
        assert_status(CACHE_ERR_CONFIG, cache_open(bad[i].url, &cache));
        if (strstr(cache_last_error(), bad[i].word) == NULL || strstr(cache_last_error(), "secret") != NULL)
            fail_msg("%s: %s", bad[i].url, cache_last_error());
    }
}

static void an_ipv6_address_stands_in_brackets(void **state)
{
    static const char *const extra[] = { "--bind", "127.0.0.1", "::1", NULL };
    (void)state;
    test_address_in_brackets("redis", test_server_start_redis, extra);
}

static void a_login_is_a_password_or_an_acl_user(void **state)
{
    (void)state;
    static const struct { const char *login, *reason; } refused[] = {
        { "", "NOAUTH" }, { ":wrong-secret@", "WRONGPASS" }, { "app:wrong-secret@", "WRONGPASS" },
    };
    raw("ACL SETUSER app on >app-secret ~libcache:* +@all");
    raw("CONFIG SET requirepass old-secret");
    char url[128];
    cache_t *cache = NULL;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        (void)snprintf(url, sizeof url, "redis://%s127.0.0.1:%d", refused[i].login, server.port);
        cache = test_open(url);
        assert_status(CACHE_ERR_AUTH, cache_set_string(cache, "k", "v", 60));
        assert_non_null(strstr(cache_last_error(), refused[i].reason));
        assert_null(strstr(cache_last_error(), "secret"));
        cache_close(cache);
    }
    static const char *const taken[] = { ":old-secret@", "app:app-secret@" };
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(url, sizeof url, "redis://%s127.0.0.1:%d/0", taken[i], server.port);
        cache = test_open(url);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
        assert_text(cache, "k", "v");
        assert_status(CACHE_OK, cache_clear(cache));
        cache_close(cache);
    }
    (void)snprintf(url, sizeof url, "redis://app:app-secret@127.0.0.1:%d?prefix=not-theirs:", server.port);
    cache = test_open(url);
    assert_status(CACHE_ERR_AUTH, cache_set_string(cache, "k", "v", 60));
    assert_non_null(strstr(cache_last_error(), "NOPERM"));
    cache_close(cache);
    redisContext *context = redisConnect("127.0.0.1", server.port);
    freeReplyObject(redisCommand(context, "AUTH old-secret"));
    freeReplyObject(redisCommand(context, "CONFIG SET requirepass %s", ""));
    redisFree(context);
}

static void a_database_is_a_place_of_its_own(void **state)
{
    (void)state;
    char url[96];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/3", server.port);
    cache_t *three = test_open(url), *zero = open_here("db=0");
    assert_status(CACHE_OK, cache_set_string(three, "k", "three", 60));
    assert_text(zero, "k", NULL);
    assert_status(CACHE_OK, cache_clear(zero));
    assert_text(three, "k", "three");
    assert_status(CACHE_OK, cache_clear(three));
    cache_close(zero);
    cache_close(three);
    cache_t *none = open_here("db=99");
    assert_status(CACHE_ERR_CONFIG, cache_set_string(none, "k", "v", 60));
    assert_non_null(strstr(cache_last_error(), "DB index"));
    cache_close(none);
}

/* ---- Redis' own errors ------------------------------------------------------------------------------------------- */

static void redis_errors_arrive_in_its_own_words(void **state)
{
    (void)state;
    cache_t *cache = open_here("prefix=err:");
    cache_value value;
    raw("RPUSH err:list a");
    assert_status(CACHE_ERR_TYPE, cache_get(cache, "list", &value));
    assert_non_null(strstr(cache_last_error(), "WRONGTYPE"));
    assert_status(CACHE_ERR_TYPE, cache_inc(cache, "list", 1, NULL));
    raw("CONFIG SET maxmemory 1");
    assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "v", 60));
    assert_non_null(strstr(cache_last_error(), "OOM"));
    assert_status(CACHE_ERR_IO, cache_inc(cache, "n", 1, NULL));
    assert_non_null(strstr(cache_last_error(), "OOM"));
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 } };
    assert_status(CACHE_ERR_IO, cache_set_many(cache, items, 2, 60));
    raw("CONFIG SET maxmemory 0");
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, NULL));
    raw("REPLICAOF 127.0.0.1 1");
    assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "v", 60));
    assert_non_null(strstr(cache_last_error(), "READONLY"));
    raw("REPLICAOF NO ONE");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

static void a_new_counter_has_the_default_time_and_an_old_one_keeps_its_own(void **state)
{
    (void)state;
    cache_t *cache = open_here("prefix=n:&default_ttl=100");
    assert_status(CACHE_OK, cache_inc(cache, "new", 5, NULL));
    assert_in_range(atoi(raw("PTTL n:new")), 90000, 100000);
    raw("SET n:old 1 PX 5000000");
    assert_status(CACHE_OK, cache_inc(cache, "old", 1, NULL));
    assert_true(atoi(raw("PTTL n:old")) > 4000000);
    raw("SET n:ever 1");
    assert_status(CACHE_OK, cache_inc(cache, "ever", 1, NULL));
    assert_string_equal(raw("PTTL n:ever"), "-1");
    assert_status(CACHE_OK, cache_touch(cache, "new", CACHE_TTL_FOREVER));
    assert_string_equal(raw("PTTL n:new"), "-1");
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

/* ---- clear ------------------------------------------------------------------------------------------------------- */

static _Atomic bool adding;

/* What the server was asked to do: "cmdstat_get:calls=3," in `stats`. */
static void assert_calls(const char *stats, const char *name, int calls)
{
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, calls > 0 ? "cmdstat_%s:calls=%d," : "cmdstat_%s:", name, calls);
    if ((strstr(stats, wanted) != NULL) != (calls > 0))
        fail_msg("not %d of %s:\n%s", calls, name, stats);
}

static void each_operation_is_the_command_that_is_made_for_it(void **state)
{
    enum { MANY = 100 };
    static const char *const never[] = { "keys", "flushdb", "flushall", "del", "exists", "expire", "watch", "eval",
                                         "evalsha" };
    char names[MANY][16];
    const char *keys[MANY];
    cache_item items[MANY];
    cache_value values[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        keys[i] = names[i];
        items[i] = (cache_item){ keys[i], "x", 1 };
    }
    cache_t *cache = open_here("prefix=commands:");
    assert_text(cache, "k", NULL);
    (void)raw("CONFIG RESETSTAT");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_status(CACHE_NOT_STORED, cache_add(cache, "k", "w", 1, 60));
    assert_text(cache, "k", "v");
    assert_status(CACHE_OK, cache_has(cache, "k"));
    assert_status(CACHE_OK, cache_touch(cache, "k", 60));
    assert_status(CACHE_OK, cache_inc(cache, "n", 1, NULL));
    assert_status(CACHE_OK, cache_set_many(cache, items, MANY, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, MANY, values));
    for (int i = 0; i < MANY; i++)
        cache_value_release(&values[i]);
    assert_status(CACHE_OK, cache_delete_many(cache, keys, MANY, NULL));
    assert_status(CACHE_OK, cache_delete(cache, "k"));
    assert_status(CACHE_OK, cache_clear(cache));
    redisContext *context = redisConnect("127.0.0.1", server.port);
    redisReply *stats = redisCommand(context, "INFO commandstats");
    assert_calls(stats->str, "set", 1 + 1 + 1 + MANY);    /* with its time, and for add and inc with NX */
    assert_calls(stats->str, "get", 1 + 3);    /* add, has and touch look inside what is there */
    assert_calls(stats->str, "pexpire", 1);
    assert_calls(stats->str, "incrby", 1);
    assert_calls(stats->str, "mget", 1);
    assert_calls(stats->str, "unlink", 1 + 1 + 1);        /* many, one, what clear found */
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        assert_calls(stats->str, never[i], 0);
    freeReplyObject(stats);
    redisFree(context);
    cache_close(cache);
}

static void *add_keys(void *ctx)
{
    char key[32];
    for (int i = 0; adding; i++) {
        (void)snprintf(key, sizeof key, "late%d", i);
        (void)cache_set_string(ctx, key, "x", 60);
    }
    return NULL;
}

static void clear_ends_though_keys_are_added_and_leaves_other_prefixes(void **state)
{
    (void)state;
    cache_t *cache = open_here("prefix=clear*:"), *other = open_here("prefix=clear:");
    char key[32];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", 60));
    }
    assert_status(CACHE_OK, cache_set_string(other, "k", "theirs", 60));
    pthread_t thread;
    adding = true;
    assert_int_equal(pthread_create(&thread, NULL, add_keys, cache), 0);
    assert_status(CACHE_OK, cache_clear(cache));
    adding = false;
    pthread_join(thread, NULL);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_MISS, cache_has(cache, key));
    }
    assert_text(other, "k", "theirs");
    assert_status(CACHE_OK, cache_clear(cache));
    assert_status(CACHE_OK, cache_clear(other));
    cache_close(cache);
    cache_close(other);
    cache_t *bare = open_here("prefix=");
    assert_status(CACHE_ERR_UNSUPPORTED, cache_clear(bare));
    cache_close(bare);
}

/* ---- servers that go away ---------------------------------------------------------------------------------------- */

static void a_refused_connection_costs_microseconds_and_one_caller_tries_again(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    char url[96];
    const int port = test_free_port();
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?retry_after=1", port);
    cache_t *cache = test_open_with_clock(url, &now);
    cache_value value;
    for (int i = 0; i < 1000; i++)
        assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));
    assert_non_null(strstr(cache_last_error(), "refused"));
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.rejections, 999);
    struct test_server late = { .port = port };
    test_directory_make(late.directory, sizeof late.directory);
    test_server_start_redis(&late, NULL);
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));    /* it is not asked before its time */
    now += 1000;
    assert_status(CACHE_MISS, cache_get(cache, "k", &value));
    test_server_stop(&late);
    cache_close(cache);
}

static void on_error_miss_looks_like_an_empty_store(void **state)
{
    (void)state;
    cache_t *cache = open_at(test_free_port(), "on_error=miss");
    cache_value value;
    int64_t n = 0;
    assert_status(CACHE_MISS, cache_get(cache, "k", &value));
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    assert_status(CACHE_MISS, cache_has(cache, "k"));
    assert_status(CACHE_OK, cache_inc(cache, "n", 3, &n));
    assert_int_equal(n, 3);
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_true(counters.errors >= 4);
    cache_close(cache);
}

static void a_stopped_server_costs_a_timeout_and_then_nothing(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    char url[128];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?prefix=stop:&connect_timeout=20&timeout=1&retry_after=1",
                   server.port);
    cache_t *cache = test_open_with_clock(url, &now);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
    test_server_pause(&server);
    cache_value value;
    const double begun = test_seconds();
    for (int i = 0; i < 102; i++)
        assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "k", &value));
    assert_true(test_seconds() - begun >= 1.99);
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.timeouts, 2);
    assert_int_equal(counters.rejections, 100);
    test_server_resume(&server);
    do
        now += 1000;
    while (cache_get(cache, "k", &value) != CACHE_OK);
    cache_value_release(&value);
    assert_text(cache, "k", "value");
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_true(counters.reconnects >= 1);
    cache_close(cache);
}

static void a_restarted_server_is_met_again_without_an_error(void **state)
{
    (void)state;
    cache_t *cache = open_here("prefix=again:&retry_after=0.05");
    int64_t n = 0;
    for (int round = 0; round < 3; round++) {
        assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
        test_server_kill(&server);
        test_server_start_redis(&server, NULL);
        if (round == 0)
            assert_text(cache, "k", NULL);
        else if (round == 1)
            assert_status(CACHE_OK, cache_inc(cache, "n", 1, &n));    /* though it may not be sent twice */
        else
            assert_status(CACHE_OK, cache_add(cache, "new", "v", 1, 60));
    }
    assert_int_equal(n, 1);
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.reconnects, 3);
    assert_int_equal(counters.errors, 0);
    cache_close(cache);
}

/* ---- late replies ------------------------------------------------------------------------------------------------ */

/* A server that answers its first connection with half a reply, and the rest when the test says so; later connections
 * at once, each GET with its key. */
struct fake {
    int listener, port;
    pthread_t thread;
    _Atomic bool finish;
};

static void read_request(int fd, char *request, size_t size)
{
    const ssize_t n = recv(fd, request, size - 1, 0);
    request[n > 0 ? n : 0] = '\0';
}

static void *serve(void *arg)
{
    struct fake *fake = arg;
    char request[512];
    const int first = accept(fake->listener, NULL, NULL);
    read_request(first, request, sizeof request);    /* CLIENT SETNAME */
    (void)send(first, "+OK\r\n", 5, MSG_NOSIGNAL);
    read_request(first, request, sizeof request);
    (void)send(first, "$5\r\nfi", 6, MSG_NOSIGNAL);
    const int second = accept(fake->listener, NULL, NULL);
    (void)send(first, "rst\r\n", 5, MSG_NOSIGNAL);
    read_request(second, request, sizeof request);
    (void)send(second, "+OK\r\n", 5, MSG_NOSIGNAL);
    read_request(second, request, sizeof request);
    (void)send(second, "$6\r\nsecond\r\n", 12, MSG_NOSIGNAL);
    while (recv(second, request, sizeof request, 0) > 0)
        continue;
    close(first);
    close(second);
    return NULL;
}

static void a_late_reply_never_reaches_another_request(void **state)
{
    (void)state;
    struct fake fake = { .listener = socket(AF_INET, SOCK_STREAM, 0) };
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fake.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fake.listener, 4), 0);
    assert_int_equal(getsockname(fake.listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pthread_create(&fake.thread, NULL, serve, &fake), 0);
    cache_t *cache = open_at(ntohs(address.sin_port), "pool=1&timeout=1");
    cache_value value;
    assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "first", &value));
    assert_text(cache, "second", "second");
    cache_close(cache);
    pthread_join(fake.thread, NULL);
    close(fake.listener);
}

/* ---- threads and forks ------------------------------------------------------------------------------------------- */

static void *get_once(void *ctx)
{
    cache_value value;
    const cache_status status = cache_get(ctx, "k", &value);
    cache_value_release(&value);
    return (void *)(uintptr_t)(status == CACHE_ERR_TIMEOUT);
}

static void a_wait_for_a_connection_is_bounded_by_timeout(void **state)
{
    (void)state;
    cache_t *cache = open_here("pool=1&timeout=1");
    assert_text(cache, "k", NULL);
    test_server_pause(&server);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_once, cache), 0);
    for (int i = 0; i < 4; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        assert_non_null(good);
    }
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.timeouts + counters.rejections, 4);    /* each of them, whatever it waited for */
    test_server_resume(&server);
    cache_close(cache);
}

static _Atomic bool busy;

static void *keep_busy(void *ctx)
{
    bool good = true;
    while (busy) {
        traffic_enter();
        good = cache_set_string(ctx, "busy", "busy", 60) == CACHE_OK && good;
        traffic_leave();
    }
    return (void *)(uintptr_t)good;
}

static bool talk(cache_t *cache, const char *own)
{
    bool good = true;
    for (int i = 0; i < 300; i++) {
        char copy[16] = "";
        size_t size = 0;
        good = cache_set_string(cache, own, own, 60) == CACHE_OK
            && cache_get_copy(cache, own, copy, sizeof copy, &size) == CACHE_OK && strcmp(copy, own) == 0 && good;
    }
    return good;
}

static void parent_and_child_use_the_handle_after_a_fork_in_the_middle_of_traffic(void **state)
{
    (void)state;
    cache_t *cache = open_here("prefix=fork:&pool=8");
    pthread_t threads[2];
    busy = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_busy, cache), 0);
    for (int round = 0; round < 5; round++) {
        const pid_t child = traffic_fork();
        if (child == 0)
            alarm(60);    /* one that hangs must end, and be seen */
        if (child == 0)
            _exit(talk(cache, "child") ? 0 : 1);
        assert_true(talk(cache, "parent"));
        int status = 1;
        assert_true(waitpid(child, &status, 0) == child && status == 0);
    }
    busy = false;
    for (int i = 0; i < 2; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        assert_non_null(good);
    }
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.reconnects, 0);    /* no child ended a connection of its parent */
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_cannot_be_honoured_are_refused_by_name),
        cmocka_unit_test(an_ipv6_address_stands_in_brackets),
        cmocka_unit_test(a_login_is_a_password_or_an_acl_user),
        cmocka_unit_test(a_database_is_a_place_of_its_own),
        cmocka_unit_test(redis_errors_arrive_in_its_own_words),
        cmocka_unit_test(a_new_counter_has_the_default_time_and_an_old_one_keeps_its_own),
        cmocka_unit_test(each_operation_is_the_command_that_is_made_for_it),
        cmocka_unit_test(clear_ends_though_keys_are_added_and_leaves_other_prefixes),
        cmocka_unit_test(a_refused_connection_costs_microseconds_and_one_caller_tries_again),
        cmocka_unit_test(on_error_miss_looks_like_an_empty_store),
        cmocka_unit_test(a_stopped_server_costs_a_timeout_and_then_nothing),
        cmocka_unit_test(a_restarted_server_is_met_again_without_an_error),
        cmocka_unit_test(a_late_reply_never_reaches_another_request),
        cmocka_unit_test(a_wait_for_a_connection_is_bounded_by_timeout),
        cmocka_unit_test(parent_and_child_use_the_handle_after_a_fork_in_the_middle_of_traffic),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
