/* test_wire.c - the transport, with a protocol of lines and fake servers: who gets which reply, what goes out together,
 * what a failure means for the requests beside it. */
#include "test.h"

#include "fake_server.h"
#include "lines.h"
#include "server.h"
#include "times.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- gathering --------------------------------------------------------------------------------------------------- */

static void echo(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)server, (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes))
        if (!fake_server_puts(fd, bytes))
            return;
}

static struct cache_server shared;
static atomic_int wrong;

static void *ask_often(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        char text[32];
        struct line line;
        (void)snprintf(text, sizeof text, "%d-%d", *(int *)arg, i);
        if (ask(&shared, text, true, &line) != CACHE_OK || strcmp(line.reply, text) != 0)
            atomic_fetch_add(&wrong, 1);
    }
    return NULL;
}

static void threads_that_share_connections_get_their_own_replies(void **state)
{
    struct fake_server fake;
    (void)state;
    for (int gather = 0; gather < 2; gather++) {
        pthread_t threads[16];
        int numbers[16];
        fake_server_start(&fake, echo, NULL);
        open_server(&shared, fake.port, 2, gather, 20000);
        wrong = 0;
        for (int i = 0; i < 16; i++) {
            numbers[i] = i;
            assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &numbers[i]), 0);
        }
        for (int i = 0; i < 16; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(wrong, 0);
        assert_in_range(fake.accepted, 1, 2);
        cache_server_release(&shared);
        fake_server_stop(&fake);
    }
}

static void count_pieces(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes)) {
        atomic_fetch_add((atomic_int *)server->ctx, 1);
        if (!fake_server_puts(fd, bytes))
            return;
    }
}

