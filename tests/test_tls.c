/* test_tls.c - TLS to Redis: values travel, and no server is believed whose certificate is not right. */
#include "test.h"

#include "certificates.h"
#include "fake_server.h"
#include "server.h"
#include "traffic.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_server server, strict;    /* the second one wants certificates of its clients */
static char files[64], server_port[8], strict_port[8];

static void start_tls(struct test_server *one, char port[8], const char *wants)
{
    char cert[96], key[96], ca[96];
    (void)snprintf(port, 8, "%d", test_free_port());
    (void)snprintf(cert, sizeof cert, "%s/server.pem", files);
    (void)snprintf(key, sizeof key, "%s/server.key", files);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", files);
    const char *extra[] = { "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file",
                            ca, "--tls-auth-clients", wants, NULL };
    test_server_start_redis(one, extra);
}

static int start(void **state)
{
    (void)state;
    test_directory_make(files, sizeof files);
    test_certificates_authority(files, "ca");
    test_certificates_authority(files, "other");
    test_certificates_sign(files, "ca", "server", "IP:127.0.0.1,DNS:cache.example");
    test_certificates_sign(files, "ca", "client", "DNS:client");
    start_tls(&server, server_port, "no");
    start_tls(&strict, strict_port, "yes");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&server);
    test_server_stop(&strict);
    test_directory_remove(files);
    return 0;
}

static cache_t *open_tls(const char *host, const char *port, const char *ca, const char *options)
{
    char url[512];
    (void)snprintf(url, sizeof url, "rediss://%s:%s/1?ca=%s/%s.pem&%s", host, port, files, ca, options);
    return test_open(url);
}

/* A get fails with the status, and says the word. */
static void assert_refused(cache_t *cache, cache_status status, const char *word)
{
    cache_value value;
    assert_status(status, cache_get(cache, "k", &value));
    if (strstr(cache_last_error(), word) == NULL)
        fail_msg("no '%s': %s", word, cache_last_error());
    cache_close(cache);
}

static void values_of_every_size_travel(void **state)
{
    static const size_t sizes[] = { 0, 1, 100, 4096, 16383, 16384, 16385, 100000, 1 << 20 };
    enum { MANY = 300 };
    static char big[1 << 20];
    cache_t *cache = open_tls("127.0.0.1", server_port, "ca", "");
    (void)state;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 31);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cache_value value;
        assert_status(CACHE_OK, cache_set(cache, "k", big, sizes[i], 60));
        assert_status(CACHE_OK, cache_get(cache, "k", &value));
        assert_int_equal(value.size, sizes[i]);
        assert_memory_equal(value.data, big, sizes[i]);
        cache_value_release(&value);
    }
    char names[MANY][16];
    const char *keys[MANY];
    cache_item items[MANY];
    cache_value values[MANY];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        keys[i] = names[i];
        items[i] = (cache_item){ names[i], big + i, 5000 };
    }
    assert_status(CACHE_OK, cache_set_many(cache, items, MANY, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, MANY, values));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(values[i].size, 5000);
        assert_memory_equal(values[i].data, big + i, 5000);
        cache_value_release(&values[i]);
    }
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

static void a_certificate_of_a_stranger_is_refused(void **state)
{
    (void)state;
    assert_refused(open_tls("127.0.0.1", server_port, "other", ""), CACHE_ERR_CONNECT, "certificate");
    char url[128];
    (void)snprintf(url, sizeof url, "rediss://127.0.0.1:%s", server_port);    /* the system's knows nothing of it */
    assert_refused(test_open(url), CACHE_ERR_CONNECT, "certificate");
}

static void a_certificate_must_name_the_host(void **state)
{
    (void)state;
    assert_refused(open_tls("localhost", server_port, "ca", ""), CACHE_ERR_CONNECT, "ostname mismatch");
    assert_refused(open_tls("127.0.0.1", server_port, "ca", "server_name=127.0.0.2"), CACHE_ERR_CONNECT,
                   "IP address mismatch");
    cache_t *cache = open_tls("localhost", server_port, "ca", "server_name=cache.example");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", "v");
    cache_close(cache);
}

static void a_server_may_want_a_certificate_of_its_clients(void **state)
{
    char options[192];
    (void)state;
    assert_refused(open_tls("127.0.0.1", strict_port, "ca", ""), CACHE_ERR_AUTH, "cert");
    (void)snprintf(options, sizeof options, "cert=%s/client.pem&key=%s/client.key", files, files);
    cache_t *cache = open_tls("127.0.0.1", strict_port, "ca", options);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", "v");
    cache_close(cache);
}

