/* test_memcached_replies.c - checks what the Memcached store does if a server, or a box on the way to it, is broken or
 * hostile. */
#include "test.h"

#include "fake_server.h"
#include "server.h"
#include "times.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct test_server memcached;

static int start(void **state)
{
    (void)state;
    test_server_start_memcached(&memcached, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&memcached);
    return 0;
}

static const char *reply_to_gets;

static void serve_reply(struct fake_server *server, int fd, int number)
{
    char request[1024];
    (void)server, (void)number;
    while (fake_server_read(fd, request, sizeof request))
        if (!fake_server_puts(fd, strstr(request, "generation") != NULL ? "END\r\n" : reply_to_gets))
            return;
}

/* As memcached does with -S: it waits for the header of the binary protocol, and hangs up on what is none. */
static void serve_no_text(struct fake_server *server, int fd, int number)
{
    char request[1024];
    size_t size = 0;
    (void)server, (void)number;
    while (size < 24 && fake_server_read(fd, request, sizeof request))
        size += strlen(request);
}

/* A counter just below the largest number, which another client has stepped before our step arrives. */
static void serve_overtaken_counter(struct fake_server *server, int fd, int number)
{
    char request[1024], key[256], answer[512];
    atomic_int *n_steps = server->ctx;
    (void)number;
    while (fake_server_read(fd, request, sizeof request)) {
        if (sscanf(request, "gets %255s", key) == 1)
            (void)snprintf(answer, sizeof answer, "VALUE %s 1279459329 19 7\r\n9223372036854775806\r\nEND\r\n", key);
        else if (strncmp(request, "incr ", 5) == 0)
            (void)snprintf(answer, sizeof answer, "%s\r\n", atomic_fetch_add(n_steps, 1) == 0
                                                                  ? "9223372036854775808" : "9223372036854775807");
        else
            (void)snprintf(answer, sizeof answer, "END\r\n");    /* to the first get on a connection */
        if (!fake_server_puts(fd, answer))
            return;
    }
}

static void a_step_that_another_client_made_too_large_is_taken_back(void **state)
{
    struct fake_server fake;
    atomic_int n_steps = 0;
    char url[128];
    int64_t number = 0;
    (void)state;
    fake_server_start(&fake, serve_overtaken_counter, &n_steps);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?timeout=20&connect_timeout=20&generation=off",
                   fake.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_ERR_RANGE, cache_inc(cache, "k", 1, &number));
    assert_int_equal(n_steps, 2);
    cache_close(cache);
    fake_server_stop(&fake);
}

static void a_server_that_wants_sasl_is_told_with_that_word(void **state)
{
    static const char *const prefixes[] = { "libcache:", "a:", "" };
    struct fake_server fake;
    char url[160];
    cache_value value;
    (void)state;
    fake_server_start(&fake, serve_no_text, NULL);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        (void)snprintf(url, sizeof url, "memcached://app:hush@127.0.0.1:%d?timeout=20&connect_timeout=20&prefix=%s",
                       fake.port, prefixes[i]);
        cache_t *cache = test_open(url);
        assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));
        assert_non_null(strstr(cache_last_error(), "SASL"));
        assert_non_null(strstr(cache_last_error(), "memcacheds://"));
        assert_null(strstr(cache_last_error(), "hush"));
        cache_close(cache);
    }
    fake_server_stop(&fake);
}

static void a_reply_to_something_else_is_an_error_and_no_value(void **state)
{
    static char long_key[400];
    struct fake_server fake;
    char url[96];
    (void)state;
    (void)snprintf(long_key, sizeof long_key, "VALUE %0300d 0 1\r\nx\r\nEND\r\n", 0);
    const char *const replies[] = {
        long_key, "VALUE other 0 1\r\nx\r\nEND\r\n", "VALUE k 0 99999999999999999999\r\nx\r\nEND\r\n", "STORED\r\n",
        "VALUE k 0 1\r\nx\r\nVALUE k 0 1\r\ny\r\nEND\r\n", "abc\r\n", "17\r\n", "HTTP/1.1 200 OK\r\n\r\n",
    };
    fake_server_start(&fake, serve_reply, NULL);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?prefix=&generation=off&timeout=20", fake.port);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        const char *const keys[] = { "j", "k" };
        cache_value value, values[2];
        reply_to_gets = replies[i];
        cache_t *cache = test_open(url);
        assert_status(CACHE_ERR_PROTOCOL, cache_get(cache, "k", &value));
        assert_null(value.data);
        assert_status(CACHE_ERR_PROTOCOL, cache_get_many(cache, keys, 2, values));
        for (int j = 0; j < 2; j++)
            cache_value_release(&values[j]);
        cache_close(cache);
    }
    fake_server_stop(&fake);
}

