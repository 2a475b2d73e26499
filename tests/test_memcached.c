/* test_memcached.c - what only the Memcached store has: hosts that go away, connections across a fork, evicted
 * generations. */
#include "test.h"

#include "address.h"
#include "server.h"
#include "traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct test_server servers[3];

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static cache_t *open_hosts(int n, const char *options)
{
    char url[256];
    int size = snprintf(url, sizeof url, "memcached://127.0.0.1:%d", servers[0].port);
    for (int i = 1; i < n; i++)
        size += snprintf(url + size, sizeof url - (size_t)size, ",127.0.0.1:%d", servers[i].port);
    /* The machine may be busy: only the waits that a test is about are short. */
    const char *patience = strstr(options, "timeout=") == NULL ? "timeout=20&connect_timeout=20&" : "";
    (void)snprintf(url + size, sizeof url - (size_t)size, "?%s%s", patience, options);
    return test_open(url);
}

static int start(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        test_server_start_memcached(&servers[i], NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        test_server_stop(&servers[i]);
    return 0;
}

static void settings_that_cannot_be_honoured_are_refused(void **state)
{
    (void)state;
    cache_t *cache = NULL;
    assert_status(CACHE_ERR_CONFIG, cache_open("memcached://user:secret@127.0.0.1", &cache));
    assert_non_null(strstr(cache_last_error(), "SASL"));
    assert_null(strstr(cache_last_error(), "secret"));
    assert_status(CACHE_ERR_CONFIG, cache_open("memcached://127.0.0.1/path", &cache));
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
    /* Until each of its threads stands still: one that runs on for a moment would still answer. */
    int stopped = 0;
    assert_int_equal(kill(servers[0].pid, SIGSTOP), 0);
    assert_int_equal(waitpid(servers[0].pid, &stopped, WUNTRACED), servers[0].pid);
    assert_true(WIFSTOPPED(stopped));
    cache_value value;
    for (int i = 0; i < 102; i++)
        assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "k", &value));
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.timeouts, 2);
    assert_int_equal(counters.rejections, 100);
    kill(servers[0].pid, SIGCONT);
    do
        now += 1000;
    while (cache_get(cache, "k", &value) != CACHE_OK);
    cache_value_release(&value);
    assert_text(cache, "k", "value");
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
    const double begun = seconds();
    int stored = 0;
    while (stored < 60 && seconds() - begun < 5) {
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

/* The system gives one local port to connections that lead to different hosts. */
static void a_child_does_not_take_another_socket_for_its_parents_connection(void **state)
{
    struct sockaddr_in local = { .sin_family = AF_INET }, peer = { .sin_family = AF_INET };
    socklen_t size = sizeof local;
    (void)state;
    const int low = dup(STDERR_FILENO);    /* its number comes before that of the store's connection */
    cache_t *cache = open_hosts(1, "prefix=same:&pool=1&timeout=20");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    for (int fd = low + 1; ntohs(peer.sin_port) != servers[0].port; fd++) {
        assert_true(fd < 1024);
        size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0)
            assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &size), 0);
    }
    const int listener = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
    peer.sin_addr.s_addr = local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    assert_int_equal(bind(listener, (struct sockaddr *)&peer, sizeof peer), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(bind(other, (struct sockaddr *)&local, sizeof local), 0);
    assert_int_equal(connect(other, (struct sockaddr *)&peer, sizeof peer), 0);
    assert_int_equal(dup2(other, low), low);
    close(other);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        const bool good = cache_set_string(cache, "k", "w", 60) == CACHE_OK;
        cache_close(cache);
        _exit(good && getpeername(low, (struct sockaddr *)&peer, &size) == 0 ? 0 : 1);
    }
    int status = 1;
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    assert_text(cache, "k", "w");
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.reconnects, 0);    /* the parent's connection is as it was */
    cache_close(cache);
    close(listener);
    close(low);
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
    cache_t *cache = test_open_with_clock(url, &now), *raw = open_hosts(1, "prefix=gen&generation=off");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "old", 60));
    assert_status(CACHE_OK, cache_delete(raw, ":generation"));
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
    cache_t *raw = open_hosts(1, "prefix=over&generation=off");
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        assert_status(CACHE_OK, cache_set_string(raw, ":generation", written[i], CACHE_TTL_FOREVER));
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

static void a_server_that_wants_a_login_is_told_by_its_status(void **state)
{
    struct test_server guarded = { .port = test_free_port() };
    char path[96], url[96];
    (void)state;
    test_directory_make(guarded.directory, sizeof guarded.directory);
    (void)snprintf(path, sizeof path, "%s/users", guarded.directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("app:hush\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(guarded.directory, 0755), 0);    /* memcached reads it as nobody */
    const char *const extra[] = { "-Y", path, NULL };
    test_server_start_memcached(&guarded, extra);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d", guarded.port);
    cache_t *cache = test_open(url);
    cache_value value;
    assert_status(CACHE_ERR_AUTH, cache_get(cache, "k", &value));
    assert_status(CACHE_ERR_AUTH, cache_set_string(cache, "k", "v", 60));
    cache_close(cache);
    test_server_stop(&guarded);
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
        cmocka_unit_test(one_host_of_three_goes_and_comes_back),
        cmocka_unit_test(parent_and_child_use_the_handle_after_a_fork_in_the_middle_of_traffic),
        cmocka_unit_test(a_child_does_not_take_another_socket_for_its_parents_connection),
        cmocka_unit_test(callers_that_share_one_connection_to_each_host_do_not_wait_in_a_circle),
        cmocka_unit_test(a_lost_generation_brings_nothing_back),
        cmocka_unit_test(a_generation_that_somebody_wrote_over_is_replaced),
        cmocka_unit_test(a_ttl_over_30_days_is_that_long),
        cmocka_unit_test(a_restarted_server_is_met_again_without_an_error),
        cmocka_unit_test(a_server_that_wants_a_login_is_told_by_its_status),
        cmocka_unit_test(an_item_that_is_too_large_names_the_limit),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
