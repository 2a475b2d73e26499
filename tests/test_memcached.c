/* test_memcached.c - what only the Memcached store has: hosts that go away, connections across a fork, evicted
 * generations. */
#include "test.h"

#include "address.h"
#include "fake_server.h"
#include "locales.h"
#include "memcached_hosts.h"
#include "times.h"
#include "traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void settings_that_cannot_be_honoured_are_refused(void **state)
{
    static const char *const wrong[][2] = {
        { "memcached://127.0.0.1/path", "path" },
        { "memcached://user@127.0.0.1", "password" },
        { "memcached://:secret@127.0.0.1", "user" },
        { "memcached://us%20er:secret@127.0.0.1", "spaces" },
        { "memcached://user:sec%0aret@127.0.0.1", "line ends" },
        { "memcached://user:secret@127.0.0.1?user=other", "twice" },
        { "memcached+unix://127.0.0.1/run/memcached.sock", "host" },
        { "memcached+unix://", "path" },
        { "memcached://a,b,c?weights=1,2", "weights" },
        { "memcached://a,b?weights=1,2,3", "weights" },
        { "memcached://a,b?weights=1,0", "weights" },
        { "memcached://a,b?weights=1,x", "weights" },
        { "memcached://a?ca=/etc/ca.pem", "memcacheds://" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cache_t *cache = NULL;
        assert_status(CACHE_ERR_CONFIG, cache_open(wrong[i][0], &cache));
        if (strstr(cache_last_error(), wrong[i][1]) == NULL || strstr(cache_last_error(), "secret") != NULL)
            fail_msg("%s: %s", wrong[i][0], cache_last_error());
    }
}

static void an_ipv6_address_stands_in_brackets(void **state)
{
    static const char *const extra[] = { "-l", "::1", NULL };
    (void)state;
    test_address_in_brackets("memcached", test_server_start_memcached, extra);
}

static void a_stopped_server_costs_a_timeout_and_then_nothing(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    char url[128];
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?prefix=stop:&connect_timeout=20&timeout=1&retry_after=1",
                   servers[0].port);
    cache_t *cache = test_open_with_clock(url, &now);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "value", 60));
    test_server_pause(&servers[0]);
    cache_value value;
    for (int i = 0; i < 102; i++)
        assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "k", &value));
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.timeouts, 2);
    assert_int_equal(counters.rejections, 100);
    test_server_resume(&servers[0]);
    do
        now += 1000;
    while (cache_get(cache, "k", &value) != CACHE_OK);
    cache_value_release(&value);
    assert_text(cache, "k", "value");
    cache_close(cache);
}

static void a_clear_has_one_timeout_for_all_servers_and_clears_those_that_answer(void **state)
{
    char key[16];
    struct timespec begun, ended;
    (void)state;
    cache_t *cache = open_hosts(3, "prefix=clear3:&timeout=3&connect_timeout=3&retry_after=0.1"), *other;
    for (int i = 0; i < 60; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
    }
    for (int i = 0; i < 2; i++)
        test_server_pause(&servers[i]);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    assert_status(CACHE_ERR_TIMEOUT, cache_clear(cache));
    clock_gettime(CLOCK_MONOTONIC, &ended);
    const double took = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
    for (int i = 0; i < 2; i++)
        test_server_resume(&servers[i]);
    assert_true(took < 5);    /* with a timeout for each server it would be 6 */
    other = open_hosts(3, "prefix=clear3:&timeout=20&connect_timeout=20&retry_after=0.1");
    int left = 0;
    for (int i = 0; i < 60; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        left += cache_has(other, key) == CACHE_OK;
    }
    assert_in_range(left, 1, 59);    /* the third server was cleared, though the others hung */
    cache_close(other);
    cache_close(cache);
}

static void one_host_of_three_goes_and_comes_back(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(3, "prefix=three:&timeout=20&connect_timeout=20&retry_after=0.1");
    char key[16];
    for (int i = 0; i < 60; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
    }
    test_server_kill(&servers[1]);
    int lost = 0;
    for (int i = 0; i < 60; i++) {
        cache_value value;
        (void)snprintf(key, sizeof key, "k%d", i);
        lost += cache_get(cache, key, &value) != CACHE_OK;
        cache_value_release(&value);
    }
    assert_in_range(lost, 1, 45);
    test_server_start_memcached(&servers[1], NULL);
    const double begun = test_seconds();
    int stored = 0;
    while (stored < 60 && test_seconds() - begun < 5) {
        stored = 0;
        for (int i = 0; i < 60; i++) {
            (void)snprintf(key, sizeof key, "k%d", i);
            stored += cache_set_string(cache, key, key, 60) == CACHE_OK;
        }
    }
    assert_int_equal(stored, 60);
    cache_close(cache);
}

static atomic_bool busy;

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

