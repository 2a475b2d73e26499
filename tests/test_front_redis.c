/* test_front_redis.c - a front of Redis hears of changes from the server itself, whoever makes them. "Another process"
 * is another open here: the two share nothing but the server. */
#include "test.h"

#include "fake_server.h"
#include "hooks.h"
#include "server.h"

#include <hiredis/hiredis.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct test_server server;

static void raw(const char *command)
{
    redisContext *context = redisConnect("127.0.0.1", server.port);
    redisReply *reply = context->err == 0 ? redisCommand(context, command) : NULL;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, reply != NULL ? reply->str : context->errstr);
    freeReplyObject(reply);
    redisFree(context);
}

static cache_t *open_with(const char *options)
{
    char url[256];
    /* The machine may be busy: only the waits that a test is about are short. */
    const char *patience = strstr(options, "timeout=") == NULL ? "timeout=20&connect_timeout=20&" : "";
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?prefix=p:&%s%s", server.port, patience, options);
    return test_open(url);
}

/* What is set below lives for an hour, and the front keeps it for one: only what the server says can change it. */
static cache_t *open_front(void)
{
    return open_with("front=4mb&front_ttl=3600&front_lag=3600&front_check=0");
}

static void set(cache_t *cache, const char *key, const char *text)
{
    assert_status(CACHE_OK, cache_set_string(cache, key, text, 3600));
}

/* Read until the front serves the key. */
static void warm_up(cache_t *cache, const char *key)
{
    const uint64_t before = test_counters(cache).front_hits;
    for (int i = 0; i < 10000 && test_counters(cache).front_hits == before; i++)
        (void)cache_has(cache, "nothing"), (void)cache_get_copy(cache, key, NULL, 0, NULL);
    assert_true(test_counters(cache).front_hits > before);
}

/* Read until the key holds `text`, or is missing for NULL: for as long as a slow machine may need. */
static void await(cache_t *cache, const char *key, const char *text)
{
    for (int i = 0; i < 20000; i++) {
        cache_value value;
        const cache_status status = cache_get(cache, key, &value);
        const bool good = text != NULL ? status == CACHE_OK && strcmp(value.data, text) == 0 : status == CACHE_MISS;
        cache_value_release(&value);
        if (good)
            return;
        (void)nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
    fail_msg("%s is not %s", key, text != NULL ? text : "missing");
}

static void hits_are_served_without_the_server(void **state)
{
    (void)state;
    cache_t *cache = open_front();
    set(cache, "k", "v");
    warm_up(cache, "k");
    const uint64_t before = test_counters(cache).front_hits;
    for (int i = 0; i < 100; i++)
        assert_text(cache, "k", "v");
    assert_true(test_counters(cache).front_hits >= before + 100);
    cache_close(cache);
}

static void what_another_process_writes_is_heard(void **state)
{
    (void)state;
    cache_t *cache = open_front(), *other = open_with("");
    int64_t number = 0;
    set(other, "k", "0");
    warm_up(cache, "k");
    set(other, "k", "1");
    await(cache, "k", "1");
    warm_up(cache, "k");
    assert_status(CACHE_OK, cache_inc(other, "k", 4, &number));
    await(cache, "k", "5");
    warm_up(cache, "k");
    assert_status(CACHE_OK, cache_delete(other, "k"));
    await(cache, "k", NULL);
    cache_close(cache);
    cache_close(other);
}

static void a_change_of_one_key_leaves_the_others_in_the_front(void **state)
{
    (void)state;
    cache_t *cache = open_front(), *other = open_with("");
    set(other, "changes", "0");
    set(other, "stays", "v");
    warm_up(cache, "changes");
    warm_up(cache, "stays");
    set(other, "changes", "1");
    await(cache, "changes", "1");
    const uint64_t before = test_counters(cache).front_hits;
    assert_text(cache, "stays", "v");
    assert_int_equal(test_counters(cache).front_hits, before + 1);
    cache_close(cache);
    cache_close(other);
}

static void what_other_programs_do_is_heard(void **state)
{
    (void)state;
    static const struct { const char *command, *text; } cases[] = {
        { "SET p:k theirs", "theirs" }, { "APPEND p:k !", "old!" }, { "RENAME p:k p:k2", NULL }, { "UNLINK p:k", NULL },
        { "PEXPIRE p:k 1", NULL }, { "FLUSHDB", NULL }, { "FLUSHALL", NULL },
    };
    cache_t *cache = open_front();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set(cache, "k", "old");
        warm_up(cache, "k");
        raw(cases[i].command);
        await(cache, "k", cases[i].text);
    }
    cache_close(cache);
}