/* A middlebox between us and a real server: once in a while it says a reply again 30 ms late, adds one that nobody
 * asked for, cuts one, or gives the one before in its place. */
enum { REPLIES_BETWEEN = 250, LATE_MS = 30 };

struct middlebox {
    int client, server;
    char last[2][2048];                /* replies, the latest first */
    size_t sizes[2];
    double repeat_at;                  /* 0: not under way */
    int replies;
};

static bool forward_reply(struct middlebox *box, atomic_int *mischief)
{
    memcpy(box->last[1], box->last[0], box->sizes[0]);
    box->sizes[1] = box->sizes[0];
    const ssize_t n = recv(box->server, box->last[0], sizeof box->last[0], 0);
    if (n <= 0)
        return false;
    box->sizes[0] = (size_t)n;
    if (++box->replies % REPLIES_BETWEEN != 0)
        return fake_server_send(box->client, box->last[0], box->sizes[0]);
    switch (atomic_fetch_add(mischief, 1) % 4) {
    case 0:
        box->repeat_at = test_seconds() + LATE_MS / 1e3;
        return fake_server_send(box->client, box->last[0], box->sizes[0]);
    case 1:
        return fake_server_send(box->client, box->last[0], box->sizes[0]) && fake_server_puts(box->client, "abc\r\n");
    case 2:
        (void)fake_server_send(box->client, box->last[0], box->sizes[0] / 2);
        return false;
    default:
        return fake_server_send(box->client, box->last[1], box->sizes[1]);
    }
}

static bool forward_request(const struct middlebox *box)
{
    char request[4096];
    const ssize_t n = recv(box->client, request, sizeof request, 0);
    return n > 0 && fake_server_send(box->server, request, (size_t)n);
}

static void serve_with_mischief(struct fake_server *server, int fd, int number)
{
    struct middlebox box = { .client = fd };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)memcached.port) };
    bool good = true;
    (void)number;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    box.server = socket(AF_INET, SOCK_STREAM, 0);
    good = connect(box.server, (struct sockaddr *)&address, sizeof address) == 0;
    while (good) {
        struct pollfd ready[] = { { .fd = box.client, .events = POLLIN }, { .fd = box.server, .events = POLLIN } };
        const double left_ms = box.repeat_at > 0 ? (box.repeat_at - test_seconds()) * 1e3 : 1e6;
        (void)poll(ready, 2, left_ms > 0 ? (int)left_ms + 1 : 0);
        if (box.repeat_at > 0 && test_seconds() >= box.repeat_at) {
            box.repeat_at = 0;
            good = fake_server_send(box.client, box.last[0], box.sizes[0]);
        }
        if (ready[0].revents != 0)
            good = good && forward_request(&box);
        if (ready[1].revents != 0)
            good = good && forward_reply(&box, server->ctx);
    }
    close(box.server);
}

enum { CALLERS = 8, OPERATIONS = 5000 };

static cache_t *boxed;
static atomic_int wrong_values, right_values;

static void *set_and_get(void *ctx)
{
    for (int i = 0; i < OPERATIONS; i++) {
        char key[32], value[32] = "";
        size_t size = 0;
        (void)snprintf(key, sizeof key, "k%d-%d", *(int *)ctx, i % 100);
        if (i < 100)
            (void)cache_set_string(boxed, key, key, 60);
        else if (cache_get_copy(boxed, key, value, sizeof value - 1, &size) == CACHE_OK)
            atomic_fetch_add(strcmp(value, key) == 0 ? &right_values : &wrong_values, 1);
    }
    return NULL;
}

static void nobody_gets_anothers_value_from_a_middlebox_that_repeats_and_mixes_replies(void **state)
{
    struct fake_server fake;
    atomic_int mischief = 0;
    pthread_t threads[CALLERS];
    int numbers[CALLERS];
    char url[96];
    (void)state;
    fake_server_start(&fake, serve_with_mischief, &mischief);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?prefix=box:&timeout=5", fake.port);
    boxed = test_open(url);
    for (int i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, set_and_get, &numbers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    cache_close(boxed);
    fake_server_stop(&fake);
    assert_int_equal(wrong_values, 0);
    assert_true(right_values > CALLERS * OPERATIONS / 2);
    assert_true(mischief >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_wants_sasl_is_told_with_that_word),
        cmocka_unit_test(a_step_that_another_client_made_too_large_is_taken_back),
        cmocka_unit_test(a_reply_to_something_else_is_an_error_and_no_value),
        cmocka_unit_test(nobody_gets_anothers_value_from_a_middlebox_that_repeats_and_mixes_replies),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