static void parent_and_child_use_the_handle_after_a_fork_in_the_middle_of_traffic(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(1, "prefix=fork:&pool=4&timeout=20");
    pthread_t threads[2];
    busy = true;
    assert_status(CACHE_OK, cache_set_string(cache, "parent", "parent", 60));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_busy, cache), 0);
    for (int round = 0; round < 5; round++) {
        const pid_t child = traffic_fork();
        const char *own = child == 0 ? "child" : "parent";
        bool good = true;
        if (child == 0)
            alarm(60);    /* one that hangs must end, and be seen */
        for (int i = 0; i < 300; i++) {
            char copy[16] = "";
            size_t size = 0;
            good = cache_set_string(cache, own, own, 60) == CACHE_OK
                && cache_get_copy(cache, own, copy, sizeof copy, &size) == CACHE_OK && strcmp(copy, own) == 0 && good;
        }
        if (child == 0) {
            cache_close(cache);
            _exit(good ? 0 : 1);
        }
        int status = 1;
        assert_true(waitpid(child, &status, 0) == child && status == 0);
        assert_true(good);
    }
    busy = false;
    for (int i = 0; i < 2; i++) {
        void *undisturbed = NULL;
        pthread_join(threads[i], &undisturbed);
        assert_non_null(undisturbed);
    }
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.reconnects, 0);    /* no child ended a connection of its parent */
    cache_close(cache);
}

/* ---- many keys --------------------------------------------------------------------------------------------------- */

enum { KEYS = 1500, KEY_SIZE = 200 };    /* several requests to each host */

static const char *many_keys[KEYS];

static void *read_many(void *ctx)
{
    cache_value *values = calloc(KEYS, sizeof *values);
    cache_status status = values != NULL ? CACHE_OK : CACHE_ERR_NOMEM;
    for (int i = 0; i < 5 && status == CACHE_OK; i++)
        status = cache_get_many(ctx, many_keys, KEYS, values);
    free(values);
    return (void *)(intptr_t)status;
}

static void callers_that_share_one_connection_to_each_host_do_not_wait_in_a_circle(void **state)
{
    static char texts[KEYS][KEY_SIZE + 1];
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%0*d", KEY_SIZE, i);
        many_keys[i] = texts[i];
    }
    cache_t *cache = open_hosts(3, "prefix=circle:&pool=1&timeout=10&connect_timeout=10");
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, cache), 0);
    for (int i = 0; i < 4; i++) {
        void *status = NULL;
        pthread_join(threads[i], &status);
        assert_int_equal((intptr_t)status, CACHE_OK);
    }
    cache_close(cache);
}

/* ---- generations and times --------------------------------------------------------------------------------------- */

static void a_lost_generation_brings_nothing_back(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    char url[96];
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?prefix=gen:", servers[0].port);
    cache_t *cache = test_open_with_clock(url, &now), *raw = open_hosts(1, "prefix=&generation=off");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    assert_status(CACHE_OK, cache_delete(raw, "gen:generation"));
    now += 1000;
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "new", 60));
    assert_text(cache, "k", "new");
    cache_close(raw);
    cache_close(cache);
}

static void a_generation_that_somebody_wrote_over_is_replaced(void **state)
{
    static const char *const written[] = { "", "0", "-5", "no number", "9223372036854775807",
                                           "99999999999999999999999" };
    _Atomic int64_t now = 1000;
    char url[96];
    (void)state;
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?timeout=20&prefix=over:", servers[0].port);
    cache_t *raw = open_hosts(1, "prefix=&generation=off");
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        assert_status(CACHE_OK, cache_set_string(raw, "over:generation", written[i], CACHE_TTL_FOREVER));
        cache_t *cache = test_open_with_clock(url, &now);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
        assert_text(cache, "k", "old");
        assert_status(CACHE_OK, cache_clear(cache));
        assert_text(cache, "k", NULL);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "new", 60));
        cache_t *other = test_open_with_clock(url, &now);
        assert_text(other, "k", "new");
        cache_close(other);
        cache_close(cache);
    }
    cache_close(raw);
}

/* One line of the text protocol, and the first line of its answer. */
static const char *ask(const char *command)
{
    static char answer[256];
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)servers[0].port) };
    size_t size = 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, command, strlen(command), 0), (ssize_t)strlen(command));
    for (ssize_t n; (n = recv(fd, answer + size, sizeof answer - 1 - size, 0)) > 0 &&
                    memchr(answer, '\n', size + (size_t)n) == NULL;)
        size += (size_t)n;
    close(fd);
    answer[strcspn(answer, "\r")] = '\0';
    return answer;
}

/* More than 30 days are a date to memcached: one that it did not take for one would have ended in 1970. Its clock is a
 * tick that comes late on a busy machine. */
