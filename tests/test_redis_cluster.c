/* test_redis_cluster.c - Redis Cluster with six real nodes: keys find theirs, also while slots move, masters change and
 * nodes hang. */
#include "test.h"

#include "backends/redis/store.h"

#include "fake_server.h"
#include "redis_cluster.h"
#include "times.h"

#include <pthread.h>
#include <time.h>

enum { KEYS = 300, THREADS = 4 };

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

static cache_t *open_cluster(const char *options)
{
    char url[256];
    /* The first one named is not there: the next is asked. */
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d,127.0.0.1:%d?%s", test_free_port(),
                   cluster.nodes[1].port, options);
    return test_open(url);
}

static unsigned slot_of(const char *key)
{
    return cache_redis_slot((cache_bytes){ key, strlen(key) });
}

/* Which of the nodes says of itself that it has the slot of the key, as a master. */
static int node_of(const char *key)
{
    char get[64];
    (void)snprintf(get, sizeof get, "GET %s", key);
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (strstr(test_cluster_ask(&cluster, i, get), "MOVED") == NULL)
            return i;
    fail_msg("nobody has '%s'", key);
    return -1;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static void a_slot_is_what_redis_takes_for_it(void **state)
{
    static const char *const keys[] = { "foo", "123456789", "{user1000}.following", "foo{}{bar}", "foo{{bar}}zap",
                                        "foo{bar}{zap}", "{", "}", "a{b", "a}b{c}d", "libcache:x" };
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char command[64];
        (void)snprintf(command, sizeof command, "CLUSTER KEYSLOT '%s'", keys[i]);
        assert_int_equal(slot_of(keys[i]), atoi(test_cluster_ask(&cluster, 0, command)));
    }
}

static void every_operation_finds_the_node_of_its_key(void **state)
{
    cache_t *cache = open_cluster("prefix=ops:");
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        int64_t number = 0;
        (void)snprintf(key, sizeof key, "key%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 60));
        assert_text(cache, key, key);
        assert_status(CACHE_NOT_STORED, cache_add(cache, key, "x", 1, 60));
        assert_status(CACHE_OK, cache_has(cache, key));
        assert_status(CACHE_OK, cache_touch(cache, key, CACHE_TTL_FOREVER));
        assert_status(CACHE_OK, cache_delete(cache, key));
        assert_status(CACHE_OK, cache_inc(cache, key, 7, &number));
        assert_int_equal(number, 7);
    }
    assert_status(CACHE_OK, cache_clear(cache));
    assert_text(cache, "key1", NULL);
    cache_close(cache);
}

static void many_keys_go_to_all_nodes_and_come_back(void **state)
{
    static char names[KEYS][16];
    const char *keys[KEYS + 1];
    cache_item items[KEYS];
    cache_value values[KEYS + 1];
    size_t deleted = 0;
    cache_t *cache = open_cluster("prefix=many:"), *other = open_cluster("prefix=other:");
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        keys[i] = names[i];
        items[i] = (cache_item){ names[i], names[i], strlen(names[i]) };
    }
    keys[KEYS] = "nobody";
    assert_status(CACHE_OK, cache_set_string(other, "m1", "stays", 60));
    assert_status(CACHE_OK, cache_set_many(cache, items, KEYS, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, KEYS + 1, values));
    assert_null(values[KEYS].data);
    for (int i = 0; i < KEYS; i++) {
        assert_non_null(values[i].data);
        assert_string_equal(values[i].data, names[i]);
        cache_value_release(&values[i]);
    }
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 100, &deleted));
    assert_int_equal(deleted, 100);
    assert_status(CACHE_OK, cache_clear(cache));
    assert_status(CACHE_OK, cache_get_many(cache, keys, KEYS, values));
    for (int i = 0; i < KEYS; i++)
        assert_null(values[i].data);
    assert_text(other, "m1", "stays");
    cache_close(cache);
    cache_close(other);
}

/* ---- tags and leases --------------------------------------------------------------------------------------------- */

/* The master that has a key whose name ends so. */
static int node_that_holds(const char *end)
{
    char line[48];
    (void)snprintf(line, sizeof line, "%s\n", end);
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (strstr(test_cluster_ask(&cluster, i, "ROLE"), "master") != NULL &&
            strstr(test_cluster_ask(&cluster, i, "KEYS 'spread:*'"), line) != NULL)
            return i;
    fail_msg("no node has '%s'", end);
    return -1;
}

