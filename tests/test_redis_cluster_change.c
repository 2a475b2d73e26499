/* test_redis_cluster_change.c - a cluster that changes under load: masters are killed, slots move; nodes that send a
 * request round in circles; and what a client that takes a node for a single Redis gets. */
#include "test.h"

#include "fake_server.h"
#include "redis_cluster.h"
#include "times.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>

enum { KEYS = 256, THREADS = 4 };

static struct test_cluster cluster;

static int start(void **state)
{
    (void)state;
    test_cluster_start(&cluster);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_cluster_stop(&cluster);
    return 0;
}

/* ---- traffic ----------------------------------------------------------------------------------------------------- */

static cache_t *shared;
static atomic_bool stop_now;
static atomic_int good, missed, failed, wrong;

static void note(cache_status status, const char *key, const cache_value *value)
{
    if (status < 0)
        atomic_fetch_add(&failed, 1);
    else if (status == CACHE_MISS)
        atomic_fetch_add(&missed, 1);
    else if (value != NULL && strcmp(value->data, key) != 0)
        atomic_fetch_add(&wrong, 1);
    else
        atomic_fetch_add(&good, 1);
}

static void read_and_write(unsigned first)
{
    char names[8][16];
    const char *keys[8];
    cache_value values[8], value;
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%u", (first + i * 31) % KEYS);
        keys[i] = names[i];
    }
    note(cache_set_string(shared, keys[0], keys[0], 600), keys[0], NULL);
    note(cache_get(shared, keys[1], &value), keys[1], &value);
    cache_value_release(&value);
    const cache_status status = cache_get_many(shared, keys, 8, values);
    for (int i = 0; i < 8; i++) {
        note(status < 0 ? status : values[i].data != NULL ? CACHE_OK : CACHE_MISS, keys[i], &values[i]);
        cache_value_release(&values[i]);
    }
}

static void *use(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg;
    while (!stop_now)
        read_and_write((random = random * 1664525 + 1013904223) >> 16);
    return NULL;
}

static pthread_t threads[THREADS];

static void begin_traffic(const char *options)
{
    shared = test_cluster_open(&cluster, options);
    stop_now = false;
    for (int i = 0; i < KEYS; i++)
        test_set_numbered(shared, "k", i, 600);
    good = missed = failed = wrong = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, (void *)(uintptr_t)(i + 1)), 0);
}

static void end_traffic(void)
{
    stop_now = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cache_close(shared);
    print_message("%d good, %d missed, %d failed, %d wrong\n", good, missed, failed, wrong);
}

static void wait_for_good(int more)
{
    for (const int before = good; good < before + more;)
        test_pause_ms(5);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* redis-cli refuses to move slots until each node has heard of the last ones that moved. */
static void wait_until_the_nodes_agree(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "redis-cli --cluster check 127.0.0.1:%d >/dev/null 2>&1",
                   cluster.nodes[2].port);
    for (int i = 0; system(command) != 0; i++, test_pause_ms(100))
        if (i == 600)
            fail_msg("%s", command);
}

static void slots_that_move_under_load_cost_no_call_and_no_value(void **state)
{
    char ids[2][64], command[512];
    (void)state;
    begin_traffic("timeout=20&connect_timeout=20&pool=2");
    for (int i = 0; i < 2; i++)
        (void)snprintf(ids[i], sizeof ids[i], "%.40s", test_cluster_ask(&cluster, i, "CLUSTER MYID"));
    wait_for_good(1000);
    for (int there = 0; there < 2; there++) {    /* and back */
        wait_until_the_nodes_agree();
        (void)snprintf(command, sizeof command,
                       "redis-cli --cluster reshard 127.0.0.1:%d --cluster-from %s --cluster-to %s --cluster-slots 400 "
                       "--cluster-yes >%s/reshard 2>&1",
                       cluster.nodes[2].port, ids[there], ids[!there], cluster.nodes[0].directory);
        if (system(command) != 0)
            fail_msg("%s", command);
        wait_for_good(1000);
    }
    end_traffic();
    assert_int_equal(failed, 0);
    assert_int_equal(wrong, 0);
    assert_int_equal(missed, 0);
}

