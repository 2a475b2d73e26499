/* test_moved_server.c - names whose addresses change, and names with several addresses: the look-up is the test's own,
 * which stands before the C library's. The servers are fakes on 127.0.0.1 and its neighbours, all on one port. */
#define _GNU_SOURCE                    /* syscall, RTLD_NEXT */
#include "test.h"

#include "fake_server.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- names and time ---------------------------------------------------------------------------------------------- */

enum { MAX_SERVERS = 2 };

static const char name_of_all[] = "cache.test";
static const char *const hosts[MAX_SERVERS] = { "127.0.0.1", "127.0.0.2" };

static atomic_uint led_to;             /* a bit for each of the hosts that the name has; 0: the look-up fails */
static atomic_int look_ups;
static atomic_long later;              /* seconds that have gone by */

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static getaddrinfo_fn *real_look_up(void)
{
    getaddrinfo_fn *function = NULL;
    *(void **)&function = dlsym(RTLD_NEXT, "getaddrinfo");
    return function;
}

/* In place of the C library's, for the library under test, too. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    if (strcmp(node, name_of_all) != 0)
        return real_look_up()(node, service, hints, out);
    atomic_fetch_add(&look_ups, 1);
    *out = NULL;
    for (int i = MAX_SERVERS - 1; i >= 0; i--) {
        struct addrinfo *one = NULL;
        if ((led_to & 1u << i) == 0)
            continue;
        const int error = real_look_up()(hosts[i], service, hints, &one);
        if (error != 0)
            return error;
        one->ai_next = *out;           /* each is a block of its own to freeaddrinfo */
        *out = one;
    }
    return *out != NULL ? 0 : EAI_AGAIN;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const long status = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)
        now->tv_sec += atomic_load(&later);
    return (int)status;
}

/* ---- servers ----------------------------------------------------------------------------------------------------- */

enum { ANSWER, ANSWER_ONCE, HANG_UP, HANG_UP_AT_ONCE, BE_SILENT };

struct place {
    struct fake_server fake;
    char letter[2];                    /* what it has for every key */
    atomic_int mode;
};

static struct place places[MAX_SERVERS];

static void answer(struct fake_server *fake, int fd, int number)
{
    struct place *place = fake->ctx;
    char request[1024], mark[32], text[96];
    (void)number;
    while (place->mode != HANG_UP_AT_ONCE && fake_server_read(fd, request, sizeof request)) {
        fake_redis_cut_mark(request, mark);
        const bool is_get = strstr(request, "GET") != NULL;
        if (is_get && place->mode == HANG_UP)
            return;
        if (place->mode == BE_SILENT)
            continue;
        (void)snprintf(text, sizeof text, is_get ? "$1\r\n%s\r\n%s" : "+PONG\r\n%.0s%s", place->letter, mark);
        if (!fake_server_puts(fd, text) || (is_get && place->mode == ANSWER_ONCE))
            return;
    }
}

static int port;

static void start_place(int i, int mode)
{
    places[i].letter[0] = (char)('A' + i);
    places[i].mode = mode;
    fake_server_start_at(&places[i].fake, hosts[i], port, answer, &places[i]);
    port = places[i].fake.port;
}

static int start(void **state)
{
    (void)state;
    port = 0;
    later = 0;
    look_ups = 0;
    led_to = 1;
    for (int i = 0; i < MAX_SERVERS; i++)
        start_place(i, ANSWER);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < MAX_SERVERS; i++)
        fake_server_stop(&places[i].fake);
    return 0;
}

/* As long as nothing is silent, no call may fail for want of time on a busy machine. */
static cache_t *open_name(const char *options, _Atomic int64_t *clock)
{
    char url[256];
    (void)snprintf(url, sizeof url, "redis://%s:%d?client_name=off&%s", name_of_all, port, options);
    return clock != NULL ? test_open_with_clock(url, clock) : test_open(url);
}

static const char patient[] = "timeout=20&connect_timeout=20";

/* ---- a name that moves ------------------------------------------------------------------------------------------- */

static void the_successor_of_a_server_that_ended_is_found_at_once(void **state)
{
    (void)state;
    cache_t *cache = open_name(patient, NULL);
    assert_text(cache, "k", "A");
    fake_server_stop(&places[0].fake);
    led_to = 2;
    assert_text(cache, "k", "B");
    assert_int_equal(look_ups, 2);
    assert_int_equal(test_counters(cache).errors, 0);
    cache_close(cache);
    start_place(0, ANSWER);
}

