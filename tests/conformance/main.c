/* conformance - every promise of the vtable and the public API, against the store that a URL names.
 *
 *     conformance memory://                        any URL, a server of your own included
 *     conformance redis | redis+unix | redis+login | redis+sentinel | redis+cluster | rediss | rediss+cluster |
 *                 valkey | memcached | memcached*3 | memcached+unix | memcached+login | memcacheds | file | list
 *                                                  a store that the suite makes, with a server it starts and stops
 *     conformance file+codec                       the same with compressed and sealed values
 *
 * Leaves nothing behind but what a store keeps of an empty prefix. */
#include "conformance.h"

#include "certificates.h"
#include "redis_cluster.h"
#include "server.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern const cache_backend_ops list_store_ops;    /* examples/custom_backend.c */

struct target target;

/* ---- reaching the target --------------------------------------------------------------------------------------- */

/* The target's URL with more options behind it, in `out`. */
static void target_url(char *out, size_t size, const char *options)
{
    /* A machine that is busy with other things is no failure of the store. */
    const char *patience = strstr(target.url, "timeout=") == NULL ? "timeout=30&connect_timeout=30&" : "";
    (void)snprintf(out, size, "%s%c%s%s", target.url, strchr(target.url, '?') != NULL ? '&' : '?', patience, options);
}

cache_t *target_open(const char *options)
{
    char url[512];
    target_url(url, sizeof url, options);
    return test_open(url);
}

int open_empty(void **state)
{
    char options[64];
    (void)snprintf(options, sizeof options, "prefix=conf%ld:", (long)getpid());
    *state = target_open(options);
    assert_status(CACHE_OK, cache_clear(*state));
    return 0;
}

int close_and_clear(void **state)
{
    assert_status(CACHE_OK, cache_clear(*state));
    cache_close(*state);
    return 0;
}

void in_processes(int n, bool (*body)(cache_t *cache, int process), const char *options)
{
    char url[512];
    pid_t pids[16];
    target_url(url, sizeof url, options);
    for (int i = 0; i < n; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            cache_t *cache = NULL;
            bool good = cache_open(url, &cache) == CACHE_OK && body(cache, i);
            cache_close(cache);
            _exit(good ? 0 : 1);
        }
        assert_true(pids[i] > 0);
    }
    bool good = true;
    for (int i = 0; i < n; i++) {
        int status = 1;
        good = waitpid(pids[i], &status, 0) == pids[i] && status == 0 && good;
    }
    assert_true(good);
}

struct thread {
    pthread_t id;
    void (*body)(cache_t *cache, int thread);
    cache_t *cache;
    int number;
};

static void *run_thread(void *arg)
{
    const struct thread *thread = arg;
    thread->body(thread->cache, thread->number);
    return NULL;
}

void in_threads(int n, void (*body)(cache_t *cache, int thread), cache_t *cache)
{
    struct thread threads[32];
    for (int i = 0; i < n; i++) {
        threads[i] = (struct thread){ .body = body, .cache = cache, .number = i };
        assert_int_equal(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]), 0);
    }
    for (int i = 0; i < n; i++)
        pthread_join(threads[i].id, NULL);
}

double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool wait_until(bool (*done)(cache_t *cache, const char *key), cache_t *cache, const char *key, double seconds)
{
    const struct timespec pause = { 0, 5 * 1000 * 1000 };
    const double begun = now_seconds();
    for (;;) {
        const double asked = now_seconds();    /* before: what counts is how it was after so many seconds */
        if (done(cache, key))
            return true;
        if (asked - begun > seconds)
            return false;
        nanosleep(&pause, NULL);
    }
}

bool is_missing(cache_t *cache, const char *key)
{
    return cache_has(cache, key) == CACHE_MISS;
}

/* ---- making the target ------------------------------------------------------------------------------------------- */

static struct test_server servers[3];
static char directory[64], made_url[256];

