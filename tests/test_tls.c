/* test_tls.c - TLS to Redis: values travel, and no server is believed whose certificate is not right. */
#include "test.h"

#include "certificates.h"
#include "fake_server.h"
#include "proxy.h"
#include "redis_cluster.h"
#include "server.h"
#include "traffic.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_server server, strict;    /* the second one wants certificates of its clients */
static char files[64], server_port[8], strict_port[8];

static void start_tls_as(const char *name, struct test_server *one, char port[8], const char *wants)
{
    char cert[96], key[96], ca[96];
    (void)snprintf(port, 8, "%d", test_free_port());
    (void)snprintf(cert, sizeof cert, "%s/%s.pem", files, name);
    (void)snprintf(key, sizeof key, "%s/%s.key", files, name);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", files);
    const char *extra[] = { "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file",
                            ca, "--tls-auth-clients", wants, NULL };
    test_server_start_redis(one, extra);
}

static void start_tls(struct test_server *one, char port[8], const char *wants)
{
    start_tls_as("server", one, port, wants);
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

/* Its bytes are those of one record, which OpenSSL reads to its end. */
static void a_reply_that_trickles_in_is_bounded_by_the_timeout(void **state)
{
    static char text[3000];
    struct test_proxy proxy;
    struct timespec begun, ended;
    cache_value value;
    char port[8];
    (void)state;
    test_proxy_start(&proxy, atoi(server_port));
    (void)snprintf(port, sizeof port, "%d", proxy.port);
    cache_t *cache = open_tls("127.0.0.1", port, "ca", "timeout=0.5&connect_timeout=10");
    memset(text, 't', sizeof text);
    assert_status(CACHE_OK, cache_set(cache, "trickles", text, sizeof text, 60));
    proxy.delay_ms = 5;
    proxy.fault = PROXY_TRICKLE;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "trickles", &value));
    clock_gettime(CLOCK_MONOTONIC, &ended);
    const double took = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
    assert_true(took < 5);    /* all of it comes in 15 s */
    cache_close(cache);
    test_proxy_stop(&proxy);
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

static void a_certificate_whose_time_is_over_is_refused(void **state)
{
    struct test_server late = { .pid = 0 };
    char port[8];
    (void)state;
    test_certificates_sign_expired(files, "ca", "late", "IP:127.0.0.1");
    start_tls_as("late", &late, port, "no");
    assert_refused(open_tls("127.0.0.1", port, "ca", ""), CACHE_ERR_CONNECT, "expired");
    test_server_stop(&late);
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

static void nothing_switches_the_verification_off(void **state)
{
    static const char *const options[] = { "verify=off", "insecure=1", "ssl_cert_reqs=none", "ca=" };
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        char url[256], name[32];
        cache_t *cache = NULL;
        (void)snprintf(url, sizeof url, "rediss://127.0.0.1:%s?%s", server_port, options[i]);
        (void)snprintf(name, sizeof name, "'%.*s'", (int)strcspn(options[i], "="), options[i]);
        assert_status(CACHE_ERR_CONFIG, cache_open(url, &cache));
        if (strstr(cache_last_error(), name) == NULL)
            fail_msg("no %s: %s", name, cache_last_error());
    }
}

#ifdef HAVE_MEMCACHED
static cache_t *open_memcached(const char *host, int port, const char *directory, const char *ca)
{
    char url[256];
    (void)snprintf(url, sizeof url, "memcacheds://%s:%d?timeout=20&connect_timeout=20&ca=%s/%s.pem", host, port,
                   directory, ca);
    return test_open(url);
}

static void memcached_is_believed_no_sooner(void **state)
{
    struct test_server memcached = { .pid = 0 };
    (void)state;
    test_server_start_memcached_tls(&memcached, NULL);
    assert_refused(open_memcached("127.0.0.1", memcached.port, files, "other"), CACHE_ERR_CONNECT, "certificate");
    assert_refused(open_memcached("localhost", memcached.port, memcached.directory, "ca"), CACHE_ERR_CONNECT,
                   "ostname mismatch");
    cache_t *cache = open_memcached("127.0.0.1", memcached.port, memcached.directory, "ca");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", "v");
    cache_close(cache);
    test_server_stop(&memcached);
}
#endif

