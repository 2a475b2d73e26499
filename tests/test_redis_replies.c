/* test_redis_replies.c - what a Redis server may say that a real one cannot easily be brought to: each of its errors, a
 * login's echo, a master that was demoted in the middle of a transaction. */
#include "test.h"

#include "fake_server.h"

static cache_t *open_at(int port, const char *login, const char *options)
{
    char url[512];
    const char *patience = strstr(options, "timeout=") == NULL ? "timeout=20&" : "";
    (void)snprintf(url, sizeof url, "redis://%s127.0.0.1:%d?connect_timeout=20&%s%s", login, port, patience, options);
    return test_open(url);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* The login's commands are answered with OK, all else with the text that ctx points to. */
static void say(struct fake_server *server, int fd, int number)
{
    char request[4096], mark[32];
    (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        const bool login = strstr(request, "CLIENT") != NULL;
        fake_redis_cut_mark(request, mark);
        if (!fake_server_puts(fd, login ? "+OK\r\n" : *(_Atomic(const char *) *)server->ctx) ||
            (mark[0] != '\0' && !fake_server_puts(fd, mark)))
            return;
    }
}

static void every_error_has_a_status_and_keeps_its_words(void **state)
{
    static const struct {
        const char *words;
        cache_status status;
        bool is_of_a_cluster;
    } errors[] = {
        { "WRONGTYPE Operation against a key holding the wrong kind of value", CACHE_ERR_TYPE, false },
        { "NOAUTH Authentication required.", CACHE_ERR_AUTH, false },
        { "NOPERM this user has no permissions to run the 'get' command", CACHE_ERR_AUTH, false },
        { "DENIED Redis is running in protected mode", CACHE_ERR_AUTH, false },
        { "OOM command not allowed when used memory > 'maxmemory'.", CACHE_ERR_IO, false },
        { "MISCONF Redis is configured to save RDB snapshots", CACHE_ERR_IO, false },
        { "READONLY You can't write against a read only replica.", CACHE_ERR_IO, false },
        { "NOREPLICAS Not enough good replicas to write.", CACHE_ERR_IO, false },
        { "LOADING Redis is loading the dataset in memory", CACHE_ERR_CONNECT, false },
        { "BUSY Redis is busy running a script.", CACHE_ERR_CONNECT, false },
        { "MASTERDOWN Link with MASTER is down", CACHE_ERR_CONNECT, false },
        { "CLUSTERDOWN The cluster is down", CACHE_ERR_CONNECT, false },
        { "MOVED 3999 127.0.0.1:6381", CACHE_ERR_PROTOCOL, true },
        { "ASK 3999 127.0.0.1:6381", CACHE_ERR_PROTOCOL, true },
        { "TRYAGAIN Multiple keys request during rehashing of slot", CACHE_ERR_PROTOCOL, true },
        { "CROSSSLOT Keys in request don't hash to the same slot", CACHE_ERR_PROTOCOL, true },
        { "ERR something that nobody knows yet", CACHE_ERR_PROTOCOL, false },
    };
    _Atomic(const char *) text = "";
    char lines[sizeof errors / sizeof errors[0]][128];
    struct fake_server server;
    (void)state;
    fake_server_start(&server, say, (void *)&text);
    cache_t *cache = open_at(server.port, "", "pool=1");
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        cache_value value;
        (void)snprintf(lines[i], sizeof lines[i], "-%s\r\n", errors[i].words);
        text = lines[i];
        assert_status(errors[i].status, cache_get(cache, "k", &value));
        assert_non_null(strstr(cache_last_error(), errors[i].words));
        assert_true((strstr(cache_last_error(), "redis+cluster://") != NULL) == errors[i].is_of_a_cluster);
        assert_status(errors[i].status, cache_set_string(cache, "k", "v", 60));
    }
    cache_close(cache);
    fake_server_stop(&server);
}