static void a_ttl_over_30_days_is_that_long(void **state)
{
    static const struct { const char *command; double days; } wanted[] = {
        { "mg ttl:a t\r\n", 29 }, { "mg ttl:b t\r\n", 30 }, { "mg ttl:c t\r\n", 31 }, { "mg ttl:d t\r\n", 365 },
    };
    (void)state;
    cache_t *cache = open_hosts(1, "prefix=ttl:&generation=off");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char key[2] = { wanted[i].command[7], '\0' };
        const long seconds = (long)(wanted[i].days * 86400);
        assert_status(CACHE_OK, cache_set_string(cache, key, "x", (double)seconds));
        assert_in_range(strtol(ask(wanted[i].command) + strlen("HD t"), NULL, 10), seconds - 30, seconds + 30);
        assert_status(CACHE_OK, cache_touch(cache, key, (double)seconds * 2));
        assert_in_range(strtol(ask(wanted[i].command) + strlen("HD t"), NULL, 10), seconds * 2 - 30, seconds * 2 + 30);
    }
    assert_status(CACHE_OK, cache_set_string(cache, "a", "x", CACHE_TTL_FOREVER));
    assert_string_equal(ask(wanted[0].command), "HD t-1");
    cache_close(cache);
}

static void a_restarted_server_is_met_again_without_an_error(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(1, "prefix=again:&pool=2");
    int64_t number = 0;
    for (int round = 0; round < 4; round++) {
        assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
        test_server_kill(&servers[0]);
        test_server_start_memcached(&servers[0], NULL);
        if (round == 0)
            assert_text(cache, "k", NULL);
        else if (round == 1)
            assert_status(CACHE_OK, cache_inc(cache, "n", 5, &number));    /* though it may not be sent twice */
        else if (round == 2)
            assert_status(CACHE_OK, cache_add(cache, "k", "w", 1, 60));
        else {
            const char *const keys[] = { "k", "l" };
            assert_status(CACHE_OK, cache_delete_many(cache, keys, 2, NULL));
        }
    }
    assert_int_equal(number, 5);
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.errors, 0);
    assert_int_equal(counters.reconnects, 4);
    cache_close(cache);
}

/* ---- logins ------------------------------------------------------------------------------------------------------ */

static void a_server_that_wants_a_login_gets_the_right_one(void **state)
{
    static const struct { const char *login; cache_status status; } tries[] = {
        { "app:hush@", CACHE_OK }, { "", CACHE_ERR_AUTH }, { "app:wrong@", CACHE_ERR_AUTH },
        { "other:hush@", CACHE_ERR_AUTH },
    };
    struct test_server guarded = { .pid = 0 };
    char url[96];
    (void)state;
    test_server_start_memcached_login(&guarded, NULL);
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        cache_value value;
        (void)snprintf(url, sizeof url, "memcached://%s127.0.0.1:%d?timeout=20&connect_timeout=20", tries[i].login,
                       guarded.port);
        cache_t *cache = test_open(url);
        assert_status(tries[i].status, cache_set_string(cache, "k", "v", 60));
        assert_status(tries[i].status, cache_get(cache, "k", &value));
        assert_null(strstr(cache_last_error(), "hush"));
        cache_value_release(&value);
        cache_close(cache);
    }
    test_server_stop(&guarded);
}

static void the_environment_has_a_login_too(void **state)
{
    struct test_server guarded = { .pid = 0 };
    char host[32];
    cache_t *cache = NULL;
    (void)state;
    test_server_start_memcached_login(&guarded, NULL);
    (void)snprintf(host, sizeof host, "127.0.0.1:%d", guarded.port);
    assert_int_equal(setenv("CACHE_TYPE", "MemcachedCache", 1), 0);
    assert_int_equal(setenv("CACHE_MEMCACHED_SERVERS", host, 1), 0);
    assert_int_equal(setenv("CACHE_MEMCACHED_USERNAME", "app", 1), 0);
    assert_int_equal(setenv("CACHE_MEMCACHED_PASSWORD", "hush", 1), 0);
    assert_status(CACHE_OK, cache_open_env(&cache));
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", "v");
    cache_close(cache);
    assert_int_equal(setenv("CACHE_MEMCACHED_PASSWORD", "a@b:s3cret%", 1), 0);
    assert_status(CACHE_OK, cache_open_env(&cache));
    assert_status(CACHE_ERR_AUTH, cache_set_string(cache, "k", "v", 60));
    assert_null(strstr(cache_last_error(), "s3cret"));
    assert_null(strstr(cache_url(cache), "s3cret"));
    cache_close(cache);
    unsetenv("CACHE_TYPE");
    unsetenv("CACHE_MEMCACHED_SERVERS");
    unsetenv("CACHE_MEMCACHED_USERNAME");
    unsetenv("CACHE_MEMCACHED_PASSWORD");
    test_server_stop(&guarded);
}

