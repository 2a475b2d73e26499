/* test_wire_deadlines.c - the transport again: no call outlasts its deadline because of what other calls or the server
 * do, and a call that had no time says nothing about the server. */
#define _GNU_SOURCE                    /* syscall, RTLD_NEXT */
#include "test.h"

#include "fake_server.h"
#include "lines.h"
#include "times.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MS = 1000000 };

static void sleep_ms(long ms)
{
    nanosleep(&(const struct timespec){ ms / 1000, ms % 1000 * MS }, NULL);
}

/* ---- the system, with faults ------------------------------------------------------------------------------------- */

static _Atomic double full_until, look_up_ends;    /* by test_seconds() */
static atomic_bool looking_up;

/* In place of the C library's, for the library under test, too. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (test_seconds() < full_until) {
        errno = ENOBUFS;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    getaddrinfo_fn *function = NULL;
    *(void **)&function = dlsym(RTLD_NEXT, "getaddrinfo");
    while (test_seconds() < look_up_ends) {
        looking_up = true;
        sleep_ms(5);
    }
    return function(strcmp(node, "lines.test") == 0 ? "127.0.0.1" : node, service, hints, out);
}

/* ---- the server's fault ------------------------------------------------------------------------------------------ */

/* Slower than the server sends, so that something more has always come. */
static enum cache_reply take_everything(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                        size_t *used)
{
    (void)exchange, (void)state, (void)bytes;
    sleep_ms(1);
    *used = size;
    return CACHE_REPLY_MORE;
}

/* For longer than the test waits. */
static void pour(struct fake_server *server, int fd, int number)
{
    static const char bytes[64 * 1024];
    char request[256];
    (void)server, (void)number;
    if (!fake_server_read(fd, request, sizeof request))
        return;
    for (const double end = test_seconds() + 4; test_seconds() < end && fake_server_send(fd, bytes, sizeof bytes);)
        continue;
}

static void a_server_that_never_stops_sending_does_not_outlast_the_deadline(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    struct line line;
    struct iovec part;
    (void)state;
    fake_server_start(&fake, pour, NULL);
    open_server(&server, fake.port, 1, true, 300);
    struct cache_exchange exchange = line_exchange("one", &part, &line);
    exchange.take = take_everything;
    const double begun = test_seconds();
    assert_status(CACHE_ERR_TIMEOUT, cache_server_call(&server, &exchange, cache_server_deadline(&server)));
    assert_true(test_seconds() - begun > 0.29 && test_seconds() - begun < 2);
    cache_server_release(&server);
    fake_server_stop(&fake);
}

static void echo(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes)) {
        if (server->ctx != NULL)
            atomic_fetch_add((atomic_int *)server->ctx, 1);
        if (!fake_server_puts(fd, bytes))
            return;
    }
}

static void a_system_without_buffers_does_not_outlast_the_deadline(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    struct line line;
    (void)state;
    fake_server_start(&fake, echo, NULL);
    open_server(&server, fake.port, 1, true, 300);
    assert_status(CACHE_OK, ask(&server, "one", true, &line));
    const double begun = test_seconds();
    full_until = begun + 4;
    assert_status(CACHE_ERR_TIMEOUT, ask(&server, "two", true, &line));
    assert_true(test_seconds() - begun > 0.29 && test_seconds() - begun < 2);
    full_until = 0;
    assert_status(CACHE_OK, ask(&server, "three", true, &line));
    cache_server_release(&server);
    fake_server_stop(&fake);
}

/* ---- another call's fault ---------------------------------------------------------------------------------------- */

static struct cache_server shared;

static void *ask_once(void *arg)
{
    struct line line;
    const double begun = test_seconds();
    (void)ask(&shared, "one", true, &line);
    *(double *)arg = test_seconds() - begun;
    return NULL;
}

struct late {
    atomic_bool may_answer;
    atomic_int requests;
};

/* Answers after the test has let it. */
static void answer_late(struct fake_server *server, int fd, int number)
{
    struct late *late = server->ctx;
    char bytes[4096];
    (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes)) {
        late->requests++;
        while (!late->may_answer)
            sched_yield();
        if (!fake_server_puts(fd, bytes))
            return;
    }
}

static int count_waiting(struct cache_server *server)
{
    pthread_mutex_lock(&server->lock);
    const int n = server->n_waiting;
    pthread_mutex_unlock(&server->lock);
    return n;
}