/* The second MGET is cut off after its first value. After that, this value is not there any more. */
static void cut_values(struct fake_server *server, int fd, int number)
{
    char request[4096], mark[32];
    atomic_int *n_asked = server->ctx;
    (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        const bool asks = strstr(request, "MGET") != NULL;
        const int nth = asks ? atomic_fetch_add(n_asked, 1) : 0;
        fake_redis_cut_mark(request, mark);
        const char *answer = !asks ? "+OK\r\n" : nth < 2 ? "*2\r\n$1\r\nv\r\n" : "*2\r\n$-1\r\n$1\r\nw\r\n";
        if (!fake_server_puts(fd, answer) || (asks && nth == 0 && !fake_server_puts(fd, "$1\r\nw\r\n")) ||
            (asks && nth == 1) || (mark[0] != '\0' && !fake_server_puts(fd, mark)))
            return;
    }
}

static void a_value_that_came_before_a_cut_is_not_kept(void **state)
{
    const char *const keys[] = { "a", "b" };
    struct fake_server server;
    atomic_int n_asked = 0;
    cache_value values[2];
    (void)state;
    fake_server_start(&server, cut_values, &n_asked);
    cache_t *cache = open_at(server.port, "", "pool=1");
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, cache_get_many(cache, keys, 2, values));
        assert_true((values[0].data != NULL) == (i == 0));
        assert_string_equal(values[1].data, "w");
        cache_value_release(&values[0]);
        cache_value_release(&values[1]);
    }
    assert_int_equal(n_asked, 3);
    cache_close(cache);
    fake_server_stop(&server);
}

static atomic_int together;            /* commands with several keys */

/* As a node of a cluster that is taken for a single Redis. */
static void be_a_node(struct fake_server *server, int fd, int number)
{
    char request[4096], mark[32];
    (void)server, (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        const bool login = strstr(request, "CLIENT") != NULL, many = strstr(request, "MGET") != NULL;
        const bool same_slot = strstr(request, "{a}") != NULL;
        fake_redis_cut_mark(request, mark);
        atomic_fetch_add(&together, many);
        if (!fake_server_puts(fd, login ? "+OK\r\n" : !many ? "$1\r\nv\r\n" : same_slot ? "*2\r\n$1\r\nv\r\n$1\r\nv\r\n"
                                  : "-CROSSSLOT Keys in request don't hash to the same slot\r\n") ||
            (mark[0] != '\0' && !fake_server_puts(fd, mark)))
            return;
    }
}

static void a_node_that_refused_keys_of_several_slots_is_not_asked_for_them_again(void **state)
{
    static const char *const apart[] = { "a", "b" }, *const beside[] = { "{a}1", "{a}2" };
    struct fake_server server;
    cache_value values[2];
    (void)state;
    fake_server_start(&server, be_a_node, NULL);
    cache_t *cache = open_at(server.port, "", "pool=1");
    for (int i = 0; i < 6; i++) {
        assert_status(CACHE_OK, cache_get_many(cache, i < 3 ? apart : beside, 2, values));
        for (int k = 0; k < 2; k++) {
            assert_string_equal(values[k].data, "v");
            cache_value_release(&values[k]);
        }
        assert_int_equal(together, i < 3 ? 1 : i - 1);    /* keys of one slot still go together */
    }
    cache_close(cache);
    fake_server_stop(&server);
}

static void replies_of_a_wrong_type_or_size_end_the_connection(void **state)
{
    static const char *const wrong[] = { ":1\r\n", "*1\r\n$1\r\na\r\n", "+OK\r\n" };
    _Atomic(const char *) text = "";
    struct fake_server server;
    const char *const keys[] = { "a", "b" };
    cache_value value, values[2];
    (void)state;
    fake_server_start(&server, say, (void *)&text);
    cache_t *cache = open_at(server.port, "", "pool=1");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        text = wrong[i];
        assert_status(CACHE_ERR_PROTOCOL, cache_get(cache, "k", &value));
        assert_status(CACHE_ERR_PROTOCOL, cache_get_many(cache, keys, 2, values));
        assert_true(values[0].data == NULL && values[1].data == NULL);
        assert_int_equal(server.accepted, 2 * i + 2);
    }
    text = "$1\r\nv\r\n";
    assert_text(cache, "k", "v");
    cache_close(cache);
    fake_server_stop(&server);
}