/* ---- resumption -------------------------------------------------------------------------------------------------- */

/* A server of the test's own, since Redis does not say whether a session was resumed. */
struct resuming_server {
    SSL_CTX *context;
    atomic_int resumed;
};

/* Answers the greeting and one request, and ends the session. */
static void answer_by_tls(struct fake_server *fake, int fd, int number)
{
    struct resuming_server *resuming = fake->ctx;
    char request[1024], mark[32], answer[64] = "";
    (void)number;
    SSL *ssl = SSL_new(resuming->context);
    if (SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
        atomic_fetch_add(&resuming->resumed, SSL_session_reused(ssl));
        for (int size; strstr(answer, "v") == NULL && (size = SSL_read(ssl, request, sizeof request - 1)) > 0;) {
            request[size] = '\0';
            fake_redis_cut_mark(request, mark);
            (void)snprintf(answer, sizeof answer, "%s%s", strstr(request, "GET") != NULL ? "$1\r\nv\r\n" : "+PONG\r\n",
                           mark);
            (void)SSL_write(ssl, answer, (int)strlen(answer));
        }
        (void)SSL_shutdown(ssl);
        while (fake_server_read(fd, request, sizeof request))    /* until the client has seen it */
            continue;
    }
    SSL_free(ssl);
}

static void a_second_connection_resumes_the_session_of_the_first(void **state)
{
    struct resuming_server resuming = { .context = SSL_CTX_new(TLS_server_method()) };
    struct fake_server fake;
    char port[8], path[96];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/server.pem", files);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(resuming.context, path), 1);
    (void)snprintf(path, sizeof path, "%s/server.key", files);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(resuming.context, path, SSL_FILETYPE_PEM), 1);
    fake_server_start(&fake, answer_by_tls, &resuming);
    (void)snprintf(port, sizeof port, "%d", fake.port);
    char url[256];
    (void)snprintf(url, sizeof url, "rediss://127.0.0.1:%s?ca=%s/ca.pem&client_name=off&retry_after=0.001&timeout=20",
                   port, files);
    cache_t *cache = test_open(url);
    for (int i = 0; i < 3; i++)
        assert_text(cache, "k", "v");
    cache_close(cache);
    fake_server_stop(&fake);
    assert_int_equal(atomic_load(&resuming.resumed), atomic_load(&fake.accepted) - 1);
    assert_true(atomic_load(&fake.accepted) >= 3);
    SSL_CTX_free(resuming.context);
}

/* ---- Sentinels --------------------------------------------------------------------------------------------------- */

static void sentinels_are_asked_by_tls(void **state)
{
    struct test_server sentinel = { .port = test_free_port() };
    char path[96], url[256];
    (void)state;
    test_directory_make(sentinel.directory, sizeof sentinel.directory);
    (void)snprintf(path, sizeof path, "%s/sentinel.conf", sentinel.directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "port 0\ntls-port %d\nbind 127.0.0.1\ndir %s\ntls-replication yes\ntls-auth-clients no\n"
            "tls-cert-file %s/server.pem\ntls-key-file %s/server.key\ntls-ca-cert-file %s/ca.pem\n"
            "sentinel monitor blog 127.0.0.1 %s 1\n",
            sentinel.port, sentinel.directory, files, files, files, server_port);
    assert_int_equal(fclose(file), 0);
    const char *argv[] = { "redis-sentinel", path, NULL };
    test_server_start(&sentinel, sentinel.port, argv);
    (void)snprintf(url, sizeof url, "rediss+sentinel://127.0.0.1:%d/blog?ca=%s/ca.pem", sentinel.port, files);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_text(cache, "k", "v");
    cache_close(cache);
    (void)snprintf(url, sizeof url, "rediss+sentinel://127.0.0.1:%d/blog?ca=%s/other.pem", sentinel.port, files);
    assert_refused(test_open(url), CACHE_ERR_CONNECT, "certificate");
    test_server_stop(&sentinel);
}