static cache_status count_runs(void *ctx, cache_writer *out)
{
    atomic_fetch_add((atomic_int *)ctx, 1);
    return cache_writer_puts(out, "computed");
}

static void fetch_with(cache_t *cache, int i, const char *const tags[2], bool locked, atomic_int *runs)
{
    cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
    char key[16];
    cache_value value;
    (void)snprintf(key, sizeof key, "t%d", i);
    how.ttl = 600;
    how.tags = tags;
    how.n_tags = tags != NULL ? 2 : 0;
    how.lock = locked;
    assert_status(CACHE_OK, cache_fetch(cache, key, &how, count_runs, runs, &value));
    assert_string_equal(value.data, "computed");
    cache_value_release(&value);
}

/* Each key has a tag of its own and one that all have, and most tags lie on other nodes than their keys. */
static void tags_on_other_nodes_forget_their_keys(void **state)
{
    enum { N = 24 };
    cache_t *here = open_cluster("prefix=spread:&timeout=20"), *there = open_cluster("prefix=spread:&timeout=20");
    atomic_int runs = 0;
    int apart = 0;
    char own_tags[N][16];
    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < N; i++) {
            (void)snprintf(own_tags[i], sizeof own_tags[i], "g%d", i);
            fetch_with(round == 0 ? here : there, i, (const char *const[]){ own_tags[i], "all" }, false, &runs);
        }
    assert_int_equal(runs, N);
    for (int i = 0; i < N; i++) {
        char key[24], tag[24];
        (void)snprintf(key, sizeof key, "spread:t%d", i);
        (void)snprintf(tag, sizeof tag, "tag/g%d", i);
        apart += node_that_holds(key) != node_that_holds(tag);
    }
    print_message("%d of %d keys have their own tag on another node\n", apart, N);
    assert_true(apart > 0);
    for (int i = 0; i < N; i++) {
        assert_status(CACHE_OK, cache_invalidate_tag(there, own_tags[i]));
        runs = 0;
        fetch_with(here, i, (const char *const[]){ own_tags[i], "all" }, false, &runs);
        fetch_with(here, (i + 1) % N, (const char *const[]){ own_tags[(i + 1) % N], "all" }, false, &runs);
        assert_int_equal(runs, 1);
    }
    assert_status(CACHE_OK, cache_invalidate_tag(there, "all"));
    runs = 0;
    for (int i = 0; i < N; i++)
        fetch_with(here, i, (const char *const[]){ own_tags[i], "all" }, false, &runs);
    assert_int_equal(runs, N);
    cache_close(here);
    cache_close(there);
}

struct locked_work {
    cache_t *cache;
    pthread_barrier_t *start;
    atomic_int *runs;
};

static cache_status run_slowly(void *ctx, cache_writer *out)
{
    test_pause_ms(30);
    return count_runs(ctx, out);
}

static void *fetch_locked(void *arg)
{
    const struct locked_work *work = arg;
    for (int i = 0; i < 12; i++) {
        cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
        char key[16];
        cache_value value;
        (void)snprintf(key, sizeof key, "l%d", i);
        how.ttl = 600;
        how.lock = true;
        how.wait = 20;
        pthread_barrier_wait(work->start);
        if (cache_fetch(work->cache, key, &how, run_slowly, work->runs, &value) == CACHE_OK)
            cache_value_release(&value);
    }
    return NULL;
}

/* The value that another process deletes meanwhile. */
struct deleted {
    cache_t *by;
    const char *key;
};

static cache_status delete_meanwhile(void *ctx, cache_writer *out)
{
    const struct deleted *deleted = ctx;
    assert_true(cache_delete(deleted->by, deleted->key) >= 0);
    return cache_writer_puts(out, "old");
}