/* There are more callers than connections. */
static void many_callers_go_out_in_few_writes(void **state)
{
    enum { THREADS = 16, REQUESTS = THREADS * 2000 };
    struct fake_server fake;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    atomic_int pieces = 0;
    (void)state;
    fake_server_start(&fake, count_pieces, (void *)&pieces);
    open_server(&shared, fake.port, 4, true, 20000);
    wrong = 0;
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_in_range(pieces, 1, REQUESTS / 2);    /* on one busy processor there are 3 for 8 requests */
    assert_int_equal(shared.n_callers, 0);
    cache_server_release(&shared);
    fake_server_stop(&fake);
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static int listen_on(struct sockaddr_in *address, int backlog)
{
    socklen_t size = sizeof *address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){ .sin_family = AF_INET };
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static void add_address(struct cache_addresses *addresses, const struct sockaddr_in *address)
{
    memcpy(&addresses->at[addresses->n].name, address, sizeof *address);
    addresses->at[addresses->n++].size = sizeof *address;
}

static void a_refused_address_is_followed_by_the_next(void **state)
{
    struct cache_addresses addresses = { .n = 0 };
    struct sockaddr_in closed, open;
    int fd = -1;
    size_t which = 9;
    bool ours = true;
    (void)state;
    close(listen_on(&closed, -1));
    const int listener = listen_on(&open, 8);
    add_address(&addresses, &closed);
    add_address(&addresses, &open);
    assert_status(CACHE_OK,
                  cache_addresses_dial(&addresses, "test", cache_now_ns() + 5000000000, &fd, &which, &ours));
    assert_int_equal(which, 1);
    assert_true(fd > 2);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_false(ours);
    close(fd);
    close(listener);
    addresses.n = 1;
    assert_status(CACHE_ERR_CONNECT,
                  cache_addresses_dial(&addresses, "test", cache_now_ns() + 5000000000, &fd, &which, &ours));
    assert_false(ours);
    assert_int_equal(fd, -1);
}

/* A listener whose queue is full drops what comes: its address is silent. */
static void silent_addresses_share_one_deadline(void **state)
{
    struct cache_addresses addresses = { .n = 0 };
    struct sockaddr_in silent[3], open;
    int listeners[3], fillers[12], fd = -1;
    size_t which = 9;
    bool ours = true;
    (void)state;
    for (int i = 0; i < 3; i++) {
        listeners[i] = listen_on(&silent[i], 0);
        add_address(&addresses, &silent[i]);
        for (int k = 0; k < 4; k++) {
            const int filler = fillers[i * 4 + k] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            (void)connect(filler, (struct sockaddr *)&silent[i], sizeof silent[i]);
        }
    }
    double begun = test_seconds();
    assert_status(CACHE_ERR_TIMEOUT,
                  cache_addresses_dial(&addresses, "test", cache_now_ns() + 600000000, &fd, &which, &ours));
    assert_true(test_seconds() - begun > 0.55 && test_seconds() - begun < 2);
    const int listener = listen_on(&open, 8);
    add_address(&addresses, &open);
    begun = test_seconds();
    assert_status(CACHE_OK,
                  cache_addresses_dial(&addresses, "test", cache_now_ns() + 3000000000, &fd, &which, &ours));
    assert_int_equal(which, 3);
    close(fd);
    close(listener);
    for (int i = 0; i < 12; i++)
        close(fillers[i]);
    for (int i = 0; i < 3; i++)
        close(listeners[i]);
}

static void families_take_turns(void **state)
{
    const struct cache_place place = { "localhost", 6379 };
    struct cache_addresses addresses;
    (void)state;
    assert_status(CACHE_OK, cache_addresses_find(&place, "test", &addresses));
    assert_in_range(addresses.n, 1, CACHE_MAX_ADDRESSES);
    for (size_t i = 0; i < addresses.n; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(cache_address_is_equal(&addresses.at[i], &addresses.at[k]));
    const struct cache_place nowhere = { "nowhere.invalid", 6379 };
    assert_status(CACHE_ERR_CONNECT, cache_addresses_find(&nowhere, "test", &addresses));
    assert_non_null(strstr(cache_last_error(), "test: "));
}

/* ---- the socket -------------------------------------------------------------------------------------------------- */

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* All stores with a server use this transport, so it is alike for all of them. */
static void a_connection_that_the_network_has_forgotten_is_found_out(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    struct line line;
    (void)state;
    fake_server_start(&fake, echo, NULL);
    open_server(&server, fake.port, 1, true, 5000);
    assert_status(CACHE_OK, ask(&server, "one", true, &line));
    const int fd = server.connections[0].wire.fd;
    assert_true(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    /* After so many seconds in all. */
    assert_in_range(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) +
                    option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 5, 60);
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    cache_server_release(&server);
    fake_server_stop(&fake);
}

/* ---- what is no fault of the server ------------------------------------------------------------------------------ */

static void a_lack_of_descriptors_is_not_held_against_the_server(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    struct line line;
    struct rlimit before, none;
    (void)state;
    fake_server_start(&fake, echo, NULL);
    open_server(&server, fake.port, 2, true, 5000);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    const int lowest = open("/dev/null", O_RDONLY);
    close(lowest);
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const cache_status status = ask(&server, "one", true, &line);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, CACHE_ERR_IO);
    assert_false(cache_server_is_away(&server));
    assert_status(CACHE_OK, ask(&server, "two", true, &line));
    assert_string_equal(line.reply, "two");
    cache_server_release(&server);
    fake_server_stop(&fake);
}

/* A Unix socket whose queue is full refuses with EAGAIN at once: that is waited out. */
static void a_full_queue_of_a_unix_socket_is_waited_out(void **state)
{
    char directory[64], path[96];
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct cache_addresses addresses;
    int fillers[8], n = 0, fd = -1;
    size_t which = 0;
    bool ours = true;
    (void)state;
    test_directory_make(directory, sizeof directory);
    (void)snprintf(path, sizeof path, "%s/s", directory);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%.90s", path);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(listener, 1), 0);
    for (int result = 0; n < 8 && result == 0; n++) {
        fillers[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        result = connect(fillers[n], (struct sockaddr *)&name, sizeof name);
    }
    const struct cache_place place = { path, 0 };
    assert_status(CACHE_OK, cache_addresses_find(&place, "test", &addresses));
    const double begun = test_seconds();
    assert_status(CACHE_ERR_TIMEOUT,
                  cache_addresses_dial(&addresses, "test", cache_now_ns() + 200000000, &fd, &which, &ours));
    assert_true(test_seconds() - begun > 0.15);
    const int accepted[2] = { accept(listener, NULL, NULL), accept(listener, NULL, NULL) };
    assert_status(CACHE_OK,
                  cache_addresses_dial(&addresses, "test", cache_now_ns() + 5000000000, &fd, &which, &ours));
    close(fd);
    close(accepted[0]);
    close(accepted[1]);
    while (n-- > 0)
        close(fillers[n]);
    close(listener);
    test_directory_remove(directory);
}

static void be_silent(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)server, (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes))
        continue;
}

static void do_nothing(int number)
{
    (void)number;
}

static atomic_bool signalling;

static void *signal_often(void *arg)
{
    while (signalling) {
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        nanosleep(&(const struct timespec){ 0, 20 * 1000 * 1000 }, NULL);
    }
    return NULL;
}