static void a_cluster_is_used_by_tls_alone(void **state)
{
    struct test_server nodes[2] = { { .pid = 0 }, { .pid = 0 } };
    char names[40][16], url[256];
    const char *keys[40];
    cache_value values[40];
    int ports[2];
    (void)state;
    test_cluster_start_tls(nodes, ports, files);
    (void)snprintf(url, sizeof url, "rediss+cluster://127.0.0.1:%d?ca=%s/ca.pem&timeout=20&connect_timeout=20",
                   ports[0], files);
    cache_t *cache = test_open(url);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        keys[i] = names[i];
        assert_status(CACHE_OK, cache_set_string(cache, names[i], names[i], 60));
    }
    assert_status(CACHE_OK, cache_get_many(cache, keys, 40, values));
    for (int i = 0; i < 40; i++) {
        assert_string_equal(values[i].data, names[i]);
        cache_value_release(&values[i]);
    }
    cache_close(cache);
    (void)snprintf(url, sizeof url, "rediss+cluster://127.0.0.1:%d?ca=%s/other.pem", ports[0], files);
    assert_refused(test_open(url), CACHE_ERR_CONNECT, "certificate");
    for (int i = 0; i < 2; i++)
        test_server_stop(&nodes[i]);
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

/* Ends the connection with a reset, as a crashed machine or a firewall does. */
static void reset(struct fake_server *fake, int fd, int number)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    char bytes[4096];
    (void)fake, (void)number;
    (void)fake_server_read(fd, bytes, sizeof bytes);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
}

static void a_handshake_that_is_reset_says_what_the_system_says(void **state)
{
    struct fake_server fake;
    char port[8];
    (void)state;
    fake_server_start(&fake, reset, NULL);
    (void)snprintf(port, sizeof port, "%d", fake.port);
    assert_refused(open_tls("127.0.0.1", port, "ca", ""), CACHE_ERR_CONNECT, strerror(ECONNRESET));
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
static atomic_int n_begun;

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
    (void)can_connect_and_get();
    return NULL;
}

/* A thread that is new asks OpenSSL for a generator of random numbers, which is made under a lock of all threads. */
static void *connect_in_new_threads(void *unused)
{
    (void)unused;
    atomic_fetch_add(&n_begun, 1);
    while (!stop_now) {
        pthread_t thread;
        traffic_enter();    /* the beginning and end of a thread are the sanitizers', too */
        if (pthread_create(&thread, NULL, connect_once, NULL) == 0)
            pthread_join(thread, NULL);
        traffic_leave();
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
    while (n_begun < THREADS)    /* the beginning of a thread is no moment for a fork in a sanitizer */
        sched_yield();
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
        cmocka_unit_test(a_reply_that_trickles_in_is_bounded_by_the_timeout),
        cmocka_unit_test(a_certificate_of_a_stranger_is_refused),
        cmocka_unit_test(a_certificate_must_name_the_host),
        cmocka_unit_test(a_certificate_whose_time_is_over_is_refused),
        cmocka_unit_test(a_server_may_want_a_certificate_of_its_clients),
        cmocka_unit_test(a_second_connection_resumes_the_session_of_the_first),
        cmocka_unit_test(sentinels_are_asked_by_tls),
        cmocka_unit_test(files_that_are_wrong_are_named),
        cmocka_unit_test(nothing_switches_the_verification_off),
#ifdef HAVE_MEMCACHED
        cmocka_unit_test(memcached_is_believed_no_sooner),
#endif
        cmocka_unit_test(a_cluster_is_used_by_tls_alone),
        cmocka_unit_test(plain_and_tls_ports_that_are_mistaken_are_told),
        cmocka_unit_test(a_handshake_that_stalls_ends_with_the_timeout),
        cmocka_unit_test(a_handshake_that_is_reset_says_what_the_system_says),
        cmocka_unit_test(a_server_that_is_killed_raises_no_signal),
        cmocka_unit_test(the_child_of_a_fork_has_connections_of_its_own),
        cmocka_unit_test(a_child_forked_in_the_middle_of_handshakes_connects),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
