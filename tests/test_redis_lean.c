/* test_redis_lean.c - Redis servers that lack a command, refuse one, or take less than others: each operation works all
 * the same, or says what is wrong. */
#include "test.h"

#include "fake_server.h"
#include "server.h"

#include <hiredis/hiredis.h>
#include <time.h>

static struct test_server server;

static int start(void **state)
{
    static const char *const extra[] = { "--rename-command", "UNLINK", "", "--proto-max-bulk-len", "1048576", NULL };
    (void)state;
    test_server_start_redis(&server, extra);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&server);
    return 0;
}

static cache_t *open_as(const char *scheme, const char *login, const char *options)
{
    char url[256];
    (void)snprintf(url, sizeof url, "%s://%s127.0.0.1:%d?%s", scheme, login, server.port, options);
    return test_open(url);
}

static void set_user(const char *rules)
{
    redisContext *context = redisConnect("127.0.0.1", server.port);
    char command[256];
    (void)snprintf(command, sizeof command, "ACL SETUSER app reset on >hush ~* &* %s", rules);
    redisReply *reply = redisCommand(context, command);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    redisFree(context);
}

static void without_unlink_keys_are_deleted_all_the_same(void **state)
{
    static const char *const keys[] = { "a", "b", "nobody" };
    size_t deleted = 0;
    (void)state;
    for (int i = 0; i < 3; i++) {    /* each begins with a store that does not know it yet */
        cache_t *cache = open_as("redis", "", "prefix=lean:");
        assert_status(CACHE_OK, cache_set_string(cache, "a", "1", 60));
        assert_status(CACHE_OK, cache_set_string(cache, "b", "2", 60));
        if (i == 0)
            assert_status(CACHE_OK, cache_delete(cache, "a"));
        else if (i == 1) {
            assert_status(CACHE_OK, cache_delete_many(cache, keys, 3, &deleted));
            assert_int_equal(deleted, 2);
        } else
            assert_status(CACHE_OK, cache_clear(cache));
        assert_text(cache, "a", NULL);
        assert_text(cache, "b", i == 0 ? "2" : NULL);
        assert_status(CACHE_MISS, cache_delete(cache, "a"));
        cache_close(cache);
    }
}

static void without_transactions_a_counter_counts_once_and_has_its_time(void **state)
{
    (void)state;
    set_user("+@all -multi -exec");
    cache_t *cache = open_as("redis", "app:hush@", "prefix=&default_ttl=50");
    for (int64_t i = 1; i <= 3; i++) {
        int64_t number = 0;
        assert_status(CACHE_OK, cache_inc(cache, "lean-n", 1, &number));
        assert_int_equal(number, i);
    }
    redisContext *context = redisConnect("127.0.0.1", server.port);
    redisReply *reply = redisCommand(context, "PTTL lean-n");
    assert_in_range(reply->integer, 1000, 50000);
    freeReplyObject(reply);
    redisFree(context);
    cache_close(cache);
}

static void a_counter_that_is_refused_says_so_and_does_not_count(void **state)
{
    int64_t number = 0;
    (void)state;
    set_user("+@all -incrby -multi -exec");
    cache_t *cache = open_as("redis", "app:hush@", "prefix=");
    assert_status(CACHE_ERR_AUTH, cache_inc(cache, "lean-refused", 1, &number));
    assert_non_null(strstr(cache_last_error(), "incrby"));
    cache_close(cache);
}

static char warning[256];

static void note_warning(void *ctx, cache_log_level level, const char *text)
{
    (void)ctx, (void)level;
    (void)snprintf(warning, sizeof warning, "%s", text);
}

static cache_status compute(void *ctx, cache_writer *out)
{
    return cache_writer_puts(out, ctx);
}

/* Results of computations replace what they found by a script, or in two steps. */
static void without_scripts_results_are_stored_all_the_same_and_the_log_says_what_is_lost(void **state)
{
    cache_config config = CACHE_CONFIG_INIT;
    cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
    char url[128];
    cache_t *cache = NULL;
    cache_value value;
    (void)state;
    set_user("+@all -eval");
    (void)snprintf(url, sizeof url, "redis://app:hush@127.0.0.1:%d?prefix=lean:", server.port);
    config.url = url;
    config.log = note_warning;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    how.ttl = 60;
    how.lock = true;
    assert_status(CACHE_OK, cache_fetch(cache, "computed", &how, compute, "first", &value));
    cache_value_release(&value);
    assert_text(cache, "computed", "first");
    how.force = true;
    assert_status(CACHE_OK, cache_fetch(cache, "computed", &how, compute, "second", &value));
    cache_value_release(&value);
    assert_text(cache, "computed", "second");
    assert_non_null(strstr(warning, "EVAL"));
    assert_null(strstr(warning, "hush"));
    cache_close(cache);
}