static void signals_neither_cut_a_wait_short_nor_make_it_longer(void **state)
{
    const struct sigaction action = { .sa_handler = do_nothing };
    struct fake_server fake;
    struct cache_server server;
    struct line line;
    pthread_t self = pthread_self(), thread;
    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    fake_server_start(&fake, be_silent, NULL);
    open_server(&server, fake.port, 2, true, 500);
    signalling = true;
    assert_int_equal(pthread_create(&thread, NULL, signal_often, &self), 0);
    const double begun = test_seconds();
    assert_status(CACHE_ERR_TIMEOUT, ask(&server, "one", true, &line));
    const double took = test_seconds() - begun;
    signalling = false;
    pthread_join(thread, NULL);
    assert_true(took > 0.49 && took < 2);
    cache_server_release(&server);
    fake_server_stop(&fake);
}

/* ---- cancellation ------------------------------------------------------------------------------------------------ */

static void *ask_once(void *arg)
{
    struct line line;
    (void)ask(arg, "one", true, &line);
    return NULL;
}

/* Of a thread that waits for the server, and of those that wait for it. */
static void a_cancelled_thread_keeps_nothing(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    pthread_t threads[4];
    (void)state;
    fake_server_start(&fake, be_silent, NULL);
    open_server(&server, fake.port, 1, true, 300);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &server), 0);
    while (fake.accepted == 0)
        sched_yield();
    for (int i = 0; i < 4; i++)
        pthread_cancel(threads[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct line line;
    assert_true(ask(&server, "two", true, &line) < 0);
    assert_int_equal(server.n_waiting, 0);
    assert_int_equal(server.n_busy, 0);
    cache_server_release(&server);
    fake_server_stop(&fake);
}

/* ---- reuse ------------------------------------------------------------------------------------------------------- */

static void echo_and_more(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes)) {
        if (!fake_server_puts(fd, bytes))
            return;
        nanosleep(&(const struct timespec){ 0, 20 * 1000 * 1000 }, NULL);
        (void)fake_server_puts(fd, "abc\n");
        atomic_fetch_add((atomic_int *)server->ctx, 1);
    }
}

static void a_connection_with_something_unread_is_not_used_again(void **state)
{
    struct fake_server fake;
    struct cache_server server;
    struct line line;
    atomic_int strays = 0;
    (void)state;
    fake_server_start(&fake, echo_and_more, (void *)&strays);
    open_server(&server, fake.port, 1, true, 5000);
    for (int i = 0; i < 3; i++) {
        assert_status(CACHE_OK, ask(&server, i % 2 == 0 ? "one" : "two", i != 2, &line));
        assert_string_equal(line.reply, i % 2 == 0 ? "one" : "two");
        while (strays <= i)
            sched_yield();
    }
    assert_int_equal(fake.accepted, 3);
    cache_server_release(&server);
    fake_server_stop(&fake);
}

/* The first connection ends on its second request. */
static void hang_up(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)server;
    for (int i = 0; fake_server_read(fd, bytes, sizeof bytes) && (number > 0 || i == 0); i++)
        if (!fake_server_puts(fd, bytes))
            return;
}

static void only_what_may_be_repeated_goes_out_again(void **state)
{
    (void)state;
    for (int repeatable = 0; repeatable < 2; repeatable++) {
        struct fake_server fake;
        struct cache_server server;
        struct line line;
        fake_server_start(&fake, hang_up, NULL);
        open_server(&server, fake.port, 1, true, 5000);
        assert_status(CACHE_OK, ask(&server, "one", true, &line));
        const cache_status status = ask(&server, "two", repeatable, &line);
        assert_int_equal(status, repeatable ? CACHE_OK : CACHE_ERR_CONNECT);
        assert_false(cache_server_is_away(&server));
        cache_server_release(&server);
        fake_server_stop(&fake);
    }
}

/* The first connection answers its first request when the test lets it, and then, once it has been sent a write, with
 * something that is no line. The others answer. */
struct nonsense {
    atomic_bool may_answer;
    atomic_int requests, writes;
};

static void talk_nonsense(struct fake_server *server, int fd, int number)
{
    static const char nonsense[] = "0123456789012345678901234567890123456789012345678901234567890123456789\n";
    struct nonsense *test = server->ctx;
    char bytes[4096];
    for (int i = 0; fake_server_read(fd, bytes, sizeof bytes); i++) {
        const bool is_write = strstr(bytes, "write") != NULL;
        test->writes += is_write;
        test->requests++;
        while (number == 0 && i == 0 && !test->may_answer)
            sched_yield();
        if (number > 0 || i == 0 ? !fake_server_puts(fd, bytes) : is_write && !fake_server_puts(fd, nonsense))
            return;
    }
}

struct call {
    const char *text;
    int64_t ms;                        /* until its deadline */
    bool overwrites;
    cache_status status;
};

static void *call_once(void *arg)
{
    struct call *call = arg;
    struct line line;
    struct iovec part;
    struct cache_exchange exchange = line_exchange(call->text, &part, &line);
    exchange.overwrites = call->overwrites;
    call->status = cache_server_call(&shared, &exchange, cache_now_ns() + (uint64_t)call->ms * 1000000);
    return NULL;
}