/* The connection is lost with a request on it. */
static void a_request_that_loses_its_server_goes_to_the_successor(void **state)
{
    (void)state;
    cache_t *cache = open_name(patient, NULL);
    assert_text(cache, "k", "A");
    places[0].mode = HANG_UP;
    led_to = 2;
    assert_text(cache, "k", "B");
    assert_int_equal(test_counters(cache).errors, 0);
    cache_close(cache);
}

static void the_successor_of_a_server_that_hangs_is_found_by_the_next_call(void **state)
{
    (void)state;
    cache_value value;
    cache_t *cache = open_name("timeout=2&connect_timeout=20", NULL);
    assert_text(cache, "k", "A");
    places[0].mode = BE_SILENT;
    led_to = 2;
    assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "k", &value));
    assert_text(cache, "k", "B");
    cache_close(cache);
}

/* And so does one with a server that is well: the old one may be on its way out. */
static void a_name_that_moves_is_followed_within_a_minute(void **state)
{
    (void)state;
    cache_t *cache = open_name(patient, NULL);
    assert_text(cache, "k", "A");
    led_to = 2;
    later += 50;
    assert_text(cache, "k", "A");
    assert_int_equal(look_ups, 1);
    later += 11;
    assert_text(cache, "k", "B");
    assert_int_equal(look_ups, 2);
    later += 61;
    assert_text(cache, "k", "B");
    assert_int_equal(look_ups, 3);
    assert_int_equal(places[1].fake.accepted, 1);
    cache_close(cache);
}

static void an_address_more_leaves_the_connection_as_it_is(void **state)
{
    (void)state;
    cache_t *cache = open_name(patient, NULL);
    led_to = 2;
    assert_text(cache, "k", "B");
    led_to = 3;
    later += 61;
    assert_text(cache, "k", "B");
    assert_int_equal(places[0].fake.accepted, 0);
    cache_close(cache);
}

static void a_look_up_that_fails_leaves_the_old_address_in_use(void **state)
{
    (void)state;
    cache_t *cache = open_name(patient, NULL);
    assert_text(cache, "k", "A");
    led_to = 0;
    later += 61;
    assert_text(cache, "k", "A");
    assert_int_equal(look_ups, 2);
    assert_int_equal(places[0].fake.accepted, 1);
    cache_close(cache);
}

static void a_name_that_was_not_found_is_asked_for_again(void **state)
{
    _Atomic int64_t clock = 1000;
    cache_value value;
    (void)state;
    led_to = 0;
    cache_t *cache = open_name(patient, &clock);
    assert_status(CACHE_ERR_CONNECT, cache_get(cache, "k", &value));
    assert_non_null(strstr(cache_last_error(), name_of_all));
    led_to = 1;
    clock += 1000;
    assert_text(cache, "k", "A");
    cache_close(cache);
}

/* ---- a name with two addresses ----------------------------------------------------------------------------------- */

/* Get the value over some connections, each of which the server ends. */
static void get_over_new_connections(cache_t *cache, struct place *place)
{
    const int before = place->fake.accepted;
    place->mode = ANSWER_ONCE;
    for (int i = 0; i < 5; i++)
        assert_text(cache, "k", place->letter);
    assert_true(place->fake.accepted >= before + 4);
    place->mode = ANSWER;
}

/* Get the value, which is `letter`, however busy the machine is: how often there was no time for it. */
static int get_at_last(cache_t *cache, _Atomic int64_t *clock, const char *letter)
{
    int failures = 0;
    cache_value value;
    for (; cache_get(cache, "k", &value) != CACHE_OK; failures++) {
        *clock += 10000;               /* more than retry_after */
        if (failures == 60)
            fail_msg("no '%s': %s", letter, cache_last_error());
    }
    assert_string_equal(value.data, letter);
    cache_value_release(&value);
    return failures;
}

static void an_address_that_refuses_is_left_alone_while_the_other_serves(void **state)
{
    (void)state;
    fake_server_stop(&places[0].fake);
    led_to = 3;
    cache_t *cache = open_name(patient, NULL);
    assert_text(cache, "k", "B");
    start_place(0, ANSWER);
    get_over_new_connections(cache, &places[1]);
    assert_int_equal(places[0].fake.accepted, 0);
    assert_int_equal(test_counters(cache).errors, 0);
    cache_close(cache);
}