static void a_look_up_for_the_next_call_keeps_nobody_from_its_answer(void **state)
{
    struct fake_server fake;
    struct late late = { 0 };
    pthread_t first, next;
    double took[2];
    (void)state;
    fake_server_start(&fake, answer_late, &late);
    open_server_of(&shared, "lines.test", fake.port, 1, true, 20000);
    assert_int_equal(pthread_create(&first, NULL, ask_once, &took[0]), 0);
    while (late.requests == 0)    /* until it is sent: before, the next one could go out with it */
        sched_yield();
    assert_int_equal(pthread_create(&next, NULL, ask_once, &took[1]), 0);
    while (count_waiting(&shared) == 0)
        sched_yield();
    look_up_ends = test_seconds() + 4;
    cache_resolver_doubt(&shared.resolver);
    late.may_answer = true;
    pthread_join(first, NULL);
    assert_true(took[0] < 3);
    while (!looking_up)
        sched_yield();
    look_up_ends = 0;
    pthread_join(next, NULL);
    cache_server_release(&shared);
    fake_server_stop(&fake);
}

/* ---- no time ----------------------------------------------------------------------------------------------------- */

static cache_status ask_until(struct cache_server *server, uint64_t deadline)
{
    struct line line;
    struct iovec part;
    struct cache_exchange exchange = line_exchange("one", &part, &line);
    return cache_server_call(server, &exchange, deadline);
}

static void a_request_whose_time_is_over_is_not_sent(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    struct line line;
    atomic_int requests = 0;
    (void)state;
    fake_server_start(&fake, echo, (void *)&requests);
    open_server(&server, fake.port, 1, true, 20000);
    for (int i = 0; i < 3; i++) {
        assert_status(CACHE_ERR_TIMEOUT, ask_until(&server, cache_now_ns() - MS));
        assert_false(cache_server_is_away(&server));
    }
    assert_int_equal(fake.accepted, 0);
    assert_status(CACHE_OK, ask(&server, "one", true, &line));
    for (int i = 0; i < 3; i++)
        assert_status(CACHE_ERR_TIMEOUT, ask_until(&server, cache_now_ns() - MS));
    assert_false(cache_server_is_away(&server));
    assert_status(CACHE_OK, ask(&server, "two", true, &line));
    assert_int_equal(requests, 2);
    assert_int_equal(fake.accepted, 1);
    cache_server_release(&server);
    fake_server_stop(&fake);
}

static void be_silent(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)server, (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes))
        continue;
}

static void an_answer_that_had_hardly_any_time_is_not_held_against_the_server(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    (void)state;
    fake_server_start(&fake, be_silent, NULL);
    open_server(&server, fake.port, 1, true, 1000);
    for (int i = 0; i < 4; i++) {
        assert_status(CACHE_ERR_TIMEOUT, ask_until(&server, cache_now_ns() + 5 * MS));
        assert_false(cache_server_is_away(&server));
    }
    for (int i = 0; i < 2; i++)
        assert_status(CACHE_ERR_TIMEOUT, ask_until(&server, cache_now_ns() + 400 * MS));
    assert_true(cache_server_is_away(&server));
    cache_server_release(&server);
    fake_server_stop(&fake);
}

static cache_status greet(struct cache_connection *connection, uint64_t deadline)
{
    struct line line;
    struct iovec part;
    struct cache_exchange exchange = line_exchange("hello", &part, &line);
    return cache_connection_call(connection, &exchange, deadline);
}

static void a_connection_that_had_hardly_any_time_is_not_held_against_the_server(void **state)
{
    static const struct cache_protocol protocol = { .greet = greet };
    struct fake_server fake;
    struct cache_server server;
    (void)state;
    fake_server_start(&fake, be_silent, NULL);
    open_server(&server, fake.port, 1, true, 1000);
    server.config.protocol = &protocol;
    assert_status(CACHE_ERR_TIMEOUT, ask_until(&server, cache_now_ns() + 5 * MS));
    assert_false(cache_server_is_away(&server));
    assert_status(CACHE_ERR_TIMEOUT, ask_until(&server, cache_now_ns() + 400 * MS));
    assert_true(cache_server_is_away(&server));
    cache_server_release(&server);
    fake_server_stop(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_never_stops_sending_does_not_outlast_the_deadline),
        cmocka_unit_test(a_system_without_buffers_does_not_outlast_the_deadline),
        cmocka_unit_test(a_look_up_for_the_next_call_keeps_nobody_from_its_answer),
        cmocka_unit_test(a_request_whose_time_is_over_is_not_sent),
        cmocka_unit_test(an_answer_that_had_hardly_any_time_is_not_held_against_the_server),
        cmocka_unit_test(a_connection_that_had_hardly_any_time_is_not_held_against_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