static void an_eviction_by_the_server_is_heard(void **state)
{
    (void)state;
    cache_t *cache = open_front();
    char value[1000];
    memset(value, 'x', sizeof value);
    set(cache, "k", "old");
    warm_up(cache, "k");
    raw("CONFIG SET maxmemory-policy allkeys-random");
    raw("CONFIG SET maxmemory 1");
    redisContext *context = redisConnect("127.0.0.1", server.port);
    freeReplyObject(redisCommand(context, "SET p:other 1"));    /* evicts all there is, and is refused */
    redisFree(context);
    await(cache, "k", NULL);
    raw("CONFIG SET maxmemory 0");
    cache_close(cache);
}

static void a_watch_that_is_killed_costs_no_old_value(void **state)
{
    (void)state;
    cache_t *cache = open_front(), *other = open_with("");
    for (int i = 0; i < 20; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        set(other, "k", text);
        await(cache, "k", text);
        warm_up(cache, "k");
        raw("CLIENT KILL TYPE pubsub");
        set(other, "k", "after");
        await(cache, "k", "after");
    }
    cache_close(cache);
    cache_close(other);
}

/* The server may send the end of its time a second late: this process must know it. */
static void a_value_is_not_served_past_its_time_though_the_server_tells_it_late(void **state)
{
    (void)state;
    cache_t *cache = open_front();
    raw("CONFIG SET hz 1");
    for (int i = 0; i < 5; i++) {
        raw("SET p:k v PX 50");
        await(cache, "k", "v");
        const uint64_t end = cache_now_ns() + 55000000;    /* both round to milliseconds */
        while (cache_now_ns() < end)
            (void)cache_get_copy(cache, "k", NULL, 0, NULL);
        cache_value value;
        assert_status(CACHE_MISS, cache_get(cache, "k", &value));
    }
    raw("CONFIG SET hz 10");
    cache_close(cache);
}

static void limit_what_listeners_leave(const char *limits)
{
    redisContext *context = redisConnect("127.0.0.1", server.port);
    redisReply *reply = redisCommand(context, "CONFIG SET client-output-buffer-limit %s", limits);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    redisFree(context);
}

/* The server ends the connection of a process that does not listen for long, and with it forgets what it had to say. */
static void a_process_that_did_not_listen_for_long_serves_nothing_old(void **state)
{
    (void)state;
    enum { WRITES = 100, KEYS = 500 };
    static char names[KEYS][300];
    static cache_item items[KEYS];
    cache_t *cache = open_front(), *other = open_with("");
    limit_what_listeners_leave("pubsub 1mb 0 0");
    set(other, "k", "old");
    warm_up(cache, "k");
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "%0250d", i);
        items[i] = (cache_item){ names[i], "v", 1 };
    }
    for (int i = 0; i < WRITES; i++)
        assert_status(CACHE_OK, cache_set_many(other, items, KEYS, 60));
    set(other, "k", "new");    /* this word does not arrive any more */
    limit_what_listeners_leave("pubsub 32mb 8mb 60");
    await(cache, "k", "new");
    for (int i = 0; i < 100; i++)
        assert_text(cache, "k", "new");
    warm_up(cache, "k");
    cache_close(cache);
    cache_close(other);
}