/* Its replica takes over once the others agree that it is away; until then calls for its keys fail, and later none. */
static void a_killed_master_is_followed_by_its_replica(void **state)
{
    (void)state;
    begin_traffic("timeout=0.5&connect_timeout=0.5&retry_after=0.1");
    wait_for_good(1000);
    test_server_kill(&cluster.nodes[1]);
    test_cluster_wait_for_successor(&cluster);
    for (int before = -1; before != failed; test_pause_ms(500))    /* until half a second passes without a failure */
        before = failed;
    const int before = failed;
    wait_for_good(5000);
    end_traffic();
    assert_int_equal(failed, before);
    assert_int_equal(wrong, 0);
    test_cluster_restart(&cluster, &cluster.nodes[1]);
}

/* ---- a node of the test's own ------------------------------------------------------------------------------------ */

struct fake_node {
    int owner;                         /* the port that has all slots by its map; 0: its own */
    void (*get)(const struct fake_server *fake, int nth, char out[64]);    /* its answer to the nth GET, from 0 */
    const char *set;                   /* and to each SET */
    const char *host;                  /* the owner's by its map, as it is sent; NULL: 127.0.0.1 */
    atomic_int asked;                  /* GETs so far */
    atomic_bool cuts;                  /* ends the connection after the first reply to the next GETs */
};

static void serve_node(struct fake_server *fake, int fd, int number)
{
    struct fake_node *node = fake->ctx;
    char request[4096], mark[32], answer[4096], one[64];
    (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        fake_redis_cut_mark(request, mark);
        answer[0] = '\0';
        if (strstr(request, "SLOTS") != NULL)
            (void)snprintf(answer, sizeof answer, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n%s\r\n:%d\r\n",
                           node->host != NULL ? node->host : "$9\r\n127.0.0.1",
                           node->owner != 0 ? node->owner : fake->port);
        if (strstr(request, "ASKING") != NULL)
            (void)strcat(answer, "+OK\r\n");
        if (strstr(request, "GET") != NULL && atomic_exchange(&node->cuts, false)) {
            node->get(fake, atomic_fetch_add(&node->asked, 1), one);
            (void)fake_server_puts(fd, one);
            return;
        }
        for (const char *at = strstr(request, "GET"); at != NULL; at = strstr(at + 1, "GET")) {
            node->get(fake, atomic_fetch_add(&node->asked, 1), one);
            (void)strcat(answer, one);
        }
        if (strstr(request, "\r\nSET\r\n") != NULL)
            (void)strcat(answer, node->set);
        if (answer[0] == '\0')
            (void)strcat(answer, "+PONG\r\n");
        (void)strcat(answer, mark);
        if (!fake_server_puts(fd, answer))
            return;
    }
}

static void say_value(const struct fake_server *fake, int nth, char out[64])
{
    (void)fake, (void)nth;
    (void)strcpy(out, "$1\r\nv\r\n");
}

static void refuse_the_map(struct fake_server *fake, int fd, int number)
{
    char request[4096], mark[32], answer[64];
    atomic_int *n_asked = fake->ctx;
    (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        fake_redis_cut_mark(request, mark);
        const bool asks = strstr(request, "SLOTS") != NULL;
        atomic_fetch_add(n_asked, asks);
        (void)snprintf(answer, sizeof answer, "%s%s", asks ? "-ERR no map\r\n" : "+PONG\r\n", mark);
        if (!fake_server_puts(fd, answer))
            return;
    }
}

static void a_node_that_refuses_the_map_is_asked_once(void **state)
{
    struct fake_server fake;
    atomic_int n_asked = 0;
    cache_value value;
    char url[128];
    (void)state;
    fake_server_start(&fake, refuse_the_map, &n_asked);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off&timeout=20", fake.port);
    cache_t *cache = test_open(url);
    assert_true(cache_get(cache, "a", &value) < 0);
    assert_non_null(strstr(cache_last_error(), "no map"));
    assert_int_equal(n_asked, 1);
    cache_close(cache);
    fake_server_stop(&fake);
}

/* ---- redirections ------------------------------------------------------------------------------------------------ */

/* Of each key, that it has moved to where it was asked for. */
static void send_round(const struct fake_server *fake, int nth, char out[64])
{
    (void)nth;
    (void)snprintf(out, 64, "-MOVED 1 127.0.0.1:%d\r\n", fake->port);
}

static void ask_round(const struct fake_server *fake, int nth, char out[64])
{
    (void)nth;
    (void)snprintf(out, 64, "-ASK 1 127.0.0.1:%d\r\n", fake->port);
}