static void files_that_are_wrong_are_named(void **state)
{
    static const struct { const char *options, *word; } cases[] = {
        { "ca=/nowhere/ca.pem", "'ca': /nowhere/ca.pem" },
        { "cert=/nowhere/me.pem", "together" },
        { "cert=/nowhere/me.pem&key=/nowhere/me.key", "'cert': /nowhere/me.pem" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[256];
        cache_t *cache = NULL;
        (void)snprintf(url, sizeof url, "rediss://127.0.0.1:%s?%s", server_port, cases[i].options);
        assert_status(CACHE_ERR_CONFIG, cache_open(url, &cache));
        if (strstr(cache_last_error(), cases[i].word) == NULL)
            fail_msg("no '%s': %s", cases[i].word, cache_last_error());
    }
}

static void plain_and_tls_ports_that_are_mistaken_are_told(void **state)
{
    char url[128];
    (void)state;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%s", server_port);
    assert_refused(test_open(url), CACHE_ERR_CONNECT, "rediss://");
    char plain[8];
    (void)snprintf(plain, sizeof plain, "%d", server.port);
    cache_t *cache = open_tls("127.0.0.1", plain, "ca", "connect_timeout=0.5");
    cache_value value;
    assert_true(cache_get(cache, "k", &value) < 0);
    cache_close(cache);
}

static void say_nothing(struct fake_server *fake, int fd, int number)
{
    char bytes[1024];
    (void)fake, (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes))
        continue;
}

static void a_handshake_that_stalls_ends_with_the_timeout(void **state)
{
    struct fake_server fake;
    char port[8];
    (void)state;
    fake_server_start(&fake, say_nothing, NULL);
    (void)snprintf(port, sizeof port, "%d", fake.port);
    assert_refused(open_tls("127.0.0.1", port, "ca", "connect_timeout=0.3&timeout=0.5"), CACHE_ERR_TIMEOUT,
                   "handshake");
    fake_server_stop(&fake);
}

/* The default action of SIGPIPE would end the program. */
static void a_server_that_is_killed_raises_no_signal(void **state)
{
    static char big[1 << 20];
    struct test_server other = { 0 };
    char port[8];
    (void)state;
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    start_tls(&other, port, "no");
    cache_t *cache = open_tls("127.0.0.1", port, "ca", "retry_after=0.001&timeout=2");
    assert_status(CACHE_OK, cache_set(cache, "k", big, sizeof big, 60));
    test_server_kill(&other);
    for (int i = 0; i < 3; i++)
        assert_true(cache_set(cache, "k", big, sizeof big, 60) < 0);
    cache_close(cache);
    test_server_stop(&other);
}

static void the_child_of_a_fork_has_connections_of_its_own(void **state)
{
    cache_t *cache = open_tls("127.0.0.1", server_port, "ca", "");
    int status = -1;
    (void)state;
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    const pid_t child = fork();
    if (child == 0) {
        cache_value value;
        const bool good = cache_get(cache, "k", &value) == CACHE_OK && strcmp(value.data, "v") == 0;
        cache_value_release(&value);
        cache_close(cache);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_text(cache, "k", "v");
    assert_int_equal(test_counters(cache).reconnects, 0);
    cache_close(cache);
}

static atomic_bool stop_now;

static bool can_connect_and_get(void)
{
    cache_value value;
    cache_t *cache = open_tls("127.0.0.1", server_port, "ca", "");
    const bool good = cache_get(cache, "k", &value) == CACHE_OK;
    cache_value_release(&value);
    cache_close(cache);
    return good;
}

static void *connect_once(void *unused)
{
    (void)unused;
    traffic_enter();
    (void)can_connect_and_get();
    traffic_leave();
    return NULL;
}

/* A thread that is new asks OpenSSL for a generator of random numbers, which is made under a lock of all threads. */
static void *connect_in_new_threads(void *unused)
{
    (void)unused;
    while (!stop_now) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, connect_once, NULL) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

/* OpenSSL's locks are as they were at the fork: one that another thread held then would never be free in the child. */
static void a_child_forked_in_the_middle_of_handshakes_connects(void **state)
{
    enum { THREADS = 3, FORKS = 200 };
    pthread_t threads[THREADS];
    int failed = 0;
    (void)state;
    stop_now = false;
    cache_t *cache = open_tls("127.0.0.1", server_port, "ca", "");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 600));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, connect_in_new_threads, NULL), 0);
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        const pid_t child = traffic_fork();
        if (child == 0) {
            alarm(60);    /* a child that hangs must end, and be seen */
            _exit(can_connect_and_get() ? 0 : 1);
        }
        failed += waitpid(child, &status, 0) != child || status != 0;
        if (failed > 0)
            break;
    }
    stop_now = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failed, 0);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_size_travel),
        cmocka_unit_test(a_certificate_of_a_stranger_is_refused),
        cmocka_unit_test(a_certificate_must_name_the_host),
        cmocka_unit_test(a_server_may_want_a_certificate_of_its_clients),
        cmocka_unit_test(files_that_are_wrong_are_named),
        cmocka_unit_test(plain_and_tls_ports_that_are_mistaken_are_told),
        cmocka_unit_test(a_handshake_that_stalls_ends_with_the_timeout),
        cmocka_unit_test(a_server_that_is_killed_raises_no_signal),
        cmocka_unit_test(the_child_of_a_fork_has_connections_of_its_own),
        cmocka_unit_test(a_child_forked_in_the_middle_of_handshakes_connects),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