static atomic_bool password_came;

static void serve_nothing(struct fake_server *server, int fd, int number)
{
    char request[1024];
    (void)server, (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        if (strstr(request, "hush") != NULL)
            password_came = true;
        if (!fake_server_puts(fd, strncmp(request, "set ", 4) == 0 ? "STORED\r\n" : "END\r\n"))
            return;
    }
}

/* It would be kept there as a value, for all to read. */
static void a_server_that_asks_for_no_login_gets_no_password(void **state)
{
    struct fake_server fake;
    char url[96];
    (void)state;
    fake_server_start(&fake, serve_nothing, NULL);
    (void)snprintf(url, sizeof url, "memcached://app:hush@127.0.0.1:%d?generation=off&timeout=20", fake.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", NULL);
    cache_close(cache);
    fake_server_stop(&fake);
    assert_false(password_came);
}

static void spaces_in_a_list_of_hosts_are_no_part_of_them(void **state)
{
    char url[128];
    (void)state;
    (void)snprintf(url, sizeof url, "memcached:// 127.0.0.1:%d, 127.0.0.1:%d ,127.0.0.1:%d ?prefix=list:&timeout=20",
                   servers[0].port, servers[1].port, servers[2].port);
    cache_t *cache = test_open(url);
    for (int i = 0; i < 30; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
        assert_text(cache, key, key);
    }
    cache_close(cache);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Another program of the same cache may run in another locale. */
static void check_names(const char *locale, void *ctx)
{
    static const char *const keys[] = { "caf\xc3\xa9", "\xc3\xa0\xc2\x85", "\xe4\xb8\xad\xe6\x96\x87", "I\xcc\x87i" };
    (void)ctx;
    cache_t *cache = open_hosts(1, "prefix=&generation=off");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char command[64], wanted[64];
        assert_status(CACHE_OK, cache_set_string(cache, keys[i], "v", 60));
        (void)snprintf(command, sizeof command, "get %s\r\n", keys[i]);
        (void)snprintf(wanted, sizeof wanted, "VALUE %s 0 1", keys[i]);
        if (strcmp(ask(command), wanted) != 0)
            fail_msg("%s: no value has the name '%s'", locale, keys[i]);
        assert_status(CACHE_OK, cache_delete(cache, keys[i]));
    }
    cache_close(cache);
}

static void a_key_has_one_name_in_every_locale(void **state)
{
    (void)test_locales_make(state);
    test_in_locales(check_names, NULL);
    (void)test_locales_remove(state);
}

static void an_item_that_is_too_large_names_the_limit(void **state)
{
    (void)state;
    cache_t *cache = open_hosts(1, "");
    char *big = calloc(1, 2 << 20);
    assert_status(CACHE_ERR_TOO_LARGE, cache_set(cache, "big", big, 2 << 20, 60));
    assert_non_null(strstr(cache_last_error(), "1048576"));
    const cache_item items[] = { { "a", "1", 1 }, { "b", big, 2 << 20 }, { "c", "3", 1 } };
    assert_status(CACHE_ERR_TOO_LARGE, cache_set_many(cache, items, 3, 60));
    assert_text(cache, "a", "1");
    assert_text(cache, "c", "3");
    free(big);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_cannot_be_honoured_are_refused),
        cmocka_unit_test(an_ipv6_address_stands_in_brackets),
        cmocka_unit_test(a_stopped_server_costs_a_timeout_and_then_nothing),
        cmocka_unit_test(a_clear_has_one_timeout_for_all_servers_and_clears_those_that_answer),
        cmocka_unit_test(one_host_of_three_goes_and_comes_back),
        cmocka_unit_test(parent_and_child_use_the_handle_after_a_fork_in_the_middle_of_traffic),
        cmocka_unit_test(callers_that_share_one_connection_to_each_host_do_not_wait_in_a_circle),
        cmocka_unit_test(a_lost_generation_brings_nothing_back),
        cmocka_unit_test(a_generation_that_somebody_wrote_over_is_replaced),
        cmocka_unit_test(a_ttl_over_30_days_is_that_long),
        cmocka_unit_test(a_restarted_server_is_met_again_without_an_error),
        cmocka_unit_test(a_server_that_wants_a_login_gets_the_right_one),
        cmocka_unit_test(the_environment_has_a_login_too),
        cmocka_unit_test(a_server_that_asks_for_no_login_gets_no_password),
        cmocka_unit_test(spaces_in_a_list_of_hosts_are_no_part_of_them),
        cmocka_unit_test(a_key_has_one_name_in_every_locale),
        cmocka_unit_test(an_item_that_is_too_large_names_the_limit),
    };
    return cmocka_run_group_tests(tests, start_hosts, stop_hosts);
}