static void assert_circle_ends(struct fake_node node, const char *word)
{
    struct fake_server fake;
    char url[128];
    const char *const keys[] = { "a", "b" };
    cache_value value, values[2];
    fake_server_start(&fake, serve_node, &node);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off", fake.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "a", &value));
    assert_non_null(strstr(cache_last_error(), "redirected"));
    (void)snprintf(url, sizeof url, "%s 1 127.0.0.1:%d", word, fake.port);
    assert_non_null(strstr(cache_last_error(), url));
    assert_in_range(node.asked, 2, 20);
    assert_true(cache_get_many(cache, keys, 2, values) < 0);
    assert_in_range(node.asked, 3, 60);
    assert_int_equal(test_counters(cache).errors, 2);
    cache_close(cache);
    fake_server_stop(&fake);
}

static void a_request_that_is_sent_round_in_circles_ends(void **state)
{
    (void)state;
    assert_circle_ends((struct fake_node){ .get = send_round }, "MOVED");
    assert_circle_ends((struct fake_node){ .get = ask_round }, "ASK");
}

/* Redirects without a host, as a node does that does not know its own address: it is meant itself. */
static void redirect_twice(const struct fake_server *fake, int nth, char out[64])
{
    if (nth < 2)
        (void)snprintf(out, 64, "-MOVED 1 %s:%d\r\n", nth == 0 ? "" : "?", fake->port);
    else
        say_value(fake, nth, out);
}

static void a_redirection_or_a_map_without_a_host_means_the_node_that_sent_it(void **state)
{
    static const char *const hosts[] = { NULL, "$-1", "$0\r\n", "$1\r\n?" };
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct fake_node node = { .get = redirect_twice, .host = hosts[i] };
        struct fake_server fake;
        char url[128];
        fake_server_start(&fake, serve_node, &node);
        (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off", fake.port);
        cache_t *cache = test_open(url);
        assert_text(cache, "a", "v");
        assert_int_equal(node.asked, 3);
        cache_close(cache);
        fake_server_stop(&fake);
    }
}

/* ---- a connection that is cut off -------------------------------------------------------------------------------- */

static void say_number(const struct fake_server *fake, int nth, char out[64])
{
    (void)fake;
    (void)snprintf(out, 64, "$1\r\n%d\r\n", nth);
}

static void values_that_came_before_a_cut_are_read_again(void **state)
{
    struct fake_node node = { .get = say_number };
    struct fake_server fake;
    char url[128];
    const char *const keys[] = { "a", "b", "c" };
    cache_value values[3];
    (void)state;
    fake_server_start(&fake, serve_node, &node);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off", fake.port);
    cache_t *cache = test_open(url);
    for (int i = 0; i < 2; i++) {
        node.asked = 0;
        node.cuts = i == 1;
        assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
        assert_int_equal(node.asked, i == 1 ? 4 : 3);
        for (int k = 0; k < 3; k++) {
            assert_in_range(((const char *)values[k].data)[0], i == 1 ? '1' : '0', i == 1 ? '3' : '2');
            cache_value_release(&values[k]);
        }
    }
    cache_close(cache);
    fake_server_stop(&fake);
}

/* ---- a node that is cut off -------------------------------------------------------------------------------------- */

#define CLUSTER_IS_DOWN "-CLUSTERDOWN The cluster is down\r\n"

static void say_down(const struct fake_server *fake, int nth, char out[64])
{
    (void)fake, (void)nth;
    (void)strcpy(out, CLUSTER_IS_DOWN);
}

#define SLOT_IS_DOWN "-CLUSTERDOWN Hash slot not served\r\n"

static void say_slot_down(const struct fake_server *fake, int nth, char out[64])
{
    (void)fake, (void)nth;
    (void)strcpy(out, SLOT_IS_DOWN);
}

/* It says so to whoever asks, and still takes itself for the master: only the others know better. If only a slot is
 * down, the node is not left alone. */