static void make_redis(bool unix_socket)
{
    test_server_start_redis(&servers[0], NULL);
    target.redis_port = servers[0].port;
    if (unix_socket)
        (void)snprintf(made_url, sizeof made_url, "redis+unix://%s?db=1", servers[0].socket);
    else
        (void)snprintf(made_url, sizeof made_url, "redis://127.0.0.1:%d/0", servers[0].port);
}

static void make_valkey(void)
{
    make_redis(false);
    (void)snprintf(made_url, sizeof made_url, "valkey://127.0.0.1:%d/0", servers[0].port);
}

/* Without the login, nothing is permitted. */
static void make_redis_login(void)
{
    static const char *const extra[] = { "--user", "app", "on", ">hush", "~*", "&*", "+@all",
                                         "--user", "default", "off", NULL };
    test_server_start_redis(&servers[0], extra);
    (void)snprintf(made_url, sizeof made_url, "redis://app:hush@127.0.0.1:%d/0", servers[0].port);
}

static void make_redis_sentinel(void)
{
    test_server_start_redis(&servers[0], NULL);
    test_server_start_sentinel(&servers[1], servers[0].port);
    target.redis_port = servers[0].port;
    (void)snprintf(made_url, sizeof made_url, "redis+sentinel://127.0.0.1:%d/blog/0", servers[1].port);
}

static void make_certificates(void)
{
    test_directory_make(directory, sizeof directory);
    test_certificates_authority(directory, "ca");
    test_certificates_sign(directory, "ca", "server", "IP:127.0.0.1");
}

static void make_redis_cluster_tls(void)
{
    int ports[2];
    make_certificates();
    test_cluster_start_tls(servers, ports, directory);
    (void)snprintf(made_url, sizeof made_url, "rediss+cluster://127.0.0.1:%d?ca=%s/ca.pem", ports[0], directory);
}

static void make_redis_tls(void)
{
    char port[8], cert[96], key[96], ca[96];
    make_certificates();
    (void)snprintf(port, sizeof port, "%d", test_free_port());
    (void)snprintf(cert, sizeof cert, "%s/server.pem", directory);
    (void)snprintf(key, sizeof key, "%s/server.key", directory);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    const char *extra[] = { "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file",
                            ca, "--tls-auth-clients", "no", NULL };
    test_server_start_redis(&servers[0], extra);
    target.redis_port = servers[0].port;
    (void)snprintf(made_url, sizeof made_url, "rediss://127.0.0.1:%s/0?ca=%s", port, ca);
}

static struct test_cluster cluster;

static void make_redis_cluster(void)
{
    test_cluster_start(&cluster);
    (void)snprintf(made_url, sizeof made_url, "redis+cluster://127.0.0.1:%d", cluster.nodes[0].port);
}

static void make_memcached(int n)
{
    size_t at = (size_t)snprintf(made_url, sizeof made_url, "memcached://");
    for (int i = 0; i < n; i++) {
        test_server_start_memcached(&servers[i], NULL);
        at += (size_t)snprintf(made_url + at, sizeof made_url - at, "%s127.0.0.1:%d", i > 0 ? "," : "",
                               servers[i].port);
    }
    if (n == 1)
        target.memcached_port = servers[0].port;
}

static char key_file[80];

static void make_seal_key(void)
{
    (void)snprintf(key_file, sizeof key_file, "%s/key", directory);
    FILE *file = fopen(key_file, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "%064x\n", 7) > 0);
    assert_int_equal(fclose(file), 0);
}

static void make_redis_codec(void)
{
    make_redis(false);
    test_directory_make(directory, sizeof directory);
    make_seal_key();
    const size_t size = strlen(made_url);
    (void)snprintf(made_url + size, sizeof made_url - size, "?compress=lz4&compress_min=1&seal=%s", key_file);
    target.redis_port = 0;    /* other programs do not read what is sealed */
}

static void make_memcached_unix(void)
{
    test_server_start_memcached_unix(&servers[0], NULL);
    (void)snprintf(made_url, sizeof made_url, "memcached+unix://%s", servers[0].socket);
}