/* None is waited for: its announcement is enough. */
static void replies_that_announce_absurd_sizes_end_the_connection(void **state)
{
    static const struct { const char *line; cache_status status; } absurd[] = {
        { "*2147483647\r\n", CACHE_ERR_NOMEM }, { "*2\r\n*2147483647\r\n", CACHE_ERR_NOMEM },
        { "*9223372036854775807\r\n", CACHE_ERR_PROTOCOL }, { "*-7\r\n", CACHE_ERR_PROTOCOL },
        { "$-7\r\n", CACHE_ERR_PROTOCOL }, { "*-1\r\n", CACHE_ERR_PROTOCOL }, { "*0\r\n", CACHE_ERR_PROTOCOL },
        { "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", CACHE_ERR_PROTOCOL },
    };
    _Atomic(const char *) text = "";
    struct fake_server server;
    const char *const keys[] = { "a", "b" };
    cache_value value, values[2];
    (void)state;
    fake_server_start(&server, say, (void *)&text);
    cache_t *cache = open_at(server.port, "", "pool=1");
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        text = absurd[i].line;
        assert_status(absurd[i].status, cache_get_many(cache, keys, 2, values));
        assert_true(values[0].data == NULL && values[1].data == NULL);
        if (strcmp(text, "*-1\r\n") != 0)    /* which is nil: a miss */
            assert_status(absurd[i].status, cache_get(cache, "k", &value));
    }
    cache_close(cache);
    fake_server_stop(&server);
}

/* What is no string among the values of an MGET is a miss, and the others are as they are. */
static void what_is_no_value_among_many_is_a_miss(void **state)
{
    static const char *const odd[] = { ":1\r\n", "-ERR broken\r\n", "$-1\r\n", "*1\r\n$1\r\nx\r\n", "+x\r\n",
                                       "*-1\r\n" };
    _Atomic(const char *) text = "";
    struct fake_server server;
    const char *const keys[] = { "a", "b", "c" };
    char replies[sizeof odd / sizeof odd[0]][96];    /* one each: the server may still look at the last */
    (void)state;
    fake_server_start(&server, say, (void *)&text);
    cache_t *cache = open_at(server.port, "", "pool=1");
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        cache_value values[3];
        (void)snprintf(replies[i], sizeof replies[i], "*3\r\n$1\r\n1\r\n%s$1\r\n3\r\n", odd[i]);
        text = replies[i];
        assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
        assert_string_equal(values[0].data, "1");
        assert_null(values[1].data);
        assert_string_equal(values[2].data, "3");
        cache_value_release(&values[0]);
        cache_value_release(&values[2]);
    }
    assert_int_equal(server.accepted, 1);
    cache_close(cache);
    fake_server_stop(&server);
}

/* ---- login ------------------------------------------------------------------------------------------------------- */

static void refuse_login(struct fake_server *server, int fd, int number)
{
    char request[4096];
    (void)number;
    while (fake_server_read(fd, request, sizeof request))
        if (!fake_server_puts(fd, server->ctx))
            return;
}

static void no_part_of_a_password_is_in_a_message(void **state)
{
    static const char *const answers[] = {
        "-ERR unknown command `AUTH`, with args beginning with: `hush-hush-1`, \r\n",
        "-ERR unknown command 'AUTH', with args beginning with: 'hush-hu\r\n",
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        "+hush-hush-1\r\n",
        "?hush-hush-1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct fake_server server;
        cache_value value;
        fake_server_start(&server, refuse_login, (void *)(uintptr_t)answers[i]);
        cache_t *cache = open_at(server.port, "app:hush-hush-1@", "timeout=0.1");
        assert_true(cache_get(cache, "k", &value) < 0);
        if (strstr(cache_last_error(), "hush") != NULL)
            fail_msg("%s", cache_last_error());
        cache_close(cache);
        fake_server_stop(&server);
    }
}

/* As Redis does: its reason, before it has read a word, and the end. */
static void turn_away(struct fake_server *server, int fd, int number)
{
    (void)number;
    (void)fake_server_puts(fd, server->ctx);
}