static void the_keys_of_a_node_that_is_cut_off_are_found_at_its_successor(void **state)
{
    struct fake_node cut_off = { .get = say_down, .set = CLUSTER_IS_DOWN };
    struct fake_node successor = { .get = say_value, .set = "+OK\r\n" };
    struct fake_server lost, other;
    char url[128];
    const char *const keys[] = { "a", "b", "c" };
    cache_value value, values[3];
    (void)state;
    fake_server_start(&lost, serve_node, &cut_off);
    fake_server_start(&other, serve_node, &successor);
    for (int round = 0; round < 6; round++) {
        const int way = round % 3;
        cut_off.get = round < 3 ? say_down : say_slot_down;
        cut_off.set = round < 3 ? CLUSTER_IS_DOWN : SLOT_IS_DOWN;
        (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d,127.0.0.1:%d?client_name=off", lost.port,
                       other.port);
        cache_t *cache = test_open(url);
        cache_status status = CACHE_ERR_CONNECT;
        for (int i = 0; i < 600 && status == CACHE_ERR_CONNECT; i++, test_pause_ms(10))
            status = way == 0 ? cache_get(cache, "a", &value)
                   : way == 1 ? cache_get_many(cache, keys, 3, values) : cache_add(cache, "n", "x", 1, 60);
        if (status != CACHE_OK)
            fail_msg("way %d: %s", way, cache_last_error());
        for (int i = 0; way == 1 && i < 3; i++) {
            assert_string_equal(values[i].data, "v");
            cache_value_release(&values[i]);
        }
        if (way == 0)
            cache_value_release(&value);
        cache_close(cache);
    }
    fake_server_stop(&other);
    fake_server_stop(&lost);
}

/* For a moment: to its first requests. */
static void say_down_at_first(const struct fake_server *fake, int nth, char out[64])
{
    (nth < 4 ? say_down : say_value)(fake, nth, out);
}

static void try_again_at_first(const struct fake_server *fake, int nth, char out[64])
{
    if (nth < 4)
        (void)strcpy(out, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    else
        say_value(fake, nth, out);
}

static void a_node_that_is_not_ready_for_a_moment_fails_no_call(void **state)
{
    static void (*const ways[])(const struct fake_server *, int, char[64]) = { say_down_at_first, try_again_at_first };
    const char *const keys[] = { "a", "b", "c" };
    cache_value values[3];
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct fake_node node = { .get = ways[i / 2] };
        struct fake_server fake;
        char url[128];
        fake_server_start(&fake, serve_node, &node);
        (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off&timeout=20", fake.port);
        cache_t *cache = test_open(url);
        if (i % 2 == 0)
            assert_text(cache, "a", "v");
        else
            assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
        for (int k = 0; k < 3 && i % 2 != 0; k++) {
            assert_string_equal(values[k].data, "v");
            cache_value_release(&values[k]);
        }
        assert_true(node.asked > 4);
        assert_int_equal(test_counters(cache).errors, 0);
        assert_int_equal(test_counters(cache).rejections, 0);
        cache_close(cache);
        fake_server_stop(&fake);
    }
}

static void always_try_again(const struct fake_server *fake, int nth, char out[64])
{
    (void)nth;
    try_again_at_first(fake, 0, out);
}

static atomic_int first_value;        /* the number of the GET from which on it says the value */

static void say_down_for_now(const struct fake_server *fake, int nth, char out[64])
{
    (nth < atomic_load(&first_value) ? say_down : say_value)(fake, nth, out);
}

static void an_outage_long_ago_does_not_make_the_next_one_longer(void **state)
{
    struct fake_node node = { .get = say_down_for_now };
    struct fake_server fake;
    cache_value value;
    char url[128];
    (void)state;
    atomic_store(&first_value, INT_MAX);
    fake_server_start(&fake, serve_node, &node);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off&timeout=0.4&retry_after=0.1",
                   fake.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "a", &value));
    test_pause_ms(700);    /* longer than timeout and retry_after together: nobody asks */
    atomic_store(&first_value, node.asked + 3);
    assert_text(cache, "a", "v");
    assert_int_equal(test_counters(cache).rejections, 0);
    cache_close(cache);
    fake_server_stop(&fake);
}