static void an_address_that_hangs_up_is_followed_in_the_same_call(void **state)
{
    (void)state;
    places[0].mode = HANG_UP_AT_ONCE;
    led_to = 3;
    cache_t *cache = open_name(patient, NULL);
    assert_text(cache, "k", "B");
    get_over_new_connections(cache, &places[1]);
    assert_int_equal(places[0].fake.accepted, 1);
    assert_int_equal(test_counters(cache).errors, 0);
    cache_close(cache);
}

/* It accepts connections, as the kernel does for a process that is stopped, and says nothing on them. */
static void an_address_that_is_silent_leaves_half_of_the_time_to_the_other(void **state)
{
    _Atomic int64_t clock = 1000;
    (void)state;
    places[0].mode = BE_SILENT;
    led_to = 3;
    cache_t *cache = open_name("timeout=20&connect_timeout=2", &clock);
    const int failures = get_at_last(cache, &clock, "B");
    get_over_new_connections(cache, &places[1]);
    assert_int_equal(places[0].fake.accepted, 1 + failures);
    cache_close(cache);
}

/* No retry_after goes by: the address is left alone, not the server. */
static void an_address_that_falls_silent_is_left_for_the_other(void **state)
{
    _Atomic int64_t clock = 1000;
    cache_value value;
    (void)state;
    led_to = 1;
    cache_t *cache = open_name("timeout=0.5&connect_timeout=20", &clock);
    (void)get_at_last(cache, &clock, "A");
    led_to = 3;
    places[0].mode = BE_SILENT;
    assert_status(CACHE_ERR_TIMEOUT, cache_get(cache, "k", &value));
    if (get_at_last(cache, &clock, "B") == 0) {
        const int before = places[0].fake.accepted;
        get_over_new_connections(cache, &places[1]);
        assert_int_equal(places[0].fake.accepted, before);
    }
    cache_close(cache);
}

static void a_server_with_all_addresses_silent_is_left_alone(void **state)
{
    _Atomic int64_t clock = 1000;
    cache_value value;
    (void)state;
    led_to = 3;
    for (int i = 0; i < MAX_SERVERS; i++)
        places[i].mode = BE_SILENT;
    cache_t *cache = open_name("timeout=20&connect_timeout=0.2&retry_after=5", &clock);
    for (int round = 0; round < 3; round++) {
        const int before = places[0].fake.accepted + places[1].fake.accepted;
        for (int i = 0; i < 100; i++)
            assert_true(cache_get(cache, "k", &value) < 0);
        assert_in_range(places[0].fake.accepted + places[1].fake.accepted - before, 0, 4);
        clock += 5000;
    }
    assert_true(test_counters(cache).rejections >= 3 * 94);
    for (int i = 0; i < MAX_SERVERS; i++) {
        places[i].letter[0] = 'C';
        places[i].mode = ANSWER;
    }
    (void)get_at_last(cache, &clock, "C");
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_successor_of_a_server_that_ended_is_found_at_once, start, stop),
        cmocka_unit_test_setup_teardown(a_request_that_loses_its_server_goes_to_the_successor, start, stop),
        cmocka_unit_test_setup_teardown(the_successor_of_a_server_that_hangs_is_found_by_the_next_call, start, stop),
        cmocka_unit_test_setup_teardown(a_name_that_moves_is_followed_within_a_minute, start, stop),
        cmocka_unit_test_setup_teardown(an_address_more_leaves_the_connection_as_it_is, start, stop),
        cmocka_unit_test_setup_teardown(a_look_up_that_fails_leaves_the_old_address_in_use, start, stop),
        cmocka_unit_test_setup_teardown(a_name_that_was_not_found_is_asked_for_again, start, stop),
        cmocka_unit_test_setup_teardown(an_address_that_refuses_is_left_alone_while_the_other_serves, start, stop),
        cmocka_unit_test_setup_teardown(an_address_that_hangs_up_is_followed_in_the_same_call, start, stop),
        cmocka_unit_test_setup_teardown(an_address_that_is_silent_leaves_half_of_the_time_to_the_other, start, stop),
        cmocka_unit_test_setup_teardown(an_address_that_falls_silent_is_left_for_the_other, start, stop),
        cmocka_unit_test_setup_teardown(a_server_with_all_addresses_silent_is_left_alone, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