static void a_user_with_the_least_permissions_reads_and_writes(void **state)
{
    (void)state;
    set_user("+get +set +del +mget");
    cache_t *cache = open_as("valkey", "app:hush@", "prefix=least:");
    for (int i = 0; i < 20; i++) {
        assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
        assert_text(cache, "k", "v");
    }
    assert_status(CACHE_ERR_AUTH, cache_touch(cache, "k", 60));
    assert_status(CACHE_OK, cache_delete(cache, "k"));
    assert_true(test_counters(cache).reconnects <= 1);
    cache_close(cache);
}

static void a_value_over_the_limit_of_the_server_is_too_large(void **state)
{
    static char big[3 << 20];
    const cache_item items[] = { { "a", "1", 1 }, { "b", big, sizeof big }, { "c", "3", 1 } };
    (void)state;
    cache_t *cache = open_as("redis", "", "timeout=20");
    for (int i = 0; i < 5; i++) {
        assert_status(CACHE_ERR_TOO_LARGE, cache_set(cache, "k", big, sizeof big, 60));
        assert_non_null(strstr(cache_last_error(), "larger than the server takes"));
        assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
        assert_text(cache, "k", "v");
        assert_status(CACHE_ERR_TOO_LARGE, cache_set_many(cache, items, 3, 60));
        assert_non_null(strstr(cache_last_error(), "larger than the server takes"));
    }
    assert_int_equal(test_counters(cache).rejections, 0);
    cache_close(cache);
}