static void a_node_that_is_never_ready_fails_calls_within_their_timeout(void **state)
{
    static void (*const ways[])(const struct fake_server *, int, char[64]) = { say_down, always_try_again };
    const char *const keys[] = { "a", "b", "c" };
    cache_value value, values[3];
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct fake_node node = { .get = ways[i / 2] };
        struct fake_server fake;
        struct timespec begun, ended;
        char url[128];
        fake_server_start(&fake, serve_node, &node);
        (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off&timeout=0.4", fake.port);
        cache_t *cache = test_open(url);
        clock_gettime(CLOCK_MONOTONIC, &begun);
        assert_status(CACHE_ERR_CONNECT,
                      i % 2 == 0 ? cache_get(cache, "a", &value) : cache_get_many(cache, keys, 3, values));
        clock_gettime(CLOCK_MONOTONIC, &ended);
        assert_true((double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9 < 2);
        assert_non_null(strstr(cache_last_error(), i < 2 ? "CLUSTERDOWN" : "TRYAGAIN"));
        assert_null(strstr(cache_last_error(), "write redis+cluster"));
        cache_close(cache);
        fake_server_stop(&fake);
    }
}

static atomic_bool is_down;

static void say_down_or_value(const struct fake_server *fake, int nth, char out[64])
{
    (is_down ? say_down : say_value)(fake, nth, out);
}

static void a_cluster_that_is_down_is_left_alone(void **state)
{
    enum { CALLS = 1000 };
    struct fake_node node = { .get = say_down_or_value };
    struct fake_server fake;
    char url[128];
    const char *const keys[] = { "a", "b", "c" };
    cache_value value, values[3];
    (void)state;
    fake_server_start(&fake, serve_node, &node);
    for (int many = 0; many < 2; many++) {
        (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off&retry_after=600&timeout=0.3",
                       fake.port);
        node.asked = 0;
        is_down = true;
        cache_t *cache = test_open(url);
        for (int i = 0; i < CALLS; i++) {
            assert_status(CACHE_ERR_CONNECT,
                          many ? cache_get_many(cache, keys, 3, values) : cache_get(cache, "a", &value));
            assert_non_null(strstr(cache_last_error(), "CLUSTERDOWN"));
        }
        assert_in_range(node.asked, 1, 100);    /* in the first 0.3 s */
        assert_true(test_counters(cache).rejections >= CALLS - 10);
        cache_close(cache);
    }
    fake_server_stop(&fake);
}

static int told_away, told_back;

static void count_tellings(void *ctx, cache_log_level level, const char *text)
{
    (void)ctx, (void)level;
    told_away += strstr(text, "left alone") != NULL;
    told_back += strstr(text, "answers again") != NULL;
}

/* It answers all the time, but a probe that hears CLUSTERDOWN is no end of the outage. */
static void the_log_tells_the_outage_of_a_cluster_once_and_its_end_once(void **state)
{
    struct fake_node node = { .get = say_down_or_value };
    struct fake_server fake;
    char url[128];
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    cache_value value;
    (void)state;
    is_down = true;
    told_away = told_back = 0;
    fake_server_start(&fake, serve_node, &node);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off&retry_after=0.02&timeout=2",
                   fake.port);
    config.url = url;
    config.log = count_tellings;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    for (int i = 0; i < 20; test_pause_ms(10)) {
        const int before = node.asked;
        assert_true(cache_get(cache, "a", &value) < 0);
        i += told_away > 0 && node.asked > before;    /* a probe */
    }
    assert_int_equal(told_away, 1);
    assert_int_equal(told_back, 0);
    is_down = false;
    cache_status status = CACHE_ERR_CONNECT;
    for (int i = 0; i < 1000 && status < 0; i++, test_pause_ms(10))
        status = cache_get(cache, "a", &value);
    assert_status(CACHE_OK, status);
    cache_value_release(&value);
    assert_int_equal(told_away, 1);
    assert_int_equal(told_back, 1);
    cache_close(cache);
    fake_server_stop(&fake);
}

/* ---- a node that is taken for a single Redis --------------------------------------------------------------------- */

static char warning[512];

static void note_warning(void *ctx, cache_log_level level, const char *text)
{
    (void)ctx, (void)level;
    (void)snprintf(warning, sizeof warning, "%s", text);
}

/* The line of the log when this is opened. */
static const char *warning_of(const char *prefix)
{
    char url[128];
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?prefix=%s", cluster.nodes[0].port, prefix);
    config.url = url;
    config.log = note_warning;
    warning[0] = '\0';
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    cache_close(cache);
    return warning;
}

static void a_prefix_with_braces_in_a_cluster_is_warned_of(void **state)
{
    (void)state;
    assert_non_null(strstr(warning_of("app{1}:"), "{1}"));
    assert_string_equal(warning_of("app{}:"), "");
    assert_string_equal(warning_of("app}1{:"), "");
    assert_string_equal(warning_of("app:"), "");
}

static cache_t *open_plain(const char *options)
{
    char url[128];
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?prefix=%s", cluster.nodes[0].port, options);
    config.url = url;
    config.log = note_warning;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    return cache;
}