static void a_server_that_hangs_is_not_believed_longer_than_front_lag(void **state)
{
    (void)state;
    cache_t *cache = open_with("front=4mb&front_lag=0.2&front_check=0&timeout=0.1&connect_timeout=0.1");
    set(cache, "k", "v");
    warm_up(cache, "k");
    test_server_pause(&server);
    cache_status status = CACHE_OK;
    for (int i = 0; i < 20000 && status == CACHE_OK; i++) {    /* it may serve for a while, and then must not */
        cache_value value;
        status = cache_get(cache, "k", &value);
        cache_value_release(&value);
        (void)nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
    test_server_resume(&server);
    assert_true(status < 0);
    await(cache, "k", "v");
    warm_up(cache, "k");
    cache_close(cache);
}

static void what_a_server_held_that_is_gone_is_not_served(void **state)
{
    (void)state;
    cache_t *cache = open_with("front=4mb&front_ttl=3600&front_lag=3600&front_check=0&on_error=miss&timeout=5");
    set(cache, "k", "v");
    warm_up(cache, "k");
    test_server_stop(&server);
    test_server_start_redis(&server, NULL);    /* on another port: this handle's server is gone for good */
    await(cache, "k", NULL);
    cache_close(cache);
}

static int warnings;

static void count_warnings(void *ctx, cache_log_level level, const char *message)
{
    (void)ctx;
    warnings += level == CACHE_LOG_WARN && strstr(message, "front") != NULL;
}

static void without_the_right_to_hear_it_works_as_without_a_front(void **state)
{
    (void)state;
    char url[256];
    cache_t *cache = NULL, *other = open_with("");
    cache_config config = CACHE_CONFIG_INIT;
    raw("ACL SETUSER app on >secret ~* +@all -client|tracking resetchannels");
    (void)snprintf(url, sizeof url, "redis://app:secret@127.0.0.1:%d?prefix=p:&front=4mb&timeout=20", server.port);
    config.url = url;
    config.log = count_warnings;
    warnings = 0;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    for (int i = 0; i < 50; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        set(other, "k", text);
        assert_text(cache, "k", text);
    }
    assert_int_equal(warnings, 1);
    assert_int_equal(test_counters(cache).front_hits, 0);
    cache_close(cache);
    cache_close(other);
}

static void the_child_of_a_fork_hears_for_itself(void **state)
{
    (void)state;
    cache_t *cache = open_front(), *other = open_with("");
    set(other, "k", "old");
    warm_up(cache, "k");
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool good = true;
        for (int i = 0; good && i < 50; i++) {
            cache_value value;
            good = cache_get(cache, "k", &value) == CACHE_OK;
            cache_value_release(&value);
        }
        _exit(good && test_counters(cache).front_hits > 0 ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    set(other, "k", "new");    /* and the parent's watch is as it was */
    await(cache, "k", "new");
    cache_close(cache);
    cache_close(other);
}

static atomic_int ids;

/* No key exists, and nothing answers CLIENT ID. */
static void hold_ids_back(struct fake_server *fake, int fd, int number)
{
    char request[4096], mark[32], answer[128];
    (void)fake, (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        fake_redis_cut_mark(request, mark);
        if (strstr(request, "CLIENT") != NULL) {
            ids++;
            continue;
        }
        (void)snprintf(answer, sizeof answer, "%s%s",
                       strstr(request, "GET") != NULL ? "$-1\r\n:-2\r\n" : "+PONG\r\n", mark);
        if (!fake_server_puts(fd, answer))
            return;
    }
}

static void *read_until_cancelled(void *cache)
{
    for (;; pthread_testcancel())
        (void)cache_get_copy(cache, "k", NULL, 0, NULL);
    return NULL;
}

static void a_thread_that_is_cancelled_while_it_connects_the_watch_keeps_no_other_from_it(void **state)
{
    struct fake_server fake;
    pthread_t thread;
    char url[160];
    (void)state;
    ids = 0;
    fake_server_start(&fake, hold_ids_back, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?client_name=off&front=1mb&timeout=1&retry_after=0.02",
                   fake.port);
    cache_t *cache = test_open(url);
    assert_int_equal(pthread_create(&thread, NULL, read_until_cancelled, cache), 0);
    while (ids == 0)
        sched_yield();
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    for (int i = 0; i < 1000 && ids < 2; i++) {
        (void)cache_get_copy(cache, "k", NULL, 0, NULL);
        (void)nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    }
    assert_true(ids >= 2);
    cache_close(cache);
    fake_server_stop(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hits_are_served_without_the_server),
        cmocka_unit_test(what_another_process_writes_is_heard),
        cmocka_unit_test(a_change_of_one_key_leaves_the_others_in_the_front),
        cmocka_unit_test(what_other_programs_do_is_heard),
        cmocka_unit_test(an_eviction_by_the_server_is_heard),
        cmocka_unit_test(a_watch_that_is_killed_costs_no_old_value),
        cmocka_unit_test(a_value_is_not_served_past_its_time_though_the_server_tells_it_late),
        cmocka_unit_test(a_process_that_did_not_listen_for_long_serves_nothing_old),
        cmocka_unit_test(a_server_that_hangs_is_not_believed_longer_than_front_lag),
        cmocka_unit_test(without_the_right_to_hear_it_works_as_without_a_front),
        cmocka_unit_test(the_child_of_a_fork_hears_for_itself),
        cmocka_unit_test(a_thread_that_is_cancelled_while_it_connects_the_watch_keeps_no_other_from_it),
        cmocka_unit_test(what_a_server_held_that_is_gone_is_not_served),
    };
    test_server_start_redis(&server, NULL);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_server_stop(&server);
    return failed;
}