static void make_memcached_tls(void)
{
    test_server_start_memcached_tls(&servers[0], NULL);
    (void)snprintf(made_url, sizeof made_url, "memcacheds://127.0.0.1:%d?ca=%s/ca.pem", servers[0].port,
                   servers[0].directory);
}

static void make_memcached_login(void)
{
    test_server_start_memcached_login(&servers[0], NULL);
    (void)snprintf(made_url, sizeof made_url, "memcached://app:hush@127.0.0.1:%d", servers[0].port);
}

static void make(const char *what)
{
    target.url = made_url;
    if (strcmp(what, "redis") == 0)
        make_redis(false);
    else if (strcmp(what, "redis+codec") == 0)
        make_redis_codec();
    else if (strcmp(what, "redis+unix") == 0)
        make_redis(true);
    else if (strcmp(what, "redis+login") == 0)
        make_redis_login();
    else if (strcmp(what, "redis+sentinel") == 0)
        make_redis_sentinel();
    else if (strcmp(what, "valkey") == 0)
        make_valkey();
    else if (strcmp(what, "rediss") == 0)
        make_redis_tls();
    else if (strcmp(what, "rediss+cluster") == 0)
        make_redis_cluster_tls();
    else if (strcmp(what, "redis+cluster") == 0)
        make_redis_cluster();
    else if (strcmp(what, "memcached") == 0)
        make_memcached(1);
    else if (strcmp(what, "memcached*3") == 0)
        make_memcached(3);
    else if (strcmp(what, "memcached+unix") == 0)
        make_memcached_unix();
    else if (strcmp(what, "memcached+login") == 0)
        make_memcached_login();
    else if (strcmp(what, "memcacheds") == 0)
        make_memcached_tls();
    else if (strcmp(what, "file") == 0) {
        test_directory_make(directory, sizeof directory);
        (void)snprintf(made_url, sizeof made_url, "file://%s", directory);
    } else if (strcmp(what, "file+codec") == 0) {
        test_directory_make(directory, sizeof directory);
        make_seal_key();
        (void)snprintf(made_url, sizeof made_url, "file://%s/store?compress=lz4&compress_min=1&seal=%s", directory,
                       key_file);
    } else if (strcmp(what, "list") == 0)
        target.url = "list://";
    else
        target.url = what;
}

static void unmake(void)
{
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
        if (servers[i].pid > 0)
            test_server_stop(&servers[i]);
    test_cluster_stop(&cluster);
    if (directory[0] != '\0')
        test_directory_remove(directory);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: conformance URL|redis|redis+unix|redis+login|redis+sentinel|redis+cluster|rediss|"
                        "rediss+cluster|valkey|memcached|memcached*3|memcached+unix|memcached+login|memcacheds|file|"
                        "list\n");
        return 2;
    }
    if (cache_register_backend(&list_store_ops) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        return 1;
    }
    make(argv[1]);
    const bool is_redis = begins(target.url, "redis") || begins(target.url, "valkey");
    target.shared = begins(target.url, "file:") || is_redis || begins(target.url, "memcached");
    target.ticks = begins(target.url, "memcached");
    target.limit = begins(target.url, "memcached") ? "1048576"
        : is_redis                                  ? "536870912"
        : begins(target.url, "memory:")             ? "65536"
                                                    : NULL;
    target.limit_options = begins(target.url, "memory:") ? "prefix=limit:&max_bytes=64kb" : "prefix=limit:";
    target.forks = !begins(target.url, "list:");
    int (*const parts[])(void) = { run_values, run_keys, run_expiry, run_counters, run_many, run_clear, run_concurrency,
                                   run_interchange, run_list, run_compare };
    int failed = 0;
    if (begins(target.url, "null:"))
        failed = run_null();
    else
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
            failed += parts[i]();
    unmake();
    return failed == 0 ? 0 : 1;
}