static void many_keys_by_a_plain_url_are_those_of_the_node(void **state)
{
    enum { N = 40 };
    char names[N][16];
    const char *keys[N];
    cache_value values[N];
    size_t deleted = 0, own = 0;
    cache_t *cache = open_plain("manyplain:");
    (void)state;
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        keys[i] = names[i];
        own += cache_set_string(cache, keys[i], keys[i], 60) == CACHE_OK;
    }
    assert_status(CACHE_ERR_PROTOCOL, cache_get_many(cache, keys, N, values));
    size_t found = 0;
    for (int i = 0; i < N; i++) {
        if (values[i].data != NULL) {
            assert_string_equal(values[i].data, keys[i]);
            found++;
        }
        cache_value_release(&values[i]);
    }
    assert_true(found > 0);
    assert_int_equal(found, own);
    assert_status(CACHE_ERR_PROTOCOL, cache_delete_many(cache, keys, N, &deleted));
    assert_int_equal(deleted, own);
    cache_close(cache);
}

static cache_status compute(void *ctx, cache_writer *out)
{
    return cache_writer_puts(out, ctx);
}

static void a_plain_url_serves_the_nodes_own_keys_and_says_what_to_use_for_the_others(void **state)
{
    cache_t *cache = open_plain("plain:"), *lenient = open_plain("plain:&on_error=miss");
    int served = 0, refused = 0;
    (void)state;
    warning[0] = '\0';
    for (int i = 0; i < 40; i++) {
        char key[16];
        cache_value value;
        (void)snprintf(key, sizeof key, "p%d", i);
        const cache_status status = cache_set_string(cache, key, key, 60);
        if (status == CACHE_OK) {
            assert_text(cache, key, key);
            served++;
            continue;
        }
        refused++;
        assert_non_null(strstr(cache_last_error(), "redis+cluster://"));
        assert_true(cache_get(cache, key, &value) < 0);
        assert_status(CACHE_OK, cache_set_string(lenient, key, key, 60));
        assert_status(CACHE_MISS, cache_get(lenient, key, &value));
    }
    assert_true(served > 0 && refused > 0);
    assert_int_equal(test_counters(cache).errors, 2 * refused);
    assert_int_equal(test_counters(lenient).errors, 2 * refused);
    assert_non_null(strstr(warning, "redis+cluster://"));
    cache_close(cache);
    cache_close(lenient);
}

static void a_fetch_that_a_plain_url_cannot_store_says_so_and_counts(void **state)
{
    static const char *const tags[] = { "one", "two", "three", "four", "five", "six" };
    cache_t *cache = open_plain("fetched:");
    int computed = 0, stored = 0;
    (void)state;
    for (int i = 0; i < 20; i++) {
        cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
        cache_fetch_info info;
        char key[16];
        cache_value value;
        (void)snprintf(key, sizeof key, "f%d", i);
        how.ttl = 60;
        how.tags = tags;
        how.n_tags = sizeof tags / sizeof tags[0];
        how.info = &info;
        assert_status(CACHE_OK, cache_fetch(cache, key, &how, compute, key, &value));
        assert_string_equal(value.data, key);
        cache_value_release(&value);
        computed++;
        stored += info.stored;
    }
    assert_int_equal(stored, 0);    /* some of six tags always lie on other nodes */
    assert_true(test_counters(cache).errors >= (uint64_t)computed);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_refuses_the_map_is_asked_once),
        cmocka_unit_test(a_request_that_is_sent_round_in_circles_ends),
        cmocka_unit_test(values_that_came_before_a_cut_are_read_again),
        cmocka_unit_test(the_keys_of_a_node_that_is_cut_off_are_found_at_its_successor),
        cmocka_unit_test(a_node_that_is_not_ready_for_a_moment_fails_no_call),
        cmocka_unit_test(an_outage_long_ago_does_not_make_the_next_one_longer),
        cmocka_unit_test(a_node_that_is_never_ready_fails_calls_within_their_timeout),
        cmocka_unit_test(a_cluster_that_is_down_is_left_alone),
        cmocka_unit_test(the_log_tells_the_outage_of_a_cluster_once_and_its_end_once),
        cmocka_unit_test(a_prefix_with_braces_in_a_cluster_is_warned_of),
        cmocka_unit_test(a_redirection_or_a_map_without_a_host_means_the_node_that_sent_it),
        cmocka_unit_test(a_plain_url_serves_the_nodes_own_keys_and_says_what_to_use_for_the_others),
        cmocka_unit_test(many_keys_by_a_plain_url_are_those_of_the_node),
        cmocka_unit_test(a_fetch_that_a_plain_url_cannot_store_says_so_and_counts),
        cmocka_unit_test(slots_that_move_under_load_cost_no_call_and_no_value),
        cmocka_unit_test(a_killed_master_is_followed_by_its_replica),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