static void blanks_in_a_list_of_hosts_are_no_part_of_a_host(void **state)
{
    char url[128];
    (void)state;
    (void)snprintf(url, sizeof url, "redis:// 127.0.0.1:%d ?prefix=blank:", server.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    cache_close(cache);
}

/* ---- fakes ------------------------------------------------------------------------------------------------------- */

/* A proxy that ends a connection with a command that it does not know. */
static void end_on_client(struct fake_server *fake, int fd, int number)
{
    char request[4096], mark[32];
    (void)fake, (void)number;
    while (fake_server_read(fd, request, sizeof request) && strstr(request, "CLIENT") == NULL) {
        const char *answer = strstr(request, "GET") != NULL ? "$1\r\nv\r\n" : "+PONG\r\n";
        fake_redis_cut_mark(request, mark);
        if (!fake_server_puts(fd, answer) || !fake_server_puts(fd, mark))
            return;
    }
}

static void a_proxy_that_ends_connections_with_a_name_is_told_none(void **state)
{
    struct fake_server fake;
    char url[128];
    (void)state;
    fake_server_start(&fake, end_on_client, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", fake.port);
    cache_t *cache = test_open(url);
    assert_text(cache, "k", "v");
    assert_int_equal(fake.accepted, 2);
    cache_close(cache);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?client_name=off", fake.port);
    cache = test_open(url);
    assert_text(cache, "k", "v");
    assert_int_equal(fake.accepted, 3);
    cache_close(cache);
    fake_server_stop(&fake);
}

static void refuse_role(struct fake_server *fake, int fd, int number)
{
    char request[4096];
    (void)fake, (void)number;
    while (fake_server_read(fd, request, sizeof request))
        if (!fake_server_puts(fd, strstr(request, "ROLE") != NULL
                                      ? "+OK\r\n-NOPERM this user has no permissions to run the 'role' command\r\n"
                                      : "+OK\r\n"))
            return;
}

/* A sentinel with a password. */
static void want_login(struct fake_server *fake, int fd, int number)
{
    const struct fake_server *master = fake->ctx;
    char request[1024], address[96], port[8];
    bool known = false;
    (void)number;
    const int size = snprintf(port, sizeof port, "%d", master->port);
    (void)snprintf(address, sizeof address, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", size, port);
    while (fake_server_read(fd, request, sizeof request)) {
        const bool login = strstr(request, "AUTH\r\n$5\r\nwatch\r\n$7\r\nhush-22\r\n") != NULL;
        known = known || login;
        if (!fake_server_puts(fd, !known ? "-NOAUTH Authentication required.\r\n" : login ? "+OK\r\n" : address))
            return;
    }
}

static void sentinels_with_a_password_and_a_master_that_hides_its_role_are_used(void **state)
{
    struct fake_server master, sentinel;
    char url[256];
    (void)state;
    fake_server_start(&master, refuse_role, NULL);
    fake_server_start(&sentinel, want_login, &master);
    (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/blog?sentinel_user=watch&sentinel_password=hush-22",
                   sentinel.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    cache_close(cache);
    (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/blog", sentinel.port);
    cache = test_open(url);
    assert_status(CACHE_ERR_AUTH, cache_set_string(cache, "k", "v", 60));
    cache_close(cache);
    fake_server_stop(&sentinel);
    fake_server_stop(&master);
}

/* Takes each request, and answers late; so many bytes a piece that several are sent. */
static void answer_late(struct fake_server *fake, int fd, int number)
{
    static _Thread_local char bytes[256 * 1024];
    (void)fake, (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes)) {
        if (strstr(bytes, "CLIENT") != NULL && !fake_server_puts(fd, "+OK\r\n"))
            return;
        nanosleep(&(const struct timespec){ 0, 60 * 1000 * 1000 }, NULL);
    }
}

static void many_pieces_have_one_deadline(void **state)
{
    enum { MANY = 60 };
    static char value[100 * 1024];
    static char names[MANY][16];
    cache_item items[MANY];
    struct fake_server fake;
    struct timespec begun, ended;
    char url[128];
    (void)state;
    memset(value, 'v', sizeof value);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        items[i] = (cache_item){ names[i], value, sizeof value };
    }
    fake_server_start(&fake, answer_late, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?timeout=0.5", fake.port);
    cache_t *cache = test_open(url);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    assert_status(CACHE_ERR_TIMEOUT, cache_set_many(cache, items, MANY, 60));
    clock_gettime(CLOCK_MONOTONIC, &ended);
    const double took = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
    assert_true(took > 0.4 && took < 0.9);
    cache_close(cache);
    fake_server_stop(&fake);
}

static atomic_int fake_port;

/* A node that has all slots, does without some commands, and takes its time for each. */
static void be_slow(struct fake_server *fake, int fd, int number)
{
    char request[4096], mark[32], answer[256];
    (void)fake, (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        fake_redis_cut_mark(request, mark);
        const bool one = strncmp(request, "*2\r\n", 4) == 0;
        (void)strcpy(answer, "+OK\r\n");
        if (strstr(request, "SLOTS") != NULL)
            (void)snprintf(answer, sizeof answer, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n",
                           fake_port);
        else if (strstr(request, "PING") == NULL)
            nanosleep(&(const struct timespec){ 0, 300 * 1000 * 1000 }, NULL);
        if (strstr(request, "\r\nGET\r\n") != NULL)
            (void)strcpy(answer, "$1\r\nv\r\n");
        else if (strstr(request, "MGET") != NULL || (strstr(request, "UNLINK") != NULL && !one))
            (void)strcpy(answer, "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
        else if (strstr(request, "UNLINK") != NULL)
            (void)strcpy(answer, "-ERR unknown command 'UNLINK'\r\n");
        else if (strstr(request, "PERSIST") != NULL)
            (void)strcpy(answer, ":0\r\n");
        else if (strstr(request, "EXISTS") != NULL || strstr(request, "DEL") != NULL)
            (void)strcpy(answer, ":1\r\n");
        (void)strcat(answer, mark);
        if (!fake_server_puts(fd, answer))
            return;
    }
}

/* Operations for which one request is not enough at this server. */
static cache_status get_some(cache_t *cache)
{
    static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    cache_value values[8];
    const cache_status status = cache_get_many(cache, keys, 8, values);
    for (int i = 0; i < 8; i++)
        cache_value_release(&values[i]);
    return status;
}

static cache_status delete_some(cache_t *cache)
{
    static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    return cache_delete_many(cache, keys, 8, NULL);
}

static cache_status delete_one(cache_t *cache)
{
    return cache_delete(cache, "a");
}

static cache_status keep_for_ever(cache_t *cache)
{
    return cache_touch(cache, "a", CACHE_TTL_FOREVER);
}

static void requests_of_one_operation_have_one_deadline(void **state)
{
    static const struct { const char *scheme; cache_status (*call)(cache_t *cache); } operations[] = {
        { "redis", get_some },           { "redis", delete_some },        { "redis", delete_one },
        { "redis+cluster", delete_one }, { "redis+cluster", keep_for_ever },
    };
    struct fake_server fake;
    (void)state;
    fake_server_start(&fake, be_slow, NULL);
    fake_port = fake.port;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        struct timespec begun, ended;
        char url[128];
        (void)snprintf(url, sizeof url, "%s://127.0.0.1:%d?timeout=0.5&client_name=off", operations[i].scheme,
                       fake.port);
        cache_t *cache = test_open(url);
        clock_gettime(CLOCK_MONOTONIC, &begun);
        if (operations[i].call(cache) != CACHE_ERR_TIMEOUT)
            fail_msg("%s, operation %zu is not bounded by its timeout: %s", url, i, cache_last_error());
        clock_gettime(CLOCK_MONOTONIC, &ended);
        assert_true((double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9 < 3);
        cache_close(cache);
    }
    fake_server_stop(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_unlink_keys_are_deleted_all_the_same),
        cmocka_unit_test(without_transactions_a_counter_counts_once_and_has_its_time),
        cmocka_unit_test(a_counter_that_is_refused_says_so_and_does_not_count),
        cmocka_unit_test(without_scripts_results_are_stored_all_the_same_and_the_log_says_what_is_lost),
        cmocka_unit_test(a_user_with_the_least_permissions_reads_and_writes),
        cmocka_unit_test(a_value_over_the_limit_of_the_server_is_too_large),
        cmocka_unit_test(blanks_in_a_list_of_hosts_are_no_part_of_a_host),
        cmocka_unit_test(a_proxy_that_ends_connections_with_a_name_is_told_none),
        cmocka_unit_test(sentinels_with_a_password_and_a_master_that_hides_its_role_are_used),
        cmocka_unit_test(many_pieces_have_one_deadline),
        cmocka_unit_test(requests_of_one_operation_have_one_deadline),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