/* A lease's key has another slot than the key itself. */
static void leases_on_other_nodes_hold_among_processes(void **state)
{
    cache_t *here = open_cluster("prefix=spread:&timeout=20"), *there = open_cluster("prefix=spread:&timeout=20");
    pthread_barrier_t start_at;
    pthread_t threads[2];
    atomic_int runs = 0;
    (void)state;
    pthread_barrier_init(&start_at, NULL, 2);
    struct locked_work works[2] = { { here, &start_at, &runs }, { there, &start_at, &runs } };
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fetch_locked, &works[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(runs, 12);
    for (int i = 0; i < 12; i++) {
        cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
        char key[16];
        cache_value value;
        (void)snprintf(key, sizeof key, "d%d", i);
        how.ttl = 600;
        how.lock = true;
        struct deleted deleted = { there, key };
        assert_status(CACHE_OK, cache_fetch(here, key, &how, delete_meanwhile, &deleted, &value));
        cache_value_release(&value);
        assert_status(CACHE_MISS, cache_has(there, key));
    }
    pthread_barrier_destroy(&start_at);
    cache_close(here);
    cache_close(there);
}

/* ---- slots that move --------------------------------------------------------------------------------------------- */

/* Give the slot of a key from its node to another one, as resharding does, and look in between. */
static void a_key_is_found_while_its_slot_moves(void **state)
{
    char ids[2][64], command[192];
    int64_t number = 0;
    (void)state;
    cache_t *cache = open_cluster("prefix=");
    assert_status(CACHE_OK, cache_set_string(cache, "{moving}a", "a", 600));
    assert_status(CACHE_OK, cache_set_string(cache, "{moving}b", "b", 600));
    const int from = node_of("{moving}a"), to = (from + 1) % CLUSTER_MASTERS;
    const unsigned slot = slot_of("{moving}a");
    (void)snprintf(ids[0], sizeof ids[0], "%.40s", test_cluster_ask(&cluster, from, "CLUSTER MYID"));
    (void)snprintf(ids[1], sizeof ids[1], "%.40s", test_cluster_ask(&cluster, to, "CLUSTER MYID"));
    (void)snprintf(command, sizeof command, "CLUSTER SETSLOT %u IMPORTING %s", slot, ids[0]);
    (void)test_cluster_ask(&cluster, to, command);
    (void)snprintf(command, sizeof command, "CLUSTER SETSLOT %u MIGRATING %s", slot, ids[1]);
    (void)test_cluster_ask(&cluster, from, command);
    (void)snprintf(command, sizeof command, "MIGRATE 127.0.0.1 %d {moving}a 0 5000", cluster.nodes[to].port);
    assert_non_null(strstr(test_cluster_ask(&cluster, from, command), "OK"));
    /* One key is there, one here, and new ones are made there. */
    const char *const keys[] = { "{moving}a", "{moving}b", "{moving}none" };
    cache_value values[3];
    assert_text(cache, "{moving}a", "a");
    assert_text(cache, "{moving}b", "b");
    assert_status(CACHE_OK, cache_get_many(cache, keys, 3, values));
    assert_string_equal(values[0].data, "a");
    assert_string_equal(values[1].data, "b");
    assert_null(values[2].data);
    cache_value_release(&values[0]);
    cache_value_release(&values[1]);
    assert_status(CACHE_OK, cache_inc(cache, "{moving}n", 3, &number));
    assert_int_equal(number, 3);
    assert_status(CACHE_OK, cache_touch(cache, "{moving}a", CACHE_TTL_FOREVER));
    (void)snprintf(command, sizeof command, "MIGRATE 127.0.0.1 %d {moving}b 0 5000", cluster.nodes[to].port);
    (void)test_cluster_ask(&cluster, from, command);
    for (int i = 0; i < CLUSTER_MASTERS; i++) {
        (void)snprintf(command, sizeof command, "CLUSTER SETSLOT %u NODE %s", slot, ids[1]);
        (void)test_cluster_ask(&cluster, i, command);
    }
    assert_text(cache, "{moving}b", "b");
    assert_status(CACHE_OK, cache_inc(cache, "{moving}n", 1, &number));
    assert_int_equal(number, 4);
    cache_close(cache);
}

/* ---- masters that change ----------------------------------------------------------------------------------------- */

static cache_t *shared;
static atomic_bool stop_now;
static atomic_int good, failed, wrong;

static void *use_all_keys(void *arg)
{
    unsigned seed = (unsigned)(intptr_t)arg;
    while (!stop_now) {
        char key[32];
        cache_value value;
        (void)snprintf(key, sizeof key, "soak%u", (seed = seed * 1664525 + 1013904223) >> 16 & 255);
        cache_status status = seed % 7 == 0 ? cache_set_string(shared, key, key, 600) : CACHE_OK;
        if (status == CACHE_OK)
            status = cache_get(shared, key, &value);
        else
            value = (cache_value){ 0 };
        if (status < 0) {
            if (atomic_fetch_add(&failed, 1) == 0)
                print_message("%s\n", cache_last_error());
        } else if (status == CACHE_OK && strcmp(value.data, key) != 0)
            atomic_fetch_add(&wrong, 1);
        else
            atomic_fetch_add(&good, 1);
        cache_value_release(&value);
    }
    return NULL;
}

/* A node that follows a master it is connected to. Which nodes do may have changed. */
static int find_replica(void)
{
    for (int i = 0; i < 1200; i++) {
        const char *said = test_cluster_ask(&cluster, i % CLUSTER_NODES, "INFO replication");
        if (strstr(said, "master_link_status:up") != NULL)
            return i % CLUSTER_NODES;
        test_pause_ms(25);
    }
    fail_msg("no node follows another");
    return -1;
}

/* The cluster may have just seen another change, and then refuses one for a while. */
static void make_it_the_master(int replica)
{
    for (int i = 0; strstr(test_cluster_ask(&cluster, replica, "ROLE"), "slave") != NULL; i++) {
        if (i == 60)
            fail_msg("node %d does not become a master", replica);
        (void)test_cluster_ask(&cluster, replica, "CLUSTER FAILOVER");
        for (int wait = 0; wait < 40 && strstr(test_cluster_ask(&cluster, replica, "ROLE"), "slave") != NULL; wait++)
            test_pause_ms(25);
    }
}

static void no_call_fails_while_a_replica_is_made_the_master(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    shared = open_cluster("timeout=20&connect_timeout=20");
    stop_now = false;
    good = failed = wrong = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_all_keys, (void *)(intptr_t)(i + 1)), 0);
    while (good < 1000)
        test_pause_ms(5);
    make_it_the_master(find_replica());
    const int before = good;
    while (good < before + 5000)
        test_pause_ms(5);
    stop_now = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    print_message("%d good, %d failed, %d wrong\n", good, failed, wrong);
    assert_int_equal(failed, 0);
    assert_int_equal(wrong, 0);
    cache_close(shared);
}