static void a_server_that_takes_no_connection_says_why(void **state)
{
    static const struct { const char *line, *words; cache_status status; } reasons[] = {
        { "-ERR max number of clients reached\r\n", "max number of clients", CACHE_ERR_CONNECT },
        { "-DENIED Redis is running in protected mode because\r\n", "protected mode", CACHE_ERR_AUTH },
    };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct fake_server server;
        fake_server_start(&server, turn_away, (void *)(uintptr_t)reasons[i / 2].line);
        cache_t *cache = open_at(server.port, i % 2 == 0 ? "" : "app:hush@", "");
        cache_value value;
        assert_status(reasons[i / 2].status, cache_get(cache, "k", &value));
        assert_non_null(strstr(cache_last_error(), reasons[i / 2].words));
        cache_counters counters;
        assert_status(reasons[i / 2].status, cache_get(cache, "k", &value));
        assert_status(CACHE_OK, cache_stats(cache, &counters));
        assert_int_equal(counters.rejections, 1);    /* it is left alone for a while */
        cache_close(cache);
        fake_server_stop(&server);
    }
}

static void record_login(struct fake_server *server, int fd, int number)
{
    (void)number;
    if (fake_server_read(fd, server->ctx, 4096))
        (void)fake_server_puts(fd, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
}

static void a_connection_logs_in_chooses_its_database_and_tells_its_name(void **state)
{
    char login[4096] = "";
    struct fake_server server;
    (void)state;
    fake_server_start(&server, record_login, login);
    cache_t *cache = open_at(server.port, "app:p%40ss@", "db=7");
    assert_true(cache_has(cache, "k") < 0);
    assert_string_equal(login, "*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$4\r\np@ss\r\n"
                               "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n"
                               "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8\r\nlibcache\r\n");
    cache_close(cache);
    fake_server_stop(&server);
}

/* ---- a master that is demoted ------------------------------------------------------------------------------------ */

static void name_master(struct fake_server *server, int fd, int number)
{
    const struct fake_server *master = server->ctx;
    char request[1024], address[96], port[8];
    (void)number;
    const int size = snprintf(port, sizeof port, "%d", master->port);
    (void)snprintf(address, sizeof address, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", size, port);
    while (fake_server_read(fd, request, sizeof request) && fake_server_puts(fd, address))
        continue;
}

/* The first connection leads to a master that is demoted before the first transaction; the second one to its
 * successor. */
static void demote(struct fake_server *server, int fd, int number)
{
    char request[4096];
    (void)server;
    if (!fake_server_read(fd, request, sizeof request) ||
        !fake_server_puts(fd, "+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"))
        return;
    while (fake_server_read(fd, request, sizeof request))
        if (!fake_server_puts(fd, number == 0 ? "+OK\r\n-READONLY You can't write against a read only replica.\r\n"
                                                "-READONLY You can't write against a read only replica.\r\n"
                                                "-EXECABORT Transaction discarded because of previous errors.\r\n"
                                              : "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:5\r\n"))
            return;
}

static void a_transaction_that_a_demoted_master_refused_goes_to_its_successor(void **state)
{
    struct fake_server master, sentinel;
    char url[128];
    int64_t number = 0;
    (void)state;
    fake_server_start(&master, demote, NULL);
    fake_server_start(&sentinel, name_master, &master);
    (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/blog", sentinel.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_inc(cache, "n", 5, &number));
    assert_int_equal(number, 5);
    assert_int_equal(sentinel.accepted, 1);    /* it is asked twice */
    assert_int_equal(master.accepted, 2);
    cache_close(cache);
    fake_server_stop(&sentinel);
    fake_server_stop(&master);
}

static void a_replica_is_not_connected_to_anew_for_each_write(void **state)
{
    _Atomic(const char *) text = "-READONLY You can't write against a read only replica.\r\n";
    _Atomic int64_t now = 1000;
    struct fake_server server;
    char url[128];
    (void)state;
    fake_server_start(&server, say, (void *)&text);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?timeout=20&connect_timeout=20&retry_after=5", server.port);
    cache_t *cache = test_open_with_clock(url, &now);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 50; i++) {
            assert_status(CACHE_ERR_IO, cache_set_string(cache, "k", "v", 60));
            assert_non_null(strstr(cache_last_error(), "READONLY"));
        }
        assert_int_equal(server.accepted, round + 1);    /* it is asked whether it still is one, and left in peace */
        now += 5000;
    }
    cache_close(cache);
    fake_server_stop(&server);
}

/* ---- sentinels that are none, or no good ------------------------------------------------------------------------ */

static void hold_the_line(struct fake_server *server, int fd, int number)
{
    char request[1024];
    (void)server, (void)number;
    while (fake_server_read(fd, request, sizeof request))
        continue;
}

static void say_it(struct fake_server *server, int fd, int number)
{
    char request[1024];
    (void)number;
    while (fake_server_read(fd, request, sizeof request) && fake_server_puts(fd, server->ctx))
        continue;
}

static void be_master(struct fake_server *server, int fd, int number)
{
    char request[4096];
    (void)server, (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        const bool login = strstr(request, "ROLE") != NULL;
        if (!fake_server_puts(fd, login ? "+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n" : "+OK\r\n"))
            return;
    }
}

static void a_sentinel_that_hangs_or_is_none_leaves_time_for_the_next(void **state)
{
    struct fake_server master, hung, none, good;
    char url[192];
    (void)state;
    fake_server_start(&master, be_master, NULL);
    fake_server_start(&hung, hold_the_line, NULL);
    fake_server_start(&none, say_it, (void *)(uintptr_t)"-ERR unknown command 'SENTINEL'\r\n");
    fake_server_start(&good, name_master, &master);
    (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/blog?%s", hung.port,
                   none.port, good.port, "timeout=6&connect_timeout=6");
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_true(hung.accepted == 1 && none.accepted == 1 && good.accepted == 1 && master.accepted == 1);
    cache_close(cache);
    fake_server_stop(&good);
    fake_server_stop(&none);
    fake_server_stop(&hung);
    fake_server_stop(&master);
}

static void what_a_sentinel_says_is_not_believed_blindly(void **state)
{
    static const struct { const char *answer, *words; cache_status status; } cases[] = {
        { "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n", "port", CACHE_ERR_PROTOCOL },
        { "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n", "port", CACHE_ERR_PROTOCOL },
        { "*2\r\n$9\r\n127.0.0.1\r\n$10\r\n4294973675\r\n", "port", CACHE_ERR_PROTOCOL },
        { "*1\r\n$9\r\n127.0.0.1\r\n", "unexpected", CACHE_ERR_PROTOCOL },
        { "*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n", "unexpected", CACHE_ERR_PROTOCOL },
        { "*2\r\n$-1\r\n$-1\r\n", "unexpected", CACHE_ERR_PROTOCOL },
        { "*-1\r\n", "no service", CACHE_ERR_CONFIG },
    };
    (void)state;
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        const bool replica = i == sizeof cases / sizeof cases[0];    /* one that it names for the master */
        struct fake_server sentinel, other;
        char url[128];
        fake_server_start(&other, say_it, (void *)(uintptr_t)"+OK\r\n*3\r\n$5\r\nslave\r\n:0\r\n*0\r\n");
        fake_server_start(&sentinel, replica ? name_master : say_it,
                          replica ? (void *)&other : (void *)(uintptr_t)cases[i].answer);
        (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/blog?timeout=20&connect_timeout=20",
                       sentinel.port);
        cache_t *cache = test_open(url);
        assert_status(replica ? CACHE_ERR_CONNECT : cases[i].status, cache_set_string(cache, "k", "v", 60));
        if (strstr(cache_last_error(), replica ? "not the master" : cases[i].words) == NULL)
            fail_msg("%zu: %s", i, cache_last_error());
        cache_close(cache);
        fake_server_stop(&sentinel);
        fake_server_stop(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_status_and_keeps_its_words),
        cmocka_unit_test(a_value_that_came_before_a_cut_is_not_kept),
        cmocka_unit_test(a_node_that_refused_keys_of_several_slots_is_not_asked_for_them_again),
        cmocka_unit_test(replies_of_a_wrong_type_or_size_end_the_connection),
        cmocka_unit_test(replies_that_announce_absurd_sizes_end_the_connection),
        cmocka_unit_test(what_is_no_value_among_many_is_a_miss),
        cmocka_unit_test(no_part_of_a_password_is_in_a_message),
        cmocka_unit_test(a_server_that_takes_no_connection_says_why),
        cmocka_unit_test(a_connection_logs_in_chooses_its_database_and_tells_its_name),
        cmocka_unit_test(a_replica_is_not_connected_to_anew_for_each_write),
        cmocka_unit_test(a_sentinel_that_hangs_or_is_none_leaves_time_for_the_next),
        cmocka_unit_test(what_a_sentinel_says_is_not_believed_blindly),
        cmocka_unit_test(a_transaction_that_a_demoted_master_refused_goes_to_its_successor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