static void wait_for_queue(int n)
{
    for (int waiting = -1; waiting != n; sched_yield()) {
        pthread_mutex_lock(&shared.lock);
        waiting = shared.n_waiting;
        pthread_mutex_unlock(&shared.lock);
    }
}

/* Whoever looks at the counters has to see that the pool is too small. */
static void a_call_that_gets_no_connection_in_time_says_so_and_counts(void **state)
{
    (void)state;
    for (int gather = 0; gather < 2; gather++) {
        struct fake_server fake;
        struct nonsense nonsense = { 0 };
        struct call first = { "write", 20000, false, 0 }, late = { "late", 50, false, 0 };
        pthread_t thread;
        fake_server_start(&fake, talk_nonsense, &nonsense);
        open_server(&shared, fake.port, 1, gather, 20000);
        assert_int_equal(pthread_create(&thread, NULL, call_once, &first), 0);
        while (nonsense.writes == 0)    /* until it is sent: before, the second would go out with it */
            sched_yield();
        (void)call_once(&late);
        assert_int_equal(late.status, CACHE_ERR_TIMEOUT);
        assert_string_equal(cache_last_error(), "lines: all 1 connections were busy for 20000 ms");
        assert_int_equal(lines_counters.timeouts, 1);
        nonsense.may_answer = true;
        pthread_join(thread, NULL);
        assert_int_equal(first.status, CACHE_OK);
        assert_int_equal(lines_counters.timeouts, 1);
        cache_server_release(&shared);
        fake_server_stop(&fake);
    }
}

/* A batch is given up after a wrong reply. The server has read all of it, and may do it yet. */
static void a_write_is_not_sent_again_while_its_first_copy_may_still_be_done(void **state)
{
    (void)state;
    for (int overwrites = 0; overwrites < 2; overwrites++) {
        struct fake_server fake;
        struct nonsense nonsense = { 0 };
        struct call calls[3] = { { "first", 20000, false, 0 }, { "read", 20000, false, 0 },
                                 { "write", 20000, overwrites, 0 } };
        pthread_t threads[3];
        fake_server_start(&fake, talk_nonsense, &nonsense);
        open_server(&shared, fake.port, 1, true, 20000);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, call_once, &calls[i]), 0);
            while (nonsense.requests == 0)    /* until it is sent: before, the second could go out with it */
                sched_yield();
            wait_for_queue(i);
        }
        nonsense.may_answer = true;
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(calls[0].status, CACHE_OK);
        assert_int_equal(calls[1].status, CACHE_ERR_PROTOCOL);
        assert_int_equal(calls[2].status, overwrites ? CACHE_ERR_CONNECT : CACHE_OK);
        assert_int_equal(nonsense.writes, overwrites ? 1 : 2);
        cache_server_release(&shared);
        fake_server_stop(&fake);
    }
}

/* A server that has ended the connection does nothing more of what came on it. */
static void a_write_is_sent_again_if_the_server_has_ended_the_connection(void **state)
{
    struct fake_server fake;
    struct call call = { "write", 20000, true, 0 };
    struct line line;
    (void)state;
    fake_server_start(&fake, hang_up, NULL);
    open_server(&shared, fake.port, 1, true, 20000);
    assert_status(CACHE_OK, ask(&shared, "one", true, &line));
    (void)call_once(&call);
    assert_int_equal(call.status, CACHE_OK);
    cache_server_release(&shared);
    fake_server_stop(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_share_connections_get_their_own_replies),
        cmocka_unit_test(many_callers_go_out_in_few_writes),
        cmocka_unit_test(a_refused_address_is_followed_by_the_next),
        cmocka_unit_test(silent_addresses_share_one_deadline),
        cmocka_unit_test(families_take_turns),
        cmocka_unit_test(a_connection_that_the_network_has_forgotten_is_found_out),
        cmocka_unit_test(a_lack_of_descriptors_is_not_held_against_the_server),
        cmocka_unit_test(a_full_queue_of_a_unix_socket_is_waited_out),
        cmocka_unit_test(signals_neither_cut_a_wait_short_nor_make_it_longer),
        cmocka_unit_test(a_cancelled_thread_keeps_nothing),
        cmocka_unit_test(a_connection_with_something_unread_is_not_used_again),
        cmocka_unit_test(only_what_may_be_repeated_goes_out_again),
        cmocka_unit_test(a_call_that_gets_no_connection_in_time_says_so_and_counts),
        cmocka_unit_test(a_write_is_not_sent_again_while_its_first_copy_may_still_be_done),
        cmocka_unit_test(a_write_is_sent_again_if_the_server_has_ended_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