/* ---- a node that hangs ------------------------------------------------------------------------------------------- */

/* Calls a second to the keys of all nodes but `without`. */
static double rate_without(cache_t *cache, int without, const int nodes[KEYS])
{
    const double begun = test_seconds();
    int n = 0;
    for (int i = 0; test_seconds() - begun < 0.5; i = (i + 1) % KEYS) {
        char key[32];
        (void)snprintf(key, sizeof key, "hang%d", i);
        if (nodes[i] == without)
            continue;
        assert_text(cache, key, key);
        n++;
    }
    return n / (test_seconds() - begun);
}

/* Whether a replica takes the place of a master that is silent. */
static void let_replicas_take_over(bool yes)
{
    char command[64];
    (void)snprintf(command, sizeof command, "CONFIG SET cluster-replica-no-failover %s", yes ? "no" : "yes");
    for (int i = 0; i < CLUSTER_NODES; i++)
        assert_non_null(strstr(test_cluster_ask(&cluster, i, command), "OK"));
}

static void a_node_that_hangs_costs_the_keys_of_the_others_nothing(void **state)
{
    static int nodes[KEYS];
    int hung = 0;
    cache_t *cache = open_cluster("prefix=&timeout=0.3&connect_timeout=0.3");
    (void)state;
    let_replicas_take_over(false);
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "hang%d", i);
        assert_status(CACHE_OK, cache_set_string(cache, key, key, 600));
        nodes[i] = i == 0 ? node_of(key) : -1;
    }
    hung = nodes[0];
    for (int i = 1; i < KEYS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "hang%d", i);
        nodes[i] = node_of(key) == hung ? hung : -1;
    }
    const double before = rate_without(cache, hung, nodes);
    test_server_pause(&cluster.nodes[hung]);
    cache_value value;
    /* After some failures the node is left alone, and a call fails at once. */
    for (double took = 1; took > 0.1;) {
        const double begun = test_seconds();
        assert_true(cache_get(cache, "hang0", &value) < 0);
        took = test_seconds() - begun;
    }
    const double during = rate_without(cache, hung, nodes);
    test_server_resume(&cluster.nodes[hung]);
    print_message("%.0f calls a second before, %.0f while it hangs\n", before, during);
    assert_true(during > 50);    /* with the time for one answer of the hung node in each call it would be 3 */
    while (cache_get(cache, "hang0", &value) != CACHE_OK)
        test_pause_ms(20);
    cache_value_release(&value);
    let_replicas_take_over(true);
    for (int i = 0; i < CLUSTER_NODES; i++)    /* the node that hung says for a while that the cluster is down */
        test_cluster_wait(&cluster, i, "CLUSTER INFO", "cluster_state:ok");
    cache_close(cache);
}

/* ---- clear ------------------------------------------------------------------------------------------------------- */

static atomic_int ports[2], scans, gets_of[2];

/* One of two nodes with half of the slots each. It answers SCAN only once both were asked. */
static void serve_half(struct fake_server *fake, int fd, int number)
{
    const int which = *(int *)fake->ctx;
    char request[4096], mark[32], answer[512];
    (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        fake_redis_cut_mark(request, mark);
        (void)strcpy(answer, "+PONG\r\n");
        if (strstr(request, "SLOTS") != NULL)
            (void)snprintf(answer, sizeof answer,
                           "*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n"
                           "*3\r\n:8192\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", ports[0], ports[1]);
        else if (strstr(request, "\r\nGET\r\n") != NULL) {
            atomic_fetch_add(&gets_of[which], 1);
            (void)strcpy(answer, "$1\r\nv\r\n");
        } else if (strstr(request, "SCAN") != NULL) {
            atomic_fetch_add(&scans, 1);
            for (int i = 0; i < 1000 && scans < 2; i++)
                test_pause_ms(10);
            (void)strcpy(answer, scans < 2 ? "-ERR alone\r\n" : "*2\r\n$1\r\n0\r\n*0\r\n");
        }
        (void)strcat(answer, mark);
        if (!fake_server_puts(fd, answer))
            return;
    }
}

static void clear_walks_all_masters_at_once(void **state)
{
    int which[2] = { 0, 1 };
    struct fake_server nodes[2];
    char url[128], key[2] = "a";
    (void)state;
    for (int i = 0; i < 2; i++) {
        fake_server_start(&nodes[i], serve_half, &which[i]);
        ports[i] = nodes[i].port;
    }
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?client_name=off&timeout=60", nodes[0].port);
    cache_t *cache = test_open(url);
    for (; gets_of[0] == 0 || gets_of[1] == 0; key[0]++)    /* so that both have a connection */
        assert_text(cache, key, "v");
    if (cache_clear(cache) != CACHE_OK)
        fail_msg("%s", cache_last_error());
    assert_int_equal(scans, 2);
    cache_close(cache);
    for (int i = 0; i < 2; i++)
        fake_server_stop(&nodes[i]);
}

static void settings_that_a_cluster_has_not_are_refused(void **state)
{
    cache_t *cache = NULL;
    (void)state;
    assert_status(CACHE_ERR_CONFIG, cache_open("redis+cluster://127.0.0.1/2", &cache));
    assert_non_null(strstr(cache_last_error(), "database"));
    assert_status(CACHE_ERR_CONFIG, cache_open("redis+cluster://127.0.0.1?db=2", &cache));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_a_cluster_has_not_are_refused),
        cmocka_unit_test(clear_walks_all_masters_at_once),
        cmocka_unit_test(a_slot_is_what_redis_takes_for_it),
        cmocka_unit_test(every_operation_finds_the_node_of_its_key),
        cmocka_unit_test(many_keys_go_to_all_nodes_and_come_back),
        cmocka_unit_test(tags_on_other_nodes_forget_their_keys),
        cmocka_unit_test(leases_on_other_nodes_hold_among_processes),
        cmocka_unit_test(a_key_is_found_while_its_slot_moves),
        cmocka_unit_test(a_node_that_hangs_costs_the_keys_of_the_others_nothing),
        cmocka_unit_test(no_call_fails_while_a_replica_is_made_the_master),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
